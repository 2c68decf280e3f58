"""A page: sections and words in, one HTML file out.

The page asks no network for anything. Its Content-Security-Policy forbids that, and lets only three
scripts run, all named by their hashes: the page's own and Plotly, which travel compressed, and the
few lines that unpack them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from introspect.attribution import METHODS, attributed
from introspect.files import write_atomically
from introspect.page.codec import Encoded, Floats, SignedEncoded, encode, encode_signed
from introspect.page.scripts import bundle, read_asset
from introspect.page.styles import style_sheet
from introspect.records import AttentionRecord, TokenSequence
from introspect.text import visible, visible_text

__all__ = ["PLOTLY_SHA256", "Document", "Section", "read_summary"]

_SUMMARY = '<script type="application/json" id="report-summary">'

#: Of the vendored file, so that an accident with it is seen before a page is.
PLOTLY_SHA256 = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"

_NO_SCRIPT = (
    "The interactive views need JavaScript, which is switched off here. The words stand without it."
)


# Under this the largest number of a method is written in powers of ten.
_SMALL = 0.1

# Where the contents will stand: no text gets here unescaped, so none can be taken for it.
_CONTENTS = "<!contents>"

# Without scripts nothing can be chosen, so everything is there to read.
_ALL_SHOWN = ".item[hidden]{display:block}.choice-list{display:none}"


@dataclass(frozen=True, eq=False)
class Section:
    """One view's place in a page.

    Args:
        kind: which view it is (``head``, ``model``, …).
        title: its heading.
        lead: what is seen, in a sentence or two of plain text.
        state: what it shows first, and what only this view needs; anything JSON can hold.
        record: the attention it shows; ``None`` for figures of many texts.
        hidden: not shown until another view opens it.
        others: further records that it shows beside the first.
        parts: which parts of the records it shows beside the attention (``queries``, …), of those
            that have them.
        arrays: further numbers from 0 to 1 that only this view needs, by name.
        methods: further methods that it shows a record by, by their names in
            ``introspect.attribution``; for each of its records, the first one first.
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


@dataclass(eq=False)
class Document:
    """Collects the parts of a page in the order in which they are added.

    Args:
        title: what the page is called in the browser.
        heading: the text that it shows, to stand at its head; the title, if there is none.
        summary: what the page says, for programs and for the list of a folder; anything JSON can
            hold. The page has it in its head, as the JSON block ``report-summary``.
    """

    title: str
    heading: str | None = None
    summary: Mapping[str, Any] | None = None
    _body: list[str] = field(default_factory=list)
    _sections: list[dict[str, Any]] = field(default_factory=list)
    _records: list[AttentionRecord] = field(default_factory=list)
    _arrays: dict[str, str] = field(default_factory=dict)
    # Names of the parts that are needed of each record.
    _parts: dict[int, set[str]] = field(default_factory=dict)
    # Names of the methods that each record is shown by.
    _methods: dict[int, set[str]] = field(default_factory=dict)
    # The kinds of views that it has.
    _kinds: set[str] = field(default_factory=set)
    _chapters: list[str] = field(default_factory=list)
    _items: int = 0

    def add_prose(self, trusted_html: str) -> None:
        """Add words as HTML; the caller has escaped what came from outside."""
        self._body.append(trusted_html)

    def add_section(self, section: Section, *, folds: bool = False) -> None:
        """Add a view. A record that several views show is embedded once.

        Args:
            section: the view.
            folds: as a chapter of its own.
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
            f'aria-labelledby="{name}-title"{" hidden" if section.hidden else ""}>'
        )
        if folds:
            with self._folding(section.title, heading):
                self._body.append(f"{opening}{lead}</section>")
        else:
            self._body.append(f"{opening}{heading}{lead}</section>")

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """What is added inside folds under this title, and the contents name it."""
        with self._folding(title, f'<h2 tabindex="-1">{html.escape(title)}</h2>'):
            yield

    def add_contents(self) -> None:
        """The list of the chapters, those that follow too."""
        self._body.append(_CONTENTS)

    @contextmanager
    def choice(self, labels: Sequence[tuple[str, str]], *, of: str) -> Iterator[None]:
        """A list to choose one of several items from; each is an ``item`` added inside.

        The views of an item are made, and its numbers unpacked, when it is first chosen.

        Args:
            labels: for each item its name, and a word or two beside it.
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
        """One item of a choice."""
        hidden = "" if shown else " hidden"
        self._body.append(f'<article class="item" id="item-{self._items}"{hidden}>')
        self._items += 1
        yield
        self._body.append("</article>")

    def to_html(self) -> str:
        """The whole page."""
        boot, script = read_asset("boot.js"), bundle(frozenset(self._kinds))
        # A page of words alone draws nothing.
        plotly = _plotly() if self._sections else ""
        policy = _policy(*filter(None, (boot, script, plotly)))
        weights = [encode(record.attentions.numpy()) for record in self._records]
        parts = [
            {name: _encoded_part(record, name) for name in sorted(self._parts[i])}
            | {
                name: _encoded_method(record, name)
                for name in self._methods_of(i)
                if name != "norm"
            }
            for i, record in enumerate(self._records)
        ]
        methods = [self._methods_of(i) for i, _ in enumerate(self._records)]
        rows = zip(self._records, weights, parts, methods, strict=True)
        data = {
            "records": [_record_json(*row) for row in rows],
            "sections": self._sections,
        }
        blocks = [
            f'<script type="application/json" id="page-data">{_json(data)}</script>',
            _block("scripts", _packed(script)),
        ]
        if plotly:
            blocks.append(_block("plotly", _packed(plotly)))
        blocks += [_block(f"weights-{i}", encoded.data) for i, encoded in enumerate(weights)]
        blocks += [_block(f"array-{name}", data) for name, data in self._arrays.items()]
        blocks += [
            _block(f"part-{i}-{name}", encoded.data)
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
            f"{self._summary_block()}</head>\n<body>\n<main>\n"
            f"{self._head_line()}\n"
            f'<noscript><p class="notice">{_NO_SCRIPT}</p></noscript>\n'
            + "\n".join(self._body).replace(_CONTENTS, _contents(self._chapters))
            + '\n</main>\n<div id="announcements" class="unseen" aria-live="polite"></div>\n'
            + "\n".join(blocks)
            + f"\n<script>{boot}</script>\n</body>\n</html>\n"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as one file, whole or not at all.

        Raises:
            OutputError: the folder is missing or cannot be written.
        """
        return write_atomically(path, self.to_html())

    def _head_line(self) -> str:
        if self.heading is None:
            return f"<h1>{html.escape(self.title)}</h1>"
        return f'<h1 class="shown-text" dir="auto">{html.escape(self.heading)}</h1>'

    def _summary_block(self) -> str:
        if self.summary is None:
            return ""
        return f"{_SUMMARY}{_json(self.summary)}</script>\n"

    @contextmanager
    def _folding(self, title: str, heading: str) -> Iterator[None]:
        self._chapters.append(title)
        name = f"chapter-{len(self._chapters)}"
        self._body.append(f'<details class="chapter" id="{name}" open><summary>{heading}</summary>')
        yield
        self._body.append("</details>")

    def _methods_of(self, number: int) -> list[str]:
        """The methods of a record, in the order in which they are offered."""
        return [name for name in METHODS if name in self._methods.get(number, ())]

    def _record_number(self, record: AttentionRecord, parts: Sequence[str]) -> int:
        known = [number for number, other in enumerate(self._records) if other is record]
        if not known:
            self._records.append(record)
        number = known[0] if known else len(self._records) - 1
        self._parts.setdefault(number, set()).update(p for p in parts if p in record.parts)
        return number


def _encoded_part(record: AttentionRecord, name: str) -> SignedEncoded:
    """A part by layer, head, token and place; norms of values have one place."""
    part = record.parts[name]
    return encode_signed((part if part.ndim == 4 else part[..., None]).numpy())


def _encoded_method(record: AttentionRecord, name: str) -> SignedEncoded:
    return encode_signed(attributed(record, name).float().numpy())


def _method_json(record: AttentionRecord, name: str, part: SignedEncoded | None) -> dict[str, Any]:
    """What a page says of a method, and the unit in which its numbers are written."""
    method = METHODS[name]
    largest = max(map(max, part.scales)) if part is not None else 1.0
    of = record.certificate.gradient_of if method.is_gradient else None
    return {
        # Gradients may be of any size: a power of ten, where two decimals would show nothing.
        "exponent": math.floor(math.log10(largest)) if 0 < largest < _SMALL else 0,
        "label": method.label,
        "number": method.number,
        "of": None if of is None else visible_text(of),
        "byHead": method.by_head,
        "through": method.through,
        "bounded": method.bounded,
    }


def _record_json(
    record: AttentionRecord,
    encoded: Encoded,
    parts: Mapping[str, SignedEncoded],
    methods: Sequence[str],
) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "layers": record.layers,
        "shape": encoded.shape,
        "codec": encoded.codec,
        "kept": encoded.kept,
        "parts": {
            name: {"shape": part.shape, "scales": part.scales} for name, part in parts.items()
        },
        "methods": {name: _method_json(record, name, parts.get(name)) for name in methods},
        "queries": _sequence_json(record.queries),
        # Self-attention has one sequence on both sides.
        "keys": None if record.keys == record.queries else _sequence_json(record.keys),
    }


def _sequence_json(sequence: TokenSequence) -> dict[str, Any]:
    return {
        "labels": [visible(token) for token in sequence.tokens],
        "words": list(sequence.word_ids),
        "wordTexts": [visible(word) for word in sequence.words],
        "sequences": list(sequence.sequence_ids),
        "special": [int(flag) for flag in sequence.special_tokens_mask],
        "unknown": [int(flag) for flag in sequence.unknown_mask],
    }


def read_summary(page: str) -> dict[str, Any] | None:
    """What a page says of itself in its head; ``None`` for a page that is not of this package.

    Args:
        page: the page, or as much of its beginning as holds the head.
    """
    _, found, rest = page.partition(_SUMMARY)
    block, closed, _ = rest.partition("</script>")
    if not (found and closed):
        return None
    try:
        summary = json.loads(block)
    except ValueError:
        return None
    return summary if isinstance(summary, dict) else None


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


def _json(data: Any) -> str:
    """JSON that cannot end the script element it stands in, and holds no NUL."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _block(name: str, base64_gzip: str) -> str:
    return f'<script type="application/octet-stream" id="{name}">{base64_gzip}</script>'


@cache
def _plotly() -> str:
    source = files("introspect.page") / "vendor" / "plotly" / "plotly-cartesian.min.js"
    return source.read_text(encoding="utf-8")


@cache
def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; "
        # Plotly sets styles on the elements it draws.
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
