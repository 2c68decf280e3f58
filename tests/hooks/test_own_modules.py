"""Attention of modules that are none of transformers, against slow loops and torch's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import introspect as ix
from introspect.errors import SelectionError
from tests.own_modules_zoo import (
    BATCH,
    HEADS,
    LENGTH,
    SIZE,
    Batched,
    Block,
    Causal,
    Cross,
    Delegated,
    Einsums,
    Fused,
    Grouped,
    InPlace,
    NamedOperands,
    Plain,
    Products,
    Rotary,
    Scaled,
    Single,
    Windows,
    slow_weights,
)

from .own_modules import difference, ids, is_clean, stack

pytestmark = pytest.mark.usefixtures("seeded")

PARTS = ("attentions", "scores", "queries", "keys", "values", "head_outputs")
FORMS = [
    Block, Causal, Scaled, Grouped, Fused, Single, Windows, Delegated, Rotary,
    Products, Einsums, Batched, NamedOperands, InPlace, Plain,
]  # fmt: skip
BY_PRODUCTS = (Products, Einsums, Batched, NamedOperands, Plain)


@pytest.mark.parametrize("kind", FORMS)
def test_each_form_has_the_weights_of_a_slow_loop(kind: type[Block]) -> None:
    module, texts = stack(kind), ids(kind=kind)
    plain = module(texts)
    captured = ix.capture(module, texts, include=PARTS)
    expected = [slow_weights(given) for given in module.given()]
    assert captured.layers == {"self": [0, 1]}
    for layer, (weights, given) in enumerate(zip(expected, module.given(), strict=True)):
        parts = {part: getattr(captured, part)["self"][layer] for part in PARTS}
        assert difference(parts["attentions"], weights) < 1e-6
        assert difference(parts["scores"].softmax(-1), weights) < 1e-6
        assert difference(parts["queries"], given.queries) < 1e-6 or kind is Batched
        assert difference(parts["keys"], given.keys) < 1e-6
        assert difference(parts["values"], given.values) < 1e-6
        repeated = given.values.repeat_interleave(weights.shape[1] // given.values.shape[1], 1)
        assert difference(parts["head_outputs"], weights.float() @ repeated) < 2e-6
    assert difference(captured.output, plain) < 2e-6
    paths = [f"blocks.{i}.inner" if kind is Delegated else f"blocks.{i}" for i in (0, 1)]
    assert captured.modules == {"self": paths}
    route = "softmaxes" if kind in BY_PRODUCTS else "torch's own attention functions"
    assert route in captured.certificate.route
    assert is_clean(module)


MASKS: dict[str, Callable[[], torch.Tensor]] = {
    "bool": lambda: torch.rand(LENGTH, LENGTH) > 0.4,
    "float": lambda: torch.randn(LENGTH, LENGTH),
    "by text": lambda: torch.rand(BATCH, 1, 1, LENGTH) > 0.5,
    "by head": lambda: torch.randn(1, HEADS, LENGTH, LENGTH),
    "by head, without a batch": lambda: torch.randn(HEADS, LENGTH, LENGTH),
    "a query that sees nothing": lambda: torch.ones(LENGTH, LENGTH).tril(-1).bool(),
}


@pytest.mark.parametrize("mask", MASKS)
def test_masks_of_every_form_are_read_as_torch_reads_them(mask: str) -> None:
    module, texts, given = stack(Block), ids(), MASKS[mask]()
    plain = module(texts, given)
    captured = ix.capture(module, {"idx": texts, "mask": given})
    for weights, seen in zip(captured.attentions["self"], module.given(), strict=True):
        assert difference(weights, slow_weights(seen)) < 1e-6
    assert difference(captured.output, plain) < 2e-6


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types(dtype: torch.dtype) -> None:
    module, texts = stack(Causal).to(dtype), ids()
    plain = module(texts)
    captured = ix.capture(module, texts)
    assert captured.attentions["self"][0].dtype == dtype
    tolerance = 1e-12 if dtype == torch.float64 else 4e-3
    expected = slow_weights(module.given()[0])
    assert difference(captured.attentions["self"][0], expected) < tolerance
    assert difference(captured.output, plain) < max(10 * tolerance, 1e-12)


@pytest.mark.parametrize("kind", [Block, Causal, Scaled, Grouped, Fused, Products])
def test_rows_are_those_of_the_whole_pattern_and_the_run_is_the_models_own(
    kind: type[Block],
) -> None:
    module, texts = stack(kind), ids(kind=kind)
    chosen = [[0, 3], [2, 5], [1, 1]][: len(texts)]
    whole = ix.capture(module, texts).attentions["self"]
    captured = ix.capture(module, texts, rows=chosen)
    for layer, rows in zip(whole, captured.attentions["self"], strict=True):
        for item, places in enumerate(chosen):
            assert difference(rows[item], layer[item][:, places]) < 1e-6
    if kind not in BY_PRODUCTS:
        with torch.no_grad():
            assert torch.equal(captured.output, module(texts))
    with pytest.raises(SelectionError, match="rows"):
        ix.capture(module, texts, rows=[LENGTH])


MHA: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "averaged": ({}, {}),
    "by head": ({}, {"average_attn_weights": False}),
    "no weights": ({}, {"need_weights": False}),
    "bias_k": ({"add_bias_kv": True}, {"average_attn_weights": False}),
    "add_zero_attn": ({"add_zero_attn": True}, {"average_attn_weights": False}),
    "bias and zero": ({"add_bias_kv": True, "add_zero_attn": True}, {"need_weights": False}),
    "bool mask": ({}, {"attn_mask": torch.eye(LENGTH).bool()}),
    "float mask": ({}, {"attn_mask": torch.linspace(-2, 2, LENGTH**2).view(LENGTH, LENGTH)}),
    "mask by head": ({}, {"attn_mask": torch.randn(BATCH * HEADS, LENGTH, LENGTH)}),
    "padding": ({}, {"key_padding_mask": torch.tensor([[0, 0, 0, 0, 1, 1]] * BATCH).bool()}),
    "padding, no weights": (
        {},
        {"key_padding_mask": torch.tensor([[0, 0, 0, 1, 1, 1]] * BATCH).bool(),
         "need_weights": False},
    ),
    "both": (
        {},
        {"key_padding_mask": torch.tensor([[0, 0, 0, 0, 0, 1]] * BATCH).bool(),
         "attn_mask": torch.ones(LENGTH, LENGTH).triu(1).bool()},
    ),
    "causal": (
        {},
        {"attn_mask": torch.ones(LENGTH, LENGTH).triu(1).bool(), "is_causal": True,
         "need_weights": False},
    ),
    "no bias": ({"bias": False}, {}),
    "odd heads": ({"num_heads": 1}, {}),
}  # fmt: skip


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("form", MHA)
def test_multihead_attention_gives_its_own_weights(form: str, batch_first: bool) -> None:
    made, given = MHA[form]
    module = nn.MultiheadAttention(SIZE, **{"num_heads": HEADS, "batch_first": batch_first, **made})
    module.eval()
    x = torch.randn(BATCH, LENGTH, SIZE) if batch_first else torch.randn(LENGTH, BATCH, SIZE)
    inputs = {"query": x, "key": x, "value": x, **given}
    own = {**given, "need_weights": True, "average_attn_weights": False}
    _, expected = module(x, x, x, **own)
    plain, weights = module(x, x, x, **given)
    captured = ix.capture(module, inputs)
    assert captured.layers == {"self": [0]}
    assert difference(captured.attentions["self"][0], expected) < 1e-6
    assert difference(captured.output[0], plain) < 1e-6
    assert (captured.output[1] is None) == (weights is None)
    if weights is not None:
        assert difference(captured.output[1], weights) < 1e-6


def test_multihead_attention_without_a_batch_and_with_other_sizes() -> None:
    module = nn.MultiheadAttention(SIZE, HEADS, kdim=5, vdim=7, batch_first=True).eval()
    query, key, value = torch.randn(4, SIZE), torch.randn(9, 5), torch.randn(9, 7)
    _, expected = module(query, key, value, average_attn_weights=False)
    captured = ix.capture(module, (query, key, value))
    assert captured.layers == {"cross": [0]}
    assert difference(captured.attentions["cross"][0][0], expected) < 1e-6
    assert captured.output[1].shape == (4, 9)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_fast_path_of_an_encoder_is_seen_through(norm_first: bool, is_padded: bool) -> None:
    layer = nn.TransformerEncoderLayer(SIZE, HEADS, 32, batch_first=True, norm_first=norm_first)
    module = nn.TransformerEncoder(layer, 3, enable_nested_tensor=not norm_first).eval()
    x = torch.randn(BATCH, LENGTH, SIZE)
    hidden = torch.arange(LENGTH)[None] >= torch.tensor([[3], [6], [5]])
    inputs = {"src": x, **({"src_key_padding_mask": hidden} if is_padded else {})}
    with torch.no_grad():
        plain = module(**inputs)
    captured = ix.capture(module, inputs)
    is_text = ~hidden if is_padded else torch.ones(BATCH, LENGTH, dtype=torch.bool)
    assert difference(captured.output[is_text], plain[is_text]) < 2e-6
    state = x
    for number, block in enumerate(module.layers):
        given = block.norm1(state) if norm_first else state
        _, expected = block.self_attn(
            given, given, given, average_attn_weights=False,
            key_padding_mask=hidden if is_padded else None,
        )  # fmt: skip
        assert difference(captured.attentions["self"][number], expected) < 1e-6
        state = block(state, src_key_padding_mask=hidden if is_padded else None)
    assert captured.modules["self"] == [f"layers.{i}.self_attn" for i in range(3)]


def test_an_encoder_decoder_has_both_kinds() -> None:
    module = nn.Transformer(SIZE, HEADS, 2, 2, 32, batch_first=True).eval()
    captured = ix.capture(module, (torch.randn(1, 7, SIZE), torch.randn(1, 5, SIZE)))
    assert captured.layers == {"self": [0, 1, 2, 3], "cross": [0, 1]}
    assert captured.modules["cross"] == [f"decoder.layers.{i}.multihead_attn" for i in (0, 1)]
    assert [tuple(w.shape[2:]) for w in captured.attentions["cross"]] == [(5, 7)] * 2


class Flat(nn.Module):
    """A decoder written in one function, whose states hold the other sequence from layer 1 on."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.ModuleList(Causal() for _ in range(2))
        self.other = nn.ModuleList(Cross() for _ in range(2))

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Read a target and a source of one length."""
        for own, other in zip(self.own, self.other, strict=True):
            target = other(own(target), source)
        return target


class Perceiver(nn.Module):
    """Learned queries that look at a text."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, LENGTH, SIZE))
        self.attention = nn.MultiheadAttention(SIZE, HEADS, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        """Pool a text."""
        return self.attention(self.latents.expand(len(x), -1, -1), x, x)[0]


class Placed(nn.Module):
    """Positions added to queries and keys, but not to values, as in DETR."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(SIZE, HEADS, batch_first=True)

    def forward(self, x: torch.Tensor, places: torch.Tensor) -> Any:
        """Attend with places."""
        return self.attention(x + places, x + places, x)[0]


def test_the_kind_is_told_by_where_the_keys_come_from() -> None:
    x, y = torch.randn(2, LENGTH, SIZE), torch.randn(2, LENGTH, SIZE)
    assert ix.capture(Flat().eval(), (x, y)).layers == {"self": [0, 1], "cross": [0, 1]}
    assert ix.capture(Perceiver().eval(), x).layers == {"cross": [0]}
    assert ix.capture(Placed().eval(), (x, y)).layers == {"self": [0]}
    assert ix.capture(Cross().eval(), (x, y)).layers == {"cross": [0]}
    assert ix.capture(Cross().eval(), (x, x)).layers == {"self": [0]}


def test_a_compiled_module_and_one_that_is_copied_are_seen_alike() -> None:
    module, texts = stack(Causal), ids()
    expected = ix.capture(module, texts).attentions["self"]
    for other in (torch.compile(module), copy.deepcopy(module)):
        captured = ix.capture(other, texts)
        assert difference(captured.attentions["self"][1], expected[1]) == 0


def test_layers_heads_and_kinds_are_chosen() -> None:
    module, texts = stack(Causal), ids()
    whole = ix.capture(module, texts).attentions["self"]
    chosen = ix.capture(module, texts, layers=[1], heads=[3, 0])
    assert repr(chosen) == "<Captured: self 1 × (3, 2, 6, 6), by torch's own attention functions>"
    assert chosen.layers == {"self": [1]}
    assert chosen.modules == {"self": ["blocks.1"]}
    assert difference(chosen.attentions["self"][0], whole[1][:, [3, 0]]) == 0
    with pytest.raises(SelectionError, match="layers"):
        ix.capture(module, texts, layers=[2])
    with pytest.raises(SelectionError, match="kind"):
        ix.capture(module, texts, kind="cross")


def test_gradients_are_those_of_autograd() -> None:
    from introspect.hooks import capture_gradients

    module, texts = stack(Causal), ids()
    found = capture_gradients(module, {"idx": texts}, lambda output: output[0, -1].sum())
    weights = [slow_weights(given).requires_grad_() for given in module.given()]
    block = module.blocks[1]
    values = module.given()[1].values.double()
    out = block.out.weight.detach().double()  # type: ignore[union-attr]
    heads = (weights[1] @ values.detach()).transpose(1, 2).flatten(2)
    (heads @ out.T)[0, -1].sum().backward()
    assert difference(found.gradients["self"][1], weights[1].grad) < 1e-5  # type: ignore[arg-type]
