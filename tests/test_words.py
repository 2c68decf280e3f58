"""The words that a reader of this field expects: no text has the ones they replaced."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache

import pytest

from introspect.app.chinese import CHINESE as APP
from introspect.cli.main import app
from tests.test_docs import CHINESE, PAGES, ROOT, help_of, text_of

#: What is not said, as a pattern; what is said instead; a text that the pattern finds.
REPLACED = {
    r"\blook(s|ed|ing)? (best |most |back )?at\b": ("attend to", "a head that looks at the noun"),
    r"\b(heads?|it) looks?\b(?! (like|for|right))": ("attend to", "where a head looks"),
    r"(?<!said to )\bpoints at\b|\bheads? point at\b": ("attend to", "a head points at a word"),
    r"\b(tak(e|es|en|ing)|took) (each |the |a |single )?(heads? |them |it )?out\b": (
        "ablate, remove",
        "each head taken out in turn",
    ),
    r"\bcut off\b": ("truncated; cut an edge", "words that are cut off"),
    r"\btwins?\b": ("minimal pair", "of a case and its twin"),
    r"\brelabell?(s|ed|ing)?\b": ("permutation test, permuted labels", "on relabeled cases"),
    r"\bgiv(e|es|en|ing) (nothing )?on\b(?! (this|random|texts))": (
        "output, pass on",
        "what the head gives on",
    ),
    r"state that it was given": ("input state, residual stream", "the state that it was given"),
    r"\bheads? that (reads?|answers|writes)\b": ("LM head", "with the head that reads"),
    r"\bheads? of its layer\b": ("other heads of layer 1", "the other heads of its layer 0"),
    r"\bmiddle of (all|the) heads\b": ("median of the heads", "the middle of all heads"),
    r"\bin the place of\b": ("overwrite; replace", "put in the place of an earlier run"),
    r"\bgo(es)? on where\b": ("rerun the command to resume", "the command goes on where it was"),
    r"\bwould say\b|\bmodel says\b": ("predict", "what each layer would say"),
    r"\bno head beats\b": ("these cases do not show that …", "No head beats the nearest noun"),
    r"(?-i:\bOf) (folds|that file)|\bof the engine ray\b": (
        "random seed",
        "Of folds, resampling and permutation",
    ),
    r"\b(re)?normalis|\bcolour|\bbehaviour": ("American spelling", "weights, renormalised"),
}
#: Titles of others.
ALLOWED = ("What Does BERT Look At?",)


@cache
def texts() -> dict[str, str]:
    """Everything that a person reads, by where it is: pages, help, the app, messages."""
    told = {page: text_of(page) for page in (*PAGES, "CONTRIBUTING.md") if page != CHINESE}
    told |= {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in ROOT.glob("introspect/models/circuits/*/README.md")
    }
    names = [command.callback.__name__ for command in app.registered_commands]
    told |= {f"introspect {name} --help": help_of(name) for name in names}
    told |= {"the app": "\n".join(APP)}
    for path in ROOT.glob("notebooks/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        told[path.name] = "\n".join("".join(cell["source"]) for cell in cells)
    for path in (*ROOT.glob("introspect/**/assets/*.js"), *ROOT.glob("introspect/**/*.toml")):
        told[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    for path in ROOT.glob("introspect/**/*.py"):
        told[str(path.relative_to(ROOT))] = "\n".join(strings_of(path.read_text("utf-8")))
    return told


def strings_of(source: str) -> Iterator[str]:
    """The docstrings and messages of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


def uses(pattern: str, text: str) -> list[str]:
    """Where a text has the pattern, each with a few words around it."""
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    line = re.sub(r"\s+", " ", text)
    matches = re.finditer(pattern, line, re.IGNORECASE)
    return [line[max(0, match.start() - 40) : match.end() + 20] for match in matches]


@pytest.mark.parametrize("pattern", REPLACED)
def test_no_text_has_a_word_that_was_replaced(pattern):
    instead, _ = REPLACED[pattern]
    said = {place: some for place, text in texts().items() if (some := uses(pattern, text))}
    assert said == {}, f"say: {instead}"


@pytest.mark.parametrize("pattern", REPLACED)
def test_each_pattern_finds_what_it_is_for(pattern):
    _, example = REPLACED[pattern]
    assert uses(pattern, example)


def test_the_texts_are_all_there():
    assert len(texts()) > 250
    assert "--no-minimal-pairs" in texts()["introspect causal --help"]
