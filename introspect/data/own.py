"""A small original grammar in English and Chinese, free to use (CC0-1.0).

    The fox did not cross the river because it was too tired / wide.
    狐狸没有过河因为它太累了 / 太宽了。

Each sentence has an animal and a place; only the adjective says which of the two the pronoun refers
to. Either may come first, so neither the first noun nor the nearest is right more than half of the
time. ``introspect.load("pronoun")`` was trained on it, and every pair of an animal and a place that
is held out was left out of that training: which is which follows from the numbers of the two nouns.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from introspect.data.jsonl import case_from_json
from introspect.errors import SelectionError
from introspect.text import Candidate, CorefCase, Span

LANGUAGES = ("en", "zh")

#: Adjectives that fit an animal only, and those that fit a place only, in either language.
ADJECTIVES = {
    "animal": (
        ("tired", "累"), ("hungry", "饿"), ("thirsty", "渴"), ("sleepy", "困"),
        ("weak", "虚弱"), ("scared", "害怕"), ("lazy", "懒"), ("shy", "害羞"),
    ),
    "place": (
        ("wide", "宽"), ("long", "长"), ("deep", "深"), ("dark", "暗"),
        ("steep", "陡"), ("narrow", "窄"), ("muddy", "泥泞"), ("crowded", "拥挤"),
    ),
}  # fmt: skip

#: The places of a frame that an item fills.
SLOTS = ("animal", "place", "adjective")

# One in this many pairs of an animal and a place is held out.
_HELD_OUT = 5


@dataclass(frozen=True)
class Noun:
    """A noun in both languages, and the kind of adjective that fits it.

    Args:
        number: its number among the nouns of its kind, from 0.
        kind: ``animal`` or ``place``.
        english, chinese: the word.
    """

    number: int
    kind: str
    english: str
    chinese: str

    def word(self, language: str) -> str:
        """Return the word in a language."""
        return self.english if language == "en" else self.chinese


@dataclass(frozen=True)
class Frame:
    """A sentence with slots, word by word; a slot is the name of its filler in braces."""

    name: str
    english: tuple[str, ...]
    chinese: tuple[str, ...]

    def words(self, language: str) -> tuple[str, ...]:
        """Return the words and slots in a language."""
        return self.english if language == "en" else self.chinese


def _frame(name: str, english: str, chinese: str) -> Frame:
    english_end = "because it was too {adjective} ."
    chinese_end = "因为 它 太 {adjective} 了 。"
    return Frame(
        name,
        tuple(f"{english} {english_end}".split()),
        tuple(f"{chinese} {chinese_end}".split()),
    )


#: Two begin with the animal and two with the place; the fifth is the first, contracted.
FRAMES = (
    _frame("cross", "the {animal} did not cross the {place}", "{animal} 没有 过 {place}"),
    _frame("avoid", "the {animal} avoided the {place}", "{animal} 避开 了 {place}"),
    _frame("stop", "the {place} stopped the {animal}", "{place} 挡住 了 {animal}"),
    _frame("suit", "the {place} did not suit the {animal}", "{place} 不 适合 {animal}"),
    _frame("short", "the {animal} didn't cross the {place}", "{animal} 没 过 {place}"),
)
_CASE_FRAMES = FRAMES[:4]


@dataclass(frozen=True)
class Item:
    """One sentence of the grammar, in either language.

    Args:
        frame: its words around the nouns.
        animal, place: its nouns.
        kind: which of them the pronoun refers to, ``animal`` or ``place``.
        adjective: the number of its adjective among those of that kind.
    """

    frame: Frame
    animal: Noun
    place: Noun
    kind: str
    adjective: int

    @property
    def antecedent(self) -> Noun:
        """Return what the pronoun stands for."""
        return self.animal if self.kind == "animal" else self.place

    @property
    def group(self) -> str:
        """The group, which minimal pairs and translations share."""
        return f"{self.frame.name}-{self.animal.english}-{self.place.english}"

    def words(self, language: str) -> tuple[str, ...]:
        """Return the words of the sentence, without capitals."""
        filling = {
            "{animal}": self.animal.word(language),
            "{place}": self.place.word(language),
            "{adjective}": ADJECTIVES[self.kind][self.adjective][language == "zh"],
        }
        return tuple(filling.get(word, word) for word in self.frame.words(language))

    def case(self, language: str) -> CorefCase:
        """Return the sentence as a coreference case.

        ``extra`` has ``license``, ``lang``, ``kind`` and ``answer``, the antecedent's word.
        """
        text, spans = _written(self.words(language), language)
        slots = self.frame.words(language)
        spans_by_kind = {
            noun.kind: spans[slots.index(f"{{{noun.kind}}}")] for noun in self._nouns()
        }
        order = sorted(spans_by_kind, key=lambda kind: spans_by_kind[kind])
        return CorefCase(
            text=text,
            pronoun=spans[slots.index("it" if language == "en" else "它")],
            candidates=tuple(Candidate(spans_by_kind[kind], kind == self.kind) for kind in order),
            group=self.group,
            id=f"{self.group}-{self.kind}-{language}",
            extra={
                "license": "CC0-1.0",
                "lang": language,
                "kind": self.kind,
                "answer": self.antecedent.word(language),
            },
        )

    def _nouns(self) -> tuple[Noun, Noun]:
        return self.animal, self.place


def own_texts() -> list[str]:
    """Return sentences from the documentation of this package, as of 2026-12-01.

    They are kept as they were, so that what was found in them stays true when pages are edited:
    running prose, in English, each sentence once, without code, tables and lists of numbers. Like
    the package itself they are free to use (Apache-2.0).

    Example:
        >>> len(own_texts()), own_texts()[1][:43]
        (289, 'No network is needed for that model and for')
    """
    return (files("introspect.data") / "docs_en.txt").read_text("utf-8").splitlines()


@cache
def nouns(kind: str) -> tuple[Noun, ...]:
    """Return the nouns of a kind, ``animal`` or ``place``: 150 each.

    Example:
        >>> nouns("animal")[0].english, nouns("animal")[0].chinese
        ('fox', '狐狸')
    """
    data = files("introspect.data") / "grammar_nouns.csv"
    rows = csv.DictReader(io.StringIO(data.read_text("utf-8")))
    words = [(row["english"], row["chinese"]) for row in rows if row["kind"] == kind]
    return tuple(Noun(number, kind, *pair) for number, pair in enumerate(words))


def is_held_out(animal: Noun, place: Noun) -> bool:
    """Return whether this pair of nouns was held out of training, as one pair in five is.

    Example:
        >>> is_held_out(nouns("animal")[0], nouns("place")[0])
        True
    """
    return (animal.number + place.number) % _HELD_OUT == 0


def grammar_cases(
    n: int,
    language: str = "en",
    seed: int = 0,
    *,
    num_nouns: int | None = None,
    held_out: bool = True,
) -> list[CorefCase]:
    """Return cases of the grammar in minimal pairs: one refers to the animal, one to the place.

    The same seed gives translations of the same sentences in either language, with the same
    groups.

    Args:
        n: how many cases; an even number, since they come in minimal pairs.
        language: ``en`` or ``zh``.
        seed: the random seed of the choice.
        num_nouns: use only this many nouns of each kind, from the first; all 150 by default.
        held_out: use pairs of nouns that the shipped models were not trained on; else those that
            they were trained on.

    Raises:
        SelectionError: another language, an odd number, or more cases than exist.

    Example:
        >>> first, second = grammar_cases(2)
        >>> first.group == second.group and first.text != second.text
        True
    """
    _check_language(language)
    most = len(nouns("animal"))
    if num_nouns is not None and not 0 < num_nouns <= most:
        raise SelectionError(f"Expected `num_nouns` from 1 to {most}, got {num_nouns}.")
    pairs = _pairs(num_nouns or most, held_out)
    available = 2 * len(pairs) * len(_CASE_FRAMES)
    if n < 0 or n % 2 or n > available:
        raise SelectionError(
            f"Expected an even number of cases from 0 to {available}, since they come in minimal "
            f"pairs, got {n}."
        )
    return [item.case(language) for item in _drawn(pairs, n // 2, random.Random(seed))]


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise SelectionError(f"Expected a language from {', '.join(LANGUAGES)}, got {language!r}.")


def _pairs(num_nouns: int, held_out: bool) -> list[tuple[Noun, Noun]]:
    return [
        (animal, place)
        for animal in nouns("animal")[:num_nouns]
        for place in nouns("place")[:num_nouns]
        if is_held_out(animal, place) == held_out
    ]


def _drawn(
    pairs: Sequence[tuple[Noun, Noun]], count: int, generator: random.Random
) -> Iterator[Item]:
    """Yield minimal pairs, each in a group of its own."""
    frames = len(_CASE_FRAMES)
    for number in generator.sample(range(len(pairs) * frames), count):
        animal, place = pairs[number // frames]
        for kind in ("animal", "place"):
            adjective = generator.randrange(len(ADJECTIVES[kind]))
            yield Item(_CASE_FRAMES[number % frames], animal, place, kind, adjective)


def _written(words: Sequence[str], language: str) -> tuple[str, list[Span]]:
    """Return the words as a text, and the span of each of them."""
    text, spans = "", []
    for word in words:
        if language == "en" and text and word != ".":
            text += " "
        start = len(text)
        text += word if text or language == "zh" else word.capitalize()
        spans.append((start, len(text)))
    return text, spans


def own_cases(language: str = "en") -> list[CorefCase]:
    """Return the cases in ``"en"`` or ``"zh"`` (simplified); a minimal pair is one group.

    ``extra`` has ``license`` and ``lang``.

    Raises:
        SelectionError: no cases exist in this language.

    Example:
        >>> first, second = own_cases()[:2]
        >>> first.group == second.group
        True
    """
    _check_language(language)
    data = files("introspect.data") / f"own_{language}.jsonl"
    return [case_from_json(line) for line in data.read_text("utf-8").splitlines()]
