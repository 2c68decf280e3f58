"""Empty models in transformers' own code, opened head by head.

A state has a dimension for each thing that it can say: which word this is, which marker stood
before it, which letter is the answer. Two large dimensions, equal and opposite, make every state as
long as any other, so that a layer norm, whose weight undoes the length, changes nothing that
matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers as tf
from torch import nn

from benchmarks.circuits.language import LETTER_NUMBERS, LETTERS, MOST_TOKENS, NUMBER, TAIL, WORDS

#: Where each thing stands in a state.
WORD = 0
AFTER_MARKER = len(WORDS)
KEPT = AFTER_MARKER + 2
ANSWER = KEPT + len(LETTERS)
PLACE = ANSWER + len(LETTERS)
LONG = PLACE + MOST_TOKENS
SIZE = LONG + 2
#: How long a state is: what a head writes is about 1, and changes the length by a thousandth.
LENGTH = 40.0
#: Nats by which a letter that is written with strength 1 is more likely.
NATS = 4.0
HEAD_SIZE = 24
FAMILIES = ("llama", "llama, grouped queries", "mistral, window", "bert", "bart")


@dataclass(frozen=True, eq=False)
class HeadSlot:
    """The weights of one head: views, so that what is written there is the model's.

    Args:
        query: ``(head_size, hidden_size)``.
        key: the same; grouped queries share it.
        value: the same.
        output: ``(hidden_size, head_size)``.
        turns: whether queries and keys are turned by their position.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor
    turns: bool

    @property
    def size(self) -> int:
        """The number of dimensions of a query."""
        return self.query.shape[0]


@dataclass(frozen=True, eq=False)
class Attention:
    """The four products of one layer's attention."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear


@dataclass(frozen=True, eq=False)
class Body:
    """A model whose heads can be opened.

    Args:
        module: the transformers model, with its LM head.
        family: one of ``FAMILIES``.
        heads: heads of a layer.
        groups: heads of keys and values of a layer.
        head_size: dimensions of a head.
        layers: those that read the text; of an encoder-decoder its encoder's.
        attentions: of each layer.
    """

    module: Any
    family: str
    heads: int
    groups: int
    head_size: int
    layers: list[nn.Module] = field(repr=False)
    attentions: list[Attention] = field(repr=False)

    @property
    def writes(self) -> bool:
        """Return whether it is an encoder-decoder."""
        return self.family == "bart"

    def group(self, head: int) -> int:
        """Return the number of the keys and values that a head uses."""
        return head * self.groups // self.heads

    def slot(self, layer: int, head: int) -> HeadSlot:
        """Open one head."""
        attention, size = self.attentions[layer], self.head_size
        own = slice(head * size, (head + 1) * size)
        shared = slice(self.group(head) * size, (self.group(head) + 1) * size)
        return HeadSlot(
            query=attention.query.weight[own],
            key=attention.key.weight[shared],
            value=attention.value.weight[shared],
            output=attention.output.weight[:, own],
            turns=self.family not in ("bert", "bart"),
        )


@torch.no_grad()
def empty_body(family: str, layers: int, heads: int) -> Body:
    """Build a model that says nothing: all weights are 0, but for words, norms and the LM head."""
    body = _BUILDERS[family](family, layers, heads)
    body.module.eval()
    return body


def _embedding(width: int) -> torch.Tensor:
    """Return a state for each word."""
    states = torch.zeros(len(WORDS), width)
    states[:, WORD : WORD + len(WORDS)] = torch.eye(len(WORDS))
    states[:, LONG], states[:, LONG + 1] = LENGTH, -LENGTH
    return states


def _unembedding(width: int) -> torch.Tensor:
    """Return what reads the answer; after a letter its tail is certain."""
    reader = torch.zeros(len(WORDS), width)
    for place, number in enumerate(LETTER_NUMBERS):
        reader[number, ANSWER + place] = NATS
        reader[NUMBER[TAIL], WORD + number] = 4 * NATS
    return reader


def _cleared(module: nn.Module, width: int) -> None:
    """Set all weights to 0, and those of norms to what undoes the length of a state."""
    for parameter in module.parameters():
        parameter.zero_()
    for part in module.modules():
        if "Norm" in type(part).__name__ and getattr(part, "weight", None) is not None:
            part.weight.fill_(LENGTH * math.sqrt(2 / width))


def _llama(family: str, layers: int, heads: int) -> Body:
    groups = heads // 2 if "grouped" in family and heads > 2 else heads
    width = heads * math.ceil(SIZE / heads)
    options = {
        "vocab_size": len(WORDS), "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": groups, "head_dim": HEAD_SIZE,
        "intermediate_size": 4, "max_position_embeddings": 64, "tie_word_embeddings": False,
        "rms_norm_eps": 1e-12, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        # The first frequencies are 1, 1/2, 1/4; the last ones hardly turn.
        "rope_parameters": {"rope_type": "default", "rope_theta": 2.0 ** (HEAD_SIZE // 2)},
    }  # fmt: skip
    if "window" in family:
        model: Any = tf.MistralForCausalLM(tf.MistralConfig(**options, sliding_window=8))
    else:
        model = tf.LlamaForCausalLM(tf.LlamaConfig(**options))
    _cleared(model, width)
    model.model.embed_tokens.weight.copy_(_embedding(width))
    model.lm_head.weight.copy_(_unembedding(width))
    model.config.introspect_metric = "at-pronoun"
    own = list(model.model.layers)
    attentions = [
        Attention(a.q_proj, a.k_proj, a.v_proj, a.o_proj) for a in (one.self_attn for one in own)
    ]
    return Body(model, family, heads, groups, HEAD_SIZE, own, attentions)


def _head_size(heads: int) -> int:
    return max(HEAD_SIZE, math.ceil(SIZE / heads))


def _places(rows: int, width: int, first: int = 0) -> torch.Tensor:
    """Return a state for each position."""
    states = torch.zeros(rows, width)
    for place in range(MOST_TOKENS):
        states[first + place, PLACE + place] = 1
    return states


def _bert(family: str, layers: int, heads: int) -> Body:
    width = heads * _head_size(heads)
    config = tf.BertConfig(
        vocab_size=len(WORDS), hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=4, max_position_embeddings=MOST_TOKENS,
        hidden_act="linear", tie_word_embeddings=False, pad_token_id=0, layer_norm_eps=1e-12,
    )  # fmt: skip
    model: Any = tf.BertForMaskedLM(config)
    _cleared(model, width)
    embeddings, head = model.bert.embeddings, model.cls.predictions
    embeddings.word_embeddings.weight.copy_(_embedding(width))
    embeddings.position_embeddings.weight.copy_(_places(MOST_TOKENS, width))
    head.transform.dense.weight.copy_(torch.eye(width))
    head.decoder.weight.copy_(_unembedding(width))
    model.config.introspect_metric = "at-pronoun"
    own = list(model.bert.encoder.layer)
    attentions = [
        Attention(a.self.query, a.self.key, a.self.value, a.output.dense)
        for a in (one.attention for one in own)
    ]
    return Body(model, family, heads, heads, _head_size(heads), own, attentions)


def _bart(family: str, layers: int, heads: int) -> Body:
    """Build an encoder as BERT's, and a decoder that writes the answer found at the pronoun."""
    size = _head_size(heads)
    width = heads * size
    config = tf.BartConfig(
        vocab_size=len(WORDS), d_model=width, encoder_layers=layers, decoder_layers=1,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4,
        decoder_ffn_dim=4, max_position_embeddings=MOST_TOKENS, tie_word_embeddings=True,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2,
        forced_eos_token_id=None,
    )  # fmt: skip
    model: Any = tf.BartForConditionalGeneration(config)
    model.lm_head.weight = nn.Parameter(torch.zeros(len(WORDS), width))
    _cleared(model, width)
    model.model.shared.weight.copy_(_embedding(width))
    positions = model.model.encoder.embed_positions
    positions.weight.copy_(_places(positions.weight.shape[0], width, positions.offset))
    model.lm_head.weight.copy_(_unembedding(width))
    cross = model.model.decoder.layers[0].encoder_attn
    cross.q_proj.weight[0, LONG] = 12 / LENGTH
    cross.k_proj.weight[0, WORD + NUMBER["z"]] = 12.0
    for place in range(len(LETTERS)):
        cross.v_proj.weight[place, ANSWER + place] = 1
        cross.out_proj.weight[ANSWER + place, place] = 1
    own = list(model.model.encoder.layers)
    attentions = [
        Attention(a.q_proj, a.k_proj, a.v_proj, a.out_proj) for a in (one.self_attn for one in own)
    ]
    return Body(model, family, heads, heads, size, own, attentions)


_BUILDERS: dict[str, Callable[[str, int, int], Body]] = {
    **dict.fromkeys(FAMILIES, _llama),
    "bert": _bert,
    "bart": _bart,
}
