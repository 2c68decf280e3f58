"""What a failed run leaves behind: the model as it was, and nobody watching."""

from __future__ import annotations

import pytest
import torch

from introspect.hooks import capture, interface, verify
from tests import models_zoo as zoo
from tests.hooks.safety.helpers import Stop, failing, in_threads, last_attention


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_a_failure_inside_the_forward_leaves_the_model_as_it_was(name, error):
    model, inputs = zoo.build(name), zoo.batch(name)
    before = zoo.State.of(model)
    with failing(last_attention(model), error), pytest.raises(error):
        capture(model, inputs)
    assert zoo.State.of(model) == before


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_nobody_watches_after_a_failure(error):
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    with failing(last_attention(model), error), pytest.raises(error):
        capture(model, inputs)
    assert interface._watcher.get() is None


def test_a_model_can_be_captured_and_verified_after_a_failure():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    with failing(last_attention(model), Stop), pytest.raises(Stop):
        capture(model, inputs)
    in_threads(lambda: verify(model, inputs, capture(model, inputs)))


def test_a_failed_verification_leaves_the_model_as_it_was():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    with torch.no_grad():
        model(**inputs, output_attentions=False)
    before = zoo.State.of(model).implementations
    with failing(last_attention(model), Stop), pytest.raises(Stop):
        verify(model, inputs, captured)
    assert zoo.State.of(model).implementations == before
