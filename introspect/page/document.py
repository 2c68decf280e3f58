"""``Document``: it collects sections and text, and writes one HTML file.

The page requests nothing from a network. Its Content-Security-Policy forbids that, and allows only
three scripts, all named by their hashes: the page's own and Plotly, which are stored compressed,
and the few lines that unpack them.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from introspect.io import check_page_file, from_json, save_file
from introspect.page.bundle import (
    as_json,
    binary_block,
    bundle,
    packed,
    packed_script,
    plotly_source,
    policy_for,
    read_asset,
    style_sheet,
    template,
)
from introspect.page.codec import Floats, encode, encoded_method, encoded_part, record_json
from introspect.records import METHODS, AttentionRecord

#: Pixels of a frame in a notebook until its page says how tall it is.
FRAME_HEIGHT = 640


#: The kinds of views that draw without Plotly.
WITHOUT_PLOTLY = frozenset({"atlas", "head-card"})

_HTML = '<html lang="en">'


def _parts() -> Any:
    """Return the macros of the parts of a page."""
    return template("introspect.page", "parts.html").module


def framed(
    page: str,
    title: str,
    *,
    compact: bool = True,
    height: int | None = None,
    estimate: int = FRAME_HEIGHT,
    still: str | None = None,
) -> str:
    """Return the HTML of a frame that holds a whole page, for a notebook.

    Args:
        page: the page, as ``Document.to_html`` returns it.
        title: the title of the frame.
        compact: fold the chapters and what explains the views.
        height: the height of the frame in pixels; by default that of the page, which tells it.
        estimate: the height until it has, and where no script may run beside the frame.
        still: a picture as SVG for where frames are not shown.

    Example:
        >>> framed("<p>a</p>", "A page").partition(' class')[0]
        '<iframe sandbox="allow-scripts allow-downloads"'
    """
    layout = "compact" if compact else "whole"
    marked = page.replace(_HTML, f'{_HTML[:-1]} data-frame="{layout}">', 1)
    picture = "" if still is None else base64.b64encode(still.encode()).decode()
    is_fixed = height is not None
    script = read_asset("notebook.js")
    return str(_parts().frame(marked, title, height or estimate, is_fixed, picture, script))


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
        script: the kind whose script builds it; its own by default.
        held: row and number of each head of its record that has numbers; ``None`` for all.
        packed: long lists that only this view needs; anything JSON can hold, kept compressed.
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
    script: str | None = None
    held: Sequence[tuple[int, int]] | None = None
    packed: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Measure:
    """A number of each head, which the strip of heads can be colored by.

    Args:
        name: what programs call it.
        label: what it is, in words.
        values: by layer and head; ``None`` where there is none.
        low: the value of the full color below the middle.
        middle: the value without a color.
        high: the value of the full color above it.
        digits: how many decimals it is written with.
    """

    name: str
    label: str
    values: Sequence[Sequence[float | None]]
    low: float
    middle: float
    high: float
    digits: int = 2


@dataclass(frozen=True)
class Choice:
    """What a view shows first; ``None`` for what it does not say.

    Args:
        layer: the layer of a head, by the model's own number.
        head: the number of a head in it.
        query: the token that attends.
        key: the token attended to.
        weights: ``raw``, ``renormalized`` or the name of a method.
        granularity: ``word`` or ``token``.
        roles: what tokens are in a case: ``pronoun``, ``antecedent`` or ``distractor``.
        measures: numbers of the heads beside those of the two words, the first shown first.
        methods: the methods offered beside the record's own weights.
    """

    layer: int | None = None
    head: int | None = None
    query: int | None = None
    key: int | None = None
    weights: str = "raw"
    granularity: str = "word"
    roles: Mapping[int, str] = field(default_factory=dict)
    measures: Sequence[Measure] = ()
    methods: Sequence[str] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Instrument(Choice):
    """The text of a record as words to choose from, with a strip of all its heads.

    What is chosen in it is chosen for every view of the record on the page. It is a choice in which
    layer and head are known, and the words where there are two.

    Args:
        record: the attention.
        pair: what each head gives from the one token chosen first to the other, where both are.
    """

    record: AttentionRecord
    pair: Measure | None = None

    @property
    def strip(self) -> Measure | None:
        """The number of each head that the strip is colored by first."""
        return next(iter(self.measures), self.pair)

    @property
    def state(self) -> dict[str, Any]:
        """Return what the script is given."""
        assert self.layer is not None, "a head is chosen first"
        return {
            "first": {
                "row": self.record.layers.index(self.layer),
                "head": self.head,
                "query": self.query,
                "key": self.key,
                "weights": self.weights,
                "granularity": self.granularity,
            },
            "model": self.record.certificate.model,
            "roles": {str(token): role for token, role in self.roles.items()},
            "measures": [asdict(measure) for measure in self.measures],
        }


_OPENING = '<script type="application/json" id="report-summary">'


def summary_block(summary: Mapping[str, Any] | None) -> str:
    """Return the element for the page's head; empty without a summary."""
    return "" if summary is None else f"{_OPENING}{as_json(summary)}</script>\n"


def read_summary(page: str) -> dict[str, Any] | None:
    """Return the summary in a page's head; ``None`` for a page not written by this package.

    Args:
        page: the page, or a beginning of it that includes the head.
    """
    _, opening, rest = page.partition(_OPENING)
    block, closed, _ = rest.partition("</script>")
    if not (opening and closed):
        return None
    try:
        summary = from_json(block)
    except ValueError:
        return None
    return summary if isinstance(summary, dict) else None


# Of the numbers of a strip in a summary: more would not be seen in its colors.
_STRIP_DECIMALS = 3


def _strip_summary(layers: Sequence[int], strip: Measure) -> dict[str, Any]:
    """Return what a folder's index needs to draw the strip of a page."""
    values = [
        [None if value is None else round(value, _STRIP_DECIMALS) for value in line]
        for line in strip.values
    ]
    ends = {"low": strip.low, "middle": strip.middle, "high": strip.high}
    named = {"label": strip.label, "layers": list(layers), "digits": strip.digits}
    return {"strip": {**named, "values": values, **ends}}


# Stands where the list of chapters goes, which is known only at the end.
_CONTENTS = Markup("<!contents>")


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
    summary: dict[str, Any] | None = None
    _body: list[Markup] = field(default_factory=list)
    _sections: list[dict[str, Any]] = field(default_factory=list)
    _records: list[AttentionRecord] = field(default_factory=list)
    _arrays: dict[str, str] = field(default_factory=dict)
    # The lists of a section, by its id.
    _packed: dict[str, str] = field(default_factory=dict)
    # Names of the parts needed of each record.
    _parts: dict[int, set[str]] = field(default_factory=dict)
    # Names of the methods that each record is shown with.
    _methods: dict[int, set[str]] = field(default_factory=dict)
    # Row and number of the heads of each record that have numbers, where not all have.
    _held: dict[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    # The kinds of views in the page.
    _kinds: set[str] = field(default_factory=set)
    _chapters: list[str] = field(default_factory=list)
    # What the first strip of heads shows, for the summary.
    _strip: dict[str, Any] = field(default_factory=dict)
    _items: int = 0

    def add_prose(self, prose: Markup) -> None:
        """Add prose as HTML; a plain string would be escaped."""
        self._body.append(prose)

    def add_notice(self, text: str) -> None:
        """Add what must be read before anything else, as a prominent box."""
        self._body.append(_parts().notice(text))

    def add_instrument(self, instrument: Instrument) -> None:
        """Add the text of a record as words, with the strip of its heads."""
        if instrument.strip is not None and not self._strip:
            self._strip = _strip_summary(instrument.record.layers, instrument.strip)
        record = self._record_number(instrument.record, ("value_norms",))
        self._methods.setdefault(record, set()).update(instrument.methods)
        name = f"instrument-{sum(each['script'] == 'instrument' for each in self._sections) + 1}"
        self._kinds.add("instrument")
        self._sections.append(
            {
                "id": name,
                "record": record,
                "others": [],
                "script": "instrument",
                "state": instrument.state,
                "arrays": {},
            }
        )
        texts = " / ".join(instrument.record.keys.texts)
        self._body.append(_parts().instrument(name, record, texts))

    def add_section(self, section: Section, *, folds: bool = False) -> None:
        """Add a view; a record that several views show is embedded once.

        Args:
            section: the view.
            folds: add it as a collapsible chapter of its own.
        """
        number = sum(each["script"] != "instrument" for each in self._sections) + 1
        name = f"view-{number}-{section.kind}"
        script = section.script or section.kind
        self._kinds.add(script)
        own = () if section.record is None else (section.record,)
        numbers = [self._record_number(one, section.parts) for one in (*own, *section.others)]
        for one, methods in zip(numbers, section.methods, strict=False):
            self._methods.setdefault(one, set()).update(methods)
        record, others = (numbers[0], numbers[1:]) if own else (None, numbers)
        if section.held is not None and record is not None:
            self._held[record] = section.held
        arrays = {key: encode(array, whole=True) for key, array in section.arrays.items()}
        self._arrays |= {f"{name}-{key}": encoded.data for key, encoded in arrays.items()}
        if section.packed is not None:
            self._packed[name] = packed(as_json(section.packed))
        self._sections.append(
            {
                "id": name,
                "record": record,
                "others": others,
                "script": script,
                "state": section.state,
                "isPacked": section.packed is not None,
                "arrays": {
                    key: {"shape": encoded.shape, "codec": encoded.codec}
                    for key, encoded in arrays.items()
                },
            }
        )
        heading = _parts().title_of_view(name, section.title)
        if folds:
            with self._folding(section.title, heading):
                self._body.append(_parts().view(name, section, record, ""))
        else:
            self._body.append(_parts().view(name, section, record, heading))

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Collapse what is added inside under this title, and list the title in the contents."""
        with self._folding(title, _parts().title_of_chapter(title)):
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
        self._body.append(_parts().open_choice(self._items, labels, of))
        yield
        self._body.append(Markup("</div>"))

    @contextmanager
    def item(self, *, shown: bool) -> Iterator[None]:
        """Add one item of a choice."""
        self._body.append(_parts().open_item(self._items, shown))
        self._items += 1
        yield
        self._body.append(Markup("</article>"))

    def to_html(self) -> str:
        """Return the whole page as HTML."""
        boot, script = read_asset("boot.js"), bundle(frozenset(self._kinds))
        # A page whose views draw nothing with it has no Plotly.
        plotly = plotly_source() if self._kinds - WITHOUT_PLOTLY else ""
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
            "records": [
                record_json(*row) | {"held": self._held.get(number)}
                for number, row in enumerate(rows)
            ],
            "sections": self._sections,
        }
        blocks = [
            f'<script type="application/json" id="page-data">{as_json(data)}</script>',
            binary_block("scripts", packed_script(script)),
        ]
        if plotly:
            blocks.append(binary_block("plotly", packed_script(plotly)))
        blocks += [binary_block(f"weights-{i}", encoded.data) for i, encoded in enumerate(weights)]
        blocks += [binary_block(f"array-{name}", data) for name, data in self._arrays.items()]
        blocks += [binary_block(f"packed-{name}", data) for name, data in self._packed.items()]
        blocks += [
            binary_block(f"part-{i}-{name}", encoded.data)
            for i, encoded_parts in enumerate(parts)
            for name, encoded in encoded_parts.items()
        ]
        page = template("introspect.page", "page.html").render(
            title=self.title,
            heading=self.heading,
            has_instrument="instrument" in self._kinds,
            policy=policy,
            styles=style_sheet(frozenset(self._kinds)),
            summary=summary_block(None if self.summary is None else self.summary | self._strip),
            body=[
                _parts().contents(self._chapters) if part is _CONTENTS else part
                for part in self._body
            ],
            blocks=blocks,
            boot=boot,
        )
        return f"{page}\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as one file that ends in ``.html``, atomically.

        Raises:
            OutputError: the name ends otherwise, or the folder is missing or cannot be written.
        """
        return save_file(check_page_file(path), self.to_html())

    @contextmanager
    def _folding(self, title: str, heading: Markup) -> Iterator[None]:
        self._chapters.append(title)
        name = f"chapter-{len(self._chapters)}"
        self._body.append(_parts().open_chapter(name, heading))
        yield
        self._body.append(Markup("</details>"))

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
