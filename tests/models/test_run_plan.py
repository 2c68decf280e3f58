"""The one place that decides which part of a model runs, and with what."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import introspect
from introspect.models import load, run_inputs
from introspect.models.run_plan import mask_of

NAMES = ("get_encoder", "decoder_input_ids", "decoder_attention_mask", "config.is_encoder_decoder")
#: Files that may name the parts of an encoder-decoder or the inputs of its decoder.
DECIDING = {
    "hooks/layer_index.py",
    "hooks/layout.py",
    "hooks/towers.py",
    "hooks/arguments.py",
    "models/generation.py",
    "models/run_plan.py",
}


def test_only_the_plan_and_the_engine_choose_an_encoder_or_a_decoders_inputs() -> None:
    package = Path(introspect.__file__).parent
    deciding = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(name in path.read_text() for name in NAMES)
    }
    assert deciding <= DECIDING


@pytest.mark.parametrize(
    ("name", "kinds", "reading", "writing"),
    [
        ("minilm", ("self",), "self", ("self",)),
        ("induction", ("self",), "self", ("self",)),
        ("reversal", ("encoder", "decoder", "cross"), "encoder", ("decoder", "cross")),
    ],
)
def test_a_model_says_which_kinds_of_attention_read_and_write(
    name: str, kinds: tuple[str, ...], reading: str, writing: tuple[str, ...]
) -> None:
    model = load(name)
    assert (model.kinds, model.reading_kind, model.writing_kinds) == (kinds, reading, writing)
    assert model.capture("a b c").kind == reading
    assert (model.reader is model.module) == (len(kinds) == 1)


def test_only_a_model_that_continues_its_text_is_a_decoder() -> None:
    models = [load("minilm"), load("induction", lm_head=True), load("reversal", lm_head=True)]
    assert [model.is_decoder for model in models] == [False, True, False]


def test_what_is_written_goes_to_the_decoder_with_its_mask() -> None:
    module = load("reversal", lm_head=True).module
    read = {"input_ids": torch.tensor([[1, 2, 3]]), "token_type_ids": torch.zeros(1, 3)}
    written = {"input_ids": torch.tensor([[4, 5]]), "attention_mask": torch.tensor([[1, 0]])}
    inputs = run_inputs(module, read, written)
    assert set(inputs) == {"input_ids", "decoder_input_ids", "decoder_attention_mask"}
    assert torch.equal(inputs["decoder_input_ids"], written["input_ids"])
    assert mask_of(inputs, "decoder") is inputs["decoder_attention_mask"]
    assert mask_of(inputs, "encoder") is None
