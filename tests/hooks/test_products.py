"""The legacy route: models that compute attention by themselves, watched at their products."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import CaptureError
from introspect.hooks import capture, verify
from introspect.hooks.products import ProductTrace, parts_behind
from tests import models_zoo as zoo
from tests.closeness import assert_close

PARTS = ("attentions", "scores", "queries", "keys", "values", "head_outputs")

#: These return, as their attention, what goes into the softmax.
RETURNING_SCORES = {"squeezebert"}


@pytest.fixture(params=zoo.LEGACY)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return zoo.build(name, config=zoo.LEGACY[name]())


@pytest.fixture
def inputs():
    return zoo.batch("bert")


def own_attention(model, inputs):
    with torch.no_grad():
        return zoo.eager_twin(model)(**inputs, output_attentions=True).attentions


def test_attention_is_the_models_own(name, model, inputs):
    inputs = {k: v for k, v in inputs.items() if k != "token_type_ids"}
    captured = capture(model, inputs)
    own = own_attention(model, inputs)
    assert len(own) == len(captured.attentions["self"]) == 2
    for ours, theirs in zip(captured.attentions["self"], own, strict=True):
        expected = theirs.softmax(-1) if name in RETURNING_SCORES else theirs
        assert_close(ours, expected)
    assert captured.certificate.max_row_sum_error < 1e-5


def test_parts_give_the_attention_and_the_output(model, inputs):
    captured = capture(model, inputs, PARTS)
    assert "products" in captured.certificate.route
    for layer in range(2):
        attention, scores, queries, keys, values, output = (
            getattr(captured, part)["self"][layer] for part in PARTS
        )
        torch.testing.assert_close(scores.softmax(-1), attention, atol=1e-5, rtol=0)
        repeats = output.shape[1] // values.shape[1]
        expected = attention @ values.repeat_interleave(repeats, dim=1)
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)
        assert queries.shape[:3] == attention.shape[:3]
        assert keys.shape[2] == attention.shape[3]


def test_a_certificate_compares_only_what_the_model_returns_as_weights(name, model, inputs):
    certificate = verify(model, inputs, capture(model, inputs))
    if name in RETURNING_SCORES:
        assert certificate.max_difference_from_eager is None
        assert "no weights" in certificate.note
    else:
        assert certificate.max_difference_from_eager < 1e-6
    assert certificate.max_output_difference < 1e-5


def test_the_model_is_put_back(model, inputs):
    before = zoo.State.of(model)
    capture(model, inputs, PARTS)
    assert zoo.State.of(model) == before


def test_queries_and_keys_are_those_of_the_projections():
    """MPNet has no rotation, so they can be had from its linear layers too."""
    model, inputs = zoo.build("mpnet", config=zoo.LEGACY["mpnet"]()), zoo.batch("bert")
    seen = {}
    attention = model.encoder.layer[0].attention.attn
    for part in ("q", "k", "v"):
        getattr(attention, part).register_forward_hook(
            lambda m, args, result, part=part: seen.__setitem__(part, result)
        )
    captured = capture(model, inputs, PARTS)
    for part, projection in (("queries", "q"), ("keys", "k"), ("values", "v")):
        expected = seen[projection].unflatten(-1, (4, 8)).transpose(1, 2)
        torch.testing.assert_close(getattr(captured, part)["self"][0], expected)


def test_two_operand_einsums_are_products():
    """As XLNet writes them, with the batch and the heads in the middle."""
    q, k, v = (torch.randn(5, 2, 3, 4) for _ in range(3))  # length, batch, heads, size
    with ProductTrace() as trace:
        weights = torch.einsum("ibnd,jbnd->bnij", q, k).softmax(-1)
        output = torch.einsum("bnij,jbnd->ibnd", weights, v)
    parts = parts_behind(weights, trace, "a model")
    assert torch.equal(parts["queries"], q.permute(1, 2, 0, 3))
    assert torch.equal(parts["keys"], k.permute(1, 2, 0, 3))
    assert torch.equal(parts["values"], v.permute(1, 2, 0, 3))
    assert torch.equal(parts["head_outputs"], output.permute(1, 2, 0, 3))


def test_what_is_added_to_the_scores_is_no_query():
    q, k, bias = torch.randn(1, 2, 4, 8), torch.randn(1, 2, 4, 8), torch.randn(1, 2, 8, 4)
    with ProductTrace() as trace:
        weights = (q @ k.transpose(-1, -2) + q @ bias).softmax(-1)
        _ = weights @ torch.randn(1, 2, 4, 8)
    assert torch.equal(parts_behind(weights, trace, "a model")["keys"], k)


def test_what_does_not_fit_is_refused_by_name():
    q = torch.randn(1, 2, 4, 8)
    with ProductTrace() as trace:
        weights = (q @ q.transpose(-1, -2)).softmax(-1)
        _ = (weights * 2) @ q  # the output is not what the attention gives
    with pytest.raises(CaptureError, match=r"values of a model.*not the heads' output"):
        parts_behind(weights, trace, "a model")
    with pytest.raises(CaptureError, match="scores of a model.*no softmax"):
        parts_behind(torch.rand(1, 2, 4, 4), trace, "a model")
