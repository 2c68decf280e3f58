"""An example text for each bundled model, with the head worth seeing first."""

from __future__ import annotations

from dataclasses import dataclass

from introspect.models.circuits import CIRCUITS, repeated
from introspect.models.sources import ALIASES

__all__ = ["EXAMPLES", "MODELS", "Example", "example_of", "is_example"]


@dataclass(frozen=True)
class Example:
    """The example that a model is shown with.

    Args:
        text: the text that the model reads.
        twin: a text to compare it with.
        layer: the layer of the head worth seeing first.
        head: the index of that head.
        pronoun: the pronoun, as ``find_mention`` takes it; empty if there is none to score.
        antecedent: the phrase that it refers to.
        distractor: a phrase that it might refer to.
        target: the text that the model writes, for an encoder-decoder.
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

#: The model names offered; any hub id or folder may be typed as well.
MODELS = (*ALIASES, *CIRCUITS)


def example_of(model: str) -> Example:
    """Return the example of a model, or that of minilm if it has none."""
    return EXAMPLES.get(model, EXAMPLES["minilm"])


def is_example(text: str) -> bool:
    """Return whether a text is an example, replaceable when another model is chosen."""
    return any(text == example.text for example in EXAMPLES.values())
