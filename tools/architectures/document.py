"""The document of results, as tables."""

from __future__ import annotations

import collections
import math
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import transformers
from comparing import EQUAL
from rows import Row

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "architectures.md"

_HEAD = """\
# Architectures

Every text model type of **transformers {version}**, captured by `introspect` and held against what
the model returns itself. Made by `python tools/architectures/all_types.py --write`; a test makes it
anew and fails on a difference.

{totals}

## How to read it

With `output_attentions=True`, which is what BertViz is fed with, transformers returns attention
only from a model loaded with `attn_implementation="eager"`; `introspect` takes it from the model as
you loaded it. For each type a tiny random model is built, loaded by default and eagerly with the
same weights, and run on two texts, one of them padded. The last column is the largest difference
between what was captured from the one and what the other returns, over all layers, heads and
tokens. It shows that the numbers are the model's own; it says nothing about what they mean.

- **Route**: how they were had. *Attention interface* is the place in transformers that most models
  compute attention through; it is watched in the same way for all of them. Models that compute
  attention by themselves are run eagerly and asked for *the model's own output*.
- **Kinds**: self-attention; of an encoder-decoder that of the encoder, of the decoder, and across;
  of a model of pictures or sound that of each tower ([which](howto/models.md)).
- **Parts**: *all* means that scores, queries, keys, values and head outputs were captured too and
  fit together within 1e-4: softmax(scores) = attention, up to what an attention sink takes of it,
  and attention · values = head outputs. Where a sink takes a share of the head outputs, they are
  attention · values times what it leaves.
- **Scores**: what goes into the softmax. *q·k*: queries times keys, scaled and masked;
  *+ position*: with a term that depends on the position alone; *and more*: with other terms, for
  example relative positions that depend on the content, boxes on a page, or a cap.
- **Rotary**: *before it* means that queries and keys before rotary embedding are to be had
  (`queries_before_rotary`, `keys_before_rotary`); turned by the model's own function they are its
  queries and keys within 1e-6, or nothing is handed out. *Changed after it*: that they are not,
  and are refused. A dash: it has none, or by other code than a function of its file.
- **Text**: what is known of the tokens of a text, after `ix.load` of a folder that was saved with a
  tiny tokenizer of the type's own class. *Characters*: which part of the text each token stands
  for, as tokenizers of the library of this name say it; or found *from the pieces* of a tokenizer
  that is written in Python, where these put together give the text; else its records have tokens
  without characters ([which](howto/models.md#tokenizers-written-in-python)).
"""

_COVERED = """
## Types that return their attention

| type | class | route | kinds | parts | scores | rotary | text | largest difference |
|---|---|---|---|---|---|---|---|---|
"""
_SILENT = """
## Types that return no pattern of attention

Where nothing is captured, `ix.capture` raises a `CaptureError`: it makes no pattern up.

| type | class | what it returns | captured | text |
|---|---|---|---|---|
"""
_ELSEWHERE = """
## Types that read more than text, or none

Their words alone are captured as those of any model. With a picture or sound each tower has a kind
of its own, with layers from 0: [Capture any model](howto/models.md#models-of-pictures-and-words)
lists the types whose towers are held against the model's own.

| type | reason |
|---|---|
"""
_NOT_BUILT = """
## Types that were not built

| type | reason |
|---|---|
"""


def document(rows: Sequence[Row]) -> str:
    """Return the whole document."""
    version = transformers.__version__
    text = _HEAD.format(version=version, totals="\n".join(map(_point, totals(rows))))
    for heading, statuses in (
        (_COVERED, ("equal", "different", "refused")),
        (_SILENT, ("silent",)),
        (_ELSEWHERE, ("elsewhere",)),
        (_NOT_BUILT, ("not built",)),
    ):
        lines = [f"| {' | '.join(cells(row))} |\n" for row in rows if row.status in statuses]
        text += heading + "".join(lines) if lines else ""
    return text


def _point(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="- ", subsequent_indent="  ")


def totals(rows: Sequence[Row]) -> list[str]:
    """Return the summary at the top of the document."""
    count = collections.Counter(row.status for row in rows)
    covered = [row for row in rows if row.status in ("equal", "different", "refused")]
    fitting = sum(row.parts.split(";")[0] == "all" for row in covered)
    read = [row for row in rows if row.text]
    loaded = sum(not row.text.startswith(("refused", "not tried")) for row in read)
    return [
        f"Types that return their attention: **{len(covered)}**. Captured equal to it within 1e-5: "
        f"**{count['equal']}** ({_percent(count['equal'], len(covered))}); different: "
        f"**{count['different']}**; refused: **{count['refused']}**.",
        "Queries, keys, values and head outputs captured and verified: "
        f"**{fitting}** of them ({_percent(fitting, len(covered))}).",
        "Queries and keys before rotary embedding, turned again by the model's own function: "
        f"**{sum(row.rotary == 'before it' for row in covered)}** of them.",
        f"Types that return no pattern of attention: {count['silent']}.",
        f"Folders that load with a tokenizer of the type's own class: {loaded} of {len(read)}; the "
        "others are refused, with the reason.",
        f"Types that read more than text, or none: {count['elsewhere']}.",
        f"Types that were not built: {count['not built']}.",
    ]


def _percent(part: int, whole: int) -> str:
    """Return a percentage rounded down, so that 100% means all."""
    return f"{math.floor(1000 * part / whole) / 10:g}%" if whole else "none"


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a row of the document."""
    if row.status in ("elsewhere", "not built"):
        return row.name, row.reason
    if row.status == "silent":
        captured = f"{row.route}: {row.kinds}; parts: {row.parts}" if row.route else "nothing"
        return row.name, row.model, row.reason, captured, row.text
    kinds = f"{row.kinds}; {row.reason}" if row.reason and row.status == "equal" else row.kinds
    said = (
        row.name, row.model, row.route, kinds, row.parts, row.scores, row.rotary, row.text,
        bound(row),
    )  # fmt: skip
    return tuple(cell or "–" for cell in said)


def bound(row: Row) -> str:
    """Return the difference as a bound that rounding does not change between machines."""
    if row.status == "refused" or row.difference is None:
        return row.reason or row.status
    for limit in (1e-6, EQUAL):
        if row.difference <= limit:
            return f"≤ {limit:.0e}".replace("e-0", "e-")
    return f"{row.difference:.0e}"


def documented(text: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of a document by type."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return {row[0]: row for row in rows if row[0] != "type"}


def documented_version(text: str) -> str:
    """Return the transformers version that a document was made with."""
    found = re.search(r"\*\*transformers ([^*]+)\*\*", text)
    return found[1] if found else ""
