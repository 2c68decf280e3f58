"""Documents with clusters as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from introspect.data.json_rows import read_objects
from introspect.data.jsonl import object_from_json
from introspect.data.outcomes import CaseSource, Outcome, SeenIds
from introspect.data.published.cluster_forms import OFFSETS, form_of_keys
from introspect.data.published.cluster_texts import document_in_text
from introspect.data.published.cluster_words import document_in_words
from introspect.data.published.documents import Document
from introspect.data.published.options import ClusterOptions
from introspect.data.published.pronoun_cases import read_documents
from introspect.errors import SelectionError
from introspect.io import PathLike, Row

_NAMES = ("doc_key", "doc_id", "id", "doc_name", "name", "document_id")


def read_clusters(
    path: PathLike,
    *,
    options: ClusterOptions | None = None,
    offsets: str | None = None,
    seen: SeenIds | None = None,
) -> Iterator[Outcome]:
    """Yield the cases of the pronouns of documents in JSON, one a line or an array of them.

    Each document's keys say who writes it (module ``clusters``). Words are put together with one
    space between them, or as the flags of a key ``spaces`` say. Whether the last word of a mention
    is included is known of most forms, and otherwise shown by the clusters: a span of ``[8, 8]``
    is one word where it is. A document that leaves it open, or whose clusters contradict its
    form, is rejected.

    Args:
        path: the file.
        options: how cases are made of the clusters.
        offsets: what the numbers count, one of ``OFFSETS``; by default what the form says.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
        SelectionError: the offsets are none of ``OFFSETS``.
    """
    if offsets is not None and offsets not in OFFSETS:
        raise SelectionError(f"Expected offsets from {', '.join(OFFSETS)}, got {offsets!r}.")
    source = CaseSource(path, seen)
    options = options or ClusterOptions()
    stem = source.path.stem

    def documents() -> Iterator[tuple[Row, Callable[[], Document]]]:
        for row in read_objects(path):
            yield row, partial(_document, row, f"{stem}-{row.line}", options, offsets)

    yield from read_documents(source, documents(), options)


def _document(row: Row, name: str, options: ClusterOptions, offsets: str | None) -> Document:
    fields = object_from_json(row.raw)
    form = form_of_keys(fields, offsets)
    given = next((fields[key] for key in _NAMES if isinstance(fields.get(key), str | int)), None)
    name = name if given is None or given == "" else str(given)
    part = fields.get("part_id")
    if isinstance(part, int | str) and str(part).strip("0"):
        name = f"{name}-part{part}"
    if form.offsets == "characters":
        return document_in_text(name, fields, form, options)
    return document_in_words(name, fields, form, options, offsets)
