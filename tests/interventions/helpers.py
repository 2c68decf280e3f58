"""Models whose output projections were written down by hand, and runs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from tests import models_zoo as zoo
from tests.closeness import assert_close

HEADS = 4


# Where the output projection of each layer is: written down here, found by nobody.
PROJECTIONS: dict[str, dict[str, Callable[[nn.Module], list[nn.Module]]]] = {
    "bert": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "roberta": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "gpt2": {"self": lambda m: [layer.attn.c_proj for layer in m.h]},
    "llama": {"self": lambda m: [layer.self_attn.o_proj for layer in m.layers]},
    "gemma2": {"self": lambda m: [layer.self_attn.o_proj for layer in m.layers]},
    "gpt_oss": {"self": lambda m: [layer.self_attn.o_proj for layer in m.layers]},
    "t5": {
        "encoder": lambda m: [block.layer[0].SelfAttention.o for block in m.encoder.block],
        "decoder": lambda m: [block.layer[0].SelfAttention.o for block in m.decoder.block],
        "cross": lambda m: [block.layer[1].EncDecAttention.o for block in m.decoder.block],
    },
    "bart": {
        "encoder": lambda m: [layer.self_attn.out_proj for layer in m.encoder.layers],
        "decoder": lambda m: [layer.self_attn.out_proj for layer in m.decoder.layers],
        "cross": lambda m: [layer.encoder_attn.out_proj for layer in m.decoder.layers],
    },
    "deberta": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "deberta-v2": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "gptj": {"self": lambda m: [layer.attn.out_proj for layer in m.h]},
    "falcon": {"self": lambda m: [layer.self_attention.dense for layer in m.h]},
}
PLACES = [(name, kind) for name, kinds in PROJECTIONS.items() for kind in kinds]


def built(name: str, implementation: str | None = None) -> nn.Module:
    if name in zoo.LEGACY:
        # Some have an sdpa of their own, but it is their eager products that are changed.
        return zoo.build(name, "eager", config=zoo.LEGACY[name]())
    return zoo.build(name, implementation)


def inputs_of(name: str) -> dict[str, torch.Tensor]:
    return zoo.batch(name)


def run(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs).last_hidden_state


@contextmanager
def hooked(projection: nn.Module, change: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """The hand-written way: the projection is given other outputs of heads."""

    def before(_: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        heads = args[0].clone()
        change(heads.view(*heads.shape[:-1], HEADS, -1))
        return (heads, *args[1:])

    handle = projection.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    """Equal as far as float32 goes at the size of the outputs, which reach ten."""
    assert_close(a, b)
