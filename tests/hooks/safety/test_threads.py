"""Captures, plain runs and verifications in several threads do not mix."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from introspect.hooks import capture, interface, verify
from tests import models_zoo as zoo
from tests.hooks.safety.helpers import (
    PATIENCE_SECONDS,
    assert_same_capture,
    in_threads,
    last_attention,
    texts,
)


def captures_at_once(models: list[nn.Module], name: str, rounds: int) -> None:
    inputs = texts(len(models), name)
    serial = [capture(model, given) for model, given in zip(models, inputs, strict=True)]
    before = [zoo.State.of(model) for model in models]
    barrier = threading.Barrier(len(models), timeout=PATIENCE_SECONDS)

    def job(place: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(rounds):
                barrier.wait()
                assert_same_capture(capture(models[place], inputs[place]), serial[place])

        return run

    in_threads(*[job(place) for place in range(len(models))])
    assert [zoo.State.of(model) for model in models] == before


@pytest.mark.parametrize("name", ["bert", "albert", "llama", "t5", "bart"])
def test_captures_of_one_model_in_several_threads_do_not_mix(name):
    captures_at_once([zoo.build(name)] * 3, name, rounds=15)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_captures_of_two_models_that_share_a_configuration_do_not_mix(name):
    first = zoo.build(name)
    second = zoo.build(name, config=first.config)
    with torch.no_grad():
        for part in second.parameters():
            part.mul_(1.3)
    assert first.config is second.config
    captures_at_once([first, second, first], name, rounds=15)


def test_captures_inside_one_another_do_not_mix():
    # The outer capture is held in its middle until the inner one, of another text, is done.
    model = zoo.build("bert")
    one, other = texts(2, "bert")
    expected, expected_other = capture(model, one), capture(model, other)
    reached, finished = threading.Event(), threading.Event()
    outer: list[int] = []

    def hold(*_: Any) -> None:
        if threading.get_ident() in outer:
            reached.set()
            assert finished.wait(PATIENCE_SECONDS)

    def outer_job() -> Any:
        outer.append(threading.get_ident())
        return capture(model, one)

    def inner_job() -> Any:
        assert reached.wait(PATIENCE_SECONDS)
        try:
            return capture(model, other)
        finally:
            finished.set()

    handle = model.encoder.layer[1].register_forward_hook(hold)
    mine, its = in_threads(outer_job, inner_job)
    handle.remove()
    assert_same_capture(mine, expected)
    assert_same_capture(its, expected_other)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_a_plain_run_in_another_thread_during_a_capture_is_right(name):
    model = zoo.build(name)
    one, other = texts(2, name)
    expected = capture(model, one)
    with torch.no_grad():
        plain = model(**other).last_hidden_state
    reached, finished = threading.Event(), threading.Event()
    capturing: list[int] = []

    def hold(*_: Any) -> None:
        if threading.get_ident() in capturing:
            reached.set()
            assert finished.wait(PATIENCE_SECONDS)

    def capture_job() -> Any:
        capturing.append(threading.get_ident())
        return capture(model, one)

    def plain_job() -> Any:
        assert reached.wait(PATIENCE_SECONDS)
        try:
            with torch.no_grad():
                return model(**other).last_hidden_state
        finally:
            finished.set()

    handle = last_attention(model).register_forward_hook(hold)
    captured, output = in_threads(capture_job, plain_job)
    handle.remove()
    assert_same_capture(captured, expected)
    torch.testing.assert_close(output, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_a_plain_run_that_is_under_way_when_a_capture_ends_is_right(name):
    # torch takes a module's hooks as a list before it calls them, so a plain run can still call
    # those of a capture that has ended meanwhile.
    model = zoo.build(name)
    one, other = texts(2, name)
    expected = capture(model, one)
    part = last_attention(model)
    with torch.no_grad():
        plain = model(**other).last_hidden_state
    both_inside, capture_done = threading.Barrier(2, timeout=PATIENCE_SECONDS), threading.Event()
    is_plain = threading.local()

    def meet(*_: Any) -> None:
        both_inside.wait()
        if getattr(is_plain, "here", False):
            assert capture_done.wait(PATIENCE_SECONDS)

    def capture_job() -> Any:
        try:
            return capture(model, one)
        finally:
            capture_done.set()

    def plain_job() -> Any:
        is_plain.here = True
        with torch.no_grad():
            return model(**other).last_hidden_state

    handle = part.register_forward_pre_hook(meet)
    captured, output = in_threads(capture_job, plain_job)
    handle.remove()
    assert_same_capture(captured, expected)
    torch.testing.assert_close(output, plain, atol=1e-5, rtol=0)


def straddling(model: nn.Module, plain: Callable[[], Any], during: Callable[[], Any]) -> Any:
    """What ``plain`` gives when ``during`` begins and stays open in the middle of it.

    ``plain`` has made its mask when ``during`` changes the model, and has its attention still to
    compute. ``during`` ends only after that.
    """
    mask_made, opened, plain_done = (threading.Event() for _ in range(3))
    is_plain = threading.local()

    def hold(*_: Any) -> None:
        if getattr(is_plain, "here", False):
            mask_made.set()
            assert opened.wait(PATIENCE_SECONDS)
        else:
            opened.set()
            assert plain_done.wait(PATIENCE_SECONDS)

    def plain_job() -> Any:
        is_plain.here = True
        try:
            with torch.no_grad():
                return plain()
        finally:
            plain_done.set()

    def during_job() -> Any:
        assert mask_made.wait(PATIENCE_SECONDS)
        return during()

    first = next(p for p in model.modules() if type(p).__name__.endswith("Attention"))
    handle = first.register_forward_pre_hook(hold)
    result, _ = in_threads(plain_job, during_job)
    handle.remove()
    return result


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "t5"])
def test_a_plain_run_that_is_under_way_when_a_capture_begins_is_right(name):
    # It made its mask for sdpa, often none at all; with another attention function it would see
    # the future.
    model = zoo.build(name)
    one, other = texts(2, name)
    with torch.no_grad():
        expected = model(**other).last_hidden_state
    output = straddling(
        model,
        plain=lambda: model(**other).last_hidden_state,
        during=lambda: capture(model, one),
    )
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)


def test_captures_and_verifications_at_once_neither_wait_for_ever_nor_mix():
    # They want different implementations of the same model: one waits for the other.
    model = zoo.build("llama")
    inputs = texts(4, "llama")
    serial = [capture(model, given) for given in inputs]
    barrier = threading.Barrier(4, timeout=PATIENCE_SECONDS)

    def job(place: int) -> Callable[[], None]:
        def run() -> None:
            for turn in range(8):
                barrier.wait()
                if (turn + place) % 2:
                    certificate = verify(model, inputs[place], serial[place])
                    assert certificate.max_difference_from_eager < 1e-6
                    assert certificate.max_output_difference < 1e-5
                else:
                    assert_same_capture(capture(model, inputs[place]), serial[place])

        return run

    in_threads(*[job(place) for place in range(4)])
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("other_job", ["capture", "verification"])
def test_the_plain_run_of_a_verification_is_not_disturbed(other_job):
    # Otherwise the certificate would report a difference that no capture made.
    model = zoo.build("llama")
    one, other = texts(2, "llama")
    captured, captured_other = capture(model, other), capture(model, one)
    runs: list[str] = []
    begun, inside_plain = threading.Event(), threading.Event()
    is_verifying = threading.local()

    def hold(*_: Any) -> None:
        if not getattr(is_verifying, "here", False):
            begun.set()
            return
        runs.append("run")
        if len(runs) == 2:  # the first is the eager run
            inside_plain.set()
            begun.wait(0.3)  # nothing can begin now; a mistake would, and cut this short

    def verify_job() -> Any:
        is_verifying.here = True
        return verify(model, other, captured)

    def disturb() -> Any:
        assert inside_plain.wait(PATIENCE_SECONDS)
        if other_job == "capture":
            return capture(model, one)
        return verify(model, one, captured_other)

    handle = model.layers[0].self_attn.register_forward_pre_hook(hold)
    certificate, _ = in_threads(verify_job, disturb)
    handle.remove()
    assert certificate.max_output_difference < 1e-5


def test_what_a_model_runs_unwatched_is_told_right_during_another_capture():
    model = zoo.build("bert")
    one, other = texts(2, "bert")
    inside: list[Any] = []

    def look(*_: Any) -> None:
        if not inside:
            inside.append(None)
            inside.append(capture(model, other).certificate.attn_implementation)

    handle = model.encoder.layer[0].register_forward_hook(look)
    capture(model, one)
    handle.remove()
    assert inside[1] == "sdpa"


def test_a_model_loaded_under_our_own_name_runs_as_an_eager_one():
    model, inputs = zoo.build("llama", interface.IMPLEMENTATION), zoo.batch("llama")
    with torch.no_grad():
        plain = model(**inputs).last_hidden_state
        eager = zoo.eager_twin(model)(**inputs).last_hidden_state
    assert torch.equal(plain, eager)
    assert_same_capture(capture(model, inputs), capture(zoo.build("llama"), inputs))
