"""Interventions in runs of other kinds: with a cache, in threads, under training, in half."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.errors import CaptureError, SelectionError
from introspect.functional import knocked_out
from introspect.hooks import capture
from tests import models_zoo as zoo
from tests.writers_zoo import writer

IDS = torch.tensor([[5, 6, 7, 8, 9]])
REFERENCE = {"input_ids": torch.arange(5, 25)[None]}


def logits_of_writing(module, **options):
    """What the model gives at each step while it writes three tokens."""
    output = module.generate(
        IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=3, do_sample=False,
        pad_token_id=0, return_dict_in_generate=True, output_logits=True, **options,
    )  # fmt: skip
    return torch.stack(output.logits)


PLACED = {
    "ablated at a token": lambda m: ix.ablate(m, "L0", positions=[0]),
    "scaled at a token": lambda m: ix.scale(m, "L0", 2.0, positions=[3]),
    "resampled": lambda m: ix.ablate(m, "L0", method="resample", reference=REFERENCE),
    "an edge": lambda m: ix.knock_out(m, [(1, 0)]),
    "patched at a token": lambda m: ix.patch(m, REFERENCE, "L0", positions=[0]),
}


@pytest.mark.parametrize("name", ["gpt2", "bloom"])
@pytest.mark.parametrize("words", PLACED)
def test_what_is_about_certain_tokens_is_refused_where_a_cache_hides_their_places(name, words):
    module = writer(name).module
    with PLACED[words](module), pytest.raises(CaptureError, match="use_cache=False"):
        logits_of_writing(module)
    # Without a cache each step reads the whole text, and the places are what they are.
    with PLACED[words](module):
        found = logits_of_writing(module, use_cache=False)
        text = IDS
        for step in found:
            with torch.no_grad():
                expected = module(text, use_cache=False).logits[:, -1]
            torch.testing.assert_close(step, expected)
            text = torch.cat([text, expected.argmax(-1)[None]], dim=1)


@pytest.mark.parametrize("name", ["gpt2", "llama", "bloom"])
def test_what_is_about_every_token_is_the_same_with_a_cache(name):
    module = writer(name).module
    for method in ("zero", "uniform"):
        with ix.ablate(module, "L1H2", method=method):
            cached, whole = (logits_of_writing(module, use_cache=used) for used in (True, False))
        torch.testing.assert_close(cached, whole, atol=1e-4, rtol=1e-4)


def test_one_intervention_may_be_open_in_two_threads():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    state = zoo.State.of(model)
    with torch.no_grad():
        clean = model(**inputs).last_hidden_state
    ablation = ix.ablate(model, "L1")
    with ablation, torch.no_grad():
        expected = model(**inputs).last_hidden_state
    both, first_is_out = threading.Barrier(2, timeout=20), threading.Event()
    found: dict[str, object] = {}

    def opened(name: str) -> None:
        try:
            with torch.no_grad():
                with ablation:
                    both.wait()
                    if name == "second":
                        first_is_out.wait(20)
                    found[name] = model(**inputs).last_hidden_state
                found[f"{name} after"] = model(**inputs).last_hidden_state
        except BaseException as error:
            found[name] = error
        first_is_out.set()

    threads = [threading.Thread(target=opened, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("first", "second"):
        assert isinstance(found[name], torch.Tensor), found[name]
        assert torch.equal(found[name], expected)
        assert torch.equal(found[f"{name} after"], clean)
    assert zoo.State.of(model) == state


@pytest.mark.parametrize("name", ["gpt2", "bloom"])
def test_two_threads_that_capture_within_interventions_do_not_wait_for_each_other(name):
    """A capture within wants another implementation than the intervention has borrowed."""
    model, inputs = writer(name).module, {"input_ids": IDS}
    state = zoo.State.of(model)
    heads = ("L1H1", "L1H2", "L0H3")
    expected = {}
    for head in heads:
        with ix.ablate(model, head):
            expected[head] = capture(model, inputs).attentions["self"][2]
    all_in = threading.Barrier(len(heads), timeout=20)
    found: dict[str, object] = {}

    def captured(head: str) -> None:
        try:
            with ix.ablate(model, head):
                all_in.wait()
                for _ in range(3):
                    found[head] = capture(model, inputs).attentions["self"][2]
        except BaseException as error:
            found[head] = error

    # Daemons, so that a test that fails ends.
    threads = [threading.Thread(target=captured, args=(head,), daemon=True) for head in heads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other"
    for head in heads:
        assert isinstance(found[head], torch.Tensor), found[head]
        assert torch.equal(found[head], expected[head]), head
    assert zoo.State.of(model) == state


@pytest.mark.parametrize("name", ["gpt2", "bloom"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_layers_that_are_run_again_for_gradients_are_refused(name, reentrant):
    module = writer(name).module.train()
    module.gradient_checkpointing_enable({"use_reentrant": reentrant})
    with ix.ablate(module, "L1H2"):
        with pytest.raises(CaptureError, match="gradient_checkpointing_disable"):
            module(IDS, labels=IDS)
        module.eval()(IDS)  # there nothing is run again
        module.train().gradient_checkpointing_disable()
        module(IDS, labels=IDS).loss.backward()
    assert next(module.parameters()).grad is not None


OWN_MASKS = {
    # Takes ten thousand off the score of a key that is hidden.
    "openai": lambda: tf.OpenAIGPTConfig(vocab_size=zoo.VOCABULARY, n_embd=32, n_layer=2, n_head=4),
    # Takes 1e30 off.
    "xlnet": zoo.LEGACY["xlnet"],
}


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("name", OWN_MASKS)
def test_uniform_is_over_what_a_mask_of_the_models_own_leaves(name, padding):
    model = zoo.build(name, "eager", config=OWN_MASKS[name]())
    inputs = zoo.batch(name, padding)
    own = capture(model, inputs).attentions["self"][1][:, 1]
    with ix.ablate(model, "L1H1", method="uniform"):
        found = capture(model, inputs).attentions["self"][1][:, 1]
    seen = (own > 0).float()
    is_token = inputs["attention_mask"].bool()
    assert (seen[is_token].sum(-1) < found.shape[-1]).any(), "nothing is hidden: shows nothing"
    expected = seen / seen.sum(-1, keepdim=True)
    torch.testing.assert_close(found[is_token], expected[is_token])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_rounded_rows_are_not_taken_for_sinks(kind):
    """Of random rows without their largest weight, the rest sums to 1 as far as the type can."""
    generator = torch.Generator().manual_seed(0)
    exact = (torch.randn(4000, 40, generator=generator) * 3).softmax(-1)
    cut = exact == exact.amax(-1, keepdim=True)
    found = knocked_out(exact.to(kind), cut).double()
    assert (found.sum(-1) - 1).abs().max() < torch.finfo(kind).eps
    of_exact = exact.double().masked_fill(cut, 0)
    of_exact /= of_exact.sum(-1, keepdim=True)
    assert ((found - of_exact).abs() <= 3 * torch.finfo(kind).eps * of_exact + 1e-4).all()


def test_a_sink_in_half_precision_is_still_one():
    row = torch.tensor([[0.25, 0.25]], dtype=torch.bfloat16)  # half of it goes to a sink
    found = knocked_out(row, torch.tensor([[True, False]])).float()
    torch.testing.assert_close(found, torch.tensor([[0.0, 1 / 3]]), atol=4e-3, rtol=0)


def test_a_mask_in_half_hides_keys_of_a_run_in_single():
    """``visible`` goes by the lowest number of the mask's own type."""
    from introspect.hooks.edits.edits import _visible

    mask = torch.zeros(1, 1, 1, 3, dtype=torch.float16)
    mask[..., 2] = torch.finfo(torch.float16).min
    found = _visible(mask, torch.float32, mask.device)
    assert found.flatten().tolist() == [True, True, False]


def test_captured_heads_are_not_taken_for_others():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    some = capture(model, inputs, ("head_outputs",), heads=[2, 3])
    with (
        ix.patch(model, some, "L1H0", positions=[2]),
        pytest.raises(CaptureError, match="shape of the run"),
    ):
        model(**inputs)


def test_numbers_of_numpy_are_heads_and_fractions_are_none():
    model = zoo.build("bert")
    assert "L1H2" in repr(ix.ablate(model, (np.int64(1), np.int64(2))))
    for heads in ([(1.7, 2)], (1.7, 2)):
        with pytest.raises(SelectionError, match="such as L3H1"):
            ix.ablate(model, heads)
    for layers in (1, [1.5]):
        with pytest.raises(SelectionError, match="list of whole numbers"):
            ix.ablate(model, layers=layers)
    for positions in (3, [1.9]):
        with (
            ix.ablate(model, "L1", positions=positions),
            pytest.raises(SelectionError, match="whole numbers in 0–8"),
        ):
            model(**zoo.batch("bert"))
    with pytest.raises(SelectionError, match="one padded batch"):
        ix.patch(model, [], "L1")


def test_a_part_that_runs_by_itself_is_refused_once_its_layers_cannot_be_told():
    model, states = zoo.build("bert"), torch.randn(1, 5, 32)
    with torch.no_grad(), ix.ablate(model, "L1H1"):
        found = model.encoder(states).last_hidden_state
        with pytest.raises(CaptureError, match="Run the model itself"):
            model.encoder(states)
    with torch.no_grad(), ix.ablate(model, "L1H1"):
        assert torch.equal(model.encoder(states).last_hidden_state, found)
    with torch.no_grad():
        assert not torch.equal(model.encoder(states).last_hidden_state, found)


def test_a_run_that_broke_off_leaves_the_next_one_as_it_is():
    for name, layers in (("distilbert", "transformer.layer"), ("bloom", "h")):
        config = zoo.LEGACY[name]() if name in zoo.LEGACY else None
        model, inputs = zoo.build(name, "eager", config=config), zoo.batch(name)
        with torch.no_grad(), ix.ablate(model, "L1H1"):
            expected = model(**inputs).last_hidden_state
            handle = model.get_submodule(f"{layers}.1").register_forward_pre_hook(_broken)
            with pytest.raises(ZeroDivisionError):
                model(**inputs)
            handle.remove()
            assert torch.equal(model(**inputs).last_hidden_state, expected)


def _broken(*_: object) -> None:
    raise ZeroDivisionError


def test_dropout_of_weights_is_seen_by_a_model_that_runs_eagerly_and_refused_by_others():
    inputs = zoo.batch("bert")
    with ix.knock_out(zoo.build("bert", "eager").train(), [(3, 1)]) as opened:
        opened.module(**inputs)
    with (
        ix.knock_out(zoo.build("bert", "sdpa").train(), [(3, 1)]) as opened,
        pytest.raises(CaptureError, match=r"Call eval\(\)"),
    ):
        opened.module(**inputs)
