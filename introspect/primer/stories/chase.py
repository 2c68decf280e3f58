"""The story of “The cat chased the mouse”: numbers set by hand, then a real model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from introspect.primer.attention import attend
from introspect.primer.recording import record_of
from introspect.primer.stories.story import Reader, Story
from introspect.primer.stories.weights import at_head, from_word_to, largest, pieces_of
from introspect.primer.stories.wording import verdict, words_of
from introspect.views.steps import steps_view

__all__ = ["cat_and_mouse"]

PARTS = ("scores", "queries", "keys", "values", "head_outputs")

CHASE = "The cat chased the mouse."
_CHASE_WORDS = ("The", "cat", "chased", "the", "mouse")
# The least weight that a head gives to each of two words if it is said to attend to both.
_A_LOT = 0.25
# What each word offers: one who acts, one acted on, an action, a small word.
_OFFERS = ((0, 0, 0, 1), (2, 1, 0, 0), (0, 0, 2, 0), (0, 0, 0, 1), (1, 2, 0, 0))
# What each word looks for: an article for its noun, a noun for its verb, a verb for both nouns.
_SEEKS = ((1, 1, 0, 0), (0, 0, 2, 0), (2, 2, 0, 0), (1, 1, 0, 0), (0, 0, 2, 0))
# What each word passes on: cat, mouse, chasing.
_GIVES = ((0, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, 0), (0, 1, 0))


def cat_and_mouse(model: Reader | None = None, language: str = "en") -> Story:
    """Tell “The cat chased the mouse”, from *chased*: with toy numbers, then a real model.

    Args:
        model: a model that reads English; without one, only the toy numbers.
        language: of the text, ``en`` or ``zh``; the sentence is English.

    Raises:
        IntrospectError: the model cannot be captured with all its parts.
    """
    words = words_of("chase", language)
    seeks, offers, gives = (torch.tensor(v).float() for v in (_SEEKS, _OFFERS, _GIVES))
    attended = attend(seeks, offers, gives)
    toy = record_of(attended, _CHASE_WORDS)
    verb = _CHASE_WORDS.index("chased")
    scores, weights, output = (
        part[verb].tolist() for part in (attended.scores, attended.weights, attended.output)
    )
    told = Story(
        title=words["title"],
        text=(words["toy"].format(scores=scores, weights=weights, output=output),),
        numbers={"toy cat": weights[1], "toy mouse": weights[4]},
        records={"toy": toy},
        views={"toy": steps_view(toy, token=verb)},
    )
    return told if model is None else _chased_by(model, told, words)


def _chased_by(model: Reader, told: Story, words: Mapping[str, Any]) -> Story:
    """Complete the story with what a real model does."""
    record = model.capture(CHASE, include=PARTS)
    cat, mouse = (from_word_to(record, "chased", noun) for noun in ("cat", "mouse"))
    most, fair = (largest(record, each) for each in (cat + mouse, torch.minimum(cat, mouse)))
    numbers = {
        "cat": at_head(record, cat, most),
        "mouse": at_head(record, mouse, most),
        "fair_cat": at_head(record, cat, fair),
        "fair_mouse": at_head(record, mouse, fair),
        "mean_cat": float(cat.mean()),
        "mean_mouse": float(mouse.mean()),
    }
    is_told = min(numbers["fair_cat"], numbers["fair_mouse"]) > _A_LOT
    figures = {"model": model.name, "num_heads": cat.numel(), "most": most, "fair": fair, **numbers}
    verb = pieces_of(record, "chased")[0]
    view = steps_view(record, layer=fair.layer, head=fair.head, token=verb)
    return Story(
        title=told.title,
        text=(*told.text, words["model"].format(**figures), verdict(words, is_told, a_lot=_A_LOT)),
        numbers={**told.numbers, **numbers},
        records={**told.records, model.name: record},
        views={**told.views, model.name: view},
    )
