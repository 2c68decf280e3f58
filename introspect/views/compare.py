"""The compare view: one head in two records, and its difference on the tokens that both have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Choice, Section, kept_of
from introspect.records import AttentionRecord, Head, HeadLike, TokenLike, as_token
from introspect.text import decimal, shortened, signed, visible_text, whole
from introspect.views.base import View, joined_texts, plotly_text
from introspect.views.differences import (
    Pair,
    Pairs,
    Place,
    aligned,
    extent,
    first_heads,
    first_query,
    head_changes,
    heads_of_pair,
    is_same_shape,
    match_better_by_word,
    placed,
)
from introspect.views.given import layer_row, shown_record
from introspect.views.heatmap import axis_of, tick_labels
from introspect.views.palette import DIVERGING, INK, SEQUENTIAL, themed
from introspect.views.plotly_numbers import cell_hover, weight_bar

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: The most characters of a record's name that fit in a title.
LONGEST_NAME = 16

# Sizes in pixels.
_CELL, _SHORTEST, _LONGEST = 22, 180, 620
_LABEL_ROOM, _GAP = 110, 130


def maps_beside(
    patterns: Sequence[torch.Tensor],
    titles: Sequence[str],
    names: Mapping[str, Sequence[Sequence[str]]],
    labels: tuple[str, str],
) -> Any:
    """Build one figure with the maps of A, B and B − A.

    Args:
        patterns: the weights of A, those of B, and the difference, ``(query_len, key_len)`` each.
        titles: the title above each map.
        names: for ``queries`` and ``keys``, the token labels of each map.
        labels: the names of A and B.
    """
    import plotly.graph_objects as go

    rows, columns = patterns[0].shape
    width, height = _side(columns), _side(rows)
    step = width + _GAP
    whole = 2 * step + width
    figure = go.Figure()
    for place, (pattern, title) in enumerate(zip(patterns, titles, strict=True)):
        number = str(place + 1) if place else ""
        figure.add_trace(_map(pattern, place, number, labels))
        domain = [place * step / whole, (place * step + width) / whole]
        keys, queries = (tick_labels(names[side][place]) for side in ("keys", "queries"))
        figure.update_layout(
            {
                f"xaxis{number}": axis_of(keys, title=plotly_text(title), is_key=True)
                | {"domain": domain, "anchor": f"y{number}"},
                f"yaxis{number}": axis_of(queries, title="", is_key=False)
                | {"anchor": f"x{number}"},
            }
        )
    figure.update_layout(
        template="plotly_white",
        width=whole + _LABEL_ROOM + 200,
        height=height + _LABEL_ROOM + 80,
        margin={"l": _LABEL_ROOM, "r": 200, "t": _LABEL_ROOM + 60, "b": 20},
        font={"color": INK},
    )
    return figure


def _map(pattern: torch.Tensor, place: int, number: str, labels: tuple[str, str]) -> Any:
    import plotly.graph_objects as go

    is_difference = place == 2
    most = _reach(pattern) if is_difference else 1
    return go.Heatmap(
        z=pattern.tolist(),
        zmin=-most if is_difference else 0,
        zmax=most,
        colorscale=DIVERGING if is_difference else SEQUENTIAL,
        showscale=place > 0,
        colorbar=_colorbar(is_difference, labels),
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        **cell_hover(pattern, signed if is_difference else decimal, maps=3),
    )


def _reach(difference: torch.Tensor) -> float:
    """Return how far the colors of a difference reach to either side, as in ``compare.js``."""
    largest = difference.nan_to_num().abs().max().item() if difference.numel() else 0.0
    return max(largest, _LEAST_SCALE)


def _side(cells: int) -> int:
    return min(max(cells * _CELL, _SHORTEST), _LONGEST)


def _colorbar(is_difference: bool, labels: tuple[str, str]) -> dict[str, Any]:
    if is_difference:
        a, b = (plotly_text(shortened(visible_text(label), LONGEST_NAME)) for label in labels)
        return weight_bar(f"{b} − {a}", thickness=12, x=1.1)
    return weight_bar(thickness=12, x=1.01)


# Changes below this say nothing: they keep little color.
_LEAST_SCALE = 0.05
# Default names of the two records.
_LABELS = ("A", "B")
#: Words of longer texts would push the maps away; A's are at the top of the page in any case.
_LONGEST_SENTENCE = 600
_SIDES = ("queries", "keys")


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class CompareView(View):
    """Two records side by side: A, B, and B − A on the tokens that both have.

    Args:
        record: A, by token or by word.
        other: B, at the same level.
        labels: the names of A and B.
        queries: the query tokens of both records in one joined order.
        keys: the key tokens of both records in one joined order.
        layers: the layer of A and of B shown first, in the models' own numbering.
        heads: the head of A and of B shown first.
        token: the place among ``queries`` whose row is shown first.
        notice: what was done to make the two comparable, if anything.
    """

    other: AttentionRecord
    labels: tuple[str, str]
    queries: tuple[Place, ...]
    keys: tuple[Place, ...]
    layers: tuple[int, int]
    heads: tuple[int, int]
    token: int = 0
    notice: str = ""

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Compare view"

    def changes(self) -> pd.DataFrame:
        r"""Compute how much each head changes from A to B.

        .. math:: \frac{1}{|Q|} \sum_{i \in Q} \frac{1}{2} \sum_{j \in K} |a_{ij} - b_{ij}|

        over the query tokens Q and the key tokens K that both records have. Rows with a missing
        weight are left out.

        Returns:
            One row per head: ``layer``, ``head`` and ``total_variation``, from 0 (nothing
            changes) to 1 (all attention goes elsewhere); NaN for a head whose rows are all missing.

        Raises:
            SelectionError: the records do not have the same layers and heads.
        """
        values = self._changes
        if values is None:
            raise SelectionError(
                "Expected two records with the same layers and heads, got "
                f"{extent(self.record)} and {extent(self.other)}. Compare heads one by one, or "
                "give `record.only(layers=[…])` of both."
            )
        rows = [
            (layer, head, float(values[row, head]))
            for row, layer in enumerate(self.record.layers)
            for head in range(self.record.num_heads)
        ]
        return pd.DataFrame(rows, columns=["layer", "head", "total_variation"])

    @cached_property
    def _changes(self) -> torch.Tensor | None:
        """Changes, ``(num_layers, num_heads)``; ``None`` if heads do not correspond."""
        if not is_same_shape(self.record, self.other):
            return None
        return head_changes(self.record, self.other, self.queries, self.keys)

    def patterns(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return A, B and B − A as shown first, ``(len(queries), len(keys))``; NaN for no token."""
        a, b = (
            placed(record.attentions[layer_row(record, layer), head], self.queries, self.keys, side)
            for side, (record, layer, head) in enumerate(
                zip((self.record, self.other), self.layers, self.heads, strict=True)
            )
        )
        return a, b, b - a

    @property
    def choice(self) -> Choice:
        """The head and the query of A; its row is shown first."""
        query = self.queries[self.token][0]
        return Choice(self.layers[0], self.heads[0], query, granularity="token")

    @property
    def figure(self) -> Figure:
        """A, B and B − A for the chosen head, as a plain Plotly figure."""
        names = {side: [self._names(side, panel) for panel in range(3)] for side in _SIDES}
        return maps_beside(self.patterns(), self._titles(), names, self.labels)

    def _titles(self) -> tuple[str, str, str]:
        a, b = (shortened(visible_text(label), LONGEST_NAME) for label in self.labels)
        names = [
            str(Head(layer, head)) for layer, head in zip(self.layers, self.heads, strict=True)
        ]
        both = names[0] if names[0] == names[1] else f"{names[1]} − {names[0]}"
        return f"{a}, {names[0]}", f"{b}, {names[1]}", f"{b} − {a}, {both}"

    def _names(self, side: str, panel: int) -> list[str]:
        """Return the labels of a side's tokens in a panel (A, B or the difference)."""
        ours, theirs = getattr(self.record, side).tokens, getattr(self.other, side).tokens
        return [_name(place, ours, theirs, panel) for place in getattr(self, side)]

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        changes = self._changes
        a, b = (visible_text(label) for label in self.labels)
        return (
            Section(
                kind="compare",
                title=self.title,
                lead=(
                    f"{'One head' if changes is None else 'The same head'} in {a} and in {b}, and "
                    f"what {b} gives more or less than {a}. Tokens that differ are colored. "
                    "Choose a query token to read its row in both."
                ),
                state={
                    "labels": [a, b],
                    "queries": self.queries,
                    "keys": None if self.keys == self.queries else self.keys,
                    "layers": self.layers,
                    "heads": self.heads,
                    "token": self.token,
                    "notices": [self.notice] if self.notice else [],
                    "note": "" if changes is not None else self._why_apart(),
                    "sentences": self._sentences(),
                    "changes": None
                    if changes is None
                    else [[_finite(value) for value in line] for line in changes.tolist()],
                    "scale": themed(SEQUENTIAL),
                    "difference": themed(DIVERGING),
                },
                record=self.record,
                others=(self.other,),
            ),
        )

    def _why_apart(self) -> str:
        """Explain why layer and head are chosen separately for each side."""
        a, b = (visible_text(label) for label in self.labels)
        return (
            f"{a} has {extent(self.record)}, {b} has {extent(self.other)}: no head of one "
            "answers to a head of the other. So each side has its own choice, and there is no "
            "overview of all heads."
        )

    def _sentences(self) -> list[int]:
        """Return the sides whose words are shown: both, if the texts differ and are not long."""
        ours, theirs = self.record.keys.texts, self.other.keys.texts
        longest = max(sum(map(len, texts)) for texts in (ours, theirs))
        return [0, 1] if ours != theirs and 0 < longest <= _LONGEST_SENTENCE else []

    @property
    def heading(self) -> str:
        """The shared text; if the texts differ, the names of the records or both texts."""
        texts = tuple(map(joined_texts, (self.record, self.other)))
        if texts[0] == texts[1]:
            return texts[0]
        named = self.labels if self.labels != _LABELS else texts
        return " / ".join(named)

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices of both records, and of what the page of a long text leaves out."""
        notices: list[str] = []
        for label, record in zip(self.labels, (self.record, self.other), strict=True):
            notices += record.notices
            kept = kept_of(tuple(record.attentions.shape))
            if kept is not None:
                notices.append(
                    f"The text is long: of each row of {label} this page holds the {whole(kept)} "
                    f"largest weights of {whole(len(record.keys))}, and reads the others as 0, in "
                    "differences too. The overview of all heads was made from all weights."
                )
        return tuple(notices)


@checked_call
def compare_view(
    a: AttentionRecord,
    b: AttentionRecord,
    *,
    layer: Pair | None = None,
    head: Pair | HeadLike | tuple[HeadLike, HeadLike] | None = None,
    token: TokenLike | None = None,
    labels: tuple[str, str] = _LABELS,
    alignment: Pairs | Mapping[str, Pairs] | None = None,
) -> CompareView:
    """Build a view of two records side by side and their difference.

    Compare two sentences that differ in a word, two models or checkpoints on one text, or one model
    before and after an ablation. Tokens are matched by ``difflib.SequenceMatcher``; a replaced span
    of the same length is matched token by token (*tired* with *wide*), and a token without a
    counterpart has its own place. Where two tokenizers split the same words differently, both
    records are shown by word, and the page says so.

    Args:
        a: the attention.
        b: attention of the same kind.
        layer: the layer to show first; a pair ``(of a, of b)`` if they differ. By default, as with
            ``head``, that of the head that changes most, or the first one if the records do not
            have the same layers and heads.
        head: the head to show first, its number in ``layer`` or ``"L3H1"``; or a pair of these.
        token: the query token of ``a`` whose row is shown first: its index or its word, ``"it#2"``
            for the second one; by default, the shared one whose
            row changes most.
        labels: the names of the two records.
        alignment: matching tokens as pairs ``(index in a, index in b)``, in place of the automatic
            matching; ``{"query": pairs, "key": pairs}`` if queries and keys are not the same
            tokens.

    Raises:
        SelectionError: the kinds differ, no token can be matched, a layer or head does not exist,
            or the alignment is outside the records.

    Example:
        >>> a = AttentionRecord.from_tensors(torch.eye(3).expand(1, 2, 3, 3), ["so", "it", "sat"])
        >>> b = AttentionRecord.from_tensors(torch.eye(3).expand(1, 2, 3, 3), ["so", "it", "ran"])
        >>> compare_view(a, b).queries
        ((0, 0), (1, 1), (2, 2))
    """
    a, b = (shown_record(record, view="compare_view") for record in (a, b))
    if a.kind != b.kind:
        raise SelectionError(
            f"Expected two records of one kind, got {a.kind} and {b.kind}. Give the same kind of "
            "both."
        )
    place = None if token is None else as_token(a.queries, token)
    ours, theirs = (str(label) for label in labels)
    notice = ""
    if alignment is None and match_better_by_word(a, b):
        if place is not None:
            place = next(i for i, piece in enumerate(a.queries.pieces()) if place in piece)
        a, b = a.words(), b.words()
        notice = (
            "The two tokenizers cut the words differently, so both are shown by word: the weight "
            "to a word is the sum over its pieces, from a word the mean over them."
        )
    queries, keys = aligned(a, b, alignment)
    pairs = heads_of_pair((a, b), layer, head)
    layers, heads = first_heads(a, b, (queries, keys), *pairs, (ours, theirs))
    view = CompareView(
        record=a,
        other=b,
        labels=(ours, theirs),
        queries=queries,
        keys=keys,
        layers=layers,
        heads=heads,
        token=first_query(a, b, (queries, keys), layers, heads)
        if place is None
        else next(row for row, (i, _) in enumerate(queries) if i == place),
        notice=notice,
    )
    return view


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# Labels and text


def _name(place: Place, ours: Sequence[str], theirs: Sequence[str], panel: int) -> str:
    """Return the label of a place in A (0), B (1) or the difference (2); empty for no token."""
    names = [
        "" if index is None else tokens[index]
        for index, tokens in zip(place, (ours, theirs), strict=True)
    ]
    if panel < 2:
        return names[panel]
    return " → ".join(dict.fromkeys(name for name in names if name))
