"""Which published form a file is written in, by its first rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from introspect.data.json_rows import read_objects
from introspect.data.jsonl import object_from_json
from introspect.data.published.bug import is_bug
from introspect.data.published.choices import is_choices
from introspect.data.published.cluster_forms import is_clusters
from introspect.data.published.conll2012 import is_conll2012
from introspect.data.published.corefud import is_corefud
from introspect.data.published.dpr import is_dpr
from introspect.data.published.knowref import is_knowref
from introspect.data.published.winogrande import is_winogrande
from introspect.data.published.wsc import is_wsc
from introspect.io import PathLike, RowError, is_stdin, read_lines, read_table

_LINES = 200
_OBJECTS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = MappingProxyType(
    {
        "wsc": is_wsc,
        "winogrande": is_winogrande,
        "knowref": is_knowref,
        "clusters": is_clusters,
        "dpr": is_choices,
    }
)


def form_of(path: PathLike) -> str | None:
    """Return the kind of published collection that a file is written in, ``None`` if of none.

    Only the first rows are read; a file of JSON that is not one object a line is read whole.

    Raises:
        InputError: the file is missing or cannot be read, or is standard input.
    """
    if is_stdin(path):
        return None
    lines = [row.raw for row in islice(read_lines(path, keep_blank=True), _LINES)]
    first = next((line.lstrip() for line in lines if line.strip()), "")
    if first.startswith(("{", "[")):
        return _kind_of_object(path)
    if is_corefud(lines):
        return "corefud"
    if is_conll2012(lines):
        return "conll2012"
    heading = next(read_table(path), None)
    if heading and is_bug(heading.fields):
        return "bug"
    if {"Pronoun-offset", "A-coref", "B-coref"} <= set(first.split("\t")):
        return "gap"
    return "dpr" if is_dpr(lines) else None


def _kind_of_object(path: PathLike) -> str | None:
    """Return the kind by the first object that can be read."""
    for row in read_objects(path):
        try:
            fields = object_from_json(row.raw)
        except RowError:
            continue
        return next((kind for kind, fits in _OBJECTS.items() if fits(fields)), None)
    return None
