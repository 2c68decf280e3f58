"""Entries of a form as the library takes them; nothing here draws or computes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from introspect.errors import MentionError
from introspect.interventions import Ablation, Intervention, ablate, knock_out
from introspect.models import ALIASES
from introspect.models.circuits import CIRCUITS, repeated
from introspect.records import Kind
from introspect.studies.causal import Prompt
from introspect.text import Candidate, CorefCase, Span, find_mention, segment_words, visible_text


@dataclass(frozen=True)
class Example:
    """The example that a model is shown with.

    Args:
        text: the text that the model reads.
        other_text: a text to compare it with.
        layer: the layer of the head worth seeing first.
        head: the index of that head.
        pronoun: the pronoun, as ``find_mention`` takes it; empty if there is none to score.
        antecedent: the phrase that it refers to.
        distractor: a phrase that it might refer to.
        target: the text that the model writes, for an encoder-decoder.
    """

    text: str
    other_text: str
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

#: What a word can be in a case, in the order of an address.
MARKS = ("pronoun", "antecedent", "distractor")
_LINK = re.compile(
    r"(?:[0-9]{1,5})?~(?:[0-9]{1,5}(?:\.[0-9]{1,5})*)?~(?:[0-9]{1,5}(?:\.[0-9]{1,5})*)?"
)

#: The model names offered; any hub id or folder may be typed as well.
MODELS = (*ALIASES, *CIRCUITS)


def example_of(model: str) -> Example:
    """Return the example of a model, or that of minilm if it has none."""
    return EXAMPLES.get(model, EXAMPLES["minilm"])


def is_example(text: str) -> bool:
    """Return whether a text is an example, replaceable when another model is chosen."""
    return any(text == example.text for example in EXAMPLES.values())


@dataclass(frozen=True)
class Entry:
    """What was entered: a text, and how a model reads it.

    Args:
        text: the text that the model reads.
        pair: a second text, for models that read pairs.
        target: the text that an encoder-decoder writes.
        kind: the kind of attention to show, for an encoder-decoder.
        truncation: whether a text that is too long is truncated.
    """

    text: str
    pair: str | None = None
    target: str | None = None
    kind: Kind | None = None
    truncation: bool = False

    @property
    def is_of_target(self) -> bool:
        """Return whether the attention shown is that of what the model writes."""
        return self.kind in ("decoder", "cross")

    @property
    def subject(self) -> str | tuple[str, str]:
        """The text or pair, in the form that ``ix.report`` takes."""
        return self.text if self.pair is None else (self.text, self.pair)


#: The ablation methods offered: those that need only one text.
METHODS: tuple[Ablation, ...] = ("zero", "mean", "uniform")


@dataclass(frozen=True)
class Removal:
    """What to ablate in a model.

    Args:
        heads: heads such as ``L3H1``, or ``L3`` for a whole layer; with ``edge``, none means all.
        method: the ablation method.
        edge: the query word and the key word, as spans of the text; the heads are then kept, and
            only their attention from the one word to the other is cut.
        references: for ``mean``, the texts to average over.
        kind: the kind of attention, for an encoder-decoder.
    """

    heads: tuple[str, ...]
    method: Ablation = METHODS[0]
    edge: tuple[Span, Span] | None = None
    references: tuple[str, ...] = ()
    kind: Kind | None = None

    def __call__(self, prompt: Prompt) -> Intervention:
        """Return the intervention on the tokens of a prompt, as ``ix.before_after`` asks for it.

        Raises:
            SelectionError: no heads are chosen, or the model does not have some of them.
            MentionError: the model has no tokens for a word.
        """
        if self.edge is None:
            reference = self.references or None
            return ablate(
                prompt.model, self.heads, method=self.method, reference=reference, kind=self.kind
            )
        queries, keys = map(prompt.pieces, self.edge)
        edges = [(query, key) for query in queries for key in keys]
        intervention = knock_out(prompt.model, edges, self.heads or None, kind=self.kind)
        # Only the words of the text itself are shown, never those of a text with a mask in it.
        one, other = (prompt.text[start:end] for start, end in self.edge)
        where = f" in {', '.join(self.heads)}" if self.heads else ""
        intervention.words = f"{one} → {other} cut{where}"
        return intervention


@dataclass(frozen=True)
class Word:
    """A word to choose, with its place and label.

    Args:
        index: its index among the words of the text.
        span: half-open character offsets.
        label: the word, numbered if the text has it several times: ``it#2``.
    """

    index: int
    span: Span
    label: str


def words_of(text: str) -> list[Word]:
    """Return the words of a text that can be marked, in order, without punctuation.

    Example:
        >>> [word.label for word in words_of("It was it, and it alone.")]
        ['It', 'was', 'it#1', 'and', 'it#2', 'alone']
    """
    spans = [(s, e) for s, e in segment_words(text) if any(map(str.isalnum, text[s:e]))]
    times = Counter(text[s:e] for s, e in spans)
    seen: Counter[str] = Counter()
    words = []
    for index, (start, end) in enumerate(spans):
        word = text[start:end]
        seen[word] += 1
        number = f"#{seen[word]}" if times[word] > 1 else ""
        words.append(Word(index, (start, end), visible_text(word) + number))
    return words


def spans_of(words: Sequence[Word], text: str) -> list[Span]:
    """Join chosen words into mentions: words separated only by spaces form one mention.

    Example:
        >>> text = "The old dog saw a cat."
        >>> the, old, dog, saw, a, cat = words_of(text)
        >>> [text[s:e] for s, e in spans_of([dog, cat, old], text)]
        ['old dog', 'cat']
    """
    spans: list[Span] = []
    for start, end in sorted(word.span for word in words):
        if spans and not text[spans[-1][1] : start].strip():
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def case_from_words(
    text: str, pronoun: Word | None, antecedents: Sequence[Word], distractors: Sequence[Word]
) -> CorefCase:
    """Build the case that the user has marked.

    Raises:
        TextError: the text is empty.
        MentionError: no pronoun or no candidate is marked, or a word has two of these roles.
    """
    if pronoun is None or not (antecedents or distractors):
        raise MentionError(
            "Expected a pronoun and at least one candidate. Choose the pronoun, what it refers "
            "to, and what it might refer to but does not."
        )
    if both := {word.index for word in antecedents} & {word.index for word in distractors}:
        word = next(word for word in antecedents if word.index in both)
        raise MentionError(
            f"Expected each word as an antecedent or as a distractor, got {word.label!r} as both. "
            "Remove it from one of the two."
        )
    candidates = [Candidate(span, antecedent=True) for span in spans_of(antecedents, text)]
    candidates += [Candidate(span) for span in spans_of(distractors, text)]
    return CorefCase(text=text, pronoun=pronoun.span, candidates=tuple(candidates))


def example_words(example: Example, text: str) -> tuple[list[int], list[int], list[int]]:
    """Return the indices of an example's words: pronoun, antecedents, distractors.

    The lists are empty for any text other than the example's own two.
    """
    if not example.pronoun or text not in (example.text, example.other_text):
        return [], [], []
    gold, other = example.antecedent, example.distractor
    if text == example.other_text:
        gold, other = other, gold
    pronoun, gold_words, other_words = (
        [word.index for word in words_of(text) if word.span == find_mention(text, phrase)]
        for phrase in (example.pronoun, gold, other)
    )
    return pronoun, gold_words, other_words


def case_link(marks: Mapping[str, Sequence[int]]) -> str:
    """Return marked words as an address holds them.

    Example:
        >>> case_link({"pronoun": [8], "antecedent": [1, 2], "distractor": []})
        '8~1.2~'
    """
    return "~".join(".".join(map(str, marks[role])) for role in MARKS)


def marks_linked(link: str, count: int) -> dict[str, list[int]] | None:
    """Return the words that an address marks; ``None`` if it does not fit a text.

    Args:
        link: the part of the address.
        count: the number of words of the text.

    Example:
        >>> marks_linked("8~1.2~", 12)
        {'pronoun': [8], 'antecedent': [1, 2], 'distractor': []}
        >>> marks_linked("12~1~", 12), marks_linked("1~1~", 12), marks_linked("x", 12)
        (None, None, None)
    """
    if not _LINK.fullmatch(link):
        return None
    marks = [[int(index) for index in part.split(".") if index] for part in link.split("~")]
    indices = [index for part in marks for index in part]
    if len(set(indices)) < len(indices) or any(index >= count for index in indices):
        return None
    return dict(zip(MARKS, marks, strict=True))
