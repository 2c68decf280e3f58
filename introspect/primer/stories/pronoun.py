"""The story of one word that changes what a pronoun refers to, and whether a head follows."""

from __future__ import annotations

from introspect.primer.stories.story import Reader, Story
from introspect.primer.stories.weights import at_head, from_word_to, largest, pieces_of
from introspect.primer.stories.wording import verdict, words_of
from introspect.views.compare import compare_view

__all__ = ["tired_or_wide"]

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
        token=pieces_of(tired, "it")[0],
        labels=("tired", "wide"),
    )
    return Story(
        title=words["title"],
        text=(
            words["model"].format(**figures),
            verdict(words, numbers["wide_street"] > numbers["wide_animal"]),
            words["caveat"].format(**figures),
        ),
        numbers=numbers,
        records={"tired": tired, "wide": wide},
        views={"compare": view},
    )
