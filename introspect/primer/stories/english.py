"""The story of “The cat chased the mouse”: numbers set by hand, then a real model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from introspect.primer.attention import attend
from introspect.primer.records import record_of
from introspect.primer.stories.story import (
    Reader,
    Story,
    at_head,
    from_word_to,
    largest,
    verdict,
    words_of,
)
from introspect.records import find_tokens
from introspect.views import compare_view, steps_view

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
    verb = find_tokens(record.keys, "chased")[0]
    view = steps_view(record, layer=fair.layer, head=fair.head, token=verb)
    return Story(
        title=told.title,
        text=(*told.text, words["model"].format(**figures), verdict(words, is_told, a_lot=_A_LOT)),
        numbers={**told.numbers, **numbers},
        records={**told.records, model.name: record},
        views={**told.views, model.name: view},
    )


# What a guest likes, and what two dishes are: hot, sour, sweet, mild.
_TASTE = (2.7726, 0.0, 0.0, 0.0)
_MENU = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
# What each dish brings to the table: pepper, sugar.
_FLAVOURS = ((1.0, 0.0), (0.0, 1.0))


def menu(language: str = "en") -> Story:
    """Tell how a guest reads a menu: the taste is the query, dishes are keys, flavors are values.

    The guest likes hot food by 2.77; the score of the hot dish is 2.77 / √4 = 1.39, and of the
    sweet one 0. The softmax turns them into 80% and 20%: e^1.39 = 4 against e^0 = 1.

    Args:
        language: ``en`` or ``zh``.

    Example:
        >>> round(menu().numbers["Mapo tofu"], 2)
        0.8
    """
    words = words_of("menu", language)
    attended = attend(torch.tensor([_TASTE]), torch.tensor(_MENU), torch.tensor(_FLAVOURS))
    record = record_of(attended, words["dishes"], query_tokens=[words["guest"]])
    shares = attended.weights[0].tolist()
    figures = dict(
        zip(("hot", "sweet"), words["dishes"], strict=True),
        **dict(zip(("hot_score", "sweet_score"), attended.scores[0].tolist(), strict=True)),
        **dict(zip(("hot_share", "sweet_share"), shares, strict=True)),
        **dict(zip(("pepper", "sugar"), attended.output[0].tolist(), strict=True)),
    )
    return Story(
        title=words["title"],
        text=tuple(paragraph.format(**figures) for paragraph in words["told"]),
        numbers=dict(zip(words["dishes"], shares, strict=True)),
        records={"toy": record},
        views={"toy": steps_view(record, token=0)},
    )


TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")


def tired_or_wide(model: Reader, language: str = "en") -> Story:
    """Tell “The animal didn't cross the street because it was too tired / wide”, for one head.

    The head is the one that attends most from *it* to *animal* in the first sentence; the story
    claims that in the second it turns to *street*.

    Args:
        model: a model that reads English.
        language: of the text, ``en`` or ``zh``; the sentences are English.
    """
    words = words_of("turn", language)
    tired, wide = (model.capture(text, include=("attentions",)) for text in (TIRED, WIDE))
    given = {
        f"{name}_{noun}": from_word_to(record, "it", noun)
        for name, record in (("tired", tired), ("wide", wide))
        for noun in ("animal", "street")
    }
    head = largest(tired, given["tired_animal"])
    turns = (given["tired_animal"] > given["tired_street"]) & (
        given["wide_street"] > given["wide_animal"]
    )
    numbers = {name: at_head(tired, weights, head) for name, weights in given.items()}
    numbers["turning"] = int(turns.sum())
    figures = {"model": model.name, "head": head, "num_heads": turns.numel(), **numbers}
    view = compare_view(
        tired,
        wide,
        layer=head.layer,
        head=head.head,
        token=find_tokens(tired.keys, "it")[0],
        labels=("tired", "wide"),
    )
    return Story(
        title=words["title"],
        text=(
            words["model"].format(**figures),
            # A head that gives *street* more in both sentences has turned to nothing.
            verdict(words, at_head(tired, turns.double(), head) == 1),
            words["caveat"].format(**figures),
        ),
        numbers=numbers,
        records={"tired": tired, "wide": wide},
        views={"compare": view},
    )
