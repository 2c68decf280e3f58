"""Norms of values and of contributions in modules that are none of transformers, by slow loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import introspect as ix
from introspect.errors import CaptureError
from tests.own_modules_zoo import BATCH, HEADS, LENGTH, SIZE, Block, Causal, Given, Products, Stack

from .own_modules import difference, ids, stack

pytestmark = pytest.mark.usefixtures("seeded")


def slow_norms(values: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """The norm of each value after its head's part of a projection's weight, one by one."""
    batch, heads, length, size = values.shape
    norms = torch.empty(batch, heads, length)
    for item in range(batch):
        for head in range(heads):
            part = out[:, head * size : (head + 1) * size]
            for key in range(length):
                norms[item, head, key] = (part @ values[item, head, key]).norm()
    return norms.detach()


class Alone:
    """A form of attention whose residual is added outside of it, as in minGPT."""

    def joined(self, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return what the heads bring."""
        return self.out(output.transpose(1, 2).flatten(2))  # type: ignore[attr-defined, no-any-return]


class CausalAlone(Alone, Causal):
    """By torch's function."""


class ProductsAlone(Alone, Products):
    """By products."""


@pytest.mark.parametrize("kind", [CausalAlone, ProductsAlone])
def test_norms_of_values_are_those_of_a_slow_loop(kind: type[Block]) -> None:
    module = stack(kind)
    captured = ix.capture(module, ids(), include=("value_norms",))
    for norms, block in zip(captured.value_norms["self"], module.blocks, strict=True):
        seen: Given = block.seen[-1]  # type: ignore[union-attr, index, assignment]
        weight: torch.Tensor = block.out.weight  # type: ignore[union-attr, assignment]
        assert difference(norms, slow_norms(seen.values, weight)) < 1e-6


def test_a_residual_that_is_added_within_is_refused() -> None:
    with pytest.raises(CaptureError, match="passes on is not the output of its Linear"):
        ix.capture(stack(Causal), ids(), include=("value_norms",))


def encoder(**options: bool) -> nn.TransformerEncoder:
    """Two layers of torch."""
    given = {"batch_first": True, **options}
    layer = nn.TransformerEncoderLayer(SIZE, HEADS, 32, **given)  # type: ignore[arg-type]
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_the_layers_of_torch_have_norms_of_values(norm_first: bool, batch_first: bool) -> None:
    module = encoder(norm_first=norm_first, batch_first=batch_first)
    x = torch.randn(BATCH, LENGTH, SIZE)
    given = x if batch_first else x.transpose(0, 1)
    captured = ix.capture(module, given, include=("values", "value_norms"))
    pairs = zip(captured.values["self"], captured.value_norms["self"], module.layers, strict=True)
    for values, norms, layer in pairs:
        weight = layer.self_attn.out_proj.weight  # type: ignore[union-attr]
        assert difference(norms, slow_norms(values, weight)) < 1e-6  # type: ignore[arg-type]


def test_the_contributions_to_a_layer_of_torch_are_those_of_a_slow_loop() -> None:
    module, x = encoder(norm_first=True), torch.randn(1, LENGTH, SIZE)
    wanted = ("attentions", "values", "residual_norms")
    captured = ix.capture(module, x, include=wanted)
    weights, values = captured.attentions["self"][0][0], captured.values["self"][0][0]
    out = module.layers[0].self_attn.out_proj.weight.detach()  # type: ignore[union-attr, operator]
    size = SIZE // HEADS
    for query in range(LENGTH):
        for key in range(LENGTH):
            brought = sum(
                weights[head, query, key]
                * (out[:, head * size : (head + 1) * size] @ values[head, key])  # type: ignore
                for head in range(HEADS)
            )
            total = brought + x[0, query] if query == key else brought
            norm = float(captured.residual_norms["self"][0][0, 0, query, key])
            assert norm == pytest.approx(float(total.norm()), abs=1e-6)  # type: ignore[union-attr]
    assert (captured.certificate.max_decomposition_error or 1) < 1e-6


def test_a_model_of_ones_own_is_scored_by_norms() -> None:
    class Tokens(Stack):
        """A stack with the vocabulary of a tokenizer."""

        def __init__(self) -> None:
            super().__init__(CausalAlone)
            self.embedding = nn.Embedding(31_000, SIZE)

    model = ix.load((Tokens().eval(), ix.load("pronoun").tokenizer))
    case = ix.CorefCase.from_words(
        "The fox did not cross the river because it was too wide.",
        pronoun="it", antecedent="river", distractors=["fox"],
    )  # fmt: skip
    scores = ix.score(model, [case], weights="norm")
    assert set(scores.heads["layer"]) == {0, 1}
