"""The number of groups of heads: planted ones are found, and where there are none none is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from introspect.records import AttentionRecord
from introspect.reporting.sentences import _cluster_table
from introspect.studies.heads import SimilarityAnalyzer, group_claims
from introspect.studies.heads.grouping import adjusted_rand, silhouette
from tests.synthetic import record

TEXTS = [f"The {a} {b} saw the old house near a {c}." for a in "abcd" for b in "ef" for c in "gh"]


def analyzer_of(planted):
    found = SimilarityAnalyzer()
    for seed, text in enumerate(TEXTS):
        base = record(text, layers=2, heads=6, seed=seed)
        found.update(planted(base))
    return found


def with_groups(base):
    """Four heads attend to the token before, four to the token after, four to themselves."""
    n = len(base.keys)
    offsets = [torch.eye(n).roll(shift, 1) for shift in (-1, 0, 1)]
    patterns = torch.stack([offsets[number % 3] for number in range(12)]).reshape(2, 6, n, n)
    return AttentionRecord(0.7 * patterns + 0.3 * base.attentions, base.queries, base.keys)


def said_of(found: SimilarityAnalyzer) -> str:
    return " ".join(claim.sentence for claim in group_claims(found.numbers()))


def test_planted_groups_are_counted_and_found():
    found = analyzer_of(with_groups)
    assert found.num_groups() == 3
    table = found.map()
    groups = table["cluster"].to_numpy()
    assert all(len(set(groups[place::3])) == 1 for place in range(3))
    html = _cluster_table(found, found.numbers())
    assert "from even attention" in html
    assert "No groups" not in html


def test_heads_that_attend_at_random_form_no_groups():
    found = analyzer_of(lambda base: base)
    assert found.num_groups() == 1
    assert set(found.map()["cluster"]) == {0}
    assert "No groups: no number of groups from 2 to 11" in said_of(found)


def test_stable_distances_without_structure_form_no_groups():
    # Every text gives the same distances, but no head is nearer to some than to the others.
    def alike(base):
        n = len(base.keys)
        fixed = torch.zeros(2, 6, n, n)
        for number in range(12):
            fixed[number // 6, number % 6, :, number % n] += 1.0
        return AttentionRecord(fixed, base.queries, base.keys)

    assert analyzer_of(alike).num_groups() == 1


def test_one_text_has_no_halves():
    found = SimilarityAnalyzer()
    found.update(record(TEXTS[0], layers=2, heads=6))
    assert found.num_groups() == 1
    assert "too few to be halved" in said_of(found)


def test_the_distance_from_even_attention_is_0_for_a_head_that_attends_evenly():
    def one_even(base):
        attentions = base.attentions.clone()
        attentions[1, 2] = 1 / len(base.keys)
        return AttentionRecord(attentions, base.queries, base.keys)

    distances = analyzer_of(one_even).from_even()
    assert distances["L1H2"] == pytest.approx(0, abs=1e-3)
    assert distances.drop("L1H2").min() > 0.1


def test_indices_by_hand():
    one = np.array([0, 0, 0, 1, 1, 1])
    assert adjusted_rand(one, 1 - one) == 1
    assert adjusted_rand(one, np.array([0, 1, 0, 1, 0, 1])) < 0.1
    far = np.where(one[:, None] == one, 0.2, 0.8) * (1 - np.eye(6))
    assert silhouette(far, one) == pytest.approx(0.75)
