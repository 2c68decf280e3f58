"""Two decoders that continue a repeated segment, in different ways.

``induction`` meets the repetition after a random number of other symbols and with a random period,
so only the symbols tell where it is. For ``shortcut`` it always stands at the same place, so the
position alone does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from training import symbol_tokenizer, trained
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from introspect.models.circuits import SYMBOLS

LENGTH = 64


@dataclass(frozen=True)
class Plan:
    """Plan of one of the models and its training: the ranges of prefix and period."""

    prefix: tuple[int, int]
    period: tuple[int, int]
    steps: int
    seed: int
    batch: int = 64
    rate: float = 2e-3


PLANS = {
    "induction": Plan((0, 20), (8, 21), steps=1000, seed=0),
    "shortcut": Plan((0, 0), (31, 31), steps=600, seed=0),
}


def tokenizer() -> Any:
    """Return a tokenizer with a token for each symbol, and ``<s>`` before a text."""
    return symbol_tokenizer(SYMBOLS)


class Sequences:
    """Sampler of symbol sequences: a prefix, a segment twice, and others up to the full length."""

    def __init__(self, plan: Plan, reader: Any) -> None:
        self.plan = plan
        self.start = reader.bos_token_id
        self.symbols = torch.tensor(reader.convert_tokens_to_ids(list(SYMBOLS)))

    def loss(self, model: Any, generator: torch.Generator) -> torch.Tensor:
        """Compute the loss on the second occurrence of each segment, after its first symbol."""
        input_ids, is_known = self.drawn(generator)
        logits = model(input_ids=input_ids).logits[:, :-1]
        return cross_entropy(logits[is_known], input_ids[:, 1:][is_known])

    def drawn(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids, ``(batch, length)``, and positions from which the next is known."""
        size = self.plan.batch

        def draw(ends: tuple[int, int]) -> torch.Tensor:
            return torch.randint(ends[0], ends[1] + 1, (size, 1), generator=generator)

        prefix, period = draw(self.plan.prefix), draw(self.plan.period)
        order = torch.rand(size, len(SYMBOLS), generator=generator).argsort(1)
        rest = torch.randint(len(SYMBOLS), (size, LENGTH), generator=generator)
        place = torch.arange(LENGTH - 1).expand(size, -1)
        second = prefix + period
        again = (place >= second) & (place < second + period)
        chosen = order.gather(
            1, torch.where(again, place - period, place).clamp(max=len(SYMBOLS) - 1)
        )
        chosen = torch.where(place < second + period, chosen, rest[:, 1:])
        start = torch.full((size, 1), self.start)
        # A position counts <s>: place p of the symbols is position p + 1.
        return torch.cat([start, self.symbols[chosen]], 1), again.roll(1, 1) & again


def model(name: str, reader: Any) -> Any:
    """Return the untrained model: one has rotary positions, the other learned ones."""
    ends = {"bos_token_id": reader.bos_token_id, "eos_token_id": reader.eos_token_id}
    if name == "shortcut":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(reader), n_positions=LENGTH, n_embd=64, n_layer=2, n_head=4,
                n_inner=128, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **ends,
            )
        )  # fmt: skip
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(reader), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, intermediate_size=128, max_position_embeddings=LENGTH,
            tie_word_embeddings=True, pad_token_id=reader.pad_token_id, **ends,
        )
    )  # fmt: skip


def train(name: str) -> tuple[Any, Any]:
    """Return the trained model and its tokenizer."""
    plan, reader = PLANS[name], tokenizer()
    sequences = Sequences(plan, reader)
    torch.manual_seed(plan.seed)
    made = model(name, reader)
    trained(
        made,
        lambda generator: sequences.loss(made, generator),
        steps=plan.steps,
        seed=plan.seed,
        rate=plan.rate,
    )
    return made, reader
