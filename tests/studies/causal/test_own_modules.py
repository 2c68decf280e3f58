"""Causal studies of modules that are none of transformers: by what they return, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import introspect as ix
from introspect.errors import CaptureError, IntrospectError, ModelError
from tests.own_modules_zoo import SIZE, Block, Causal, Products, Stack

TEXT = "The fox did not cross the river because it was too wide."
CASE = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="river", distractors=["fox"])


class Reader(Stack):
    """A stack over a tokenizer's vocabulary, which returns its states as transformers does."""

    def __init__(self, kind: type[Block], *, names_states: bool = True) -> None:
        super().__init__(kind)
        self.embedding = nn.Embedding(31_000, SIZE)
        self.names_states = names_states

    def forward(self, input_ids: torch.Tensor) -> Any:  # type: ignore[override]
        """Read a text."""
        states = super().forward(input_ids)
        return {"last_hidden_state": states} if self.names_states else states


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """The tokenizer of a model that comes with the package."""
    return ix.load("pronoun").tokenizer


def made(tokenizer: Any, kind: type[Block] = Causal, **options: bool) -> ix.Model:
    """A model of one's own, with the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ix.load((Reader(kind, **options).eval(), tokenizer))


def test_states_that_are_named_are_compared_by_the_surrogate_on_either_route(
    tokenizer: Any,
) -> None:
    tables = [ix.causal_effects(made(tokenizer, kind), [CASE]) for kind in (Causal, Products)]
    assert len(tables[0]) == len(tables[1]) > 0
    one, other = (table["effect"].to_numpy() for table in tables)
    assert np.abs(one).max() > 1e-4
    np.testing.assert_allclose(one, other, atol=1e-6)


ASKED: dict[str, tuple[Callable[[ix.Model], Any], str]] = {
    "study": (lambda model: ix.causal_study(model, [CASE]), "return a dictionary with them as"),
    "an answer": (
        lambda model: ix.causal_effects(model, [CASE], metric="continuation"),
        "no LM head of it is known",
    ),
    "lens": (lambda model: ix.lens_study(model, TEXT), "no LM head of it is known"),
    "before and after": (
        lambda model: ix.before_after(model, TEXT, ix.ablate(model, "L0H0")),
        r"compare the two records: ix\.compare_view",
    ),
    "writing": (lambda model: model.capture(TEXT, generate=2), "whose generate"),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_needs_more_is_refused_with_what_can_be_done(tokenizer: Any, asked: str) -> None:
    call, words = ASKED[asked]
    with pytest.raises(IntrospectError, match=words) as refused:
        call(made(tokenizer, names_states=False))
    assert isinstance(refused.value, ModelError | CaptureError)
    assert "lm_head=False" not in str(refused.value)


def test_the_two_records_of_an_intervention_are_compared(tokenizer: Any) -> None:
    model = made(tokenizer)
    before = model.capture(TEXT)
    with ix.ablate(model, "L0H0"):
        after = model.capture(TEXT)
    assert 'data-view="compare"' in ix.compare_view(before, after).to_html()
