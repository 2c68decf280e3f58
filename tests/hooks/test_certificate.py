"""The certificate: it says how near a capture is, and it notices a capture that is wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import transformers

from introspect.hooks import capture, verify
from tests import models_zoo as zoo
from tests.writers_zoo import writer


def verified(name: str):
    model, inputs = zoo.build(name), zoo.batch(name)
    return verify(model, inputs, capture(model, inputs))


@pytest.mark.parametrize("name", zoo.ALL)
def test_a_capture_is_as_near_as_the_methods_ask(name):
    certificate = verified(name)
    assert certificate.max_difference_from_eager <= 1e-6
    assert certificate.note == ""


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "gemma3", "t5", "bart"])
def test_the_output_without_padding_is_that_of_the_model_as_loaded(name):
    model = zoo.build(name)
    inputs = {"input_ids": torch.arange(4, 12)[None]}
    if name in zoo.ENCODER_DECODERS:
        inputs["decoder_input_ids"] = torch.arange(4, 9)[None]
    certificate = verify(model, inputs, capture(model, inputs))
    assert certificate.max_output_difference < 1e-5


def test_what_was_not_computed_is_none_and_not_zero():
    certificate = capture(zoo.build("bert"), zoo.batch("bert")).certificate
    assert certificate.max_difference_from_eager is None
    assert certificate.max_output_difference is None


def test_it_names_the_route_and_the_versions():
    certificate = verified("bert")
    assert certificate.route == "attention interface"
    assert certificate.attn_implementation == "sdpa"
    assert certificate.dtype == "float32"
    assert certificate.device == "cpu"
    assert certificate.torch_version == torch.__version__
    assert certificate.transformers_version == transformers.__version__


def test_it_notices_attention_that_is_not_the_models():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    false = [layer.clone() for layer in captured.attentions["self"]]
    false[1][0, 2, 3, 4] += 0.25
    certificate = verify(model, inputs, replace(captured, attentions={"self": false}))
    assert certificate.max_difference_from_eager == pytest.approx(0.25, abs=1e-5)


def test_it_notices_layers_that_are_mixed_up():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    turned = captured.attentions["self"][::-1]
    certificate = verify(model, inputs, replace(captured, attentions={"self": turned}))
    assert certificate.max_difference_from_eager > 0.01


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_it_notices_attention_that_is_not_a_number_in_any_layer(broken):
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    false = list(captured.attentions["self"])
    false[broken] = torch.full_like(false[broken], torch.nan)
    certificate = verify(model, inputs, replace(captured, attentions={"self": false}))
    assert math.isnan(certificate.max_difference_from_eager)


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_row_sums_that_are_not_a_number_are_not_called_exact(broken):
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    with torch.no_grad():
        model.encoder.layer[broken].attention.self.query.bias.fill_(torch.inf)
    assert math.isnan(capture(model, inputs).certificate.max_row_sum_error)


@pytest.mark.parametrize("broken", ["encoder", "decoder", "cross"])
def test_it_notices_attention_that_is_not_a_number_in_any_kind(broken):
    model, inputs = zoo.build("t5"), zoo.batch("t5")
    captured = capture(model, inputs)
    false = dict(captured.attentions)
    false[broken] = [torch.full_like(layer, torch.nan) for layer in false[broken]]
    certificate = verify(model, inputs, replace(captured, attentions=false))
    assert math.isnan(certificate.max_difference_from_eager)


def test_it_notices_an_output_that_the_capture_changed():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    output = type(captured.output)(last_hidden_state=captured.output.last_hidden_state + 0.5)
    certificate = verify(model, inputs, replace(captured, output=output))
    assert certificate.max_output_difference == pytest.approx(0.5, abs=1e-4)


def test_it_notices_a_causal_capture_that_saw_the_future(monkeypatch):
    from transformers import AttentionMaskInterface

    from introspect.hooks import IMPLEMENTATION

    model, inputs = zoo.build("llama"), zoo.batch("llama")
    with monkeypatch.context() as patch:
        patch.delitem(AttentionMaskInterface._global_mapping, IMPLEMENTATION)
        captured = capture(model, inputs)
    certificate = verify(model, inputs, captured)
    assert certificate.max_difference_from_eager > 0.01
    assert certificate.max_output_difference > 0.01


def test_a_choice_of_layers_is_compared_with_the_same_layers():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs, layers=[2])
    assert verify(model, inputs, captured).max_difference_from_eager <= 1e-6


def test_where_the_model_returns_no_attention_of_a_kind_the_note_says_so():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    renamed = replace(
        captured,
        attentions={"cross": captured.attentions["self"]},
        layers={"cross": captured.layers["self"]},
    )
    certificate = verify(model, inputs, renamed)
    assert certificate.max_difference_from_eager is None
    assert "cross attention" in certificate.note


def test_where_the_layers_do_not_match_the_note_says_so():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = replace(capture(model, inputs, layers=[0, 1]), layers={"self": [0, 3]})
    certificate = verify(model, inputs, captured)
    assert certificate.max_difference_from_eager is None
    assert "other layers" in certificate.note


def test_a_model_that_returns_only_the_layers_with_attention_is_compared_in_order():
    """As Jamba, whose other layers have none."""
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = replace(capture(model, inputs), layers={"self": [0, 2, 5]})
    assert verify(model, inputs, captured).max_difference_from_eager == 0


def test_the_model_is_put_back_after_a_verification():
    model, inputs = zoo.build("llama").train(), zoo.batch("llama")
    captured = capture(model, inputs)
    before = zoo.State.of(model)
    verify(model, inputs, captured)
    after = zoo.State.of(model)
    assert after.implementations == before.implementations
    assert after.training == before.training


# --- weights × values against what the head outputs -------------------------------------------


@pytest.mark.parametrize("name", zoo.ALL)
def test_weights_times_values_are_what_the_heads_give(name):
    certificate = capture(zoo.build(name), zoo.batch(name)).certificate
    assert 0 <= certificate.max_head_output_error < 1e-5


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_head_that_gives_something_else_is_seen(name, monkeypatch):
    """As where two heads are mixed up on the way: the last head's output is the first one's."""
    module = __import__("sys").modules[type(zoo.build(name)).__module__]
    own = module.eager_attention_forward

    def mixed_up(*args, **kwargs):
        output, weights = own(*args, **kwargs)
        output[:, -1, -1] = output[:, -1, 0]
        return output, weights

    monkeypatch.setattr(module, "eager_attention_forward", mixed_up)
    certificate = capture(zoo.build(name), zoo.batch(name)).certificate
    assert certificate.max_head_output_error > 0.01


def test_chosen_rows_are_compared_with_the_models_own_output():
    certificate = capture(zoo.build("llama"), zoo.batch("llama"), rows=[2, 5]).certificate
    assert 0 < certificate.max_head_output_error < 1e-5


def test_without_the_values_nothing_is_claimed():
    model = writer("bloom").module
    certificate = capture(model, {"input_ids": torch.tensor([[5, 6, 7]])}).certificate
    assert certificate.max_head_output_error is None
