"""A text for each model that comes with the package, with what is worth seeing first."""

from __future__ import annotations

from dataclasses import dataclass

from introspect.models.circuits import CIRCUITS, repeated
from introspect.models.sources import ALIASES

__all__ = ["EXAMPLES", "MODELS", "Example", "example_of", "is_example"]


@dataclass(frozen=True)
class Example:
    """What a model is shown with.

    Args:
        text: what it reads.
        twin: a text to compare it with.
        layer: of the head that is worth seeing first.
        head: that head.
        pronoun: the pronoun, as ``find_mention`` takes it; nothing where there is none to score.
        antecedent: what it refers to.
        distractor: what it might refer to.
        target: what the model writes, if it reads one text and writes another.
    """

    text: str
    twin: str
    layer: int = 0
    head: int = 0
    pronoun: str = ""
    antecedent: str = ""
    distractor: str = ""
    target: str = ""


_STREET = "The animal didn't cross the street because it was too {}."
_RIVER = "The fox did not cross the river because it was too {}."

EXAMPLES = {
    "minilm": Example(
        _STREET.format("tired"),
        _STREET.format("wide"),
        layer=3,
        head=1,
        pronoun="it",
        antecedent="animal",
        distractor="street",
    ),
    "induction": Example(
        repeated(1, seed=1, prefix=3, period=9)[0].text,
        repeated(1, seed=2, prefix=3, period=9)[0].text,
        layer=1,
        head=1,
    ),
    "shortcut": Example(
        repeated(1, seed=1, prefix=0, period=31)[0].text,
        repeated(1, seed=2, prefix=0, period=31)[0].text,
        layer=0,
        head=1,
    ),
    "reversal": Example("a b c d e", "a b X d e", layer=1, head=0, target="e d c b a"),
    "pronoun": Example(
        _RIVER.format("tired"),
        _RIVER.format("wide"),
        layer=1,
        head=0,
        pronoun="it",
        antecedent="fox",
        distractor="river",
    ),
    "pronoun-gated": Example(
        _RIVER.format("tired"),
        _RIVER.format("wide"),
        layer=0,
        head=1,
        pronoun="it",
        antecedent="fox",
        distractor="river",
    ),
}

#: The names that are offered; any hub id or folder may be typed as well.
MODELS = (*ALIASES, *CIRCUITS)


def example_of(model: str) -> Example:
    """The example of a model; that of minilm for one without."""
    return EXAMPLES.get(model, EXAMPLES["minilm"])


def is_example(text: str) -> bool:
    """Whether nobody has typed this text: it may be exchanged when another model is chosen."""
    return any(text == example.text for example in EXAMPLES.values())
