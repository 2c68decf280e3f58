"""The same architecture with random weights: shapes, seeds, and what it must leave alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from introspect.errors import ModelError
from introspect.models import Model, null_model
from tests import models_zoo as zoo
from tests.synthetic import TEXT
from tests.tokenizers_zoo import word_level

WORDS = ["the", "cat", "sat", "on", "mat", "and", "it", "was"]
NAMES = ["bert", "gpt2", "llama", "gemma3", "t5"]


def tiny(name: str, implementation: str | None = None) -> Model:
    tokenizer = word_level(WORDS)
    tokenizer.eos_token = "[SEP]"
    return Model(zoo.build(name, implementation), tokenizer, name=f"tiny-{name}", revision="r1")


def bits(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: part.clone() for name, part in module.state_dict().items()}


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def pattern(model: Model, text: str = "the cat sat on the mat and it was") -> torch.Tensor:
    return model.capture(text).attentions


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_shapes_of_the_trained_one_and_other_weights(name):
    trained = tiny(name)
    null = null_model(trained)
    ours, theirs = bits(null.module), bits(trained.module)
    assert {n: (p.shape, p.dtype) for n, p in ours.items()} == {
        n: (p.shape, p.dtype) for n, p in theirs.items()
    }
    matrices = [n for n, part in null.module.named_parameters() if part.dim() > 1]
    assert not any(torch.equal(ours[n], theirs[n]) for n in matrices)
    assert pattern(null).shape == pattern(trained).shape
    assert not torch.allclose(pattern(null), pattern(trained), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_every_bit(name):
    trained = tiny(name)
    first = bits(null_model(trained, seed=3).module)
    torch.rand(5)
    assert same_bits(bits(null_model(trained, seed=3).module), first)
    assert not same_bits(bits(null_model(trained, seed=4).module), first)


def test_minilm_has_a_null_of_its_own_size(minilm):
    null = null_model(minilm)
    record = null.capture(TEXT, certify=True)
    assert record.attentions.shape == minilm.capture(TEXT).attentions.shape
    assert record.keys.tokens == minilm.capture(TEXT).keys.tokens
    # Freshly drawn weights attend almost evenly: nothing like 0.68 from "it" to "animal".
    assert record.attentions.max() < 3 / len(record.keys)


def test_the_weights_are_spread_as_the_configuration_says(minilm):
    null = null_model(minilm)
    weight = null.module.get_parameter("encoder.layer.0.attention.self.query.weight")
    assert weight.std().item() == pytest.approx(null.module.config.initializer_range, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=1e-3)


def test_it_is_never_mistaken_for_the_trained_one():
    trained = tiny("bert")
    trained.module.config.name_or_path = "org/trained"
    trained.module.config._commit_hash = "0123abc"
    null = null_model(trained, seed=2)
    assert null.name == "tiny-bert (random weights, seed 2)"
    assert null.revision == "random weights, seed 2"
    certificate = null.capture("the cat").certificate
    assert (certificate.model, certificate.revision) == (null.name, null.revision)
    # Nor where only the module is passed on.
    assert null.module.config.name_or_path == null.module.name_or_path == null.name
    assert null.module.config._commit_hash is None


def test_the_trained_one_is_left_as_it_was():
    trained = tiny("llama")
    trained.module.config.name_or_path = "org/trained"
    before, state = bits(trained.module), zoo.State.of(trained.module)
    config = trained.module.config.to_dict()
    expected = pattern(trained)
    null = null_model(trained)
    with torch.no_grad():
        for part in null.module.parameters():
            part.zero_()
    null.module.config.name_or_path = "changed"
    assert same_bits(bits(trained.module), before)
    assert zoo.State.of(trained.module) == state
    assert trained.module.config.to_dict() == config
    assert trained.module.config.name_or_path == "org/trained"
    assert (trained.name, trained.revision) == ("tiny-llama", "r1")
    assert torch.equal(pattern(trained), expected)


def test_random_numbers_of_the_caller_go_on_as_if_nothing_happened():
    trained = tiny("bert")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    null_model(trained, seed=9)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_the_attention_implementation_is_kept(name, implementation):
    null = null_model(tiny(name, implementation))
    assert {c._attn_implementation for c in zoo.configs(null.module)} == {implementation}


def test_precision_is_kept_and_nothing_is_dropped_out():
    trained = tiny("bert")
    trained.module.to(torch.bfloat16).train()
    null = null_model(trained)
    assert {part.dtype for part in null.module.parameters()} == {torch.bfloat16}
    assert not any(part.training for part in null.module.modules())
    assert trained.module.training


def test_the_default_device_of_the_caller_changes_nothing():
    trained = tiny("bert")
    expected = bits(null_model(trained).module)
    with torch.device("meta"):
        found = null_model(trained)
    assert same_bits(bits(found.module), expected)


def test_the_tokenizer_is_the_same_and_so_is_its_lock():
    trained = tiny("bert")
    null = null_model(trained)
    assert null.tokenizer is trained.tokenizer
    assert null._tokenizer_lock is trained._tokenizer_lock


def test_a_module_that_its_configuration_does_not_describe_is_refused():
    trained = tiny("gpt2")
    trained.module.wte = nn.Embedding(zoo.VOCABULARY + 3, 32)
    with pytest.raises(ModelError, match=r"wte\.weight has the shape \(67, 32\)"):
        null_model(trained)


def test_a_module_that_cannot_be_built_again_is_refused():
    class Wrapper(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

    with pytest.raises(ModelError, match="Wrapper failed") as caught:
        null_model(Model(Wrapper(zoo.build("bert")), word_level(WORDS)))
    assert caught.value.__cause__ is not None
