"""Which heads point from a word to a mention: the share it gives, beside what other words give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from introspect.calls import checked_call
from introspect.errors import SelectionError
from introspect.functional import mention_shares, merge_pieces
from introspect.records import AttentionRecord, Head, MentionLike, mention_pieces, named_words
from introspect.text import CorefCase, Span

#: A head points from a word to a mention if it gives the mention more than this share,
POINTING = 0.5
#: and at least this many times what the other words of the text give it in the mean.
TIMES = 2.0

_COLUMNS = ("share", "others", "ratio", "points")
PAIR_COLUMNS = (
    "layer", "head", "weight", "others", "difference", "ratio", "rank", "without_special", "points"
)  # fmt: skip

# Weights are float32: two that are equal on paper differ by this much.
_ROUNDING = 1e-6

Words = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class Pointing:
    """How much of its attention a word gives a mention in every head, and other words give it.

    Args:
        layers: the model's own number of each row.
        share: what the word gives, ``(num_layers, num_heads)``, float64; NaN where the attention is
            not finite, or the mask hides the mention from the word.
        others: the mean over the other words that can see the mention; NaN where it is not finite,
            or there is no such word.
        num_others: how many such words each layer has, ``(num_layers,)``.
    """

    layers: tuple[int, ...]
    share: torch.Tensor
    others: torch.Tensor
    num_others: torch.Tensor

    @property
    def ratio(self) -> torch.Tensor:
        """Return the weight of the word over the others'; infinite where they give nothing."""
        return self.share / self.others

    @property
    def points(self) -> torch.Tensor:
        """Return which heads point, ``(num_layers, num_heads)``, bool."""
        is_large = self.share > POINTING + _ROUNDING
        return is_large & (self.share >= TIMES * self.others * (1 - _ROUNDING))

    @property
    def readable(self) -> torch.Tensor:
        """Return which heads have finite attention wherever there is something to see, bool."""
        return self.share.isfinite() & (self.others.isfinite() | (self.num_others == 0)[:, None])

    def ranked(self) -> list[PointingHead]:
        """Return the readable heads by their share, largest first."""
        table = self.table()
        table = table[self.readable.flatten()[torch.tensor(table.index)].numpy()]
        num_others = dict(zip(self.layers, self.num_others.tolist(), strict=True))
        return [
            PointingHead(
                head=Head(int(layer), int(head)),
                share=share,
                others=others,
                points=bool(points),
                num_others=num_others[layer],
            )
            for layer, head, share, others, _, points in table.itertuples(index=False)
        ]

    def table(self) -> pd.DataFrame:
        """Return the heads as rows, the largest share first; see ``pair_table``."""
        num_layers, num_heads = self.share.shape
        table = pd.DataFrame(
            {
                "layer": torch.tensor(self.layers).repeat_interleave(num_heads).numpy(),
                "head": torch.arange(num_heads).repeat(num_layers).numpy(),
                **{name: getattr(self, name).flatten().numpy() for name in _COLUMNS},
            }
        )
        return table.sort_values("share", ascending=False, kind="stable")


@dataclass(frozen=True)
class PointingHead:
    """One head: the share that it gives the mention, what other words give, and how many."""

    head: Head
    share: float
    others: float
    points: bool
    num_others: int


@checked_call
def pair_table(record: AttentionRecord, query: MentionLike, key: MentionLike) -> pd.DataFrame:
    r"""Tell which heads point from one word or mention to another.

    .. math:: \text{share} = \frac{1}{|q|} \sum_{s \in q} \frac{1}{|s|} \sum_{i \in s}
              \sum_{j \in k} \alpha_{ij}

    A head points if the share is over 0.5 and at least twice what the other words of the text give
    the mention in the mean. One that gives it much from every word does not point: it attends to
    the mention from everywhere.

    Args:
        record: the attention, with the tokens that attend as ``queries``.
        query: the word that attends: ``"it"``, ``"it#2"`` for the second, the index of a token, the
            span of its characters, or a list of these for a mention in several places.
        key: the mention attended to, named alike. Tokens that both name are left out of it: what a
            word gives itself is no pointing.

    Returns:
        A row for each head, the largest weight first. ``layer`` and ``head``; ``weight``, the share
        that the query gives the mention: the sum over the words of the mention, the mean over those
        of the query; ``others``, the mean share that the other words give the mention: all of the
        text (of a pair, of both texts) that are neither special tokens nor the mention nor the
        query, and, under a causal mask or a window, can see the whole mention; ``difference`` and
        ``ratio``, of weight and others; ``rank``, the place of the mention among the words that the
        query attends to, from 1, with ties at the best place; ``without_special``, the weight made
        a share of what does not go to special tokens; and ``points``. ``weight`` is NaN where the
        attention is not finite, or the mask hides the mention from the query; ``others`` where no
        other word can see it, and such a head does not point.

    Raises:
        MentionError: a word is not in the text, or occurs several times.
        SelectionError: a token is out of range, or both name the same tokens.

    Example:
        >>> weights = [[[0.1, 0.1, 0.8], [0.2, 0.7, 0.1], [0.9, 0.1, 0.0]]]
        >>> record = AttentionRecord.from_tensors(weights, ["cat", "ate", "it"])
        >>> columns = ["weight", "others", "difference", "rank", "points"]
        >>> pair_table(record, "it", "cat")[columns].round(2).to_dict("records")[0]
        {'weight': 0.9, 'others': 0.2, 'difference': 0.7, 'rank': 1, 'points': True}
    """
    queries = named_words(record.queries, query, name="query")
    keys = named_words(record.keys, key, name="key")
    table = pointing_between(record, queries, keys).table().rename(columns={"share": "weight"})
    facts = {
        "difference": table["weight"] - table["others"],
        "rank": _ranks(record, queries, keys).flatten()[table.index].numpy(),
        "without_special": table["weight"]
        / _not_special(record, queries).flatten()[table.index].numpy(),
    }
    return table.assign(**facts)[list(PAIR_COLUMNS)].reset_index(drop=True)


def _ranks(record: AttentionRecord, query: Words, key: Words) -> torch.Tensor:
    """Return the place of the mention among the words that the query attends to, from 1."""
    is_self = record.queries == record.keys and record.kind != "cross"
    asking = {piece for word in query for piece in word}
    mention = {piece for word in key for piece in word} - (asking if is_self else set())
    words = [
        word
        for word in record.keys.pieces()
        if not record.keys.special_tokens_mask[word[0]] and not set(word) & mention
    ]
    # Only the rows of the query: all of a long text would take seconds.
    rows = torch.stack([record.attentions[:, :, list(word)].double().mean(2) for word in query])
    shares = merge_pieces(rows.mean(0)[:, :, None], [[0]], [sorted(mention), *words])[:, :, 0]
    # Weights are float32: what is equal on paper is a tie.
    return 1 + (shares > shares[..., :1] + _ROUNDING).sum(-1)


def _not_special(record: AttentionRecord, query: Words) -> torch.Tensor:
    """Return the share that the query gives to anything but special tokens; NaN for none."""
    specials = [i for i, flag in enumerate(record.keys.special_tokens_mask) if flag]
    given = mention_shares(record.attentions, query, specials).mean(-1)
    kept = 1 - given
    return kept.masked_fill(kept < _ROUNDING, torch.nan)


def pointing_between(record: AttentionRecord, query: Words, key: Words) -> Pointing:
    """Return which heads point from some words to others, each given as its token pieces.

    Raises:
        SelectionError: both are the same tokens.
    """
    is_self = record.queries == record.keys and record.kind != "cross"
    asking = {piece for word in query for piece in word}
    mention = sorted({piece for word in key for piece in word} - (asking if is_self else set()))
    if not mention:
        raise SelectionError(
            "Expected `query` and `key` as different words, got the same tokens for both. Name the "
            "word that attends and the one attended to."
        )
    taken = asking | set(mention) if is_self else asking
    others = [
        word
        for word in record.queries.pieces()
        if not record.queries.special_tokens_mask[word[0]] and not taken & set(word)
    ]
    seen = record.seen()[..., mention]  # (num_layers, query_len, pieces of the mention)
    is_seen = seen[:, sorted(asking)].any(-1).any(-1)
    sees = torch.stack([seen[:, w].all(-1).all(-1) for w in others], -1) if others else None
    given = mention_shares(record.attentions, query, mention).mean(-1)
    share = given.masked_fill(~is_seen[:, None], torch.nan)
    if sees is None:
        nothing = torch.zeros(record.num_layers, dtype=torch.int64)
        return Pointing(record.layers, share, torch.full_like(share, torch.nan), nothing)
    by_others = mention_shares(record.attentions, others, mention)
    total = by_others.masked_fill(~sees[:, None], 0).sum(-1)
    return Pointing(record.layers, share, total / sees.sum(-1)[:, None], sees.sum(-1))


def pointing_to(record: AttentionRecord, case: CorefCase, spans: Sequence[Span]) -> Pointing | None:
    """Return which heads point from the pronoun of a case to mentions, taken together.

    There is nothing to tell without a mention, or where all of its tokens are the pronoun's too.

    Args:
        record: the attention of the case's text.
        case: the case.
        spans: the mentions, of which all words together are one.

    Raises:
        MentionError: a mention was truncated.
    """
    pronoun = mention_pieces(record.queries, case.pronoun, role="pronoun")
    words = [w for span in spans for w in mention_pieces(record.keys, span, role="candidate")]
    if {i for word in words for i in word} <= {i for word in pronoun for i in word}:
        return None
    return pointing_between(record, pronoun, words)
