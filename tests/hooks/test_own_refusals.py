"""What modules that are none of transformers do that would be misread: refused with the reason."""

from __future__ import annotations

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
    Batched,
    Block,
    Causal,
    Fused,
    Gate,
    HeadsFirst,
    Linear,
    MaskedAfter,
    OtherAxis,
    Products,
    ProductsInPlace,
    Stack,
    Turned,
    TurnedWithNumber,
    WeighsTwice,
    slow_weights,
)

from .own_modules import difference, ids, is_clean, stack

pytestmark = pytest.mark.usefixtures("seeded")


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


def test_what_is_no_attention_is_refused_and_what_was_called_is_said() -> None:
    with pytest.raises(CaptureError, match=r"none was found\. It called .*linear"):
        ix.capture(nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1)), torch.randn(2, 3, 4))
    with pytest.raises(CaptureError, match="TorchScript"):
        ix.capture(torch.jit.script(nn.Linear(4, 4)), torch.randn(2, 4))


class Nested(nn.Module):
    """A module that attends over tensors of several lengths."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.several = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend within nested tensors."""
        layout = torch.jagged if self.how == "jagged" else torch.strided
        nested = torch.nested.nested_tensor([x[:2], x], layout=layout)
        if self.how == "several heads":
            return self.several(nested, nested, nested, need_weights=False)[0]  # type: ignore
        if self.how == "products":
            return torch.softmax(nested @ nested.transpose(1, 2), -1) @ nested
        return functional.scaled_dot_product_attention(nested, nested, nested)


class Mapped(nn.Module):
    """A module that attends to one text at a time, which torch maps over a batch."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, SIZE)
        self.attention = attention

    def one(self, x: torch.Tensor) -> torch.Tensor:
        """Attend to one text."""
        if isinstance(self.attention, nn.MultiheadAttention):
            return self.attention(x, x, x)[0]  # type: ignore[no-any-return]
        return self.attention(x[None])[0]  # type: ignore[no-any-return]

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        """Attend to a batch."""
        return torch.func.vmap(self.one)(self.embedding(idx))  # type: ignore[no-any-return]


class Unclear(nn.Module):
    """Heads and texts in one dimension, and nothing that says how many there are of each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend with seven of something."""
        seven = x[:1].expand(7, -1, -1)
        return functional.scaled_dot_product_attention(seven, seven, seven)


def test_heads_and_texts_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(CaptureError, match="told apart"):
        ix.capture(Unclear(), torch.randn(3, 4, SIZE))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("how", ["jagged", "strided", "products", "several heads"])
def test_nested_tensors_are_refused_by_name(how: str) -> None:
    with pytest.raises(CaptureError, match="got nested ones. Pad them"):
        ix.capture(Nested(how).eval(), torch.randn(5, 8))


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of torch, in the plain run
@pytest.mark.parametrize(
    "attention", [Causal(), Products(), nn.MultiheadAttention(SIZE, HEADS, batch_first=True)]
)
def test_attention_that_torch_maps_over_a_batch_is_refused_by_name(attention: nn.Module) -> None:
    module, texts = Mapped(attention).eval(), ids()
    with torch.no_grad():
        assert module(texts).shape == (*texts.shape, SIZE)
    for refused in (
        lambda: ix.capture(module, texts),
        lambda: ix.capture(module, texts, rows=[0]),
        lambda: ix.ablate(module, "L0H0"),
    ):
        with pytest.raises(CaptureError, match=r"within torch\.func\.vmap"):
            refused()
    assert is_clean(module)


def test_what_torch_maps_over_a_batch_beside_is_said_to_be_left_out() -> None:
    class Beside(nn.Module):
        """A layer by hand, and a gate of each text."""

        def __init__(self) -> None:
            super().__init__()
            self.attention = Products()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Attend, and weigh each text by itself."""
            gates: torch.Tensor = torch.func.vmap(lambda one: one.softmax(-1))(x)
            return self.attention(x) * gates

    captured = ix.capture(Beside().eval(), torch.randn(2, LENGTH, SIZE))
    assert captured.modules == {"self": ["attention"]}
    assert "within vmap, if there is any, is not captured" in captured.certificate.note


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
