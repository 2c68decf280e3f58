"""An encoder-decoder that writes a sequence of symbols backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from training import symbol_tokenizer, trained
from transformers import BartConfig, BartForConditionalGeneration

from introspect.models.circuits import SYMBOLS

IGNORED = -100  # a label that the loss ignores


@dataclass(frozen=True)
class Plan:
    """Plan of the training: the shortest and longest sequence, and its duration."""

    lengths: tuple[int, int] = (3, 16)
    steps: int = 1500
    seed: int = 0
    batch: int = 64
    rate: float = 2e-3


PLANS = {"reversal": Plan()}


def tokenizer() -> Any:
    """Return a tokenizer with a token for each symbol, and ``</s>`` after a text."""
    return symbol_tokenizer(SYMBOLS, ends=True)


class Sequences:
    """Sampler of symbol sequences and their reversals."""

    def __init__(self, plan: Plan, reader: Any) -> None:
        self.plan = plan
        self.start, self.end = reader.bos_token_id, reader.eos_token_id
        self.padding = reader.pad_token_id
        self.symbols = torch.tensor(reader.convert_tokens_to_ids(list(SYMBOLS)))

    def loss(self, model: Any, generator: torch.Generator) -> torch.Tensor:
        """Compute the loss on everything to be written, including the end token."""
        source, target = self.drawn(generator)
        written = torch.cat([torch.full_like(target[:, :1], self.start), target[:, :-1]], 1)
        output = model(
            input_ids=source,
            attention_mask=(source != self.padding).long(),
            decoder_input_ids=written,
            labels=target.masked_fill(target == self.padding, IGNORED),
        )
        loss: torch.Tensor = output.loss
        return loss

    def drawn(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sources and targets, ``(batch, longest + 1)``, with an end, then padding."""
        size, (shortest, longest) = self.plan.batch, self.plan.lengths
        length = torch.randint(shortest, longest + 1, (size, 1), generator=generator)
        drawn = self.symbols[torch.randint(len(SYMBOLS), (size, longest + 1), generator=generator)]
        place = torch.arange(longest + 1).expand(size, -1)
        backwards = drawn.gather(1, (length - 1 - place).clamp(min=0))

        def ended(symbols: torch.Tensor) -> torch.Tensor:
            symbols = torch.where(place < length, symbols, self.padding)
            return torch.where(place == length, self.end, symbols)

        return ended(drawn), ended(backwards)


def model(reader: Any) -> BartForConditionalGeneration:
    """Return the untrained model."""
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=len(reader), d_model=64, encoder_layers=1, decoder_layers=2,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=128,
            decoder_ffn_dim=128, max_position_embeddings=32, dropout=0.0, attention_dropout=0.0,
            activation_dropout=0.0, init_std=0.05, pad_token_id=reader.pad_token_id,
            bos_token_id=reader.bos_token_id, eos_token_id=reader.eos_token_id,
            decoder_start_token_id=reader.bos_token_id, forced_eos_token_id=None,
        )
    )  # fmt: skip


def train(name: str) -> tuple[BartForConditionalGeneration, Any]:
    """Return the trained model and its tokenizer."""
    plan, reader = PLANS[name], tokenizer()
    sequences = Sequences(plan, reader)
    torch.manual_seed(plan.seed)
    made = model(reader)
    trained(
        made,
        lambda generator: sequences.loss(made, generator),
        steps=plan.steps,
        seed=plan.seed,
        rate=plan.rate,
    )
    return made, reader
