"""The tables of an atlas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.analyzer import evenly, ratio
from introspect.studies.atlas.analyzer import AtlasSums
from introspect.studies.atlas.examples import Example
from introspect.studies.atlas.maps import query_key_maps
from introspect.studies.atlas.modes import modes_table
from introspect.studies.atlas.neighbors import similar_heads
from introspect.studies.atlas.row_figures import MEASURES
from introspect.studies.atlas.rule_tests import FoundRules
from introspect.studies.atlas.sentences import HeadSentences
from introspect.studies.atlas.tokens_table import tokens_table

HEAD_COLUMNS = (
    "layer", "head", "n_rows", "sentence", "best_rule", "best_rule_coverage", "best_rule_ci_low",
    "best_rule_ci_high", "best_rule_even", "best_rule_p_adjusted", "num_modes", *MEASURES,
)  # fmt: skip
EXAMPLE_COLUMNS = (
    "layer", "head", "set", "rank", "text_id", "query_index", "key_index", "query", "key",
    "weight", "row", "start", "end",
)  # fmt: skip

#: The rows that are shown of each tenth of the sampled texts, and the random rows of a head.
OF_EACH_TENTH, NUM_RANDOM = 5, 20
# Tokens that are shown before and after what an example is about.
_AROUND = 16


@dataclass(frozen=True, eq=False)
class AtlasTables:
    """The tables of an atlas.

    Args:
        heads: one row for each head, see ``heads_table``.
        rules: one row for each head, rule and half of the texts.
        examples: see ``examples_table``.
        tokens: see ``tokens_table``.
        similar: see ``similar_heads``.
        modes: see ``modes_table``.
        maps: see ``query_key_maps``.
        texts: the texts of the examples, with their tokens.
        found: the rule of each head.
    """

    heads: pd.DataFrame
    rules: pd.DataFrame
    examples: pd.DataFrame
    tokens: pd.DataFrame
    similar: pd.DataFrame
    modes: pd.DataFrame
    maps: pd.DataFrame
    texts: pd.DataFrame
    found: FoundRules

    @classmethod
    def of(
        cls,
        sums: AtlasSums,
        texts: Mapping[int, TokenSequence],
        label: Callable[[int], str],
        records: Iterable[AttentionRecord] = (),
    ) -> AtlasTables:
        """Build all tables.

        Args:
            sums: what was collected.
            texts: the tokens of each text of an example, by its hash.
            label: returns the vocabulary entry with an id.
            records: sampled texts with the parts ``queries`` and ``keys``.
        """
        found = FoundRules.of(sums)
        modes = modes_table(sums)
        return cls(
            heads=heads_table(sums, found, modes),
            rules=found.table(sums.layers),
            examples=examples_table(sums, texts),
            tokens=tokens_table(sums, label),
            similar=similar_heads(sums),
            modes=modes,
            maps=query_key_maps(records),
            texts=_texts_table(sums, texts),
            found=found,
        )

    @property
    def by_name(self) -> dict[str, pd.DataFrame]:
        """All tables, by the names of their files."""
        return {
            "heads": self.heads,
            "rules": self.rules,
            "examples": self.examples,
            "tokens": self.tokens,
            "similar": self.similar,
            "modes": self.modes,
            "maps": self.maps,
            "texts": self.texts,
        }


def _texts_table(sums: AtlasSums, texts: Mapping[int, TokenSequence]) -> pd.DataFrame:
    rows = [
        (
            sums.kept.texts[number].id,
            sums.kept.texts[number].text,
            list(tokens.tokens),
            [start for start, _ in tokens.offsets],
            [end for _, end in tokens.offsets],
            list(tokens.special_tokens_mask),
        )
        for number, tokens in texts.items()
    ]
    columns = ["text_id", "text", "tokens", "starts", "ends", "special"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("text_id", kind="stable", ignore_index=True)


def heads_table(sums: AtlasSums, found: FoundRules, modes: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each head, with the columns ``HEAD_COLUMNS``.

    ``best_rule`` and its figures, from the half of the texts that checks, are missing where no rule
    describes the head.

    Args:
        sums: what was collected.
        found: the rule of each head.
        modes: the table of modes.
    """
    sentences = HeadSentences(sums, found)
    means = ratio(sums.sums.sums, sums.sums.measured)
    num_modes = modes.groupby(["layer", "head"]).size()
    rows = []
    for place, layer in enumerate(sums.layers):
        for head in range(sums.num_heads):
            row: dict[str, Any] = {
                "layer": layer,
                "head": head,
                "n_rows": int(sums.sums.measured[place, head, 0]),
                "sentence": sentences.claims(place, head)[0].plain,
                "num_modes": int(num_modes[layer, head]),
                **dict(zip(MEASURES, means[place, head].tolist(), strict=True)),
            }
            if found.is_named[place, head]:
                at = place, head, int(found.best[place, head])
                row |= {
                    "best_rule": found.names[at[2]],
                    "best_rule_coverage": float(found.checking.coverage[at]),
                    "best_rule_ci_low": float(found.checking.low[at]),
                    "best_rule_ci_high": float(found.checking.high[at]),
                    "best_rule_even": float(found.checking.even[at]),
                    "best_rule_p_adjusted": float(found.p_adjusted[place, head]),
                }
            rows.append(row)
    table = pd.DataFrame(rows, columns=list(HEAD_COLUMNS))
    figures = [name for name in HEAD_COLUMNS if name.startswith("best_rule_")]
    return table.astype({"best_rule": "string", **dict.fromkeys(figures, "float64")})


def examples_table(sums: AtlasSums, texts: Mapping[int, TokenSequence]) -> pd.DataFrame:
    """Return one row for each example, with the columns ``EXAMPLE_COLUMNS``.

    ``strongest`` has a head's largest weights outside special tokens and the token itself, one a
    text, the largest first. ``decile`` has five texts of each tenth of the sampled texts by that
    weight, from the largest tenth on. ``random`` has one row of each of twenty sampled texts, drawn
    by its hash, with the key that gets most of it.

    Args:
        sums: what was collected.
        texts: the tokens of each text, by its hash.
    """
    rows = [
        _row(sums, texts, layer, head, kind, rank, example)
        for place, layer in enumerate(sums.layers)
        for head in range(sums.num_heads)
        for kind, rank, example in _examples(sums, place, head)
    ]
    return pd.DataFrame(rows, columns=list(EXAMPLE_COLUMNS))


def _examples(sums: AtlasSums, place: int, head: int) -> Iterator[tuple[str, int, Example]]:
    kept = sums.kept
    for rank, example in enumerate(kept.strongest.get((place, head), ()), start=1):
        yield "strongest", rank, example
    drawn: list[Example] = []
    strongest: list[Example] = []
    for number, sampled in sorted(kept.sample.items()):
        at = place, head
        pairs = (
            (strongest, sampled.strongest, sampled.weight, sampled.strongest_row),
            (drawn, sampled.drawn, sampled.drawn_weight, sampled.drawn_row),
        )
        for held, places, weight, row in pairs:
            query, key = places[at].tolist()
            held.append(Example(float(weight[at]), number, query, key, row[at].tobytes()))
    strongest = sorted((each for each in strongest if each.key >= 0), key=lambda each: each.order)
    rank = 0
    for tenth in np.array_split(np.arange(len(strongest)), 10):
        # Evenly from the tenth, so that its ends are among them.
        for index in tenth[evenly(len(tenth), OF_EACH_TENTH)]:
            rank += 1
            yield "decile", rank, strongest[index]
    for rank, example in enumerate(drawn[:NUM_RANDOM], start=1):
        yield "random", rank, example


def _row(
    sums: AtlasSums,
    texts: Mapping[int, TokenSequence],
    layer: int,
    head: int,
    kind: str,
    rank: int,
    example: Example,
) -> tuple[Any, ...]:
    tokens = texts[example.number]
    key = "" if example.key < 0 else tokens.tokens[example.key]
    start, end = _window(tokens, example)
    return (
        layer, head, kind, rank, sums.kept.texts[example.number].id, example.query, example.key,
        tokens.tokens[example.query], key, example.weight, list(example.row), start, end,
    )  # fmt: skip


def _window(tokens: TokenSequence, example: Example) -> tuple[int, int]:
    """Return the characters around the query and the key, whole tokens."""
    places = [example.query, example.query if example.key < 0 else example.key]
    first = max(0, min(places) - _AROUND)
    last = min(len(tokens) - 1, max(places) + _AROUND)
    spans = [span for span in tokens.offsets[first : last + 1] if span[0] < span[1]]
    return (spans[0][0], spans[-1][1]) if spans else (0, 0)
