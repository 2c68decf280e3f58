"""Interventions in modules that are none of transformers, against hooks of one's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import introspect as ix
from introspect.errors import CaptureError
from tests.own_modules_zoo import (
    HEADS,
    LENGTH,
    SIZE,
    Block,
    Causal,
    Classifier,
    Einsums,
    Fused,
    Grouped,
    Products,
    Rotary,
    Stack,
)

from .own_modules import difference, ids, is_clean, stack

pytestmark = pytest.mark.usefixtures("seeded")


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


def test_a_layer_that_is_left_out_is_not_taken_for_another() -> None:
    module, texts = stack(Causal), ids()
    ix.capture(module, texts)
    with (
        pytest.raises(CaptureError, match="blocks.1 runs where blocks.0 ran"),
        ix.ablate(module, "L0H1"),
    ):
        module.blocks[1](module.embedding(texts))


class Varied(Stack):
    """A stack whose layers run in another order, some not at all or several times, if asked to."""

    def forward(  # type: ignore[override]
        self, idx: torch.Tensor, order: tuple[int, ...] = (0, 1)
    ) -> torch.Tensor:
        """Return the states after these layers."""
        x = self.embedding(idx)
        for number in order:
            x = self.blocks[number](x)
        return x


class OneFunction(nn.Module):
    """Two attentions in one function, by weights that are no modules."""

    def __init__(self, by_torch: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, SIZE)
        self.by_torch = by_torch
        self.first = nn.Parameter(torch.randn(3, SIZE, SIZE) / 2)
        self.second = nn.Parameter(torch.randn(3, SIZE, SIZE) / 2)

    def forward(self, idx: torch.Tensor, order: tuple[int, ...] = (0, 1)) -> torch.Tensor:
        """Attend by one of the weights and then by the other."""
        x = self.embedding(idx)
        for number in order:
            weights = (self.first, self.second)[number]
            mapped = torch.einsum("btc,ncd->nbtd", x, weights)
            q, k, v = mapped.unflatten(-1, (HEADS, -1)).transpose(2, 3)
            if self.by_torch:
                heads = functional.scaled_dot_product_attention(q, k, v)
            else:
                heads = (q @ k.mT).softmax(-1) @ v
            x = x + heads.transpose(1, 2).flatten(2)
        return x


def zeroed(
    module: Varied, block: int, texts: torch.Tensor, order: tuple[int, ...] = (0, 1)
) -> torch.Tensor:
    """What a module returns with head 1 of a block removed by a hook of one's own."""
    size = SIZE // HEADS

    def by_hand(_: nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        heads = args[0].clone()
        heads[..., size : 2 * size] = 0
        return (heads,)

    out: nn.Module = module.blocks[block].out  # type: ignore[union-attr, assignment]
    hook = out.register_forward_pre_hook(by_hand)
    try:
        return module(texts, order)  # type: ignore[no-any-return]
    finally:
        hook.remove()


ORDERS = [(1, 0), (1,), (0, 0, 1, 1), (0, 1, 1), (0, 1, 0)]


@pytest.mark.parametrize("kind", [Causal, Products, Einsums])
@pytest.mark.parametrize("layer", [0, 1])
def test_an_edit_lands_on_the_layer_that_was_numbered_or_is_refused(
    kind: type[Block], layer: int
) -> None:
    module, texts = Varied(kind).eval(), ids()
    expected = zeroed(module, layer, texts)
    for order in ORDERS:
        by_hand = zeroed(module, layer, texts, order)
        with ix.ablate(module, f"L{layer}H1"):
            assert difference(module(texts), expected) < 1e-6
            if kind is not Causal and order in ((0, 1, 1), (0, 1, 0)) and order.count(layer) == 1:
                # The other layer runs again, after it has.
                assert difference(module(texts, order), by_hand) < 1e-6
                continue
            with pytest.raises(CaptureError, match=r"other steps .*: blocks\.\d runs "):
                module(texts, order)
    assert is_clean(module)


@pytest.mark.parametrize("by_torch", [False, True])
def test_two_attentions_of_one_function_are_told_apart_by_their_weights(by_torch: bool) -> None:
    module, texts = OneFunction(by_torch).eval(), ids()
    assert ix.capture(module, texts).layers == {"self": [0, 1]}
    with ix.ablate(module, "L1H1"):
        assert difference(module(texts), module(texts)) == 0
        with pytest.raises(CaptureError, match="other steps"):
            module(texts, (1, 0))


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
