"""Parts of speech for texts that come without any: sentences of a treebank, found by their text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from introspect.data import Sentence, SyntaxWord

# Sentences are looked up by so many of their first characters.
_FIRST = 12


@dataclass(frozen=True, eq=False)
class Tags:
    """Sentences with parts of speech, by their beginnings.

    Args:
        sentences: by their first characters, the longest first.
    """

    sentences: dict[str, list[Sentence]] = field(default_factory=dict)

    @classmethod
    def of(cls, sentences: Iterable[Sentence]) -> Tags:
        """Collect sentences; of those with the same text the first counts."""
        found: dict[str, dict[str, Sentence]] = {}
        for sentence in sentences:
            if sentence.text.strip():
                found.setdefault(sentence.text[:_FIRST], {}).setdefault(sentence.text, sentence)
        return cls(
            {
                first: sorted(each.values(), key=lambda sentence: -len(sentence.text))
                for first, each in found.items()
            }
        )

    def of_text(self, text: str) -> Sentence | None:
        """Return a text as a sentence of the treebank, or as several one after another.

        Args:
            text: the text.

        Returns:
            All words with their places in the text; ``None`` if a part of it is no sentence.

        Example:
            >>> one = Sentence("Cats sleep.", (SyntaxWord("Cats", (0, 4), 1, upos="NOUN"),))
            >>> found = Tags.of([one]).of_text("Cats sleep. Cats sleep.")
            >>> [(word.upos, word.span, word.head) for word in found.words]
            [('NOUN', (0, 4), 1), ('NOUN', (12, 16), 2)]
            >>> Tags.of([one]).of_text("Cats sleep. Dogs do.") is None
            True
        """
        words: list[SyntaxWord] = []
        place = len(text) - len(text.lstrip())
        while place < len(text):
            sentence = self._at(text, place)
            if sentence is None:
                return None
            shift = len(words)
            words += [
                replace(
                    word,
                    span=(word.span[0] + place, word.span[1] + place),
                    head=None if word.head is None else word.head + shift,
                )
                for word in sentence.words
            ]
            place += len(sentence.text)
            place += len(text[place:]) - len(text[place:].lstrip())
        return Sentence(text, tuple(words)) if words else None

    def _at(self, text: str, place: int) -> Sentence | None:
        """Return the longest sentence that stands at a place and does not end within a word."""
        for length in range(min(_FIRST, len(text) - place), 0, -1):
            for sentence in self.sentences.get(text[place : place + length], ()):
                end = place + len(sentence.text)
                is_within = text[end - 1 : end].isalnum() and text[end : end + 1].isalnum()
                if not is_within and text.startswith(sentence.text, place):
                    return sentence
        return None
