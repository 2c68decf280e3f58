"""Other numbers and other places: half precision, meta device, compiled, quantized."""

from __future__ import annotations

import warnings

import pytest
import torch
import transformers as tf
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks import capture
from tests import models_zoo as zoo
from tests.closeness import assert_close
from tests.hooks.safety.helpers import assert_same_capture


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_half_precision_model_is_captured_in_its_own_precision(name, dtype):
    model, inputs = zoo.build(name).to(dtype), zoo.batch(name)
    captured = capture(model, inputs)
    with torch.no_grad():
        own = zoo.eager_twin(model).to(dtype)(**inputs, output_attentions=True).attentions
    assert captured.certificate.dtype == str(dtype).removeprefix("torch.")
    for mine, its in zip(captured.attentions["self"], own, strict=True):
        assert torch.equal(mine, its)


def test_row_sums_of_half_precision_are_as_exact_as_that_precision():
    captured = capture(zoo.build("bert").half(), zoo.batch("bert"))
    assert 1e-6 < captured.certificate.max_row_sum_error < 5e-3


def test_a_model_on_the_meta_device_is_refused():
    with torch.device("meta"):
        model = tf.AutoModel.from_config(zoo.ENCODERS["bert"]())
    with pytest.raises(CaptureError, match="meta device"):
        capture(model, zoo.batch("bert"))


def test_a_module_without_weights_is_refused():
    with pytest.raises(CaptureError, match="none was found"):
        capture(nn.Identity(), torch.zeros(1, 2))


def test_a_compiled_model_is_captured_without_compiling_it():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    expected = capture(model, inputs)
    assert_same_capture(capture(torch.compile(model, backend="eager"), inputs), expected)


@pytest.mark.slow
def test_a_model_that_was_compiled_in_place_gives_the_same_before_and_after():
    model, inputs = zoo.build("llama"), zoo.batch("llama")
    expected = capture(zoo.build("llama"), inputs)
    model.compile(backend="eager")
    with torch.no_grad():
        before = model(**inputs).last_hidden_state
        assert_same_capture(capture(model, inputs), expected)
        assert torch.equal(model(**inputs).last_hidden_state, before)
    # The graph of the run between must not be taken for the watched one.
    assert_same_capture(capture(model, inputs), expected)


def test_a_model_with_some_weights_elsewhere_is_refused_with_their_name():
    model = zoo.build("bert")
    model.encoder.layer[2].to("meta")
    with pytest.raises(CaptureError, match=r"encoder\.layer\.2"):
        capture(model, zoo.batch("bert"))


def test_quantized_weights_give_the_attention_of_the_quantized_model():
    inputs = zoo.batch("bert")
    model = quantized(zoo.build("bert"))
    captured = capture(model, inputs)
    rows = capture(model, inputs, rows=[3])
    with torch.no_grad():
        own = quantized(zoo.build("bert", "eager"))(**inputs, output_attentions=True)
    for mine, row, theirs in zip(
        captured.attentions["self"], rows.attentions["self"], own.attentions, strict=True
    ):
        assert_close(mine, theirs)
        torch.testing.assert_close(row, theirs[:, :, [3]], atol=1e-5, rtol=0)


def quantized(model: nn.Module) -> nn.Module:
    # torch announces that this way of quantising moves to another package.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_captured_and_said(dtype):
    model, inputs = zoo.build("llama").to(dtype), zoo.batch("llama")
    captured = capture(model, inputs)
    with torch.no_grad():
        own = zoo.eager_twin(model).to(dtype)(**inputs, output_attentions=True).attentions
    assert captured.certificate.dtype == str(dtype).removeprefix("torch.")
    for mine, theirs in zip(captured.attentions["self"], own, strict=True):
        assert torch.equal(mine, theirs)
