"""Cases for the scores of heads, and a slow loop that scores them again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from introspect.studies.coreference import CoreferenceAnalyzer, Options
from tests.synthetic import case, plant, record

HEADS = [
    "layer",
    "head",
    "direction",
    "n",
    "n_not_observable",
    "accuracy",
    "ci_low",
    "ci_high",
    "margin",
    "p_value",
    "p_adjusted",
]
CASES = [
    "id",
    "group",
    "layer",
    "head",
    "direction",
    "antecedent_weight",
    "distractor_weight",
    "credit",
    "removed_mass",
]
BASELINES = ["baseline", "n", "accuracy", "ci_low", "ci_high"]
GAP = Path(__file__).parents[4] / "shared" / "data" / "gap" / "gap-validation.tsv"
SENTENCES = [
    "The animal left the street because it was tired.",
    "It was tired so the animal left the street.",
    "The street was where the animal said it was tired.",
    "An animal on a street is what it always was.",
]


def some_cases(**options):
    """Forced choices with the pronoun after, before and between the candidates."""
    return [
        (
            case(
                text,
                pronoun="It" if text.startswith("It") else "it",
                id=f"c{number}",
                group=f"g{number % 2}",
            ),
            record(text, seed=number, **options),
        )
        for number, text in enumerate(SENTENCES)
    ]


def computed(batch, **options):
    analyzer = CoreferenceAnalyzer(**options)
    analyzer.update(batch)
    return analyzer.compute()


def slow_credit(pattern, given, tokens, layer, head, direction) -> float | None:
    """The credit of one head on one case, from the definition, with plain loops and numbers."""

    def words(span):
        found = {}
        for index, (start, end) in enumerate(tokens.offsets):
            if start < end and start < span[1] and span[0] < end:
                found.setdefault(tokens.word_ids[index], []).append(index)
        return list(found.values())

    def weight(source, target):
        pairs = []
        for one in words(source):
            for other in words(target):
                rows = [sum(pattern[layer][head][i][j] for j in other) for i in one]
                pairs.append(sum(rows) / len(rows))
        return sum(pairs) / len(pairs)

    def is_seen(source, target):
        return any(
            pattern[layer][h][i][j] != 0
            for h in range(len(pattern[layer]))
            for one in words(source)
            for i in one
            for other in words(target)
            for j in other
        )

    ends = [(given.pronoun, c.span) for c in given.candidates]
    if direction == "candidate_to_pronoun":
        ends = [(b, a) for a, b in ends]
    if not all(is_seen(*pair) for pair in ends):
        return None
    weights = [weight(*pair) for pair in ends]
    if sum(weights) < 1e-6:
        best = range(len(weights))
    else:
        best = [i for i, w in enumerate(weights) if w == max(weights)]
    return sum(given.candidates[i].antecedent for i in best) / len(best)


def assert_slow_accuracy_agrees(batch, heads_table):
    credits: dict[tuple, list[float]] = {}
    for given, made in batch:
        pattern = made.attentions.double().tolist()
        for layer in range(made.num_layers):
            for head in range(made.num_heads):
                for direction in ("pronoun_to_candidate", "candidate_to_pronoun"):
                    found = slow_credit(pattern, given, made.queries, layer, head, direction)
                    own = credits.setdefault((layer, head, direction), [])
                    own += [] if found is None else [found]
    for row in heads_table.itertuples():
        own = credits[(row.layer, row.head, row.direction)]
        assert row.n == len(own)
        if own:
            assert row.accuracy == pytest.approx(sum(own) / len(own), abs=1e-9)
        else:
            assert math.isnan(row.accuracy)


def many_cases(number: int, *, right: float = 0.0, group_size: int = 1):
    """Cases in which head L1H2 gives the antecedent most of the pronoun's weight, mostly."""
    made = []
    for index in range(number):
        # Each text is another one: copies would share a group.
        text = f"{SENTENCES[index % 4]} ({index})"
        given = case(
            text,
            pronoun="It" if text.startswith("It") else "it",
            id=f"c{index}",
            group=f"g{index // group_size}",
        )
        one = record(text, seed=index)
        if right:
            target = "animal" if index % 100 < 100 * right else "street"
            one = plant(one, (1, 2), given.phrase(given.pronoun), target, 0.9)
        made.append((given, one))
    return made


QUICK = Options(resamples=500, permutations=500, selections=50)


def computed_quickly(batch):
    analyzer = CoreferenceAnalyzer()
    analyzer.update(batch)
    return analyzer.compute(QUICK)
