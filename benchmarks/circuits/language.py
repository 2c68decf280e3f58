"""The language of the circuits: ``a x b y z``, where *z* stands for the letter after *a*.

A text has two letters, each after a marker, and words without meaning before and between them.
Every text of a circuit is listed, so that its truth is a sum over all of them and no estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from introspect.text import Candidate, CorefCase

MARKER, OTHER_MARKER, PRONOUN, TAIL = "a", "b", "z", "w"
FILLERS = ("p", "q", "r")
LETTERS = tuple("cdefghijklmnos")
_SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
WORDS = (*_SPECIAL, MARKER, OTHER_MARKER, PRONOUN, TAIL, *FILLERS, *LETTERS)
NUMBER = {word: number for number, word in enumerate(WORDS)}
LETTER_NUMBERS = [NUMBER[letter] for letter in LETTERS]
#: Tokens of the longest text, with the one that begins it.
MOST_TOKENS = 16


@dataclass(frozen=True)
class Layout:
    """Words without meaning around the letters.

    Args:
        before: at the beginning.
        between: between the first letter and the second marker.
    """

    before: tuple[str, ...]
    between: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """One text.

    Args:
        words: its words; the last one is the pronoun.
        antecedent, distractor: places of the words of each candidate.
        weight: its share among all texts of the circuit.
    """

    words: tuple[str, ...]
    antecedent: tuple[int, ...]
    distractor: tuple[int, ...]
    weight: float

    @property
    def numbers(self) -> list[int]:
        """The tokens, with the one that begins every text; a word's place is one more here."""
        return [NUMBER["<s>"], *(NUMBER[word] for word in self.words)]

    @property
    def is_nearest(self) -> bool:
        """Return whether the antecedent is the candidate nearest to the pronoun."""
        return self.antecedent > self.distractor

    @property
    def is_shorter(self) -> bool:
        """Return whether the antecedent has fewer words than the distractor."""
        return len(self.antecedent) < len(self.distractor)

    @property
    def with_markers_swapped(self) -> Text:
        """The minimal pair: the same words, and the other letter is the antecedent."""
        swap = {MARKER: OTHER_MARKER, OTHER_MARKER: MARKER}
        words = tuple(swap.get(word, word) for word in self.words)
        return Text(words, self.distractor, self.antecedent, self.weight)

    def case(self, name: str) -> CorefCase:
        """Return the text as a case of coreference, in a group of its own."""
        starts = np.cumsum([0, *(len(word) + 1 for word in self.words)])
        ends = starts[1:] - 1

        def span(places: Sequence[int]) -> tuple[int, int]:
            return int(starts[places[0]]), int(ends[places[-1]])

        candidates = sorted(
            [(span(self.antecedent), True), (span(self.distractor), False)],
        )
        return CorefCase(
            text=" ".join(self.words),
            pronoun=span([len(self.words) - 1]),
            candidates=tuple(Candidate(place, is_right) for place, is_right in candidates),
            group=name,
            id=name,
        )


def every_text(
    layouts: Sequence[Layout], *, nearest: float = 0.5, shorter: float | None = None
) -> list[Text]:
    """List all texts over two letters, both orders and the layouts.

    Args:
        layouts: the layouts, all as frequent.
        nearest: the share of texts whose antecedent is the nearest candidate.
        shorter: the share whose antecedent is the shorter candidate, where one candidate has two
            words; ``None`` where both have one.
    """
    lengths = [(1, 1, 1.0)] if shorter is None else [(1, 2, shorter), (2, 1, 1 - shorter)]
    pairs = list(permutations(LETTERS, 2))
    texts = [
        _text(right, wrong, is_nearest, layout, (own, other), share)
        for (right, wrong), is_nearest, layout, (own, other, share) in product(
            pairs, (True, False), layouts, lengths
        )
    ]
    return [
        Text(t.words, t.antecedent, t.distractor,
             t.weight * (nearest if t.is_nearest else 1 - nearest) / (len(pairs) * len(layouts)))
        for t in texts
    ]  # fmt: skip


def _text(
    right: str,
    wrong: str,
    is_nearest: bool,
    layout: Layout,
    lengths: tuple[int, int],
    weight: float,
) -> Text:
    mentions = [
        (MARKER, [right, *[TAIL] * (lengths[0] - 1)]),
        (OTHER_MARKER, [wrong, *[TAIL] * (lengths[1] - 1)]),
    ]
    words = list(layout.before)
    places: dict[str, tuple[int, ...]] = {}
    for marker, mention in reversed(mentions) if is_nearest else mentions:
        if places:
            words += layout.between
        words.append(marker)
        places[marker] = tuple(range(len(words), len(words) + len(mention)))
        words += mention
    return Text((*words, PRONOUN), places[MARKER], places[OTHER_MARKER], weight)


def drawn(texts: Sequence[Text], count: int, seed: int) -> list[Text]:
    """Draw texts by their weight, none twice."""
    weights = np.array([text.weight for text in texts])
    random = np.random.default_rng([seed, 2])
    chosen = random.choice(len(texts), count, replace=False, p=weights / weights.sum())
    return [texts[number] for number in chosen]


def tokenizer() -> tf.PreTrainedTokenizerFast:
    """Build the tokenizer: a word is a token, and every text begins with ``<s>``."""
    inner = Tokenizer(models.WordLevel(dict(NUMBER), unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", NUMBER["<s>"])]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", mask_token="<mask>", model_max_length=MOST_TOKENS,
    )  # fmt: skip
