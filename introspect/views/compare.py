"""The compare view: one head in two records, and its difference on the tokens that both have."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any

import pandas as pd
import torch

from introspect.errors import SelectionError
from introspect.functional.distances import total_variation
from introspect.page import Section
from introspect.page.codec import kept_of
from introspect.records import AttentionRecord, Head, TokenSequence
from introspect.text import shortened, visible_text
from introspect.views.base import View, head_number, joined_texts, layer_row, plotly_text
from introspect.views.heatmap import axis_of, tick_labels
from introspect.views.palette import DIVERGING, INK, SEQUENTIAL, themed

__all__ = ["CompareView", "Place", "align_tokens", "compare_view", "join_pairs"]

#: A place of the joined order of two sequences: the index in each, ``None`` where one has none.
Place = tuple[int | None, int | None]
Pairs = Sequence[tuple[int, int]]
Pair = int | tuple[int, int]

# What two records are called unless somebody names them.
_LABELS = ("A", "B")
#: Longer texts are not written out above the maps; their tokens stand beside them.
_LONGEST_SENTENCE = 600

# Of the static figure, in pixels.
_CELL, _SHORTEST, _LONGEST = 22, 180, 620
_LABEL_ROOM, _GAP = 110, 130
_LONGEST_LABEL = 16


@dataclass(frozen=True, eq=False, repr=False)
class CompareView(View):
    """Two records side by side: A, B, and B − A on the tokens that both have.

    Args:
        record: A, by token or by word.
        other: B, likewise.
        labels: what A and B are called.
        queries: the query tokens of both in one order.
        keys: the key tokens of both in one order.
        layers: the layer shown first of A and of B, by the models' own numbers.
        heads: the head shown first of A and of B.
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
        """The heading."""
        return "Compare view"

    def changes(self) -> pd.DataFrame:
        r"""How much each head changes from A to B.

        .. math:: \frac{1}{|Q|} \sum_{i \in Q} \frac{1}{2} \sum_{j \in K} |a_{ij} - b_{ij}|

        over the query tokens Q and the key tokens K that both records have. Rows with a missing
        weight are left out.

        Returns:
            A row for each head: ``layer``, ``head`` and ``total_variation``, from 0 (nothing
            changes) to 1 (all attention goes elsewhere); NaN for a head whose rows are all missing.

        Raises:
            SelectionError: the records do not have the same layers and heads.
        """
        values = self._changes
        if values is None:
            raise SelectionError(
                "Expected two records with the same layers and heads, got "
                f"{_extent(self.record)} and {_extent(self.other)}. Compare heads one by one, or "
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
        """``(num_layers, num_heads)``; ``None`` where there is no head for a head."""
        if not _is_same_shape(self.record, self.other):
            return None
        return _head_changes(self.record, self.other, self.queries, self.keys)

    def patterns(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A, B and B − A as shown first, ``(len(queries), len(keys))`` each; NaN for no token."""
        a, b = (
            _placed(record.attentions[layer_row(record, layer), head], side, self)
            for side, (record, layer, head) in enumerate(
                zip((self.record, self.other), self.layers, self.heads, strict=True)
            )
        )
        return a, b, b - a

    @property
    def figure(self) -> Any:
        """A, B and B − A for the chosen head, as a plain Plotly figure."""
        import plotly.graph_objects as go

        width, height = _side(len(self.keys)), _side(len(self.queries))
        step = width + _GAP
        whole = 2 * step + width
        figure = go.Figure()
        for place, (pattern, title) in enumerate(zip(self.patterns(), self._titles(), strict=True)):
            number = str(place + 1) if place else ""
            is_difference = place == 2
            figure.add_trace(
                go.Heatmap(
                    z=pattern.tolist(),
                    zmin=-1 if is_difference else 0,
                    zmax=1,
                    colorscale=DIVERGING if is_difference else SEQUENTIAL,
                    showscale=place > 0,
                    colorbar=_colourbar(is_difference, self.labels),
                    hovertemplate="%{z:.4f}<extra></extra>",
                    xaxis=f"x{number}",
                    yaxis=f"y{number}",
                )
            )
            domain = [place * step / whole, (place * step + width) / whole]
            keys, queries = (tick_labels(self._names(side, place)) for side in ("keys", "queries"))
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

    def _titles(self) -> tuple[str, str, str]:
        a, b = (shortened(visible_text(label), _LONGEST_LABEL) for label in self.labels)
        names = [
            str(Head(layer, head)) for layer, head in zip(self.layers, self.heads, strict=True)
        ]
        both = names[0] if names[0] == names[1] else f"{names[1]} − {names[0]}"
        return f"{a}, {names[0]}", f"{b}, {names[1]}", f"{b} − {a}, {both}"

    def _names(self, side: str, panel: int) -> list[str]:
        """The tokens of a side as a panel (A, B or the difference) names them."""
        ours, theirs = getattr(self.record, side).tokens, getattr(self.other, side).tokens
        return [_name(place, ours, theirs, panel) for place in getattr(self, side)]

    def sections(self) -> tuple[Section, ...]:
        """The section of the page."""
        changes = self._changes
        a, b = (visible_text(label) for label in self.labels)
        return (
            Section(
                kind="compare",
                title=self.title,
                lead=(
                    f"{'One head' if changes is None else 'The same head'} in {a} and in {b}, and "
                    f"what {b} gives more or less than {a}. Tokens that differ are coloured. "
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
        """Why each side has a choice of its own."""
        a, b = (visible_text(label) for label in self.labels)
        return (
            f"{a} has {_extent(self.record)}, {b} has {_extent(self.other)}: no head of one "
            "answers to a head of the other. So each side has its own choice, and there is no "
            "overview of all heads."
        )

    def _sentences(self) -> list[list[tuple[str, bool]]]:
        """Both texts in parts, each with whether it differs; none where they are the same."""
        ours, theirs = self.record.keys, self.other.keys
        longest = max(sum(map(len, one.texts)) for one in (ours, theirs))
        if ours.texts == theirs.texts or not 0 < longest <= _LONGEST_SENTENCE:
            return []
        differing = [place for place in self.keys if _differs(place, ours.tokens, theirs.tokens)]
        return [
            _marked(sequence, [place[side] for place in differing])
            for side, sequence in enumerate((ours, theirs))
        ]

    @property
    def heading(self) -> str:
        """The text, where both have the same; else what the two are called, or both texts."""
        texts = tuple(map(joined_texts, (self.record, self.other)))
        if texts[0] == texts[1]:
            return texts[0]
        named = self.labels if self.labels != _LABELS else texts
        return " / ".join(named)

    @property
    def notices(self) -> tuple[str, ...]:
        """Of both records, and what the page of a long text does not hold."""
        found: list[str] = []
        for label, record in zip(self.labels, (self.record, self.other), strict=True):
            found += record.notices
            kept = kept_of(tuple(record.attentions.shape))
            if kept is not None:
                found.append(
                    f"The text is long: of each row of {label} this page holds the {kept} largest "
                    f"weights of {len(record.keys)}, and reads the others as 0, in differences "
                    "too. The overview of all heads was made from all weights."
                )
        return tuple(found)


def compare_view(
    a: AttentionRecord,
    b: AttentionRecord,
    *,
    layer: Pair | None = None,
    head: Pair | None = None,
    token: int | None = None,
    labels: tuple[str, str] = _LABELS,
    alignment: Pairs | Mapping[str, Pairs] | None = None,
) -> CompareView:
    """Two records side by side and their difference.

    Two sentences that differ in a word, two models or checkpoints on one text, or one model before
    and after an ablation. Tokens are matched by ``difflib.SequenceMatcher``; a replaced stretch of
    the same length is matched token by token (*tired* with *wide*), and a token without a
    counterpart stands alone. Where two tokenizers cut the same words differently, both records are
    shown by word, and the page says so.

    Args:
        a: the attention.
        b: attention of the same kind.
        layer: the layer to show first; a pair ``(of a, of b)`` where they differ. By default, as
            with ``head``, that of the head that changes most; the first one where the records do
            not have the same layers and heads.
        head: the head to show first, or a pair.
        token: the query token of ``a`` whose row is shown first; by default the one in both whose
            row changes most.
        labels: what the two are called.
        alignment: which tokens belong together, as pairs ``(index in a, index in b)``, instead of
            what the matching finds; ``{"query": pairs, "key": pairs}`` where queries and keys are
            not the same tokens.

    Raises:
        SelectionError: the kinds differ, no token can be matched, a layer or head that there is
            not, or an alignment outside the records.

    Example:
        >>> a = AttentionRecord.from_tensors(torch.eye(3).expand(1, 2, 3, 3), ["so", "it", "sat"])
        >>> b = AttentionRecord.from_tensors(torch.eye(3).expand(1, 2, 3, 3), ["so", "it", "ran"])
        >>> compare_view(a, b).queries
        ((0, 0), (1, 1), (2, 2))
    """
    if a.kind != b.kind:
        raise SelectionError(
            f"Expected two records of one kind, got {a.kind} and {b.kind}. Give the same kind of "
            "both."
        )
    if token is not None and not 0 <= token < len(a.queries):
        raise SelectionError(f"Expected `token` in 0–{len(a.queries) - 1}, got {token}.")
    ours, theirs = (str(label) for label in labels)
    notice = ""
    if alignment is None and _match_better_by_word(a, b):
        if token is not None:
            token = next(i for i, piece in enumerate(a.queries.pieces()) if token in piece)
        a, b = a.words(), b.words()
        notice = (
            "The two tokenizers cut the words differently, so both are shown by word: the weight "
            "to a word is the sum over its pieces, from a word the mean over them."
        )
    queries, keys = _aligned(a, b, alignment)
    pairs = [_pair("layer", layer), _pair("head", head)]
    layers, heads = _first_heads(a, b, (queries, keys), pairs[0], pairs[1], (ours, theirs))
    view = CompareView(
        record=a,
        other=b,
        labels=(ours, theirs),
        queries=queries,
        keys=keys,
        layers=layers,
        heads=heads,
        token=_first_token(a, b, (queries, keys), layers, heads)
        if token is None
        else next(place for place, (i, _) in enumerate(queries) if i == token),
        notice=notice,
    )
    return view


# Which token belongs to which


def align_tokens(a: Sequence[str], b: Sequence[str]) -> list[Place]:
    """Two sequences of tokens in one order, those that belong together in one place.

    Example:
        >>> align_tokens(["it", "was", "tired"], ["it", "was", "too", "wide"])
        [(0, 0), (1, 1), (2, None), (None, 2), (None, 3)]
        >>> align_tokens(["was", "tired"], ["was", "wide"])
        [(0, 0), (1, 1)]
    """
    places: list[Place] = []
    # Junk is what appears often; tokens do, and are none.
    matcher = SequenceMatcher(None, list(a), list(b), autojunk=False)
    for _, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        ours, theirs = range(a_start, a_end), range(b_start, b_end)
        if len(ours) == len(theirs):
            places += zip(ours, theirs, strict=True)
        else:
            places += [(i, None) for i in ours]
            places += [(None, j) for j in theirs]
    return places


def join_pairs(pairs: Pairs, length_a: int, length_b: int) -> list[Place]:
    """All tokens of two sequences in one order, from the pairs that belong together.

    The order is that of A; what only B has follows the token that it follows in B.

    Raises:
        SelectionError: an index that there is not, or one that is named twice.

    Example:
        >>> join_pairs([(0, 0), (1, 2)], 2, 3)
        [(0, 0), (None, 1), (1, 2)]
    """
    for side, (name, length) in enumerate((("a", length_a), ("b", length_b))):
        indices = [pair[side] for pair in pairs]
        for index in indices:
            if not isinstance(index, int) or not 0 <= index < length:
                raise SelectionError(
                    f"Expected `alignment` with tokens of {name} in 0–{length - 1}, got {index!r}."
                )
        if len(set(indices)) < len(indices):
            raise SelectionError(
                f"Expected `alignment` to name each token of {name} once, got one twice. Pair it "
                "with one token, or align words."
            )
    of_a, of_b = dict(pairs), {j: i for i, j in pairs}
    # What only B has, by the token of A that belongs to the one before it.
    following: dict[int | None, list[Place]] = {}
    anchor: int | None = None
    for j in range(length_b):
        if j in of_b:
            anchor = of_b[j]
        else:
            following.setdefault(anchor, []).append((None, j))
    places = following.get(None, [])
    for i in range(length_a):
        places += [(i, of_a.get(i)), *following.get(i, [])]
    return places


def _aligned(
    a: AttentionRecord, b: AttentionRecord, given: Pairs | Mapping[str, Pairs] | None
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """The places of the queries and of the keys."""
    is_self = a.queries == a.keys and b.queries == b.keys
    if given is None:
        keys = _matched(a.keys, b.keys)
        return (keys if is_self else _matched(a.queries, b.queries)), keys
    if not isinstance(given, Mapping):
        if not is_self:
            raise SelectionError(
                "Expected `alignment` for queries and keys, which are not the same tokens, got one "
                'list. Give {"query": pairs, "key": pairs}.'
            )
        given = {"query": given, "key": given}
    if set(given) != {"query", "key"}:
        raise SelectionError(
            f"Expected `alignment` with query and key, got {', '.join(map(repr, given))}."
        )
    for pairs in given.values():
        if not pairs:
            raise SelectionError("Expected `alignment` with at least one pair of tokens, got none.")
    queries = join_pairs(given["query"], len(a.queries), len(b.queries))
    return tuple(queries), tuple(join_pairs(given["key"], len(a.keys), len(b.keys)))


def _matched(a: TokenSequence, b: TokenSequence) -> tuple[Place, ...]:
    if not set(a.tokens) & set(b.tokens):
        raise SelectionError(
            f"Expected two texts with tokens in common, got {_sample(a)} and {_sample(b)}. Say "
            "which belong together: alignment=[(index in a, index in b), …]."
        )
    return tuple(align_tokens(a.tokens, b.tokens))


def _sample(sequence: TokenSequence) -> str:
    return repr(shortened(visible_text(" ".join(sequence.tokens)), 40))


def _match_better_by_word(a: AttentionRecord, b: AttentionRecord) -> bool:
    """Whether two tokenizers cut equal words differently, so that the words match better."""
    sides = [(a.keys, b.keys), (a.queries, b.queries)]
    if not any(_cut_differently(ours, theirs) for ours, theirs in sides):
        return False
    by_token = sum(_likeness(ours.tokens, theirs.tokens) for ours, theirs in sides)
    by_word = sum(
        _likeness(ours.at_word_level().tokens, theirs.at_word_level().tokens)
        for ours, theirs in sides
    )
    return by_word > by_token


def _cut_differently(a: TokenSequence, b: TokenSequence) -> bool:
    words = a.at_word_level().tokens, b.at_word_level().tokens
    pieces = a.pieces(), b.pieces()
    return any(
        i is not None
        and j is not None
        and words[0][i] == words[1][j]
        and [a.tokens[piece] for piece in pieces[0][i]]
        != [b.tokens[piece] for piece in pieces[1][j]]
        for i, j in align_tokens(*words)
    )


def _likeness(a: Sequence[str], b: Sequence[str]) -> float:
    return SequenceMatcher(None, list(a), list(b), autojunk=False).ratio()


# What is shown first


def _pair(name: str, given: Pair | None) -> tuple[int, int] | None:
    if given is None or isinstance(given, int):
        return None if given is None else (given, given)
    pair = tuple(given)
    if len(pair) != 2:
        raise SelectionError(f"Expected `{name}` as a number or a pair, got {given!r}.")
    return pair


def _first_heads(
    a: AttentionRecord,
    b: AttentionRecord,
    places: tuple[tuple[Place, ...], tuple[Place, ...]],
    layers: tuple[int, int] | None,
    heads: tuple[int, int] | None,
    labels: tuple[str, str],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The layers and the heads shown first; what was not said is where the change is largest."""
    records = (a, b)
    for side, (record, label) in enumerate(zip(records, labels, strict=True)):
        try:
            if layers is not None:
                layer_row(record, layers[side])
            if heads is not None:
                head_number(record, heads[side])
        except SelectionError as error:
            raise SelectionError(f"{error} This is about {label}.") from error
    if layers is None or heads is None:
        found = (a.layers[0], b.layers[0]), (0, 0)
        if _is_same_shape(a, b):
            found = _most_changed(a, _head_changes(a, b, *places), layers, heads)
        layers, heads = layers or found[0], heads or found[1]
    return layers, heads


def _most_changed(
    record: AttentionRecord,
    changes: torch.Tensor,
    layers: tuple[int, int] | None,
    heads: tuple[int, int] | None,
) -> tuple[tuple[int, int], tuple[int, int]]:
    known = changes.nan_to_num(-1.0).clone()
    if layers is not None:
        chosen = record.layers.index(layers[0])
        known[[row for row in range(len(known)) if row != chosen]] = -2
    if heads is not None:
        known[:, [head for head in range(known.shape[1]) if head != heads[0]]] = -2
    row, head = divmod(int(known.argmax()), known.shape[1])
    layer = record.layers[row]
    return (layer, layer), (head, head)


def _first_token(
    a: AttentionRecord,
    b: AttentionRecord,
    places: tuple[tuple[Place, ...], tuple[Place, ...]],
    layers: tuple[int, int],
    heads: tuple[int, int],
) -> int:
    """The place of the query whose row changes most: a word that both have, if there is one."""
    queries, keys = places
    shared = [place for place, (i, j) in enumerate(queries) if i is not None and j is not None]
    rows_a, rows_b = (
        _both(record.attentions[layer_row(record, layer), head], queries, keys, side)
        for side, (record, layer, head) in enumerate(zip((a, b), layers, heads, strict=True))
    )
    changes = total_variation(rows_a, rows_b).nan_to_num(-1.0)
    special = [a.queries.special_tokens_mask[queries[place][0] or 0] for place in shared]
    same = [not _differs(queries[place], a.queries.tokens, b.queries.tokens) for place in shared]
    ranked = zip(map(operator.not_, special), same, changes.tolist(), shared, strict=True)
    return max(ranked, key=lambda one: (*one[:3], -one[3]))[3]


# Numbers


def _head_changes(
    a: AttentionRecord, b: AttentionRecord, queries: Sequence[Place], keys: Sequence[Place]
) -> torch.Tensor:
    """The mean total variation of each head, ``(num_layers, num_heads)``."""
    changes = torch.empty(a.num_layers, a.num_heads, dtype=torch.float64)
    # One head at a time: of a long text all of them in double precision might not fit in memory.
    for row in range(a.num_layers):
        for head in range(a.num_heads):
            rows = (
                _both(record.attentions[row, head], queries, keys, side)
                for side, record in enumerate((a, b))
            )
            changes[row, head] = total_variation(*rows).nanmean()
    return changes


def _both(
    pattern: torch.Tensor, queries: Sequence[Place], keys: Sequence[Place], side: int
) -> torch.Tensor:
    """Of one record's pattern only the tokens that both have."""
    chosen = (
        torch.tensor([place[side] for place in places if None not in place])
        for places in (queries, keys)
    )
    rows, columns = chosen
    return pattern[rows][:, columns]


def _placed(pattern: torch.Tensor, side: int, view: CompareView) -> torch.Tensor:
    """One record's pattern at the places of both, NaN where it has no token."""
    placed = torch.full((len(view.queries), len(view.keys)), torch.nan)
    rows = [row for row, place in enumerate(view.queries) if place[side] is not None]
    columns = [column for column, place in enumerate(view.keys) if place[side] is not None]
    sources = [view.queries[row][side] for row in rows], [view.keys[c][side] for c in columns]
    own = pattern[torch.tensor(sources[0])][:, torch.tensor(sources[1])]
    placed[torch.tensor(rows)[:, None], torch.tensor(columns)] = own
    return placed


def _is_same_shape(a: AttentionRecord, b: AttentionRecord) -> bool:
    return a.layers == b.layers and a.num_heads == b.num_heads


def _extent(record: AttentionRecord) -> str:
    numbers = record.layers
    heads = f"{record.num_heads} head{'s' if record.num_heads > 1 else ''}"
    if numbers == tuple(range(len(numbers))):
        return f"{len(numbers)} layer{'s' if len(numbers) > 1 else ''} of {heads}"
    return f"the layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))} of {heads}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# Words


def _differs(place: Place, ours: Sequence[str], theirs: Sequence[str]) -> bool:
    i, j = place
    return i is None or j is None or ours[i] != theirs[j]


def _name(place: Place, ours: Sequence[str], theirs: Sequence[str], panel: int) -> str:
    """A place as A (0), B (1) or the difference (2) names it; nothing where it has no token."""
    names = [
        "" if index is None else tokens[index]
        for index, tokens in zip(place, (ours, theirs), strict=True)
    ]
    if panel < 2:
        return names[panel]
    return " → ".join(dict.fromkeys(name for name in names if name))


def _marked(sequence: TokenSequence, differing: Sequence[int | None]) -> list[tuple[str, bool]]:
    """The text in parts, each with whether it is one of the differing tokens."""
    parts: list[tuple[str, bool]] = []
    for number, text in enumerate(sequence.texts):
        spans = sorted(
            sequence.offsets[index]
            for index in differing
            if index is not None and sequence.sequence_ids[index] == number
        )
        position = 0
        parts += [(" · ", False)] if number else []
        for start, end in spans:
            parts += [(text[position:start], False), (text[max(start, position) : end], True)]
            position = max(position, end)
        parts.append((text[position:], False))
    return [(visible_text(part), differs) for part, differs in parts if part]


# Drawing


def _side(cells: int) -> int:
    return min(max(cells * _CELL, _SHORTEST), _LONGEST)


def _colourbar(is_difference: bool, labels: tuple[str, str]) -> dict[str, Any]:
    bar: dict[str, Any] = {"thickness": 12, "outlinewidth": 0}
    if is_difference:
        a, b = (plotly_text(shortened(visible_text(label), _LONGEST_LABEL)) for label in labels)
        return bar | {"title": f"{b} − {a}", "x": 1.1}
    return bar | {"title": "weight", "x": 1.01}
