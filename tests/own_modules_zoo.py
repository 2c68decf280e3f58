"""Modules that compute attention by torch's own functions, as people write them.

Each module keeps what it hands to the attention in ``seen``, so that a slow loop can compute the
weights anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

SIZE, HEADS, LENGTH, BATCH = 16, 4, 6, 3

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass
class Given:
    """What one attention was given."""

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor | None = None
    is_causal: bool = False
    scale: float | None = None


class Block(nn.Module):
    """A layer with its projections in it, as in nanoGPT."""

    def __init__(self, heads: int = HEADS, key_heads: int | None = None) -> None:
        super().__init__()
        self.key_heads = key_heads or heads
        self.heads_of_queries = heads
        size = SIZE // heads
        self.queries = nn.Linear(SIZE, SIZE)
        self.keys = nn.Linear(SIZE, self.key_heads * size)
        self.values = nn.Linear(SIZE, self.key_heads * size)
        self.out = nn.Linear(SIZE, SIZE)
        self.seen: list[Given] = []

    def heads(self, x: torch.Tensor, context: torch.Tensor | None = None) -> Heads:
        """Return queries, keys and values by head."""
        context = x if context is None else context
        parts = self.queries(x), self.keys(context), self.values(context)
        counts = self.heads_of_queries, self.key_heads, self.key_heads
        by_head = [
            part.unflatten(-1, (count, -1)).transpose(-2, -3)
            for part, count in zip(parts, counts, strict=True)
        ]
        return by_head[0], by_head[1], by_head[2]

    def joined(self, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return the state after the heads have written to it."""
        return x + self.out(output.transpose(-2, -3).flatten(-2))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend by torch's function."""
        return self.attend(x, mask)

    def attend(self, x: torch.Tensor, mask: torch.Tensor | None, **options: Any) -> torch.Tensor:
        """Call torch's function, and keep what it is given."""
        q, k, v = self.heads(x)
        is_causal, scale = options.get("is_causal", False), options.get("scale")
        self.seen.append(Given(q, k, v, mask, is_causal, scale))
        return self.joined(x, functional.scaled_dot_product_attention(q, k, v, mask, **options))


class Causal(Block):
    """The causal form without a mask."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend to what came before."""
        return self.attend(x, mask, is_causal=True)


class Scaled(Block):
    """A scale of its own."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with another temperature."""
        return self.attend(x, mask, scale=0.3)


class Grouped(Block):
    """Heads that share keys and values."""

    def __init__(self) -> None:
        super().__init__(key_heads=2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with fewer heads of keys."""
        return self.attend(x, mask, enable_gqa=True)


class Fused(Block):
    """Heads and texts in one dimension, as in old code."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = HEADS

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with heads folded into the batch."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v))
        output = functional.scaled_dot_product_attention(*(p.flatten(0, 1) for p in (q, k, v)))
        return self.joined(x, output.unflatten(0, (-1, HEADS)))


class Single(Block):
    """One head, without a dimension for it."""

    def __init__(self) -> None:
        super().__init__(heads=1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with one head."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v))
        output = functional.scaled_dot_product_attention(*(p.squeeze(1) for p in (q, k, v)))
        return self.joined(x, output[:, None])


class Windows(Block):
    """Attention within windows, as in Swin without merging."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend within halves of the text."""
        q, k, v = self.heads(x.unflatten(1, (2, -1)))
        self.seen.append(Given(*(part.flatten(0, 1) for part in (q, k, v))))
        output = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(output.transpose(-2, -3).flatten(-2).flatten(1, 2))


class Products(Block):
    """A product, a softmax and a product, as in minGPT."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend by hand to what came before."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v, is_causal=True))
        scores = q @ k.transpose(-2, -1)
        scores *= 1 / math.sqrt(q.shape[-1])  # as some write it
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        weights = functional.softmax(scores.masked_fill(hidden, -math.inf), dim=-1)
        return self.joined(x, weights @ v)


class Einsums(Block):
    """The same by sums over named dimensions, as in x-transformers."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend by hand."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v))
        weights = (torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.joined(x, torch.einsum("bhij,bhjd->bhid", weights, v))


class Batched(Block):
    """The same with heads and texts in one dimension, as in fairseq."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = HEADS

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend by hand with heads folded into the batch."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v))
        one, other, third = (part.flatten(0, 1) for part in (q, k, v))
        scores = torch.bmm(one / math.sqrt(q.shape[-1]), other.transpose(1, 2))
        output = torch.bmm(torch.softmax(scores, dim=-1), third)
        return self.joined(x, output.unflatten(0, (-1, HEADS)))


class Plain(Block):
    """Attention of states themselves, without projections."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with one head of its states."""
        states = x[:, None]
        self.seen.append(Given(states, states, states, scale=1.0))
        return x + ((states @ states.mT).softmax(-1) @ states)[:, 0]


class Inner(nn.Module):
    """A module that is given queries, keys and values, as in many libraries."""

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attend."""
        return functional.scaled_dot_product_attention(q, k, v)


class Delegated(Block):
    """Projections in one module, attention in another within it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend by another module."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v))
        return self.joined(x, self.inner(q, k, v))


class Rotary(Block):
    """Positions that turn queries and keys, made outside and given to both."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with turned queries and keys."""
        q, k, v = self.heads(x)
        angles = torch.arange(x.shape[1], dtype=x.dtype)[:, None] / 3
        q, k = (torch.cat([-part[..., 2:], part[..., :2]], -1) * angles.sin() + part * angles.cos()
                for part in (q, k))  # fmt: skip
        self.seen.append(Given(q, k, v, is_causal=True))
        output = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.joined(x, output)


class Cross(Block):
    """Attention to another sequence."""

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Attend to the context."""
        q, k, v = self.heads(x, context)
        self.seen.append(Given(q, k, v))
        return self.joined(x, functional.scaled_dot_product_attention(q, k, v))


class Stack(nn.Module):
    """Layers one after another, over embedded tokens."""

    def __init__(self, kind: Callable[[], Block], layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, SIZE)
        self.blocks = nn.ModuleList(kind() for _ in range(layers))

    def forward(self, idx: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the states of tokens."""
        x = self.embedding(idx)
        for block in self.blocks:
            x = block(x, mask)
        return x

    def given(self) -> list[Given]:
        """Return what each attention was given in the last run."""
        return [block.seen[-1] for block in self.blocks]  # type: ignore[union-attr, index, misc]


class Classifier(nn.Module):
    """``nn.TransformerEncoder`` over tokens, with a mask of padding."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(31_000, SIZE)
        layer = nn.TransformerEncoderLayer(SIZE, HEADS, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.out = nn.Linear(SIZE, 2)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return two logits for each text."""
        padding = None if attention_mask is None else attention_mask == 0
        return self.out(self.encoder(self.embedding(input_ids), src_key_padding_mask=padding)[:, 0])


def slow_weights(given: Given) -> torch.Tensor:
    """Return attention weights computed one number at a time, in double precision."""
    queries, keys = given.queries.detach().double(), given.keys.detach().double()
    batch, heads, rows, size = queries.shape
    columns = keys.shape[2]
    by = 1 / math.sqrt(size) if given.scale is None else given.scale
    weights = torch.zeros(batch, heads, rows, columns, dtype=torch.float64)
    whole = None if given.mask is None else given.mask.expand(batch, heads, rows, columns)
    for b in range(batch):
        for h in range(heads):
            shared = h * keys.shape[1] // heads
            for i in range(rows):
                scores = []
                for j in range(columns):
                    score = by * float((queries[b, h, i] * keys[b, shared, j]).sum())
                    if given.is_causal and j > i:
                        score = -math.inf
                    if whole is not None and whole.dtype == torch.bool and not whole[b, h, i, j]:
                        score = -math.inf
                    if whole is not None and whole.dtype != torch.bool:
                        score += float(whole[b, h, i, j].detach())
                    scores.append(score)
                highest = max(scores)
                if highest == -math.inf:
                    continue
                raised = [math.exp(score - highest) for score in scores]
                weights[b, h, i] = torch.tensor(raised, dtype=torch.float64) / sum(raised)
    return weights


class Turned(Block):
    """Heads before texts in one dimension."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with the texts of each head together."""
        q, k, v = (torch.cat(p.split(SIZE // HEADS, -1)) for p in self.projected(x))
        output = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(torch.cat(output.chunk(HEADS), -1))

    def projected(self, x: torch.Tensor) -> Heads:
        """Return queries, keys and values, heads side by side."""
        return self.queries(x), self.keys(x), self.values(x)


class TurnedWithNumber(Turned):
    """The same, with the number of heads."""

    num_heads = HEADS


class HeadsFirst(Turned):
    """Heads in the first dimension, texts in the second."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with the texts of each head together."""
        q, k, v = (part.unflatten(-1, (HEADS, -1)).movedim(2, 0) for part in self.projected(x))
        output = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(output.movedim(0, 2).flatten(-2))


class MaskedAfter(Block):
    """Weights that are cut after the softmax and divided by their sum."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend to what came before."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v, is_causal=True))
        weights = ((q @ k.mT) / math.sqrt(q.shape[-1])).softmax(-1).tril()
        return self.joined(x, (weights / weights.sum(-1, keepdim=True)) @ v)


class WeighsTwice(Block):
    """Values of positions beside those of states, as in Shaw et al."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(LENGTH, SIZE // HEADS))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend to states and places."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v))
        weights = ((q @ k.mT) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.joined(x, weights @ v + weights @ self.places)


class OtherAxis(Block):
    """Keys before queries, with the softmax over the keys."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend with patterns that lie on their side."""
        q, k, v = self.heads(x)
        weights = ((k @ q.mT) / math.sqrt(q.shape[-1])).softmax(-2)
        return self.joined(x, weights.mT @ v)


class Linear(Block):
    """Linear attention, which has no pattern."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend without a pattern."""
        q, k, v = self.heads(x)
        return self.joined(x, q.softmax(-1) @ (k.softmax(-2).mT @ v))


class Gate(Block):
    """A gate over experts, which is no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.Parameter(torch.randn(7, SIZE))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Choose among experts."""
        return x + (x @ self.experts.mT).softmax(-1) @ self.experts


class InPlace(Block):
    """States that are written over after they were used."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend, and write over what it attended with."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q.clone(), k.clone(), v.clone()))
        output = functional.scaled_dot_product_attention(q, k, v)
        kept = output.clone()
        for each in (q, k, v, output):
            each.zero_()
        return self.joined(x, kept)


class ProductsInPlace(Block):
    """The same by products."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend, and write over the weights."""
        q, k, v = self.heads(x)
        weights = (q @ k.mT).softmax(-1)
        output = weights @ v
        weights.zero_()
        return self.joined(x, output)


class NamedOperands(Block):
    """Products whose operands are given by name."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend by hand."""
        q, k, v = self.heads(x)
        self.seen.append(Given(q, k, v))
        scores = torch.matmul(input=q, other=k.mT) / math.sqrt(q.shape[-1])
        return self.joined(x, torch.matmul(input=torch.softmax(input=scores, dim=3), other=v))
