"""Detect whether inputs hold coreference cases, plain sentences, or trees."""

from __future__ import annotations

from typing import Literal

from introspect.data.inputs import Inputs, find_inputs
from introspect.data.jsonl import CASE_KEYS, object_from_json
from introspect.errors import InputError
from introspect.io import RowError, is_stdin, read_lines

Content = Literal["cases", "sentences", "conllu"]


def sniff(inputs: Inputs, *, format: str | None = None) -> Content:
    """Return what the inputs hold, by their endings and the first readable row of a ``jsonl``.

    That row is a case if it has the keys ``text``, ``pronoun`` and ``candidates``. Files of
    ``jsonl`` without a readable row are treated as cases, so that reading them reports what is
    wrong with each row.

    Raises:
        InputError: as ``find_inputs``; or different kinds are mixed; or it is standard input, which
            can be read once only.
    """
    known = [item for item in find_inputs(inputs, format=format) if item.format]
    if any(is_stdin(item.source) for item in known):
        raise InputError(
            "Expected files, got standard input, which can be read only once. Give the file that "
            "spooled_stdin() makes of it."
        )
    kinds: dict[Content, str] = {}
    unknown = None
    for item in known:
        kind: Content | None = "conllu" if item.format == "conllu" else "sentences"
        if item.format == "jsonl":
            kind = _kind_of_rows(item.source)
        if kind is None:
            unknown = item.source
        else:
            kinds.setdefault(kind, item.source)
    if len(kinds) > 1:
        (one, its), (other, others), *_ = kinds.items()
        raise InputError(
            f"Expected inputs of one kind, got {one} in {its!r} and {other} in {others!r}. "
            "Give them one after the other."
        )
    return next(iter(kinds), "cases" if unknown else "sentences")


def _kind_of_rows(path: str) -> Content | None:
    for row in read_lines(path):
        if row.fault:
            continue
        try:
            found = object_from_json(row.raw)
        except RowError:
            continue
        return "cases" if all(key in found for key in CASE_KEYS) else "sentences"
    return None
