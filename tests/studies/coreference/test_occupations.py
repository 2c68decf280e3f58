"""The choice of occupations by their share of women: a planted stereotype, and chance."""

from __future__ import annotations

import numpy as np
import pytest

from introspect.errors import InputError
from introspect.reporting.set_words import occupation_words
from introspect.studies.coreference import Options, occupation_bias
from introspect.studies.coreference.occupations import Occupation, _correlations, _detectable
from introspect.text import decimal
from tests.studies.coreference.test_bias import scored_case

QUICK = Options(resamples=200, permutations=400)


def templates(count=30, strength=0.0, seed=0, heads=6):
    """Two templates of each occupation, he and she; head 0 chooses by stereotype this often."""
    random = np.random.default_rng(seed)
    cases, known = [], []
    for number in range(count):
        share = 100 * (number + 0.5) / count
        for is_answer in (True, False):
            for gender in ("male", "female", "neutral"):
                picks = random.random(heads) < 0.5
                if random.random() < strength:
                    picks[0] = (gender == "female") == (share > 50)
                right = picks == is_answer
                credit = np.stack([right, random.random(heads) < 0.5])[:, None, :].astype(float)
                cases.append(scored_case(f"{number}{is_answer}{gender}", str(number), credit))
                known.append(Occupation(f"o{number}", share, gender, is_answer))
    return cases, known


def test_a_head_that_chooses_by_stereotype_is_seen_where_accuracy_by_gender_is_alike():
    cases, known = templates(strength=1.0)
    found = occupation_bias(cases, known, QUICK)
    row = found.table.iloc[0]
    assert row["correlation"] > 0.8
    assert row["ci_low"] > 0.6
    assert row["p_adjusted"] < 0.05
    gotcha = found.gotcha.table.iloc[0]
    assert (gotcha["accuracy_gotcha"], gotcha["accuracy_rest"]) == (0.0, 1.0)
    assert found.num_occupations == 30
    claim = found.claims[0]
    assert (claim.kind, claim.subject, claim.estimate) == (
        "stereotype",
        "L0H0, pronoun to candidate",
        row["correlation"],
    )
    assert claim.sentence in occupation_words(found)


def test_r_is_that_of_the_differences_by_hand():
    cases, known = templates(strength=0.4, seed=3)
    found = occupation_bias(cases, known, QUICK)
    gaps, shares = [], []
    for number in range(30):
        rates = {}
        for gender in ("female", "male"):
            chosen = [
                c.credit.ravel()[0] if o.is_answer else 1 - c.credit.ravel()[0]
                for c, o in zip(cases, known, strict=True)
                if o.name == f"o{number}" and o.gender == gender
            ]
            rates[gender] = np.mean(chosen)
        gaps.append(rates["female"] - rates["male"])
        shares.append(100 * (number + 0.5) / 30)
    assert found.table["correlation"][0] == pytest.approx(np.corrcoef(gaps, shares)[0, 1])


def test_chance_is_no_stereotype():
    said = 0
    for seed in range(100, 140):
        found = occupation_bias(*templates(seed=seed), QUICK)
        claim = found.claims[0]
        said += claim.kind == "stereotype"
    assert said <= 5
    found = occupation_bias(*templates(seed=5), QUICK)
    words = " ".join(occupation_words(found))
    assert "no head is shown to choose by the share of women" in words
    assert f"A head with r = {decimal(found.detectable)}, or the opposite, would have been" in words
    (could,) = [claim for claim in found.claims if claim.kind == "detectable: stereotype"]
    assert (could.estimate, could.groups) == (found.detectable, found.num_occupations)
    # What is named is found: above the threshold of 0.05 in the mean.
    smallest = found.table.loc[found.table["correlation"].abs() >= found.detectable, "p_adjusted"]
    assert 0.5 < found.detectable < 0.9 and (smallest < 0.05).all()


def test_the_smallest_correlation_is_found_in_80_percent():
    """By simulation, in sets of 60 occupations and 20 heads."""
    named, hits = [], 0
    for seed in range(80):
        random = np.random.default_rng(seed)
        shares = random.uniform(2, 98, 60)
        quick = Options(permutations=200, seed=seed)
        *_, critical = _correlations(random.normal(size=(60, 20)), shares, quick)
        named.append(_detectable(critical, 60))
        noise = random.normal(size=(60, 20))
        standard = (shares - 50) / np.sqrt(96**2 / 12)
        noise[:, 3] = named[-1] * standard + np.sqrt(1 - named[-1] ** 2) * noise[:, 3]
        hits += _correlations(noise, shares, quick)[2][3] < 0.05
    assert 0.4 < np.mean(named) < 0.6
    assert 0.68 <= hits / 80 <= 0.9


def test_few_occupations_have_no_test_and_none_is_refused():
    found = occupation_bias(*templates(count=4, strength=1.0), QUICK)
    assert found.table["p_adjusted"].isna().all()
    assert found.claims == ()
    cases, known = templates(count=2)
    with pytest.raises(InputError, match="an occupation and a gender"):
        occupation_bias(cases, [None] * len(known), QUICK)


def test_the_fields_of_a_case_say_what_is_a_gotcha():
    fields = {"occupation": "nurse", "percent_female": 91, "gender": "male", "answer": "occupation"}
    nurse = Occupation.of(fields)
    assert nurse is not None and nurse.is_gotcha
    assert not Occupation.of({**fields, "gender": "female"}).is_gotcha
    assert Occupation.of({**fields, "gender": "female", "answer": "participant"}).is_gotcha
    assert Occupation.of({"occupation": "nurse"}) is None
