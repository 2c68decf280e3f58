"""Heads by the shape of their patterns over many texts: positional, rare-word, pattern classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import nn

from introspect.calls import checked_call
from introspect.errors import InputError, SelectionError, naming
from introspect.functional import (
    PATTERN_CLASSES,
    pattern_class,
    pattern_shares,
    sole_maximum,
    visible_keys,
)
from introspect.models import Model, listed_texts, load_text
from introspect.progress import ProgressLike, following
from introspect.records import AttentionRecord, Kind, TokenSequence
from introspect.studies.analyzer import (
    Floats,
    Integers,
    State,
    SummedByLayer,
    Texts,
    addable,
    check_is_self,
    plus,
    ratio,
)
from introspect.studies.heads.attention_targets import place_offsets

#: A head is positional if this share of its maxima is at one offset from the query (Voita et al.).
POSITIONAL = 0.9
#: It is a rare-word head if this share of its maxima is on the rarest token of the text.
RARE_WORD = 0.5

_REACH = 8
#: The stage of ``head_patterns``, as its progress is told.
CLASSIFYING = "classifying the patterns of heads"


class _Counts(NamedTuple):
    """Counts of one layer of some texts, or of all layers with one more dimension.

    Args:
        hits: ``(num_offsets, num_heads)``: sole maxima at each offset from the query.
        seen: the same shape: rows that can see a token there.
        rows: ``(num_heads,)``, rows with a choice.
        rare_hits: ``(num_heads,)``, sole maxima on the rarest token.
        rare_rows: the same shape: rows that can see it.
        classes: ``(num_classes, num_heads)``, texts of each class.
        chance: ``(num_heads,)``, float64: maxima on the rarest token expected by chance.
        places_chance: ``(num_offsets, num_heads)``, float64: maxima expected by chance at each
            offset.
        even_classes: ``(num_classes, num_heads)``, texts of each class for even attention.
    """

    hits: Integers
    seen: Integers
    rows: Integers
    rare_hits: Integers
    rare_rows: Integers
    classes: Integers
    chance: Floats
    places_chance: Floats
    even_classes: Integers


def token_counts(sequences: Iterable[TokenSequence]) -> dict[int, int]:
    """Count how often each vocabulary entry occurs in some texts, without special tokens.

    Example:
        >>> token_counts([TokenSequence(("a", "b", "a"), token_ids=(5, 6, 5))])
        {5: 2, 6: 1}
    """
    found: dict[int, int] = {}
    for tokens in sequences:
        for number, special in zip(tokens.token_ids, tokens.special_tokens_mask, strict=True):
            if not special:
                found[number] = found.get(number, 0) + 1
    return found


@dataclass
class PatternsAnalyzer(SummedByLayer[_Counts]):
    """Analyzer of the positions of each head's maxima and the shapes of its patterns.

    Every token that is not a special token counts once as a query, if it sees a key other than
    itself. A maximum that several keys share has no position. Special tokens compete: a head that
    attends most to them has its maxima there, which count as neither an offset nor a rare word.

    - *Positional* (Voita et al. 2019): the offset from the query, up to ``reach`` tokens away, with
      the most maxima, out of the queries that can see a token there; only offsets that at least
      half of all queries have.
    - *Rare words* (Voita et al. 2019): maxima on the token of the text that is rarest by
      ``frequencies``, out of the other queries that can see it. Without frequencies, or in a text
      where several tokens are equally rare, nothing is counted.
    - *Classes* (Kovaleva et al. 2019): see ``functional.pattern_classes``; each text counts as one.

    Like ``RolesAnalyzer``, this is a batch analyzer: any division and merge gives the same table.

    Args:
        frequencies: how often each vocabulary entry is used, by its number; others count as 0.
            ``token_counts`` computes them from the texts themselves.
        reach: how many positions before and after a token are considered.

    Raises:
        SelectionError: ``reach`` is less than 1.
    """

    frequencies: Mapping[int, float] | None = None
    reach: int = _REACH
    _offsets: torch.Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.reach < 1:
            raise SelectionError(
                "Expected `reach` of at least 1, the previous and the next token, got "
                f"{self.reach}."
            )
        self._offsets = torch.tensor(place_offsets(self.reach))

    def update(self, record: AttentionRecord) -> None:
        """Add one text, as a batch of its own.

        Raises:
            SelectionError: the attention is from one text to another, or covers only some tokens.
            InputError: the record is of a different model than earlier ones.
        """
        check_is_self(record, "patterns")
        self._take(record)

    def _reduce(self, texts: Texts, attentions: torch.Tensor) -> _Counts:
        attentions = attentions.cpu().float()
        found = None
        for tokens, pattern in zip(texts.sequences, attentions, strict=True):
            n = len(tokens)
            one = self._count(tokens, pattern[:, :n, :n].contiguous())
            found = one if found is None else plus(found, one)
        assert found is not None, "a batch has at least one text"
        return found

    def _count(self, tokens: TokenSequence, pattern: torch.Tensor) -> _Counts:
        """Count one text in one layer, ``(num_heads, n, n)``."""
        visible = visible_keys(pattern)
        is_query = ~torch.tensor(tokens.special_tokens_mask, dtype=torch.bool)
        total = pattern.sum(-1)
        is_known = is_query & (total > 0) & (visible.sum(-1) > 1)
        pattern = pattern.masked_fill(~is_known[..., None], 0)
        best = sole_maximum(pattern)
        segments = torch.tensor([-1 if s is None else s for s in tokens.sequence_ids])
        # Even attention is classed along, as one more head.
        even = (visible / visible.sum(-1, keepdim=True).clamp(min=1))[None]
        shares = pattern_shares(
            torch.cat([pattern, even.to(pattern.dtype)]),
            torch.cat([is_known, is_query[None]]),
            visible,
            segments.masked_fill(~is_query, -1),
        )
        numbers = torch.arange(len(PATTERN_CLASSES))[:, None]
        classes = (pattern_class(shares)[None] == numbers).long()
        return _Counts(
            *(places := self._places(best, is_known, visible))[:2],
            is_known.sum(-1).numpy(),
            *(rare := self._rare(tokens, best, is_known, visible))[:2],
            classes[:, :-1].numpy(),
            rare[2],
            places[2],
            classes[:, -1:].expand(-1, len(pattern)).numpy().copy(),
        )

    def _places(
        self, best: torch.Tensor, is_known: torch.Tensor, visible: torch.Tensor
    ) -> tuple[Integers, Integers, Floats]:
        """Count the maxima at each offset, how many are possible there, and how many by chance."""
        n = best.shape[-1]
        keys = torch.arange(n) + self._offsets[:, None]
        inside = (keys >= 0) & (keys < n)
        has_key = visible[torch.arange(n), keys.clamp(0, n - 1)] & inside
        could = has_key[:, None] & is_known
        hits = could & (best == keys[:, None])
        chance = (could / visible.sum(-1).clamp(min=1)).double().sum(-1)
        return hits.sum(-1).numpy(), could.sum(-1).numpy(), addable(chance.numpy())

    def _rare(
        self,
        tokens: TokenSequence,
        best: torch.Tensor,
        is_known: torch.Tensor,
        visible: torch.Tensor,
    ) -> tuple[Integers, Integers, Floats]:
        """Count the maxima on the rarest token, how many are possible, and how many by chance."""
        is_ordinary = ~torch.tensor(tokens.special_tokens_mask, dtype=torch.bool)
        if self.frequencies is None or not is_ordinary.any():
            none = np.zeros(len(best), dtype=np.int64)
            return none, none, none.astype(np.float64)
        counts = torch.tensor(
            [float(self.frequencies.get(i, 0)) for i in tokens.token_ids], dtype=torch.float64
        )
        is_rarest = is_ordinary & (counts == counts[is_ordinary].min())
        if is_rarest.sum() > 1:  # with ties, no token is the rarest
            is_rarest[:] = False
        seen = (visible & is_rarest).sum(-1)
        rows = is_known & ~is_rarest & (seen > 0)
        hits = rows & (best >= 0) & is_rarest[best.clamp(min=0)]
        chance = (seen / visible.sum(-1).clamp(min=1)).double()
        return (
            hits.sum(-1).numpy(),
            rows.sum(-1).numpy(),
            addable((rows * chance).sum(-1).numpy()),
        )

    def merge(self, other: PatternsAnalyzer) -> None:
        """Take over what another analyzer has collected from other texts.

        Raises:
            InputError: the two are of different models, or have different options.
        """
        if (self.reach, self.frequencies) != (other.reach, other.frequencies):
            raise InputError(
                "Expected analyzers of one `reach` and the same `frequencies` to merge, got "
                f"`reach` {self.reach} and {other.reach}, and frequencies of "
                f"{len(self.frequencies or {})} and {len(other.frequencies or {})} tokens."
            )
        self._take_over(other)

    def compute(self) -> pd.DataFrame:
        """Return a table with one row for each layer and head.

        Returns:
            Columns ``layer``, ``head``, ``n_texts``, ``n_tokens`` (queries that are not special
            tokens), ``n_rows`` (those with a choice); ``position`` (of most maxima; -1 is the
            token before), ``position_share``, ``position_chance`` (the share for a random choice
            among visible tokens), ``n_position``, ``is_positional`` (at least 0.9);
            ``rare_share`` (maxima on the rarest token), ``rare_chance`` (the share for a random
            choice among visible tokens), ``n_rare``, ``is_rare_word`` (at least 0.5); ``pattern``,
            the class of most texts, ``even_pattern``, that of even attention over the visible
            tokens, ``n_classed``, and the share of texts of each class. Values are NaN, ``<NA>`` or
            ``none`` without an observation.

        Raises:
            InputError: there are no texts.
        """
        if self._sums is None:
            raise InputError("Expected at least one text to find patterns in, got none.")
        counts = self._sums
        num_layers, num_heads = counts.rows.shape
        hits, seen = (each.reshape(len(self._offsets), -1) for each in (counts.hits, counts.seen))
        is_common = (2 * seen >= counts.rows.ravel()) & (seen > 0)
        best = np.where(is_common, hits, -1).argmax(0)
        of_best = (best, np.arange(len(best)))
        known = is_common[of_best]
        share = ratio(hits[of_best], np.where(known, seen[of_best], 0))
        by_chance = counts.places_chance.reshape(len(self._offsets), -1)[of_best]
        chance = ratio(by_chance, np.where(known, seen[of_best], 0))
        position = pd.array(self._offsets.numpy()[best], dtype="Int64")
        position[~known] = pd.NA
        rare = ratio(counts.rare_hits, counts.rare_rows).ravel()
        classed = counts.classes.reshape(len(PATTERN_CLASSES), -1)
        n_classed = classed.sum(0)
        names = np.array(PATTERN_CLASSES, dtype=object)[classed.argmax(0)]
        even = counts.even_classes.reshape(len(PATTERN_CLASSES), -1)
        even_names = np.array(PATTERN_CLASSES, dtype=object)[even.argmax(0)]
        return pd.DataFrame(
            {
                "layer": np.repeat(self._layers, num_heads),
                "head": np.tile(np.arange(num_heads), num_layers),
                "n_texts": self._num_texts,
                "n_tokens": self._num_tokens,
                "n_rows": counts.rows.ravel(),
                "position": position,
                "position_share": share,
                "position_chance": chance,
                "n_position": np.where(known, seen[of_best], 0),
                "is_positional": share >= POSITIONAL,
                "rare_share": rare,
                "rare_chance": ratio(counts.chance, counts.rare_rows).ravel(),
                "n_rare": counts.rare_rows.ravel(),
                "is_rare_word": rare >= RARE_WORD,
                "pattern": np.where(n_classed > 0, names, "none"),
                "even_pattern": np.where(even.sum(0) > 0, even_names, "none"),
                "n_classed": n_classed,
                **dict(zip(PATTERN_CLASSES, ratio(classed, n_classed), strict=True)),
            }
        )

    def state(self) -> State:
        """Return all collected data and the options as arrays."""
        given = self.frequencies
        table = {} if given is None else given
        return {
            "reach": np.array(self.reach),
            "has_frequencies": np.array(given is not None),
            "token_ids": np.array(list(table), dtype=np.int64),
            "token_counts": np.array(list(table.values()), dtype=np.float64),
            **self._collected(_Counts),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore the analyzer that had this state."""
        table = dict(zip(state["token_ids"].tolist(), state["token_counts"].tolist(), strict=True))
        frequencies = table if bool(state["has_frequencies"]) else None
        return cls(frequencies, int(state["reach"]))._restore(state, _Counts)


@checked_call
def head_patterns(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object],
    texts: Sequence[str] | str,
    *,
    frequencies: Mapping[int, float] | None = None,
    kind: Kind | None = None,
    progress: ProgressLike = None,
) -> pd.DataFrame:
    """Find positional heads, rare-word heads, and the shape of each head's patterns.

    Source: Voita et al. 2019, "Analyzing Multi-Head Self-Attention", section 5; Kovaleva et al.
    2019, "Revealing the Dark Secrets of BERT", section 4.1.

    Args:
        model: as for ``load``.
        texts: the sentences. For many use ``introspect probe FILE --analyzer patterns``.
        frequencies: how often each vocabulary entry is used, by its ID; by default counted in the
            texts themselves, which must then be many.
        kind: for an encoder-decoder, ``encoder``; its decoder writes, and reads no sentences.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the texts read, and their total.

    Returns:
        The table of ``PatternsAnalyzer.compute``.

    Raises:
        InputError: there is no text.
        TextError: the model cannot read a text; the message has its number.

    Example:
        >>> table = head_patterns("minilm", ["The cat sat on the mat."])     # doctest: +SKIP
        >>> table.loc[table["is_positional"], ["layer", "head", "position"]]  # doctest: +SKIP
    """
    loaded = load_text(model)
    given = listed_texts(texts)
    if not given:
        raise InputError("Expected at least one text to find patterns in, got none.")
    if frequencies is None:
        frequencies = token_counts(loaded.tokens(text) for text in given)
    analyzer = PatternsAnalyzer(frequencies)
    with following(progress) as tell:
        for number, text in enumerate(given):
            tell(CLASSIFYING, number, len(given))
            with naming(f"Text {number}"):
                analyzer.update(loaded.capture(text, kind=kind))
        tell(CLASSIFYING, len(given), len(given))
    return analyzer.compute()
