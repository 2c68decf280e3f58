"""A page that lists the reports and views of a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from introspect.calls import checked_call
from introspect.errors import InputError, OutputError
from introspect.io import claimed_file, write_atomically
from introspect.page import Document, read_summary
from introspect.reporting.prose import index_list, lead
from introspect.text import counted, shortened, visible_text

_NAME = "index.html"

# A page says what it is within its first bytes: only styles come before that, no data.
_HEAD_BYTES = 2**18
_MOST_CASES = 10**12
_LONGEST = 1_000


@checked_call
def report_index(folder: str | os.PathLike[str]) -> Path:
    """Write a folder's ``index.html``: what each report and view in it found, with a search.

    Pages are listed by name, including those in subfolders. Pages that this package did not make
    are left out, and the list says how many.

    Raises:
        InputError: there is no such folder, or no report in it.
        OutputError: an existing ``index.html`` is not such a list, or it cannot be written.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"Expected a folder of reports, got {str(root)!r}. Name an existing one.")
    with claimed_file(root / _NAME) as target:
        if target.exists() and (_summary_of(target) or {}).get("kind") != "index":
            raise OutputError(
                f"Expected to write {str(target)!r}, but a page is there that is no list of "
                "reports. Move it away first."
            )
        write_atomically(target, _page(root, *_found_in(root)))
    return root / _NAME


def _found_in(root: Path) -> tuple[Mapping[Path, Mapping[str, Any]], int]:
    """Return the summaries of the pages in a folder by path, and how many others there are.

    Raises:
        InputError: there is no report.
    """
    pages = sorted(path for path in root.rglob("*.html") if path.is_file() and path != root / _NAME)
    summaries = {path: _summary_of(path) for path in pages}
    known = {path: found for path, found in summaries.items() if found is not None}
    if not known:
        raise InputError(
            f"Expected reports or views in {str(root)!r}, got {len(pages)} HTML pages, none of "
            "them made by introspect. Name the folder that `--out` wrote to."
        )
    return known, len(pages) - len(known)


def _summary_of(path: Path) -> dict[str, Any] | None:
    with path.open("rb") as stream:
        return read_summary(stream.read(_HEAD_BYTES).decode("utf-8", errors="replace"))


def _page(root: Path, known: Mapping[Path, Mapping[str, Any]], left_out: int) -> str:
    title = f"Reports in {root.resolve().name}"
    document = Document(title, summary={"kind": "index", "title": title, "pages": len(known)})
    entries = [_entry(path.relative_to(root), summary) for path, summary in known.items()]
    document.add_prose(index_list(entries))
    if left_out:
        pages = counted(left_out, "HTML page")
        document.add_prose(lead(f"Left out: {pages} that introspect did not make."))
    return document.to_html()


def _entry(path: Path, summary: Mapping[str, Any]) -> tuple[str, object, list[object]]:
    """Return the address, the finding and the facts of a page."""
    title, model, finding = (_text_in(summary, name) for name in ("title", "model", "finding"))
    facts = [path.as_posix(), title, model]
    cases = summary.get("cases")
    # Whoever wrote the page, its summary is not more than it says.
    if isinstance(cases, int) and not isinstance(cases, bool) and 0 <= cases <= _MOST_CASES:
        facts.append(counted(cases, "case"))
    return quote(path.as_posix()), finding or title or path.name, [fact for fact in facts if fact]


def _text_in(summary: Mapping[str, Any], name: str) -> str:
    """Return a text of a summary; an empty one where something else stands there."""
    value = summary.get(name)
    return shortened(visible_text(value), _LONGEST) if isinstance(value, str) else ""
