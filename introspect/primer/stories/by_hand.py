"""A story with numbers set by hand: a guest reads a menu."""

from __future__ import annotations

import torch

from introspect.primer.attention import attend
from introspect.primer.recording import record_of
from introspect.primer.stories.story import Story
from introspect.primer.stories.wording import words_of
from introspect.views.steps import steps_view

__all__ = ["menu"]

# What a guest likes, and what two dishes are: hot, sour, sweet, mild.
_TASTE = (2.7726, 0.0, 0.0, 0.0)
_MENU = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
# What each dish brings to the table: pepper, sugar.
_FLAVOURS = ((1.0, 0.0), (0.0, 1.0))


def menu(language: str = "en") -> Story:
    """Tell how a guest reads a menu: the taste is the query, dishes are keys, flavors are values.

    The guest likes hot food by 2.77; the score of the hot dish is 2.77 / √4 = 1.39, and of the
    sweet one 0. The softmax turns them into 80 % and 20 %: e^1.39 = 4 against e^0 = 1.

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
