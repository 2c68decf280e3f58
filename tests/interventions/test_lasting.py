"""Only what is named, only as long as the block, only this model and thread."""

from __future__ import annotations

import threading

import pytest
import torch
from transformers import GPT2LMHeadModel

import introspect as ix
from introspect.errors import CaptureError
from introspect.hooks import capture
from tests import models_zoo as zoo
from tests.interventions.helpers import HEADS, built, hooked, inputs_of, run, same


def test_only_the_positions_that_are_named_are_changed():
    model, inputs = built("llama"), inputs_of("llama")
    with ix.ablate(model, "L1H2", positions=[5]):
        found = run(model, inputs)
    with hooked(model.layers[1].self_attn.o_proj, lambda heads: heads[:, 5, 2].zero_()):
        same(found, run(model, inputs))


def test_several_at_once_are_all_done():
    model, inputs = built("gpt2"), inputs_of("gpt2")
    with ix.ablate(model, "L0H1"), ix.scale(model, "L2H0", 2), ix.ablate(model, "L0H3"):
        found = run(model, inputs)
    projections = [layer.attn.c_proj for layer in model.h]

    def first(heads):
        heads[..., [1, 3], :] = 0

    with hooked(projections[0], first), hooked(projections[2], lambda h: h[..., 0, :].mul_(2)):
        same(found, run(model, inputs))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_both_implementations_are_changed_alike(implementation):
    model, inputs = built("mistral", implementation), inputs_of("mistral")
    with ix.knock_out(model, [(5, 4), (6, 4)], layers=[1]):
        found = run(model, inputs)
        assert not capture(model, inputs).attentions["self"][1][:, :, [5, 6], [4, 4]].any()
    other = built("mistral", "sdpa" if implementation == "eager" else "eager")
    with ix.knock_out(other, [(5, 4), (6, 4)], layers=[1]):
        read = inputs["attention_mask"].bool()  # of padding each kernel makes something else
        same(found[read], run(other, inputs)[read])


def test_the_model_is_as_it_was_after_an_exception():
    model, inputs = built("bert"), inputs_of("bert")
    clean, state = run(model, inputs), zoo.State.of(model)
    with pytest.raises(ZeroDivisionError), ix.ablate(model, "L1"):
        raise ZeroDivisionError
    assert zoo.State.of(model) == state
    assert torch.equal(run(model, inputs), clean)


def test_another_thread_sees_the_model_as_it_is():
    model, inputs = built("bert"), inputs_of("bert")
    clean, found = run(model, inputs), []
    with ix.ablate(model, "L1"):
        thread = threading.Thread(target=lambda: found.append(run(model, inputs)))
        thread.start()
        thread.join()
        assert not torch.equal(run(model, inputs), clean)
    assert torch.equal(found[0], clean)


def test_another_model_is_left_alone():
    model, other, inputs = built("bert"), built("bert"), inputs_of("bert")
    clean = run(other, inputs)
    with ix.ablate(model, "L1"):
        assert torch.equal(run(other, inputs), clean)
        assert not torch.equal(run(model, inputs), clean)


def test_an_intervention_that_changed_nothing_says_so():
    model = built("bert")
    with pytest.warns(UserWarning, match="changed nothing"), ix.ablate(model, "L1H0"):
        pass


def test_gradients_flow_through_an_intervention():
    model, inputs = built("bert"), inputs_of("bert")
    with ix.ablate(model, "L1H2"):
        model(**inputs).last_hidden_state.square().sum().backward()
    weight = model.encoder.layer[1].attention.output.dense.weight.grad
    size = weight.shape[1] // HEADS
    assert not weight[:, 2 * size : 3 * size].any()
    assert weight[:, :size].any()


def test_a_capture_within_sees_the_changed_model():
    model = ix.load("pronoun")
    text = "The fox did not cross the river because it was too wide."
    before = model.capture(text, include=("head_outputs",))
    with ix.ablate(model, "L0H0"):
        within = model.capture(text, include=("head_outputs",))
        rows = model.capture(text, rows=[5])
        with pytest.raises(CaptureError, match="certify"):
            model.capture(text, certify=True)
    assert not within.parts["head_outputs"][0, 0].any()
    assert torch.equal(within.attentions[0], before.attentions[0])
    assert (within.attentions[1] - before.attentions[1]).abs().max() > 0.1
    same(rows.attentions, within.attentions[:, :, [5]])


def test_a_model_that_writes_is_changed_at_every_step():
    model, inputs = built("gpt2"), {"input_ids": zoo.batch("gpt2")["input_ids"][:1]}
    writing = GPT2LMHeadModel(model.config).eval()
    writing.transformer.load_state_dict(model.state_dict())
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": zoo.PAD}
    with ix.ablate(writing, "L1"):
        found = writing.generate(**inputs, **options)
    with hooked(writing.transformer.h[1].attn.c_proj, lambda heads: heads.zero_()):
        assert torch.equal(found, writing.generate(**inputs, **options))
