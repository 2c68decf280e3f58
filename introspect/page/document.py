"""``Document``: it collects sections and text, and writes one HTML file.

The page requests nothing from a network. Its Content-Security-Policy forbids that, and allows only
three scripts, all named by their hashes: the page's own and Plotly, which are stored compressed,
and the few lines that unpack them.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from introspect.io import write_atomically
from introspect.page.bundle import (
    as_json,
    binary_block,
    bundle,
    packed,
    plotly_source,
    policy_for,
    read_asset,
    style_sheet,
)
from introspect.page.codec import Floats, encode
from introspect.page.record_data import encoded_method, encoded_part, record_json
from introspect.records import METHODS, AttentionRecord
from introspect.text import visible_text

__all__ = ["Document", "Section", "framed", "read_summary", "summary_block"]

_HEIGHT = 720


def framed(page: str, title: str) -> str:
    """Return the HTML of a frame that holds a whole page.

    Args:
        page: the page, as ``Document.to_html`` returns it.
        title: the title of the frame.

    Example:
        >>> framed("<p>a</p>", "A page").partition(' style')[0]
        '<iframe sandbox="allow-scripts allow-downloads" title="A page"'
    """
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(title)}" '
        f'style="width:100%;height:{_HEIGHT}px;border:0" '
        f'srcdoc="{html.escape(page, quote=True)}"></iframe>'
    )


@dataclass(frozen=True, eq=False)
class Section:
    """One view of a page.

    Args:
        kind: the kind of view (``head``, ``model``, …).
        title: its heading.
        lead: what the view shows, in a sentence or two of plain text.
        state: what it shows first, and data only this view needs; anything JSON can hold.
        record: the attention it shows; ``None`` for figures over many texts.
        hidden: do not show it until another view opens it.
        others: other records that it shows beside the first.
        parts: the parts it shows beside the attention (``queries``, …), for the records
            that have them.
        arrays: other numbers from 0 to 1 that only this view needs, by name.
        methods: other methods that it shows each of its records with, by their names in
            ``introspect.records``, first the one shown first.
    """

    kind: str
    title: str
    lead: str
    state: dict[str, Any]
    record: AttentionRecord | None = None
    hidden: bool = False
    others: tuple[AttentionRecord, ...] = ()
    parts: tuple[str, ...] = ()
    arrays: Mapping[str, Floats] = field(default_factory=dict)
    methods: Sequence[Sequence[str]] = ()


_OPENING = '<script type="application/json" id="report-summary">'


def summary_block(summary: Mapping[str, Any] | None) -> str:
    """Return the element for the page's head; empty without a summary."""
    return "" if summary is None else f"{_OPENING}{as_json(summary)}</script>\n"


def read_summary(page: str) -> dict[str, Any] | None:
    """Return the summary in a page's head; ``None`` for a page not written by this package.

    Args:
        page: the page, or a beginning of it that includes the head.
    """
    _, found, rest = page.partition(_OPENING)
    block, closed, _ = rest.partition("</script>")
    if not (found and closed):
        return None
    try:
        summary = json.loads(block)
    except ValueError:
        return None
    return summary if isinstance(summary, dict) else None


_NO_SCRIPT = (
    "The interactive views need JavaScript, which is switched off here. The words stand without it."
)

# Placeholder for the contents: all text is escaped, so none can be mistaken for it.
_CONTENTS = "<!contents>"

# Without scripts nothing can be selected, so everything is shown.
_ALL_SHOWN = ".item[hidden]{display:block}.choice-list{display:none}"


@dataclass(eq=False)
class Document:
    """Collects the parts of a page in the order in which they are added.

    Args:
        title: the page's title in the browser.
        heading: the text that it shows, as its heading; the title by default.
        summary: a summary for programs and for a folder's index; anything JSON can
            hold. The page has it in its head, as the JSON block ``report-summary``.
    """

    title: str
    heading: str | None = None
    summary: Mapping[str, Any] | None = None
    _body: list[str] = field(default_factory=list)
    _sections: list[dict[str, Any]] = field(default_factory=list)
    _records: list[AttentionRecord] = field(default_factory=list)
    _arrays: dict[str, str] = field(default_factory=dict)
    # Names of the parts needed of each record.
    _parts: dict[int, set[str]] = field(default_factory=dict)
    # Names of the methods that each record is shown with.
    _methods: dict[int, set[str]] = field(default_factory=dict)
    # The kinds of views in the page.
    _kinds: set[str] = field(default_factory=set)
    _chapters: list[str] = field(default_factory=list)
    _items: int = 0

    def add_prose(self, trusted_html: str) -> None:
        """Add prose as HTML; the caller has escaped any external text."""
        self._body.append(trusted_html)

    def add_section(self, section: Section, *, folds: bool = False) -> None:
        """Add a view; a record that several views show is embedded once.

        Args:
            section: the view.
            folds: add it as a collapsible chapter of its own.
        """
        number = len(self._sections) + 1
        name = f"view-{number}-{section.kind}"
        self._kinds.add(section.kind)
        own = () if section.record is None else (section.record,)
        numbers = [self._record_number(one, section.parts) for one in (*own, *section.others)]
        for one, methods in zip(numbers, section.methods, strict=False):
            self._methods.setdefault(one, set()).update(methods)
        record, others = (numbers[0], numbers[1:]) if own else (None, numbers)
        arrays = {key: encode(array, whole=True) for key, array in section.arrays.items()}
        self._arrays |= {f"{name}-{key}": encoded.data for key, encoded in arrays.items()}
        self._sections.append(
            {
                "id": name,
                "record": record,
                "others": others,
                "state": section.state,
                "arrays": {
                    key: {"shape": encoded.shape, "codec": encoded.codec}
                    for key, encoded in arrays.items()
                },
            }
        )
        heading = f'<h2 id="{name}-title" tabindex="-1">{html.escape(section.title)}</h2>'
        lead = f'<p class="lead">{html.escape(section.lead)}</p>'
        opening = (
            f'<section data-view="{section.kind}" id="{name}" '
            f'data-record="{"" if record is None else record}" '
            f'aria-labeledby="{name}-title"{" hidden" if section.hidden else ""}>'
        )
        if folds:
            with self._folding(section.title, heading):
                self._body.append(f"{opening}{lead}</section>")
        else:
            self._body.append(f"{opening}{heading}{lead}</section>")

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Collapse what is added inside under this title, and list the title in the contents."""
        with self._folding(title, f'<h2 tabindex="-1">{html.escape(title)}</h2>'):
            yield

    def add_contents(self) -> None:
        """Add the list of the chapters, including later ones."""
        self._body.append(_CONTENTS)

    @contextmanager
    def choice(self, labels: Sequence[tuple[str, str]], *, of: str) -> Iterator[None]:
        """Add a list to choose one of several items from; each is an ``item`` added inside.

        The views of an item are built, and its numbers unpacked, when it is first chosen.

        Args:
            labels: for each item its name, and a short note beside it.
            of: what the items are, such as "sentences".
        """
        rows = "".join(_choice_row(self._items + i, *label) for i, label in enumerate(labels))
        self._body.append(
            f'<div class="choice" data-of="{html.escape(of)}"><ol class="choice-list">{rows}</ol>'
        )
        yield
        self._body.append("</div>")

    @contextmanager
    def item(self, *, shown: bool) -> Iterator[None]:
        """Add one item of a choice."""
        hidden = "" if shown else " hidden"
        self._body.append(f'<article class="item" id="item-{self._items}"{hidden}>')
        self._items += 1
        yield
        self._body.append("</article>")

    def to_html(self) -> str:
        """Return the whole page as HTML."""
        boot, script = read_asset("boot.js"), bundle(frozenset(self._kinds))
        # A page without views draws nothing.
        plotly = plotly_source() if self._sections else ""
        policy = policy_for(*filter(None, (boot, script, plotly)))
        weights = [encode(record.attentions.numpy()) for record in self._records]
        parts = [
            {name: encoded_part(record, name) for name in sorted(self._parts[i])}
            | {name: encoded_method(record, name) for name in self._methods_of(i) if name != "norm"}
            for i, record in enumerate(self._records)
        ]
        methods = [self._methods_of(i) for i, _ in enumerate(self._records)]
        rows = zip(self._records, weights, parts, methods, strict=True)
        data = {
            "records": [record_json(*row) for row in rows],
            "sections": self._sections,
        }
        blocks = [
            f'<script type="application/json" id="page-data">{as_json(data)}</script>',
            binary_block("scripts", packed(script)),
        ]
        if plotly:
            blocks.append(binary_block("plotly", packed(plotly)))
        blocks += [binary_block(f"weights-{i}", encoded.data) for i, encoded in enumerate(weights)]
        blocks += [binary_block(f"array-{name}", data) for name, data in self._arrays.items()]
        blocks += [
            binary_block(f"part-{i}-{name}", encoded.data)
            for i, encoded_parts in enumerate(parts)
            for name, encoded in encoded_parts.items()
        ]
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{html.escape(self.title)}</title>\n"
            f"<style>\n{style_sheet()}</style>\n"
            f"<noscript><style>{_ALL_SHOWN}</style></noscript>\n"
            f"{summary_block(self.summary)}</head>\n<body>\n<main>\n"
            f"{self._head_line()}\n"
            f'<noscript><p class="notice">{_NO_SCRIPT}</p></noscript>\n'
            + "\n".join(self._body).replace(_CONTENTS, _contents(self._chapters))
            + '\n</main>\n<div id="announcements" class="unseen" aria-live="polite"></div>\n'
            + "\n".join(blocks)
            + f"\n<script>{boot}</script>\n</body>\n</html>\n"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as one file, atomically.

        Raises:
            OutputError: the folder is missing or cannot be written.
        """
        return write_atomically(path, self.to_html())

    def _head_line(self) -> str:
        if self.heading is None:
            return f"<h1>{html.escape(self.title)}</h1>"
        return f'<h1 class="shown-text" dir="auto">{html.escape(self.heading)}</h1>'

    @contextmanager
    def _folding(self, title: str, heading: str) -> Iterator[None]:
        self._chapters.append(title)
        name = f"chapter-{len(self._chapters)}"
        self._body.append(f'<details class="chapter" id="{name}" open><summary>{heading}</summary>')
        yield
        self._body.append("</details>")

    def _methods_of(self, number: int) -> list[str]:
        """Return the methods of a record, in the order in which they are offered."""
        return [name for name in METHODS if name in self._methods.get(number, ())]

    def _record_number(self, record: AttentionRecord, parts: Sequence[str]) -> int:
        known = [number for number, other in enumerate(self._records) if other is record]
        if not known:
            self._records.append(record)
        number = known[0] if known else len(self._records) - 1
        self._parts.setdefault(number, set()).update(p for p in parts if p in record.parts)
        return number


def _choice_row(number: int, name: str, note: str) -> str:
    return (
        f'<li><button type="button" data-item="item-{number}">'
        f'<span class="name" dir="auto">{html.escape(visible_text(name))}</span>'
        f'<span class="aside">{html.escape(visible_text(note))}</span></button></li>'
    )


def _contents(chapters: Sequence[str]) -> str:
    links = "".join(
        f'<li><a href="#chapter-{number}">{html.escape(title)}</a></li>'
        for number, title in enumerate(chapters, start=1)
    )
    return f'<nav class="contents" aria-label="Contents"><ol>{links}</ol></nav>'
