"""Models that fail where they are told to, and captures that must be the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tests import models_zoo as zoo
from tests.closeness import assert_close

#: Far more than any of these runs takes; a thread that is not done by then never will be.
PATIENCE_SECONDS = 30


class Stop(Exception):
    """Raised inside a model's forward."""


@contextmanager
def failing(part: nn.Module, error: type[BaseException]) -> Iterator[None]:
    def fail(*_: Any) -> None:
        raise error

    handle = part.register_forward_hook(fail)
    try:
        yield
    finally:
        handle.remove()


def last_attention(model: nn.Module) -> nn.Module:
    return [part for part in model.modules() if type(part).__name__.endswith("Attention")][-1]


def in_threads(*jobs: Callable[[], Any]) -> list[Any]:
    """Run the jobs at the same time and give their results; fail where one never ends."""
    results: list[Any] = [None] * len(jobs)
    errors: list[BaseException] = []

    def run(place: int, job: Callable[[], Any]) -> None:
        try:
            results[place] = job()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(place, job), daemon=True)
        for place, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    return results


def texts(count: int, name: str) -> list[dict[str, torch.Tensor]]:
    """Inputs of the same shape and different content, so that only the content tells them apart."""
    made = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(4, zoo.VOCABULARY, (1, 7), generator=generator)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if name in zoo.ENCODER_DECODERS:
            inputs["decoder_input_ids"] = torch.randint(
                4, zoo.VOCABULARY, (1, 5), generator=generator
            )
        made.append(inputs)
    return made


def assert_same_capture(one: Any, other: Any) -> None:
    assert one.layers == other.layers
    for kind, layers in one.attentions.items():
        for mine, its in zip(layers, other.attentions[kind], strict=True):
            assert_close(mine, its)
