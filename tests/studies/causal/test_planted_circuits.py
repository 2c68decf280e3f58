"""A small version of benchmarks/planted_circuits.py: circuits whose truth plain hooks measure."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import planted_circuits, planted_mediation
from benchmarks.circuits.kinds import KINDS, Circuit, circuit
from benchmarks.circuits.language import LETTERS, Layout, drawn, every_text
from benchmarks.circuits.measures import figures, mistakes
from benchmarks.circuits.methods import METHODS, OURS, study_of, verdicts_of
from benchmarks.circuits.parts import fair_noise
from benchmarks.circuits.plain import PlainRun
from benchmarks.circuits.truth import Truth, truth_of

_MOST_HEADS = 8
#: One circuit for each code, with grouped queries, a window, half precision and two cues.
_OF_EACH_FAMILY = {
    "llama": ("idle looker", 3),
    "llama, grouped queries": ("suppressor", 3),
    "mistral, window": ("chain", 0),
    "bert": ("position reader", 1),
    "bart": ("length reader", 0),
}


@cache
def small(kind: str, seed: int) -> Circuit:
    return circuit(kind, seed, most_heads=_MOST_HEADS)


@cache
def truth(kind: str, seed: int) -> Truth:
    return truth_of(small(kind, seed))


@pytest.mark.parametrize(("family", "place"), _OF_EACH_FAMILY.items())
def test_effects_and_attention_are_those_of_plain_hooks(family, place):
    made = small(*place)
    assert made.body.family == family
    run = PlainRun(made.body, drawn(made.texts, 10, seed=1))
    study = study_of(made.body, run.texts)
    heads = study.heads.sort_values(["layer", "head"])
    clean = run.margins()
    lost = np.stack([clean - run.margins([head]) for head in run.places], axis=1)
    tolerance = 1e-5 if made.precision == "float32" else 2e-2
    np.testing.assert_allclose(heads["effect"], lost.mean(0), atol=tolerance)
    weights, _ = run.attention()
    np.testing.assert_allclose(heads["attention_weight"], weights[:, :, 0].mean(0), atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "seed", "does"),
    [
        ("chain", 0, {"previous": "supports", "relay": "supports", "keeper": "supports"}),
        ("suppressor", 3, {"previous": "supports"}),
        ("position reader", 1, {"nearest": "supports"}),
        ("length reader", 0, {"mover": "supports", "letters": "idle"}),
        ("nobody", 1, {}),
    ],
)
def test_the_truth_is_measured(kind, seed, does):
    heads = truth(kind, seed).heads
    for role, expected in does.items():
        assert set(heads.loc[heads["role"] == role, "does"]) == {expected}, role
    assert set(heads.loc[heads["role"] == "idle", "does"]) <= {"idle"}


def test_what_speaks_against_the_answer_opposes_it():
    heads = truth("suppressor", 3).heads
    assert sorted(heads.loc[heads["role"] == "mover", "does"]) == ["opposes", "supports"]


def test_a_head_with_a_backup_is_found_in_pairs_only():
    made = small("backup", 5)
    heads = truth("backup", 5).heads
    built = heads[heads["role"].isin(["mover", "backup"])]
    assert set(built["does"]) == {"redundant"}
    run = PlainRun(made.body, drawn(made.texts, 40, seed=0))
    pair = list(zip(built["layer"], built["head"], strict=True))
    clean = run.margins().mean()
    assert max(abs(clean - run.margins([head]).mean()) for head in pair) < 0.2
    assert clean - run.margins(pair).mean() > 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [6])
def test_a_backup_without_an_effect_of_its_own_is_found_by_what_wakes_up(seed):
    """Alone the backup has no verdict: it is the head that changes most without the mover."""
    made = small("backup", seed)
    heads = truth("backup", seed).heads
    mover, backup = (
        (int(row.layer), int(row.head))
        for role in ("mover", "backup")
        for row in heads[heads["role"] == role].itertuples()
    )
    study = study_of(made.body, drawn(made.texts, 40, seed=0))
    pairs = study.followed.pairs.set_index(["layer", "head", "other_layer", "other_head"])
    assert pairs.loc[(*mover, *backup), "relation"] == "stand in for each other"
    says = dict(
        zip(PlainRun(made.body, made.texts[:1]).places, verdicts_of(study).says, strict=True)
    )
    assert says[backup] == "redundant"


def test_a_head_and_its_suppressor_do_not_stand_in_for_each_other():
    """Without the mover the suppressor has nothing to undo: it does nothing, and helps nobody."""
    made = small("suppressor", 1)
    heads = truth("suppressor", 1).heads
    suppressor = heads.loc[heads["does"] == "opposes", ["layer", "head"]].apply(tuple, axis=1)
    study = study_of(made.body, drawn(made.texts, 40, seed=0))
    pairs = study.followed.pairs
    of_both = pairs[pairs["interaction"] > 1]
    assert set(of_both["relation"]) == {"do more than in sum"}
    assert of_both[["without_other", "other_without"]].abs().min(axis=1).max() < 0.1
    says = dict(
        zip(PlainRun(made.body, made.texts[:1]).places, verdicts_of(study).says, strict=True)
    )
    assert [says[place] for place in suppressor] == ["opposes"]
    overlap = [claim for claim in study.claims if claim.kind == "overlap"]
    assert "do more than in sum: without both" in overlap[0].sentence


def test_who_attends_is_told_apart_from_readers_of_position_and_length():
    heads = truth("length reader", 0).heads.set_index("role")
    assert bool(heads.loc["mover", "attends"])
    assert not heads.loc["letters", "attends"]
    assert not truth("position reader", 1).heads.set_index("role").loc["nearest", "attends"]


@pytest.mark.slow
@pytest.mark.parametrize("place", [("chain", 0), ("strong and weak", 2), ("nobody", 1)])
def test_our_verdicts_are_the_truth(place):
    made = small(*place)
    verdicts = verdicts_of(study_of(made.body, drawn(made.texts, 40, seed=0)))
    rows = truth(*place).heads.assign(
        model=made.name, scale=truth(*place).scale, says=verdicts.says,
        says_attends=verdicts.attends, low=verdicts.low, high=verdicts.high,
    )  # fmt: skip
    assert mistakes(rows).empty, mistakes(rows).to_string()


def test_the_language_lists_every_text_once_and_balances_its_cues():
    texts = every_text([Layout(("p",), ("q",)), Layout((), ())], nearest=0.8, shorter=0.7)
    count = len(LETTERS) * (len(LETTERS) - 1) * 2 * 2 * 2
    assert len({text.words for text in texts}) == len(texts) == count
    assert sum(text.weight for text in texts) == pytest.approx(1)
    assert sum(text.weight for text in texts if text.is_nearest) == pytest.approx(0.8)
    assert sum(text.weight for text in texts if text.is_shorter) == pytest.approx(0.7)


def test_a_case_is_what_the_text_says():
    text = every_text([Layout(("p",), ())], shorter=0.5)[0]
    case = text.case("one")
    phrases = {case.phrase(c.span): c.antecedent for c in case.candidates}
    assert case.text == "p b d w a c z"
    assert phrases == {"d w": False, "c": True}
    assert case.phrase(case.pronoun) == "z"


def test_idle_heads_help_neither_side():
    noise = fair_noise(torch.Generator().manual_seed(3), 0.4).double()
    own = torch.eye(len(LETTERS), dtype=torch.bool)
    assert noise.sum(0).abs().max() < 1e-5
    assert abs(noise[own].mean() - noise[~own].mean()) < 1e-6


def test_figures_are_counted_by_head():
    rows = pd.DataFrame(
        [
            # does, says, attends, says_attends, score, effect, low, high
            ("supports", "supports", True, True, 3.0, 1.0, 0.5, 1.5),
            ("opposes", "supports", False, True, 2.0, -1.0, 0.1, 0.4),
            ("redundant", "", None, False, 0.2, 0.0, -0.1, 0.1),
            ("idle", "opposes", False, False, 1.0, 0.0, -0.2, 0.1),
            ("idle", "", False, False, 0.1, 0.0, -0.1, 0.1),
            ("between", "supports", False, False, 0.1, 0.03, 0.0, 0.1),
        ],
        columns=["does", "says", "attends", "says_attends", "score", "effect", "low", "high"],
    ).assign(kind="chain", seed=0, scale=1.0)  # fmt: skip
    found = figures(rows)
    assert found["false"] == pytest.approx(1 / 2)
    assert found["missed"] == pytest.approx(2 / 3)
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["recall"] == pytest.approx(1 / 3)
    assert found["auroc"] == pytest.approx(5 / 6)
    assert found["attends_false"] == pytest.approx(1 / 4)
    assert found["attends_missed"] == 0
    assert found["coverage"] == pytest.approx(5 / 6)
    assert np.isnan(found["nobody"])
    assert found["between"] == 1


@pytest.mark.parametrize("method", [name for name in METHODS if name != OURS])
def test_other_methods_name_the_strongest_mover(method):
    made = small("strong and weak", 2)
    run = PlainRun(made.body, drawn(made.texts, 20, seed=0))
    verdicts = METHODS[method](run)
    strongest = int(truth("strong and weak", 2).heads.query("role == 'mover'")["effect"].idxmax())
    assert verdicts.says[strongest] in ("supports", "matters")
    assert len(verdicts.says) == len(verdicts.score) == len(run.places)


@pytest.mark.slow
def test_the_benchmark_reaches_its_figures(tmp_path):
    """One circuit of each kind, and of two kinds one more, whose study is repeated."""
    size = ["--seeds", "1", "--most-heads", "8", "--workers", "1", "--kept", str(tmp_path)]

    def run(*options: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        return planted_circuits.run(planted_circuits.parsed([*size, "--methods", OURS, *options]))

    rows, _ = run("--first-seed", "1", "--repeated", "0")
    more, repeated = run("--repeated", "1", "--kinds", "suppressor", "two cues")
    found = figures(pd.concat([rows, more]))
    assert set(rows["kind"]) == set(KINDS)
    assert found["false"] <= 0.02
    assert found["missed"] <= 0.05
    assert found["attends_false"] <= 0.02
    assert found["attends_missed"] <= 0.05
    assert repeated["same_heads"].min() >= 0.95


def test_a_head_that_passes_nothing_on_is_not_said_to_mediate():
    """In a model that is right by other heads: the mover is named, and no idle head, even alone."""
    made = small("idle looker", 3)
    share = planted_mediation.passed_on(made)
    assert {made.roles[place] for place, value in share.items() if value > 0.5} >= {"mover"}
    for row in planted_mediation.measured(made, 16):
        assert row["named"] and row["named truly"]
        assert row["idle"] >= 2 and row["idle shown"] == 0 and row["any shown"] is False
        # Not for want of an effect: in single texts they have one.
        assert row["width"] > 1e-3
