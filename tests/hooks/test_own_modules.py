"""Attention of modules that are none of transformers, against slow loops and torch's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import introspect as ix
from introspect.errors import CaptureError, SelectionError
from tests.own_modules_zoo import (
    BATCH,
    HEADS,
    LENGTH,
    SIZE,
    Batched,
    Block,
    Causal,
    Classifier,
    Cross,
    Delegated,
    Einsums,
    Fused,
    Gate,
    Grouped,
    HeadsFirst,
    InPlace,
    Linear,
    MaskedAfter,
    NamedOperands,
    OtherAxis,
    Plain,
    Products,
    ProductsInPlace,
    Rotary,
    Scaled,
    Single,
    Stack,
    Turned,
    TurnedWithNumber,
    WeighsTwice,
    Windows,
    slow_weights,
)

PARTS = ("attentions", "scores", "queries", "keys", "values", "head_outputs")
FORMS = [
    Block, Causal, Scaled, Grouped, Fused, Single, Windows, Delegated, Rotary,
    Products, Einsums, Batched, NamedOperands, InPlace, Plain,
]  # fmt: skip
BY_PRODUCTS = (Products, Einsums, Batched, NamedOperands, Plain)
ONE_AT_A_TIME = (Fused, Batched)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every module has the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def stack(kind: type[Block]) -> Stack:
    """Two layers of a form, whose heads do not attend evenly."""
    module = Stack(kind).eval()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "queries" in name or "keys" in name:
                weight.mul_(4)
    return module


def ids(length: int = LENGTH, kind: type[Block] = Block) -> torch.Tensor:
    """A batch of texts of tokens; one text for forms in which texts and heads are one dimension."""
    return torch.randint(0, 40, (1 if kind in ONE_AT_A_TIME else BATCH, length))


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference of two tensors of one shape."""
    assert one.shape == other.shape
    return float((one.detach().double() - other.detach().double()).abs().max())


def is_clean(module: nn.Module) -> bool:
    """Whether nothing is left on a module, nor in this thread."""
    hooks = [*module.modules()]
    return not any(part._forward_pre_hooks or part._forward_hooks for part in hooks) and not (
        torch.overrides._get_current_function_mode_stack()
    )


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


@pytest.mark.parametrize("kind", [Block, Causal, Grouped, Fused, Rotary, Products, Einsums])
def test_a_head_is_taken_out_as_by_a_hook_of_ones_own(kind: type[Block]) -> None:
    module, texts = stack(kind), ids(kind=kind)
    plain, size = module(texts), SIZE // HEADS

    def by_hand(_: nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        heads = args[0].clone()
        heads[..., size : 2 * size] = 0
        return (heads,)

    hook = module.blocks[1].out.register_forward_pre_hook(by_hand)  # type: ignore[union-attr]
    expected = module(texts)
    hook.remove()
    with ix.ablate(module, "L1H1"):
        changed = module(texts)
        rows = ix.capture(module, texts).output
    assert difference(changed, expected) < 1e-6
    assert difference(rows, expected) < 2e-6
    assert difference(changed, plain) > 1e-3
    assert torch.equal(module(texts), plain)
    assert is_clean(module)


@pytest.mark.parametrize("kind", [Causal, Products])
def test_an_edge_is_cut_a_head_scaled_and_another_run_patched_in(kind: type[Block]) -> None:
    module, texts, others = stack(kind), ids(), ids()
    plain = module(texts)
    with ix.knock_out(module, [(4, 1)]):
        cut = ix.capture(module, texts)
    assert all(float(w[:, :, 4, 1].abs().max()) == 0 for w in cut.attentions["self"])
    assert difference(cut.output[:, :4], plain[:, :4]) < 2e-6
    assert difference(cut.output[:, 4], plain[:, 4]) > 1e-4
    with ix.scale(module, "L0H2", 1):
        assert difference(module(texts), plain) < 2e-6
    heads = [f"L{layer}H{head}" for layer in (0, 1) for head in range(HEADS)]
    with ix.patch(module, {"idx": others}, heads):
        patched = ix.capture(module, texts, include=("head_outputs",))
    source = ix.capture(module, others, include=("head_outputs",))
    assert difference(patched.head_outputs["self"][0], source.head_outputs["self"][0]) < 2e-6


def test_nested_edits_apply_once_and_end_in_any_order() -> None:
    module, texts = stack(Causal), ids()
    one, two = ix.scale(module, "L0H0", 0.5), ix.scale(module, "L0H0", 0.5)
    with ix.scale(module, "L0H0", 0.25):
        expected = module(texts)
    one.__enter__()
    two.__enter__()
    both = module(texts)
    one.__exit__(None, None, None)
    half = module(texts)
    two.__exit__(None, None, None)
    assert difference(both, expected) < 1e-6
    assert difference(half, both) > 1e-4
    assert is_clean(module)


def test_runs_of_other_batches_within_one_intervention_are_each_read_as_they_are() -> None:
    module = stack(Causal)
    many, few = torch.randint(0, 40, (HEADS, LENGTH)), torch.randint(0, 40, (2, LENGTH))
    with ix.ablate(module, "L0H1"):
        expected = module(few)
    with ix.ablate(module, "L0H1"):
        module(many)
        assert difference(module(few), expected) == 0


class Fails(Block):
    """A module that fails after it has attended."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend, and fail."""
        self.attend(x, mask)
        raise KeyboardInterrupt if mask is not None else ValueError("no more")


def test_nothing_is_left_behind_after_an_exception() -> None:
    module = Stack(Fails).eval()
    with pytest.raises(CaptureError, match="no more"):
        ix.capture(module, ids())
    with pytest.raises(KeyboardInterrupt):
        ix.capture(module, {"idx": ids(), "mask": torch.ones(LENGTH, LENGTH).bool()})
    assert is_clean(module)
    good = stack(Causal)
    texts = ids()
    assert difference(ix.capture(good, texts).output, good(texts)) < 2e-6


def test_a_compiled_module_and_one_that_is_copied_are_seen_alike() -> None:
    module, texts = stack(Causal), ids()
    expected = ix.capture(module, texts).attentions["self"]
    for other in (torch.compile(module), copy.deepcopy(module)):
        captured = ix.capture(other, texts)
        assert difference(captured.attentions["self"][1], expected[1]) == 0


def test_what_is_no_attention_is_refused_and_what_was_called_is_said() -> None:
    with pytest.raises(CaptureError, match=r"none was found\. It called .*linear"):
        ix.capture(nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1)), torch.randn(2, 3, 4))
    with pytest.raises(CaptureError, match="TorchScript"):
        ix.capture(torch.jit.script(nn.Linear(4, 4)), torch.randn(2, 4))


class Nested(nn.Module):
    """A module that attends over tensors of several lengths."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend within nested tensors."""
        nested = torch.nested.nested_tensor([x[:2], x], layout=torch.jagged)
        return functional.scaled_dot_product_attention(nested, nested, nested)


class Unclear(nn.Module):
    """Heads and texts in one dimension, and nothing that says how many there are of each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend with seven of something."""
        seven = x[:1].expand(7, -1, -1)
        return functional.scaled_dot_product_attention(seven, seven, seven)


@pytest.mark.parametrize(("module", "words"), [(Nested(), "nested"), (Unclear(), "told apart")])
def test_what_cannot_be_read_is_refused_with_the_reason(module: nn.Module, words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        ix.capture(
            module, torch.randn(3, 4, SIZE) if isinstance(module, Unclear) else torch.randn(5, 8)
        )


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


class Mixed(Block):
    """Heads that are mixed around the softmax, as in CaiT."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = (nn.Linear(HEADS, HEADS) for _ in range(2))
        self.softmax = nn.Softmax(-1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with mixed heads."""
        q, k, v = self.heads(x)
        scores = self.before((q @ k.transpose(-2, -1)).movedim(1, -1)).movedim(-1, 1)
        weights = self.softmax(scores)
        self.weights = self.after(weights.movedim(1, -1)).movedim(-1, 1)
        return self.joined(x, self.weights @ v)


class Both(nn.Module):
    """One layer by torch's function and one by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = Causal(), Products()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend twice."""
        return self.other(self.one(x))


def test_heads_that_are_mixed_have_the_weights_that_weigh_and_no_more() -> None:
    module, texts = stack(Mixed), ids()
    captured = ix.capture(module, texts)
    assert captured.modules == {"self": ["blocks.0", "blocks.1"]}
    assert difference(captured.attentions["self"][1], module.blocks[1].weights) == 0  # type: ignore
    with pytest.raises(CaptureError, match="values of Mixed by head, but it does more"):
        ix.capture(module, texts, include=("values",))
    with pytest.raises(CaptureError, match="does more"):
        ix.ablate(module, "L0H0")


def test_weights_that_are_changed_after_the_softmax_are_those_that_weigh() -> None:
    module, texts = stack(MaskedAfter), ids()
    captured = ix.capture(module, texts)
    for weights, given in zip(captured.attentions["self"], module.given(), strict=True):
        assert difference(weights, slow_weights(given)) < 1e-6


def test_what_weighs_twice_has_weights_but_no_outputs_of_heads() -> None:
    module, texts = stack(WeighsTwice), ids()
    captured = ix.capture(module, texts, include=("attentions", "queries"))
    expected = slow_weights(module.given()[1])
    assert difference(captured.attentions["self"][1], expected) < 1e-6
    with pytest.raises(CaptureError, match="weighs with them twice"):
        ix.capture(module, texts, include=("head_outputs",))
    with pytest.raises(CaptureError, match="weighs with them twice"):
        ix.ablate(module, "L0H0")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Turned, "told apart"),
        (TurnedWithNumber, "told apart"),
        (HeadsFirst, "told apart"),
        (Fused, "told apart"),
        (Batched, "told apart"),
        (OtherAxis, "none was found"),
        (Linear, "none was found"),
        (Gate, "none was found"),
        (ProductsInPlace, "writes over them"),
    ],
)
def test_what_would_be_misread_is_refused(kind: type[Block], words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        ix.capture(stack(kind), ids())


class WritesToWeights(nn.Module):
    """A module that writes over the weights that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(SIZE, HEADS, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend, and write over the weights."""
        output, weights = self.attention(x, x, x, average_attn_weights=False)
        weights.zero_()
        return output


def test_weights_that_are_written_over_are_not_kept() -> None:
    with pytest.raises(CaptureError, match="writes over them"):
        ix.capture(WritesToWeights().eval(), torch.randn(2, LENGTH, SIZE))


def test_a_layer_that_is_left_out_is_not_taken_for_another() -> None:
    module, texts = stack(Causal), ids()
    ix.capture(module, texts)
    with pytest.raises(CaptureError, match="tell its layers apart"), ix.ablate(module, "L0H1"):
        module.blocks[1](module.embedding(texts))


def test_attention_around_a_transformers_model_is_said_to_be_left_out() -> None:
    from tests import models_zoo as zoo

    class Around(nn.Module):
        """A model of transformers with a layer of one's own after it."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = zoo.build("bert")
            self.own = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            """Read a text twice."""
            return self.own(self.bert(input_ids, attention_mask=attention_mask)[0])

    inputs = {n: t for n, t in zoo.batch("bert").items() if n in ("input_ids", "attention_mask")}
    note = ix.capture(Around().eval(), inputs).certificate.note
    assert "of the BertModel in Around alone" in note


def test_what_is_not_captured_beside_is_said() -> None:
    captured = ix.capture(Both().eval(), torch.randn(1, LENGTH, SIZE))
    assert captured.modules == {"self": ["one"]}
    assert "attention by products beside them is not captured" in captured.certificate.note


TEXTS = ["The fox did not cross the river because it was too wide.", "The fox was wide."]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """The tokenizer of a model that comes with the package."""
    return ix.load("pronoun").tokenizer


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_pair_with_a_tokenizer_is_a_model(tokenizer: Any) -> None:
    model = ix.load((Classifier().eval(), tokenizer))
    texts = TEXTS
    records = list(model.capture_many(texts))
    for text, record in zip(texts, records, strict=True):
        alone = model.capture(text, certify=True)
        assert difference(record.attentions, alone.attentions) < 1e-6
        assert alone.certificate.max_output_difference is not None
        assert alone.certificate.max_output_difference < 1e-5
    case = ix.CorefCase.from_words(texts[0], pronoun="it", antecedent="river", distractors=["fox"])
    assert len(ix.score(model, [case]).heads) == 2 * HEADS * 2
    assert "L" in ix.report(model, [case]).finding


@pytest.mark.parametrize(("kind", "runs"), [(Causal, True), (Block, False)])
def test_padding_that_no_mask_hides_is_read_only_by_heads_that_look_ahead(
    tokenizer: Any, kind: type[Block], runs: bool
) -> None:
    module = Stack(kind).eval()
    module.embedding = nn.Embedding(31_000, SIZE)
    model = ix.load((module, tokenizer))
    if runs:
        with ix.ablate(model, "L0H0", method="mean", reference=TEXTS):
            model.capture(TEXTS[0])
        return
    with pytest.raises(CaptureError, match="takes no attention_mask"):
        ix.ablate(model, "L0H0", method="mean", reference=TEXTS)
