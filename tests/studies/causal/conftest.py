"""The model and the cases that effects are measured on."""

from __future__ import annotations

import pytest

import introspect as ix
from introspect.data import grammar_cases


@pytest.fixture(scope="module")
def model():
    return ix.load("pronoun-gated", lm_head=True)


@pytest.fixture(scope="module")
def cases():
    return grammar_cases(12, "en", seed=3, num_nouns=12)
