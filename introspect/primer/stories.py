"""Well-known stories about attention, run: every number in their texts was just computed.

A story that a real model does not bear out says so. Each is told in English and in Chinese; the
words are in ``data/``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import torch

from introspect.alignment import mention_pieces
from introspect.errors import SelectionError
from introspect.mentions import find_mention
from introspect.primer.attention import attend
from introspect.primer.recording import record_of
from introspect.primer.training import GREY_CAT, Training, train
from introspect.records import AttentionRecord, Head
from introspect.views.base import View
from introspect.views.compare import compare_view
from introspect.views.evolution import evolution_view
from introspect.views.head import head_view
from introspect.views.steps import steps_view

__all__ = ["Reader", "Story", "cat_and_mouse", "grey_cat", "menu", "tired_or_wide", "writing_code"]

LANGUAGES = ("en", "zh")
PARTS = ("scores", "queries", "keys", "values", "head_outputs")


class Reader(Protocol):
    """What reads a text and says what it attended to, such as ``introspect.load("minilm")``."""

    @property
    def name(self) -> str:
        """What it is called."""

    def capture(self, text: Any, *, include: Sequence[str] = ...) -> AttentionRecord:
        """The attention of every layer and head."""


@dataclass(frozen=True, eq=False)
class Story:
    """A story that has run.

    Args:
        title: its heading.
        text: what happened, a paragraph each.
        numbers: the figures of the text, by name.
        records: the attention it tells of, by name.
        views: what to look at, by name.
    """

    title: str
    text: tuple[str, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    records: Mapping[str, AttentionRecord] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n\n".join((self.title, *self.text))

    def _repr_markdown_(self) -> str:
        return f"### {self}"


# What a guest likes, and what two dishes are: hot, sour, sweet, mild.
_TASTE = (2.7726, 0.0, 0.0, 0.0)
_MENU = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
# What each dish brings to the table: pepper, sugar.
_FLAVOURS = ((1.0, 0.0), (0.0, 1.0))


def menu(language: str = "en") -> Story:
    """A guest reads a menu: the taste is the query, dishes are keys, flavours are values.

    The guest likes hot food by 2.77; the score of the hot dish is 2.77 / √4 = 1.39, and of the
    sweet one 0. That 80 % and 20 % come of it is the softmax's doing: e^1.39 = 4 against e^0 = 1.

    Args:
        language: ``en`` or ``zh``.

    Example:
        >>> round(menu().numbers["Mapo tofu"], 2)
        0.8
    """
    words = _words("menu", language)
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


CHASE = "The cat chased the mouse."
_CHASE_WORDS = ("The", "cat", "chased", "the", "mouse")
# What a head gives to each of two words, at least, to be said to look at both.
_A_LOT = 0.25
# What each word offers: one who acts, one acted on, an action, a small word.
_OFFERS = ((0, 0, 0, 1), (2, 1, 0, 0), (0, 0, 2, 0), (0, 0, 0, 1), (1, 2, 0, 0))
# What each word looks for: an article for its noun, a noun for its verb, a verb for both nouns.
_SEEKS = ((1, 1, 0, 0), (0, 0, 2, 0), (2, 2, 0, 0), (1, 1, 0, 0), (0, 0, 2, 0))
# What each word hands over: cat, mouse, chasing.
_GIVES = ((0, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, 0), (0, 1, 0))


def cat_and_mouse(model: Reader | None = None, language: str = "en") -> Story:
    """“The cat chased the mouse”, from *chased*: with toy numbers, then with a real model.

    Args:
        model: a model that reads English; without one only the toy.
        language: of the text, ``en`` or ``zh``; the sentence is English.

    Raises:
        IntrospectError: the model cannot be captured with all its parts.
    """
    words = _words("chase", language)
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
    """The story with what a real model does."""
    record = model.capture(CHASE, include=PARTS)
    cat, mouse = (from_word_to(record, "chased", noun) for noun in ("cat", "mouse"))
    most, fair = (largest(record, each) for each in (cat + mouse, torch.minimum(cat, mouse)))
    numbers = {
        "cat": _at(record, cat, most),
        "mouse": _at(record, mouse, most),
        "fair_cat": _at(record, cat, fair),
        "fair_mouse": _at(record, mouse, fair),
        "mean_cat": float(cat.mean()),
        "mean_mouse": float(mouse.mean()),
    }
    is_told = min(numbers["fair_cat"], numbers["fair_mouse"]) > _A_LOT
    figures = {"model": model.name, "num_heads": cat.numel(), "most": most, "fair": fair, **numbers}
    verb = pieces_of(record, "chased")[0]
    view = steps_view(record, layer=fair.layer, head=fair.head, token=verb)
    return Story(
        title=told.title,
        text=(*told.text, words["model"].format(**figures), _verdict(words, is_told, a_lot=_A_LOT)),
        numbers={**told.numbers, **numbers},
        records={**told.records, model.name: record},
        views={**told.views, model.name: view},
    )


_CODE = ("我", "写", "代码")


def writing_code(language: str = "zh", *, training: Training | None = None) -> Story:
    """我 写 代码: a head is trained before your eyes, and 写 may come to look at 代码, or not.

    Args:
        language: of the text, ``en`` or ``zh``; the sentence is Chinese.
        training: of a head on ``SENTENCES``, if there is one already.
    """
    words = _words("code", language)
    training = training or train()
    place = training.sentences.index(_CODE)
    verb = _CODE.index("写")
    before, after = (
        dict(zip(_CODE, weights, strict=True))
        for weights in training.history[place][[0, -1], verb].tolist()
    )
    largest_word = max(after, key=lambda word: after[word])
    figures = {
        "before": before["代码"],
        "shares": _listed(after, _CODE),
        "largest": largest_word,
    }
    record = training.record(_CODE)
    return Story(
        title=words["title"],
        text=(
            words["trained"].format(epochs=len(training.losses) - 1, **_losses(training)),
            _verdict(words, largest_word == "代码", **figures),
            words["caveat"],
        ),
        numbers={**after, **{f"before {word}": share for word, share in before.items()}},
        records={"trained": record},
        views={
            "evolution": evolution_view(training.evolution(place), losses=training.losses),
            "trained": steps_view(record, token=verb),
        },
    )


_LIES = "趴在"
_SCENE = ("猫", "垫子上", "壁炉边")


def grey_cat(
    language: str = "zh", *, model: Reader | None = None, training: Training | None = None
) -> Story:
    """那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上, from 趴在.

    The story has it that the verb looks at who lies, on what and where. A head that is trained to
    give back its words has no reason to, and the text says what it learnt instead.

    Args:
        language: of the text, ``en`` or ``zh``; the sentence is Chinese.
        model: a model that knows these characters, such as bert-base-chinese, to be looked at too.
        training: of a head on ``GREY_CAT``, if there is one already.
    """
    words = _words("grey_cat", language)
    training = training or train(GREY_CAT)
    sentence = GREY_CAT[0]
    record = training.record(sentence)
    verb = sentence.index(_LIES)
    row = record.attentions[0, 0, verb].tolist()
    numbers = dict(zip(sentence, row, strict=True))
    even = 1 / len(sentence)
    count = sum(numbers[word] > even for word in _SCENE)
    ranked = sorted(numbers, key=lambda word: -numbers[word])
    told = Story(
        title=words["title"],
        text=(
            words["trained"].format(top=_listed(numbers, ranked[:3]), **_losses(training)),
            _verdict(words, count == len(_SCENE), count=count, even=even),
            words["caveat"],
        ),
        numbers=numbers,
        records={"trained": record},
        views={
            "trained": steps_view(record, token=verb),
            "evolution": evolution_view(training.evolution(0), losses=training.losses),
        },
    )
    return told if model is None else _lies_in(model, told, words)


def _lies_in(model: Reader, told: Story, words: Mapping[str, Any]) -> Story:
    """The story with what a model that knows the characters does."""
    record = model.capture(GREY_CAT[0], include=("attentions",)).words()
    tokens = record.keys.tokens
    rows = record.attentions[:, :, record.queries.tokens.index(_LIES)]
    together = rows[..., [tokens.index(word) for word in _SCENE]].sum(-1)
    head = largest(record, together)
    numbers = {word: _at(record, rows[..., tokens.index(word)], head) for word in _SCENE}
    figures = {
        "model": model.name,
        "head": head,
        "shares": _listed(numbers, _SCENE),
        "total": sum(numbers.values()),
        "mean": float(together.mean()),
    }
    return Story(
        title=told.title,
        text=(*told.text, words["model"].format(**figures)),
        numbers={**told.numbers, **{f"{model.name} {word}": n for word, n in numbers.items()}},
        records={**told.records, model.name: record},
        views={**told.views, model.name: head_view(record, layer=head.layer, heads=[head.head])},
    )


TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")


def tired_or_wide(model: Reader, language: str = "en") -> Story:
    """“The animal didn't cross the street because it was too tired / wide”: whether a head turns.

    The head is the one that gives *animal* most from *it* in the first sentence; the story has it
    that in the second it turns to *street*.

    Args:
        model: a model that reads English.
        language: of the text, ``en`` or ``zh``; the sentences are English.
    """
    words = _words("turn", language)
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
    numbers = {name: _at(tired, weights, head) for name, weights in given.items()}
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
            _verdict(words, numbers["wide_street"] > numbers["wide_animal"]),
            words["caveat"].format(**figures),
        ),
        numbers=numbers,
        records={"tired": tired, "wide": wide},
        views={"compare": view},
    )


# From words to weights


def from_word_to(record: AttentionRecord, source: str, target: str) -> torch.Tensor:
    """What each head gives from one word of the text to another, ``(num_layers, num_heads)``.

    The mean over the pieces of the source, the sum over those of the target.

    Raises:
        MentionError: a word is not in the text, or several times.
    """
    sources, targets = (pieces_of(record, word) for word in (source, target))
    return record.attentions[:, :, sources][..., targets].sum(-1).mean(-1)


def pieces_of(record: AttentionRecord, word: str) -> list[int]:
    """The tokens of a word of the text.

    Raises:
        MentionError: it is not in the text, or several times.
    """
    groups = mention_pieces(record.keys, find_mention(record.keys.texts[0], word))
    return [index for group in groups for index in group]


def largest(record: AttentionRecord, values: torch.Tensor) -> Head:
    """The head with the largest of some values, ``(num_layers, num_heads)``."""
    row, head = divmod(int(values.argmax()), record.num_heads)
    return Head(record.layers[row], head)


def _at(record: AttentionRecord, values: torch.Tensor, head: Head) -> float:
    return float(values[record.layers.index(head.layer), head.head])


# From numbers to words


@cache
def _stories(language: str) -> dict[str, Any]:
    data = files("introspect.primer") / "data" / f"stories_{language}.toml"
    return tomllib.loads(data.read_text("utf-8"))


def _words(story: str, language: str) -> Mapping[str, Any]:
    if language not in LANGUAGES:
        raise SelectionError(f"Expected a language from {', '.join(LANGUAGES)}, got {language!r}.")
    words: Mapping[str, Any] = _stories(language)[story]
    return words


def _verdict(words: Mapping[str, Any], is_told: bool, **figures: Any) -> str:
    """Whether it is as the story has it."""
    text: str = words["as_told" if is_told else "not_as_told"]
    return text.format(**figures)


def _losses(training: Training) -> dict[str, float]:
    return {"first": training.losses[0], "last": training.losses[-1]}


def _listed(numbers: Mapping[str, float], chosen: Sequence[str]) -> str:
    return ", ".join(f"{word} {numbers[word]:.2f}" for word in chosen)
