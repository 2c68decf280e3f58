"""What a rule knows of a text: its tokens, words, sentences, tags and mentions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from introspect.data import Sentence
from introspect.records import TokenSequence, mention_pieces
from introspect.studies.said_tokens import is_punctuation, said
from introspect.text import CorefCase

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

#: Marks that end a sentence.
_SENTENCE_ENDS = frozenset(".!?。！？…‽؟।")


@dataclass(frozen=True, eq=False)
class RuleText:
    """A text as a rule sees it; all sequences have one entry for each token.

    Args:
        tokens: the tokens, as they stand in the text.
        ids: vocabulary ids; -1 where there is none.
        is_special: special tokens, which stand for no part of the text.
        words: the number of the word that a token is a piece of; -1 for none.
        text: the text.
        forms: the words, by their numbers.
        tags: universal parts of speech; empty where not known.
        tree_words: the number of the word in the tree; as ``words`` where there is no tree.
        heads: the number of the syntactic head's word; -1 for the root, or without a tree.
        is_pronoun: tokens of the pronoun of a coreference case.
        is_antecedent: tokens of its antecedents.
    """

    tokens: tuple[str, ...]
    ids: Integers
    is_special: Flags
    words: Integers
    text: str = ""
    forms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tree_words: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    heads: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    is_pronoun: Flags = field(default_factory=lambda: np.zeros(0, bool))
    is_antecedent: Flags = field(default_factory=lambda: np.zeros(0, bool))

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def of(
        cls,
        tokens: Sequence[str],
        *,
        ids: Sequence[int] | None = None,
        special: Iterable[int] = (),
        words: Sequence[int] | None = None,
        tags: Sequence[str] | None = None,
        heads: Sequence[int] | None = None,
        pronoun: Iterable[int] = (),
        antecedent: Iterable[int] = (),
    ) -> RuleText:
        """Build a text from its tokens, each a word unless ``words`` says otherwise.

        Args:
            tokens: the tokens.
            ids: their vocabulary ids.
            special: the places of special tokens.
            words: the number of each token's word.
            tags: their parts of speech.
            heads: the number of each one's syntactic head; -1 for the root.
            pronoun: the places of a pronoun.
            antecedent: the places of its antecedents.
        """
        count = len(tokens)
        numbers = np.arange(count) if words is None else np.array(words, dtype=np.int64)
        return cls(
            tokens=tuple(tokens),
            ids=np.full(count, -1) if ids is None else np.array(ids, dtype=np.int64),
            is_special=_marked(count, special),
            words=numbers,
            text=" ".join(tokens),
            forms=_joined(tokens, numbers),
            tags=("",) * count if tags is None else tuple(tags),
            tree_words=numbers,
            heads=np.full(count, -1) if heads is None else np.array(heads, dtype=np.int64),
            is_pronoun=_marked(count, pronoun),
            is_antecedent=_marked(count, antecedent),
        )

    @classmethod
    def read(
        cls,
        tokens: TokenSequence,
        item: CorefCase | Sentence | None = None,
        tree: Sentence | None = None,
    ) -> RuleText:
        """Build a text from the tokens that a model reads, and what comes with it.

        Args:
            tokens: the tokens.
            item: a coreference case, a sentence of a treebank, or ``None``.
            tree: the text as a sentence of another treebank, if the item is none.
        """
        count = len(tokens)
        words = np.array([-1 if w is None else w for w in tokens.word_ids], dtype=np.int64)
        tags, tree_words, heads = ("",) * count, words, np.full(count, -1)
        tree = item if isinstance(item, Sentence) else tree
        if tree is not None:
            tags, tree_words, heads = _of_tree(tokens, tree)
        pronoun: list[int] = []
        antecedents: list[int] = []
        if isinstance(item, CorefCase):
            pronoun = _pieces(tokens, item.pronoun)
            antecedents = [
                place
                for candidate in item.candidates
                if candidate.antecedent
                for place in _pieces(tokens, candidate.span)
            ]
        return cls(
            tokens=tuple(said(tokens, place) for place in range(count)),
            ids=np.array(tokens.token_ids, dtype=np.int64),
            is_special=np.array(tokens.special_tokens_mask, dtype=bool),
            words=words,
            text=tokens.texts[0] if tokens.texts else " ".join(tokens.tokens),
            forms=tokens.words,
            tags=tags,
            tree_words=tree_words,
            heads=heads,
            is_pronoun=_marked(count, pronoun),
            is_antecedent=_marked(count, antecedents),
        )

    @cached_property
    def entries(self) -> Integers:
        """A number for each vocabulary entry; tokens without an id are told apart by their text."""
        numbers: dict[int | str, int] = {}
        known = [t if n < 0 else n for t, n in zip(self.tokens, self.ids.tolist(), strict=True)]
        found = np.array([numbers.setdefault(e, len(numbers)) for e in known], dtype=np.int64)
        # A special token is no occurrence of an entry.
        return np.where(self.is_special, -1 - np.arange(len(found)), found)

    @cached_property
    def is_punctuation(self) -> Flags:
        """Tokens that are nothing but punctuation."""
        return np.array(
            [
                not is_special and is_punctuation(token)
                for token, is_special in zip(self.tokens, self.is_special, strict=True)
            ],
            dtype=bool,
        )

    @cached_property
    def starts_sentence(self) -> Flags:
        """The first token of each sentence: of the text, and after the marks that end one."""
        found = np.zeros(len(self), dtype=bool)
        is_open = True
        for place, token in enumerate(self.tokens):
            if self.is_special[place]:
                continue
            is_end = self.is_punctuation[place] and token.strip()[-1] in _SENTENCE_ENDS
            found[place] = is_open and not self.is_punctuation[place]
            is_open = is_end or (is_open and not found[place])
        return found

    def tagged(self, *tags: str) -> Flags:
        """Return the tokens of words with one of these tags."""
        return np.array([tag in tags for tag in self.tags], dtype=bool)


def _joined(tokens: Sequence[str], numbers: Integers) -> tuple[str, ...]:
    """Return the words that pieces make up, by their numbers."""
    forms = [""] * (1 + max(numbers.tolist(), default=-1))
    for token, number in zip(tokens, numbers.tolist(), strict=True):
        if number >= 0:
            forms[number] += token.removeprefix("##")
    return tuple(forms)


def _marked(count: int, places: Iterable[int]) -> Flags:
    found = np.zeros(count, dtype=bool)
    found[list(places)] = True
    return found


def _pieces(tokens: TokenSequence, span: tuple[int, int]) -> list[int]:
    return [piece for word in mention_pieces(tokens, span) for piece in word]


def _of_tree(
    tokens: TokenSequence, sentence: Sentence
) -> tuple[tuple[str, ...], Integers, Integers]:
    """Return the tag, the word and the syntactic head's word of each token."""
    tags = [""] * len(tokens)
    numbers = np.full(len(tokens), -1, dtype=np.int64)
    heads = np.full(len(tokens), -1, dtype=np.int64)
    for number, word in enumerate(sentence.words):
        for place, (start, end) in enumerate(tokens.offsets):
            is_in = start < word.span[1] and word.span[0] < end and start < end
            if is_in and not tokens.special_tokens_mask[place] and numbers[place] < 0:
                tags[place], numbers[place] = word.upos, number
                heads[place] = -1 if word.head is None else word.head
    return tuple(tags), numbers, heads
