"""Tables that the app shows, made from records and scores, and the colors of their cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from introspect.records import AttentionRecord, Head, TokenSequence
from introspect.studies.coreference import DirectionScores, Pointing
from introspect.text import visible
from introspect.views import SEQUENTIAL, head_number, layer_row

#: A table with more cells is shown without colors; the heat map is made for those.
MOST_COLORED = 10_000

_POINTING = ("share", "others", "points")
# The weight from which white text reads better than black; there, the contrast of both exceeds
# 4.5.
_DARK = 0.57


def token_table(sequence: TokenSequence) -> pd.DataFrame:
    """Build a table with each token, its vocabulary id, and the word that it belongs to."""
    words = [None if word is None else visible(sequence.words[word]) for word in sequence.word_ids]
    return pd.DataFrame(
        {
            "position": range(len(sequence)),
            "token": [visible(token) for token in sequence.tokens],
            "id": sequence.token_ids,
            "word": words,
            "special": sequence.special_tokens_mask,
            "unknown": sequence.unknown_mask,
        }
    )


def example_table(examples: pd.DataFrame, texts: pd.DataFrame) -> pd.DataFrame:
    """Build a table of examples of an atlas, each with its head, tokens, weight and text.

    Args:
        examples: rows of ``Atlas.examples``.
        texts: ``Atlas.texts``.
    """
    text_of = texts.set_index("text_id")["text"]
    heads = zip(examples["layer"], examples["head"], strict=True)
    return pd.DataFrame(
        {
            "head": [str(Head(int(layer), int(head))) for layer, head in heads],
            "query": [visible(token) for token in examples["query"]],
            "key": [visible(token) for token in examples["key"]],
            "weight": examples["weight"].to_numpy(),
            "set": examples["set"].to_numpy(),
            "text": [visible(text) for text in examples["text_id"].map(text_of)],
        }
    )


def weight_table(record: AttentionRecord, layer: int, head: int) -> pd.DataFrame:
    """Build a table of one head's weights: a row for each query, a column for each key.

    Args:
        record: the attention record.
        layer: the model's own number of the layer.
        head: the head.

    Raises:
        SelectionError: the record has no such layer or head.

    Example:
        >>> import torch
        >>> record = AttentionRecord.from_tensors(torch.eye(2).expand(1, 1, 2, 2), ["a", "a"])
        >>> float(weight_table(record, 0, 0).loc["1 a", "1 a"])
        1.0
    """
    pattern = record.attentions[layer_row(record, layer), head_number(record, head)]
    return pd.DataFrame(
        pattern.double().numpy(),
        index=pd.Index(_labels(record.queries.tokens), name="query ↓  key →"),
        columns=_labels(record.keys.tokens),
    )


def _labels(tokens: Sequence[str]) -> list[str]:
    """Return the tokens with their positions, so that every label is unique."""
    return [f"{position} {visible(token)}" for position, token in enumerate(tokens)]


def score_table(scores: DirectionScores, pointing: Pointing | None = None) -> pd.DataFrame:
    """Build a table of the heads that can attend, the most attention to the antecedent first.

    Args:
        scores: the scores of one case in one direction.
        pointing: what the pronoun and the other words give the antecedent.

    Returns:
        A row for each head: ``head`` (``L3H1``); with ``pointing``, the ``share`` that the pronoun
        gives the antecedent, what the ``others`` give it, and whether the head ``points``; the
        weight per word on ``antecedent`` and on ``distractor`` (the largest of several),
        ``credit``, and ``margin``; see the methods for the last two.
    """
    shares = {} if pointing is None else {str(each.head): each for each in pointing.ranked()}
    rows = []
    for head in scores.ranked():
        place = (scores.row(head), head.head)
        rows.append(
            {
                "head": str(head),
                **{name: getattr(shares.get(str(head)), name, None) for name in _POINTING},
                "antecedent": float(scores.antecedent_weight[place]),
                "distractor": float(scores.distractor_weight[place]),
                "credit": float(scores.credit[place]),
                "margin": float(scores.margin[place]),
            }
        )
    beside = () if pointing is None else _POINTING
    columns = ["head", *beside, "antecedent", "distractor", "credit", "margin"]
    table = pd.DataFrame(rows, columns=columns)
    by = "share" if beside else "antecedent" if table["antecedent"].notna().any() else "distractor"
    return table.sort_values(by, ascending=False, kind="stable", ignore_index=True)


def effect_table(heads: pd.DataFrame) -> pd.DataFrame:
    """Build a table of effects on one case, the largest first.

    Args:
        heads: the table ``heads`` of ``ix.causal_study``.

    Returns:
        A row for each head: ``head`` (``L3H1``), ``effect`` (how much the preference falls without
        it), ``control`` (the mean effect of the other heads of the same layer), and ``antecedent``
        (the share of the pronoun's attention that goes to the antecedent).
    """
    rows = heads.sort_values("effect", ascending=False, kind="stable", ignore_index=True)
    names = [str(Head(*map(int, place))) for place in rows[["layer", "head"]].to_numpy()]
    columns = {"attention_weight": "antecedent"}
    chosen = rows[["effect", "control", "attention_weight"]].rename(columns=columns)
    chosen.insert(0, "head", names)
    chosen.attrs.clear()
    return chosen


def cell_style(weight: float) -> str:
    """Return the color of a cell as CSS, matching the heat map.

    Example:
        >>> cell_style(0.0), cell_style(1.0)
        ('background-color: #ffffff; color: #000000', 'background-color: #0b3266; color: #ffffff')
    """
    if not 0 <= weight <= 1 + 1e-6:  # also for a missing value
        return ""
    ink = "#ffffff" if weight > _DARK else "#000000"
    return f"background-color: {_color(min(weight, 1.0))}; color: {ink}"


def _color(weight: float) -> str:
    stops = [(float(place), str(color)) for place, color in SEQUENTIAL]
    for (low, first), (high, last) in pairwise(stops):
        if weight <= high:
            share = (weight - low) / (high - low)
            pairs = zip(_channels(first), _channels(last), strict=True)
            return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)
    return stops[-1][1]


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
