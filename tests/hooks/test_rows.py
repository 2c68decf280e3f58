"""Selected rows: the model's own attention at chosen positions, without the whole pattern."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.hooks import capture
from introspect.hooks.watchers import WholeWatcher
from tests import models_zoo as zoo

ROWS = [0, 3, 8]
DECODING = [*zoo.DECODERS, *zoo.ENCODERS]


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("name", DECODING)
def test_rows_are_those_of_the_models_eager_attention(name, padding):
    model, inputs = zoo.build(name), zoo.batch(name, padding)
    captured = capture(model, inputs, rows=ROWS)
    assert captured.certificate.route.startswith("selected rows")
    assert captured.certificate.note == ""
    with torch.no_grad():
        own = zoo.eager_twin(model)(**inputs, output_attentions=True).attentions
    real = inputs["attention_mask"].bool()
    for ours, theirs in zip(captured.attentions["self"], own, strict=True):
        assert ours.shape[2] == len(ROWS)
        # What a row of the padding attends to depends on the kernel; no text stands there.
        for item in range(ours.shape[0]):
            for place, row in enumerate(ROWS):
                if real[item, row]:
                    difference = ours[item, :, place] - theirs[item, :, row]
                    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("name", [*DECODING])
def test_rows_without_padding_where_the_model_makes_no_mask_at_all(name):
    """A causal model then leaves the mask to its attention function, and so to the rows."""
    model = zoo.build(name)
    inputs = {"input_ids": zoo.batch(name)["input_ids"].clamp(min=4)}
    captured, whole = capture(model, inputs, rows=ROWS), capture(model, inputs)
    assert captured.certificate.note == ""
    for ours, theirs in zip(captured.attentions["self"], whole.attentions["self"], strict=True):
        torch.testing.assert_close(ours, theirs[:, :, ROWS], atol=1e-5, rtol=0)
        if name in zoo.DECODERS:
            assert (ours[:, :, 0, 1:] == 0).all()  # the first position sees only itself


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_rows_of_an_encoder_decoder_are_the_decoders(name):
    model, inputs = zoo.build(name), zoo.batch(name)
    length = inputs["decoder_input_ids"].shape[1]
    captured = capture(model, inputs, rows=[0, length - 1])
    whole = capture(model, inputs)
    assert set(captured.attentions) == {"decoder", "cross"}
    for kind in ("decoder", "cross"):
        for ours, theirs in zip(captured.attentions[kind], whole.attentions[kind], strict=True):
            torch.testing.assert_close(ours, theirs[:, :, [0, length - 1]], atol=1e-5, rtol=0)


def test_each_item_of_the_batch_may_have_rows_of_its_own():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    batch = inputs["input_ids"].shape[0]
    rows = [[(2 * item + step) % 5 for step in range(2)] for item in range(batch)]
    captured = capture(model, inputs, rows=rows)
    whole = capture(model, inputs)
    for ours, theirs in zip(captured.attentions["self"], whole.attentions["self"], strict=True):
        for item in range(batch):
            torch.testing.assert_close(ours[item], theirs[item][:, rows[item]], atol=1e-5, rtol=0)


def test_no_whole_pattern_is_computed(monkeypatch):
    def fail(self, call):
        raise AssertionError("the whole pattern was computed")

    monkeypatch.setattr(WholeWatcher, "attend", fail)
    capture(zoo.build("llama"), zoo.batch("llama"), rows=[1])


def test_the_model_runs_as_it_was_loaded():
    model, inputs = zoo.build("llama", "sdpa"), zoo.batch("llama")
    with torch.no_grad():
        plain = model(**inputs, use_cache=False).last_hidden_state
    assert torch.equal(capture(model, inputs, rows=[1]).output.last_hidden_state, plain)


def test_a_model_whose_rows_are_not_its_own_gets_the_whole_pattern_and_says_so(monkeypatch):
    """A function that adds to the scores by the place of a query, which rows do not know."""
    from transformers.models.bert import modeling_bert

    eager = modeling_bert.eager_attention_forward

    def by_place(module, query, key, value, mask, **kwargs):
        places = torch.arange(query.shape[2])[:, None] - torch.arange(key.shape[2])
        bias = -places.abs().to(query.dtype)[None, None]
        return eager(module, query, key, value, bias if mask is None else mask + bias, **kwargs)

    monkeypatch.setattr(modeling_bert, "eager_attention_forward", by_place)
    model, inputs = zoo.build("bert", "eager"), zoo.batch("bert")
    captured = capture(model, inputs, rows=ROWS)
    assert "cannot be computed by themselves" in captured.certificate.note
    assert captured.certificate.route == "attention interface"
    whole = capture(model, inputs)
    for ours, theirs in zip(captured.attentions["self"], whole.attentions["self"], strict=True):
        assert torch.equal(ours, theirs[:, :, ROWS])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([9], r"`rows` in 0–8, got \[9\]"),
        ([-1], r"`rows` in 0–8, got \[-1\]"),
        ([], "a list of positions"),
        ([[0], [1], [2], [3], [4], [5], [6]], "one for each of the"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, expected):
    with pytest.raises(SelectionError, match=expected):
        capture(zoo.build("bert"), zoo.batch("bert"), rows=rows)


def test_other_parts_of_rows_are_refused():
    with pytest.raises(SelectionError, match="only the attention is computed"):
        capture(zoo.build("bert"), zoo.batch("bert"), ("attentions", "queries"), rows=[0])
