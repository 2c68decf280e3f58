"""The words that a reader of this field expects: `make lint` checks every text for them."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.test_docs import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import words

sys.path.remove(str(ROOT / "tools"))


def test_no_text_has_a_word_that_was_replaced():
    assert words.findings() == []


@pytest.mark.parametrize("pattern", words.REPLACED)
def test_each_pattern_finds_what_it_is_for(pattern):
    _, example = words.REPLACED[pattern]
    assert words.uses(pattern, example)


def test_a_docstring_that_asks_is_found():
    source = 'def f():\n    """Whether it is so."""\ndef g():\n    """Return whether it is so."""'
    assert list(words.openings(source)) == [(1, "Whether it is so.")]


def test_a_help_that_does_not_name_the_thing_is_found():
    source = 'o(help="Of folds and draws.")\no(help="Random seed for folds.")'
    assert list(words.helps(source)) == [(1, "Of folds and draws.")]


def test_words_on_both_sides_of_a_value_are_one_text():
    source = 'print(f"the heads {x} of", "its layer")'
    assert sorted(words.strings_of(source)) == ["its layer", "the heads … of"]
    assert ast.parse(source)


def test_the_texts_are_all_there():
    texts = words.texts()
    assert len(texts) > 250
    assert "Do not measure effects within minimal pairs." in texts["introspect/cli/studies.py"]
    assert {"README.md", "notebooks/01_quick_start.ipynb"} <= texts.keys()
