"""How cases are made of clusters."""

from __future__ import annotations

from dataclasses import dataclass

from introspect.data.published.pronouns import PRONOUNS
from introspect.errors import SelectionError
from introspect.text import counted, listed, shortened, whole

#: So many words a text may have: each of its pronouns is a case, and each case holds the text.
MOST_WORDS = 2_000


@dataclass(frozen=True)
class ClusterOptions:
    """How cases are made of clusters: which words are pronouns, and which mentions candidates.

    Args:
        sentences: how many sentences make the text: the pronoun's own and those before it.
        words: the longest text in words, 2,000 or fewer; earlier sentences are left out until it
            fits.
        antecedents: how many mentions of the pronoun's cluster, the nearest before it.
        distractors: how many mentions of other clusters, the nearest before it.
        language: whose list of pronouns is used where a file has no parts of speech; words of
            Chinese and Japanese are put together without spaces.
        pronouns: words that are taken for pronouns instead, whatever their part of speech.

    Raises:
        SelectionError: an option has a value that it cannot have.
    """

    sentences: int = 3
    words: int = MOST_WORDS
    antecedents: int = 1
    distractors: int = 1
    language: str = "en"
    pronouns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        least = {"sentences": 1, "words": 1, "antecedents": 1, "distractors": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if not (type(value) is int and value >= smallest):
                raise SelectionError(
                    f"Expected `{name}` as a whole number from {smallest} on, got {value!r}."
                )
        if self.words > MOST_WORDS:
            raise SelectionError(
                f"Expected `words` as at most {whole(MOST_WORDS)}, got {whole(self.words)}: each "
                "pronoun of a text is a case that holds it."
            )
        if self.language not in PRONOUNS:
            raise SelectionError(
                f"Expected a language from {', '.join(PRONOUNS)}, got {self.language!r}. For "
                "another give its pronouns: pronouns=(…) (--pronouns he,she,…)."
            )
        if isinstance(self.pronouns, str) or (self.pronouns is not None and not self.pronouns):
            raise SelectionError(
                f'Expected `pronouns` as words, as in ("he", "she"), got {self.pronouns!r}.'
            )

    @property
    def statement(self) -> str:
        """The rules by which cases are made, in a sentence."""
        before = self.sentences - 1
        window = f"in its sentence{f' and the {before} before it' if before else ''}"
        is_usual = self.words == MOST_WORDS
        longest = "" if is_usual else f", at most {counted(self.words, 'word')}"
        return (
            f"Each pronoun ({self._which}) with the nearest earlier mentions {window}{longest}: "
            f"{self.antecedents} of its own cluster at most, {self.distractors} of others."
        )

    @property
    def _which(self) -> str:
        if self.pronouns is not None:
            return shortened(listed(self.pronouns), 100)
        return f"by part of speech, or else the list for {self.language!r}"
