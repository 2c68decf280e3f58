"""A page that lists the reports and views of a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from introspect.calls import checked_call
from introspect.errors import InputError, OutputError
from introspect.io import claimed_file, regular, tree_of, write_atomically
from introspect.page import Document, read_summary
from introspect.reporting.prose import IndexEntry, index_list, lead
from introspect.reporting.strips import strip_of
from introspect.text import counted, listed, shortened, visible_text

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


def _found_in(root: Path) -> tuple[Mapping[Path, Mapping[str, Any]], int, int]:
    """Return the summaries of the pages in a folder by path, and what is left out.

    Returns:
        The summaries, the number of other pages, and the number of folders that may not be read.

    Raises:
        InputError: there is no report.
    """
    tree = tree_of(root, hidden=True)
    pages = [root / path for path in tree.files if path.suffix == ".html"]
    pages = [path for path in pages if path != root / _NAME]
    summaries = {path: _summary_of(path) for path in pages}
    known = {path: found for path, found in summaries.items() if found is not None}
    if not known:
        raise InputError(
            f"Expected reports or views in {str(root)!r}, got "
            f"{counted(len(pages), 'HTML page')} that introspect did not make. Name the folder "
            "that `--out` wrote to."
        )
    return known, len(pages) - len(known), len(tree.unreadable)


def _summary_of(path: Path) -> dict[str, Any] | None:
    """Return the summary in a page; ``None`` for one that is not ours, or may not be read."""
    try:
        with Path(regular(path)).open("rb") as stream:
            return read_summary(stream.read(_HEAD_BYTES).decode("utf-8", errors="replace"))
    except OSError:
        return None


def _page(
    root: Path, known: Mapping[Path, Mapping[str, Any]], num_others: int, num_unreadable: int
) -> str:
    title = f"Reports in {_shown(root.resolve().name)}"
    document = Document(title, summary={"kind": "index", "title": title, "pages": len(known)})
    entries = [_entry(path.relative_to(root), summary) for path, summary in known.items()]
    document.add_prose(index_list(entries))
    left_out = []
    if num_others:
        left_out.append(f"{counted(num_others, 'HTML page')} that introspect did not make")
    if num_unreadable:
        left_out.append(f"{counted(num_unreadable, 'folder')} that may not be read")
    if left_out:
        document.add_prose(lead(f"Left out: {listed(left_out)}."))
    return document.to_html()


def _entry(path: Path, summary: Mapping[str, Any]) -> IndexEntry:
    """Return what the list says of a page."""
    title, model, finding = (_text_in(summary, name) for name in ("title", "model", "finding"))
    shown = _shown(path.as_posix())
    facts = [shown, title, model, _counted_in(summary)]
    return IndexEntry(
        address=quote(os.fsencode(path.as_posix())),
        finding=finding or title or shown,
        facts=tuple(fact for fact in facts if fact),
        strip=strip_of(summary.get("strip")),
    )


def _counted_in(summary: Mapping[str, Any]) -> str:
    """Say on how many cases a page is, or else on how many texts; empty for neither."""
    for noun, fewest in (("case", 1), ("text", 2)):
        count = summary.get(f"{noun}s")
        # Whoever wrote the page, its summary is not more than it says.
        if type(count) is int and fewest <= count <= _MOST_CASES:
            return counted(count, noun)
    return ""


def _shown(name: str) -> str:
    """Return a name as far as it is UTF-8, which not every system asks of it."""
    return os.fsencode(name).decode("utf-8", "replace")


def _text_in(summary: Mapping[str, Any], name: str) -> str:
    """Return a text of a summary; an empty one where something else stands there."""
    value = summary.get(name)
    return shortened(visible_text(value), _LONGEST) if isinstance(value, str) else ""
