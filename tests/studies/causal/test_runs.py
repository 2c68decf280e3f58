"""Changed runs that begin at the first layer that is changed."""

from __future__ import annotations

import numpy as np
import pytest

import introspect as ix
from introspect.data import grammar_cases
from introspect.hooks import KeptRun
from introspect.interventions import Ablations
from introspect.studies.causal import prepare_answers, runs
from introspect.studies.causal.runs import Runs


@pytest.fixture(scope="module")
def answers():
    model = ix.load("pronoun", lm_head=True)
    return prepare_answers(model, grammar_cases(10, "en", seed=3), batch_size=4)


@pytest.fixture(autouse=True)
def unproved(monkeypatch):
    monkeypatch.setattr(runs, "_proved", {})


@pytest.fixture
def first_layer_runs(answers):
    """How often the first layer has been computed."""
    computed = []
    layer = answers.model.module.base_model.encoder.layer[0].attention
    handle = layer.register_forward_hook(lambda *_: computed.append(1))
    yield computed
    handle.remove()


def whole(answers, head, method="zero"):
    reference = answers.texts if method == "mean" else None
    with ix.ablate(answers.model, head, method=method, reference=reference):
        return answers.margins()


@pytest.mark.parametrize("method", ["zero", "mean", "uniform"])
def test_runs_that_begin_at_a_layer_give_what_whole_runs_do(answers, first_layer_runs, method):
    expected = whole(answers, "L1H0", method)
    reference = answers.texts if method == "mean" else None
    ablations = Ablations(answers.model, method, reference=reference)
    kept = Runs(answers, "self")
    np.testing.assert_array_equal(kept.clean, answers.margins())
    batches = len(answers.batches)
    first_layer_runs.clear()
    for _ in range(2):
        np.testing.assert_allclose(kept.margins(ablations.of({1: [0]})), expected, atol=1e-6)
        # The first changed run is made whole as well, to be compared.
        assert len(first_layer_runs) == 1
    assert batches > 1


def test_where_a_run_from_a_layer_differs_all_are_whole(answers, first_layer_runs, monkeypatch):
    expected = whole(answers, "L1H0")
    kept = Runs(answers, "self")
    from_layer = KeptRun.from_layer
    # As in a model that counts its layers: the first is left out, and the second is not the second.
    monkeypatch.setattr(KeptRun, "from_layer", lambda self, first: from_layer(self, first + 1))
    first_layer_runs.clear()
    for _ in range(2):
        margins = kept.margins(Ablations(answers.model, "zero").of({1: [0]}))
        np.testing.assert_array_equal(margins, expected)
    assert runs._proved[answers.asked] == {1: False}
    assert len(first_layer_runs) == 2 * len(answers.batches)


def test_without_room_runs_are_whole(answers, first_layer_runs, monkeypatch):
    monkeypatch.setattr(runs, "MOST_BYTES", 0)
    kept = Runs(answers, "self", outputs=[0, 1])
    first_layer_runs.clear()
    margins = kept.margins(Ablations(answers.model, "zero").of({1: [0]}))
    assert len(first_layer_runs) == len(answers.batches)
    np.testing.assert_array_equal(margins, whole(answers, "L1H0"))
    assert set(kept.outputs(0, [1])) == {1}


def test_the_model_is_put_back(answers):
    kept = Runs(answers, "self")
    kept.margins(Ablations(answers.model, "zero").of({1: [0]}))
    assert all("forward" not in vars(part) for part in answers.model.module.modules())
    np.testing.assert_array_equal(answers.margins(), kept.clean)
