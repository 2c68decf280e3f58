"""Total, direct and indirect effects within minimal pairs, against a slow loop."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from introspect.data import grammar_cases
from introspect.errors import InputError
from introspect.studies.causal import mediation, metrics
from introspect.studies.causal.mediation import MEDIATION_COLUMNS, _Patching
from introspect.text import CorefCase
from tests.studies.causal.helpers import slow_margin


def slow_effects(model, case, other):
    """Total, and by head indirect and direct effects, of one case and the other of its pair."""
    own, others = slow_margin(model, case), -slow_margin(model, other)
    kept = []
    for source in (other, case):
        slow_margin(model, source, lambda heads: kept.append(heads.clone()))
    of_other, of_own = kept

    def putting(of, head):
        def put(heads):
            heads[..., head, :] = of[..., head, :]

        return put

    indirect = [own - slow_margin(model, case, putting(of_other, head)) for head in range(4)]
    direct = [own + slow_margin(model, other, putting(of_own, head)) for head in range(4)]
    return own - others, indirect, direct


def test_effects_within_minimal_pairs_are_those_of_a_slow_loop(model, cases):
    found = mediation(model, cases, batch_size=3)
    assert tuple(found.heads.columns) == MEDIATION_COLUMNS
    pairs = {}
    for case in cases:
        pairs.setdefault(case.group, []).append(case)
    both_ways = itertools.chain(pairs.values(), ((b, a) for a, b in pairs.values()))
    total, indirect, direct = zip(*(slow_effects(model, a, b) for a, b in both_ways), strict=True)
    np.testing.assert_allclose(found.heads["total"], np.mean(total), atol=1e-3)
    np.testing.assert_allclose(found.heads["indirect"], np.mean(indirect, axis=0), atol=1e-3)
    np.testing.assert_allclose(found.heads["direct"], np.mean(direct, axis=0), atol=1e-3)
    assert found.heads["n"][0] == len(pairs)


def test_an_effect_of_the_size_of_rounding_is_not_shown_however_sure(model, cases):
    found = mediation(model, cases)
    size = abs(found.heads["total"][0])
    sure = found.heads.assign(
        total=size, total_low=size / 2, indirect_low=1e-9 * size, p_adjusted=0.001,
        indirect=[0.5 * size, 0.0099 * size, 1e-7 * size, 0.011 * size],
    )  # fmt: skip
    assert list(replace(found, heads=sure).shown.index) == [0, 3]
    assert replace(found, heads=sure.assign(p_adjusted=0.05)).shown.empty
    assert replace(found, heads=sure.assign(indirect_low=-0.1)).shown.empty
    assert replace(found, heads=sure.assign(total_low=-0.1)).shown.empty


def test_what_is_no_minimal_pair_is_named(model):
    tired, wide = grammar_cases(2, "en", seed=3, num_nouns=12)
    longer = CorefCase(
        text=wide.text.replace("because", "because because"),
        pronoun=(wide.pronoun[0] + 8, wide.pronoun[1] + 8),
        candidates=wide.candidates,
        group="longer",
    )
    same = CorefCase(tired.text, tired.pronoun, tired.candidates, group="longer")
    lone = CorefCase(tired.text, tired.pronoun, tired.candidates, group="lone")
    found = mediation(model, [tired, wide, same, longer, lone])
    assert found.left_out == {
        "lone": "it has 1 cases, not 2",
        "longer": "its cases have other numbers of tokens",
    }
    unknown = [
        CorefCase.from_words(
            f"The zyx saw the qvw because it was {end}.", pronoun="it", antecedent=good,
            distractors=[bad], group="unknown",
        )
        for end, good, bad in (("big", "zyx", "qvw"), ("shy", "qvw", "zyx"))
    ]  # fmt: skip
    assert "vocabulary" in mediation(model, [tired, wide, *unknown]).left_out["unknown"]
    with pytest.raises(InputError, match="no case has a group"):
        mediation(model, [CorefCase(tired.text, tired.pronoun, tired.candidates)])


def test_minimal_pairs_are_encoded_once(model, cases, monkeypatch):
    encoded = Counter()
    encode = metrics.encode

    def counted(tokenizer, text, **options):
        encoded[text] += 1
        return encode(tokenizer, text, **options)

    monkeypatch.setattr(metrics, "encode", counted)
    mediation(model, cases)
    assert encoded == {case.text: 1 for case in cases}


def test_minimal_pairs_are_told_head_by_head(model, cases, monkeypatch):
    told, ablated = [], []
    put = _Patching._put
    monkeypatch.setattr(_Patching, "_put", lambda *args: ablated.append(args[1]) or put(*args))

    def note(stage, number, total):
        told.append((number, total, len(ablated)))

    mediation(model, cases, ["L0H1", "L0H3"], batch_size=5, progress=note)
    # Twelve cases with two candidates, five at a time; each pair is among them both ways.
    assert told == [(number, 10, number) for number in range(11)]
