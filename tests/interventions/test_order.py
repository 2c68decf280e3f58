"""Interventions that end in any order, or are never ended."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest
import torch

import introspect as ix
from introspect.errors import SelectionError
from introspect.hooks import verify
from tests import models_zoo as zoo
from tests.hooks.safety.interrupts import Traces
from tests.interventions.helpers import built, inputs_of, run

#: One whose attention goes through the interface, and one that computes it by itself.
NAMES = ["bert", "gptj", "deberta"]
HEADS = ("L0H1", "L1H2", "L1H0")


def run_alone(tasks: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run tasks in a thread of their own: in this one another loop may drive a browser."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(tasks())).result()


def holding(model: torch.nn.Module, head: str) -> Iterator[None]:
    with ix.ablate(model, head):
        while True:
            yield


def ablated(model: torch.nn.Module, heads: list[str], inputs) -> torch.Tensor:
    if not heads:
        return run(model, inputs)
    with ix.ablate(model, heads):
        return run(model, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_generators_may_end_in_any_order(name):
    model, inputs = built(name), inputs_of(name)
    run(model, inputs)
    ix.capture(model, inputs)
    before = Traces.of(model)
    expected = {
        left: ablated(model, list(left), inputs)
        for count in range(len(HEADS) + 1)
        for left in permutations(HEADS, count)
        if list(left) == [head for head in HEADS if head in left]
    }
    for order in permutations(HEADS):
        generators = {head: holding(model, head) for head in HEADS}
        for each in generators.values():
            next(each)
        left = list(HEADS)
        for head in order:
            assert torch.equal(run(model, inputs), expected[tuple(left)])
            generators[head].close()
            left.remove(head)
        assert torch.equal(run(model, inputs), expected[()])
        assert Traces.of(model) == before


@pytest.mark.parametrize("name", NAMES)
def test_what_is_dropped_without_an_end_is_undone(name):
    model, inputs = built(name), inputs_of(name)
    clean = run(model, inputs)
    ix.capture(model, inputs)
    before = Traces.of(model)
    abandoned = holding(model, "L0H1")
    next(abandoned)
    entered = ix.ablate(model, "L1H0")
    entered.__enter__()
    assert not torch.equal(run(model, inputs), clean)
    del abandoned, entered
    gc.collect()
    assert Traces.of(model) == before
    assert torch.equal(run(model, inputs), clean)


def test_asyncio_tasks_hold_their_own():
    model, inputs = built("bert"), inputs_of("bert")
    expected = {head: ablated(model, [head], inputs) for head in HEADS}
    clean, before = run(model, inputs), Traces.of(model)

    async def task(head: str, turns: int) -> None:
        with ix.ablate(model, head):
            for _ in range(turns):
                assert torch.equal(run(model, inputs), expected[head])
                await asyncio.sleep(0)
        assert torch.equal(run(model, inputs), clean)

    async def all_tasks() -> None:
        await asyncio.gather(
            *(task(head, turns) for head, turns in zip(HEADS, (3, 1, 2), strict=True))
        )
        cancelled = asyncio.create_task(task(HEADS[0], 99))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)

    run_alone(all_tasks)
    assert Traces.of(model) == before
    assert torch.equal(run(model, inputs), clean)


def test_a_task_begun_within_a_block_does_not_keep_it():
    """A task copies the context in which it begins; the block may end before it does."""
    model, inputs = built("bert"), inputs_of("bert")
    clean = run(model, inputs)
    found: list[torch.Tensor] = []

    async def later() -> None:
        await asyncio.sleep(0.01)
        found.append(run(model, inputs))

    async def begun() -> None:
        with ix.ablate(model, HEADS[0]):
            assert not torch.equal(run(model, inputs), clean)
            task = asyncio.create_task(later())
        await task

    run_alone(begun)
    assert torch.equal(found[0], clean)


def test_one_intervention_may_be_open_in_two_tasks():
    model, inputs = built("bert"), inputs_of("bert")
    clean, expected, before = run(model, inputs), ablated(model, ["L0H1"], inputs), Traces.of(model)
    held = ix.ablate(model, "L0H1")

    async def task(first: asyncio.Event, second: asyncio.Event) -> None:
        with held:
            first.set()
            await second.wait()
            assert torch.equal(run(model, inputs), expected)

    async def both() -> None:
        one, other = asyncio.Event(), asyncio.Event()
        await asyncio.gather(task(one, other), task(other, one))

    run_alone(both)
    assert Traces.of(model) == before
    assert torch.equal(run(model, inputs), clean)


def test_a_thread_that_ends_takes_its_interventions_with_it():
    model, inputs = built("bert"), inputs_of("bert")
    captured = ix.capture(model, inputs)
    verify(model, inputs, captured)  # transformers leaves hooks of its own
    before, held = Traces.of(model), ix.ablate(model, "L1")
    thread = threading.Thread(target=held.__enter__)
    thread.start()
    thread.join()
    assert Traces.of(model) != before
    # It wants another implementation than the thread has borrowed, and must not wait for it.
    verify(model, inputs, found := ix.capture(model, inputs))
    assert all(map(torch.equal, found.attentions["self"], captured.attentions["self"]))
    assert Traces.of(model) == before


def test_an_intervention_ended_in_another_thread_is_ended():
    model, inputs = built("bert"), inputs_of("bert")
    clean, before = run(model, inputs), Traces.of(model)
    held = ix.ablate(model, "L1")
    held.__enter__()
    run(model, inputs)
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert torch.equal(run(model, inputs), clean)
    ix.capture(model, inputs)
    assert Traces.of(model).hooks == before.hooks
    assert Traces.of(model).configs == before.configs


def test_an_intervention_that_is_not_open_cannot_be_ended():
    with pytest.raises(SelectionError, match=r"Expected an intervention that is open.*with ix"):
        ix.ablate(built("bert"), "L1").__exit__(None, None, None)


def test_training_mode_and_a_block_in_a_block_of_the_same():
    model, inputs = built("bert"), inputs_of("bert")
    state, held = zoo.State.of(model), ix.scale(model, "L0H1", 2)
    with held:
        once = run(model, inputs)
        with held:
            twice = run(model, inputs)
        assert torch.equal(run(model, inputs), once)
    assert not torch.equal(once, twice)
    assert zoo.State.of(model) == state
