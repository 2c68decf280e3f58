"""Ctrl-C between any two steps: nothing stays, and the next call is exact."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

import introspect as ix
from tests.hooks.safety.helpers import in_threads
from tests.hooks.safety.interrupts import Interrupter, Traces, steps_of

TEXT = "The fox did not cross the river because it was too wide."
OTHER = TEXT.replace("wide", "tired")


@pytest.fixture(scope="module")
def model() -> ix.Model:
    return ix.load("pronoun")


@pytest.fixture(scope="module")
def writing() -> ix.Model:
    return ix.load("induction", lm_head=True)


def ablated(model: ix.Model) -> Any:
    with ix.ablate(model, "L0H0"):
        return model.capture(TEXT)


def patched(model: ix.Model) -> Any:
    with ix.patch(model, OTHER, "L1H0"):
        return model.capture(TEXT)


#: What is interrupted, and at how many moments, which are spread over all of its steps.
JOBS: dict[str, tuple[int, Callable[[ix.Model, ix.Model], Any]]] = {
    "capture": (100, lambda model, writing: model.capture(TEXT)),
    "ablate": (100, lambda model, writing: ablated(model)),
    "patch": (100, lambda model, writing: patched(model)),
    "lens": (80, lambda model, writing: ix.logit_lens(writing, "a b c d a b")),
    "generate": (80, lambda model, writing: writing.capture("a b c d a b", generate=2)),
    "norms": (40, lambda model, writing: model.capture(TEXT, include=("value_norms",))),
}


def test_there_are_500_moments():
    assert sum(moments for moments, _ in JOBS.values()) == 500


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_an_interruption_between_any_two_steps_leaves_nothing_behind(name, model, writing):
    moments, job = JOBS[name]
    both = (model.module, writing.module)

    def run() -> Any:
        return job(model, writing)

    expected = run()
    steps = steps_of(run)
    assert steps > 10_000
    before, inputs = Traces.of(*both), torch.tensor([[3, 4, 5, 6, 7]])
    with torch.no_grad():
        plain = [module(input_ids=inputs)[0] for module in both]
    # A step that shares no factor with the loops of the package, so that all their steps come up.
    interrupted = 0
    for moment in range(moments):
        at = 1 + moment * steps // moments
        interrupted += Interrupter(at).run(run)
        assert Traces.of(*both) == before, f"at step {at} of {steps}"
    assert interrupted > 0.9 * moments
    with torch.no_grad():
        for module, output in zip(both, plain, strict=True):
            assert torch.equal(module(input_ids=inputs)[0], output)
    again = run()
    if hasattr(expected, "attentions"):
        assert torch.equal(again.attentions, expected.attentions)
    else:
        assert again.equals(expected)


@pytest.mark.filterwarnings("ignore:The intervention:UserWarning")
def test_an_intervention_may_be_interrupted_at_every_step(model):
    """Of its beginning and of its end, where each step is one between a change and its undoing."""

    def run() -> None:
        with ix.ablate(model, "L0H0"):
            pass

    run()
    steps, before = steps_of(run), Traces.of(model.module)
    for at in range(1, steps, 41):
        Interrupter(at).run(run)
        assert Traces.of(model.module) == before, f"at step {at} of {steps}"


def test_a_thread_does_not_wait_for_what_another_was_interrupted_in(model):
    """No lock stays locked, and no loan unreturned."""
    run = lambda: ablated(model)  # noqa: E731
    steps = steps_of(run)
    for moment in range(1, 20):
        Interrupter(moment * steps // 20).run(run)
        (record,) = in_threads(lambda: model.capture(TEXT, certify=True))
        assert record.certificate.max_difference_from_eager < 1e-5


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_a_signal_at_any_time_leaves_nothing_behind(model):
    """As Ctrl-C does it: Python raises where it looks for signals, in any package's code."""
    before, began = Traces.of(model.module), time.perf_counter()
    patched(model)
    usual = time.perf_counter() - began
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for moment in range(1, 101):
            try:
                signal.setitimer(signal.ITIMER_REAL, usual * moment / 100)
                patched(model)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert Traces.of(model.module) == before
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
