"""What a run is given stays as it is, and means to the capture what it means to the model."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

from introspect.errors import CaptureError, SelectionError
from introspect.hooks import capture, interface, verify
from tests import models_zoo as zoo
from tests.closeness import assert_close

LENGTH, READ = 12, 7
SMALL = {"vocab_size": 100, "bos_token_id": 1, "eos_token_id": 2}
#: Models that compute attention themselves, and so run twice, and one that does not.
WITH_CACHE = {
    "gptj": lambda: tf.GPTJConfig(**SMALL, n_embd=32, n_layer=3, n_head=4, rotary_dim=4),
    "bloom": lambda: tf.BloomConfig(**SMALL, hidden_size=32, n_layer=3, n_head=4),
    "llama": lambda: tf.LlamaConfig(
        **SMALL, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4
    ),
}


def writer(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(WITH_CACHE[name]()).eval()
    with torch.no_grad():
        for part in model.parameters():
            if part.ndim == 2:
                part.normal_(std=1.6 / part.shape[-1] ** 0.5)
    return model


def tokens() -> torch.Tensor:
    return torch.randint(7, 100, (1, LENGTH), generator=torch.Generator().manual_seed(2))


# --- caches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_CACHE)
@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_a_cache_that_is_given_is_left_as_it_was(name, kind):
    if kind == "static" and name != "llama":
        pytest.skip("these models take a dynamic cache only")
    model, ids = writer(name), tokens()
    options = {} if kind == "dynamic" else {
        "past_key_values": tf.StaticCache(config=model.config, max_cache_len=LENGTH)
    }  # fmt: skip
    with torch.no_grad():
        cache = model(input_ids=ids[:, :READ], use_cache=True, **options).past_key_values
    inputs = {"input_ids": ids[:, READ:], "past_key_values": cache}
    whole = torch.stack(capture(model, {"input_ids": ids}).attentions["self"])[:, :, :, READ:]
    for _ in range(2):
        captured = capture(model, inputs)
        assert int(cache.get_seq_length()) == READ
        found = torch.stack(captured.attentions["self"])
        torch.testing.assert_close(found, whole, atol=1e-5, rtol=0)
        assert captured.certificate.max_output_difference <= 1e-5
    verify(model, inputs, captured)
    assert int(cache.get_seq_length()) == READ


def test_a_cache_that_cannot_be_copied_is_refused():
    model, ids = writer("llama"), tokens()
    cache = model(input_ids=ids[:, :READ], use_cache=True).past_key_values
    with pytest.raises(CaptureError, match="torch.no_grad"):
        capture(model, {"input_ids": ids[:, READ:], "past_key_values": cache})


def test_embeddings_that_are_given_are_left_as_they_were():
    model, ids = writer("llama"), tokens()
    states = model.get_input_embeddings()(ids).detach()
    before = states.clone()

    def add(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        args[0].add_(1)

    model.model.layers[0].register_forward_pre_hook(add)
    capture(model, {"inputs_embeds": states})
    assert torch.equal(states, before)


# --- masks --------------------------------------------------------------------------------------


def packed() -> tuple[torch.Tensor, torch.Tensor]:
    """The mask of two texts in one sequence, true where a key is seen, and their positions."""
    keep = torch.ones(LENGTH, LENGTH).tril().bool()
    keep[6:, :6] = False
    return keep, torch.cat([torch.arange(6), torch.arange(6)])[None]


@pytest.mark.parametrize("shape", ["(1, 1, n, n)", "(1, heads, n, n)"])
def test_a_mask_of_bool_is_read_as_the_model_reads_it(shape):
    model, ids = writer("llama"), tokens()
    keep, positions = packed()
    mask = keep.expand(1, 4 if "heads" in shape else 1, LENGTH, LENGTH)
    numbers = torch.where(mask, 0.0, torch.finfo(torch.float32).min)
    ours, right = (
        capture(model, {"input_ids": ids, "attention_mask": each, "position_ids": positions})
        for each in (mask, numbers)
    )
    for a, b in zip(ours.attentions["self"], right.attentions["self"], strict=True):
        assert torch.equal(a, b)
        assert float(a.triu(1).sum()) == 0
    assert ours.certificate.max_output_difference <= 1e-4
    for first, length in ((0, 6), (6, 6)):
        alone = capture(model, {"input_ids": ids[:, first : first + length]})
        part = slice(first, first + length)
        for a, b in zip(ours.attentions["self"], alone.attentions["self"], strict=True):
            torch.testing.assert_close(a[..., part, part], b, atol=1e-5, rtol=0)


def test_a_mask_of_bool_hides_padding_in_an_encoder():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    flat = capture(model, inputs).attentions["self"]
    mask = inputs["attention_mask"].bool()[:, None, None, :].expand(-1, 1, zoo.LENGTH, -1)
    square = capture(model, {**inputs, "attention_mask": mask}).attentions["self"]
    for ours, right in zip(square, flat, strict=True):
        assert_close(ours, right)


def test_rows_under_a_mask_of_bool_are_rows_of_the_pattern():
    model, ids = writer("llama"), tokens()
    keep, positions = packed()
    inputs = {"input_ids": ids, "attention_mask": keep[None, None], "position_ids": positions}
    whole = capture(model, inputs).attentions["self"]
    some = capture(model, inputs, rows=[8, 9]).attentions["self"]
    for a, b in zip(some, whole, strict=True):
        torch.testing.assert_close(a, b[:, :, [8, 9]], atol=1e-6, rtol=0)
    chosen = capture(model, inputs, layers=[1])
    assert torch.equal(chosen.attentions["self"][0], whole[1])
    assert chosen.certificate.max_output_difference is not None


def test_a_mask_of_whole_numbers_which_the_model_does_not_take_is_refused():
    model, ids = writer("llama"), tokens()
    mask = packed()[0].long()[None, None]
    with pytest.raises(CaptureError, match="Expected LlamaForCausalLM to"):
        capture(model, {"input_ids": ids, "attention_mask": mask})


def test_a_model_that_runs_eagerly_is_shown_as_it_is():
    """It adds the mask as it is, and so is to be seen doing what it does."""
    model, ids = writer("llama"), tokens()
    model.set_attn_implementation("eager")
    inputs = {"input_ids": ids, "attention_mask": packed()[0][None, None]}
    captured = capture(model, inputs)
    with torch.no_grad():
        own = model(**inputs, output_attentions=True).attentions
    for a, b in zip(captured.attentions["self"], own, strict=True):
        assert torch.equal(a, b)


def test_a_capture_says_whether_it_was_compared():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    assert captured.certificate.note == "not compared with a run of the model as it was loaded"
    assert captured.certificate.max_output_difference is None
    positions = torch.arange(zoo.LENGTH)[None]
    compared = capture(model, {**inputs, "position_ids": positions}).certificate
    assert compared.note == "" and compared.max_output_difference <= 1e-5
    assert verify(model, inputs, captured).note == ""


def test_an_output_that_is_another_when_it_is_watched_is_refused(monkeypatch):
    original = interface.own_eager
    monkeypatch.setattr(
        interface,
        "own_eager",
        lambda module: lambda *a, **k: (original(module)(*a, **k)[0] * 1.1, None),
    )
    model = zoo.build("bert")
    inputs = {**zoo.batch("bert"), "position_ids": torch.arange(zoo.LENGTH)[None]}
    with pytest.raises(CaptureError, match="Expected BertModel to give the same when it is"):
        capture(model, inputs)


# --- several towers -----------------------------------------------------------------------------


def test_one_text_that_runs_through_several_towers_has_one_list_of_layers():
    part = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 32, "num_key_value_heads": 2,
    }  # fmt: skip
    config = tf.BltConfig(
        vocab_size=99, **part, patcher_config=part, global_config=part,
        encoder_config={**part, "hidden_size_global": 32},
        decoder_config={**part, "hidden_size_global": 32},
        encoder_hash_byte_group_vocab=99, encoder_hash_byte_group_size=[3],
    )  # fmt: skip
    torch.manual_seed(0)
    model, inputs = tf.BltModel(config).eval(), {"input_ids": torch.arange(5, 12)[None]}
    captured = capture(model, inputs)
    assert captured.layers["self"] == list(range(8))
    assert "0–1 of BltPatcherConfig" in captured.certificate.note


@pytest.mark.parametrize("rows", [[LENGTH], [-1], []])
def test_rows_that_are_not_there_are_refused(rows):
    with pytest.raises(SelectionError):
        capture(writer("llama"), {"input_ids": tokens()}, rows=rows)
