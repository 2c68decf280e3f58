"""Documents with clusters of mentions, and the cases that their pronouns make."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from introspect.data.outcomes import CaseSource, LeftOut, Outcome, checked_case
from introspect.data.published.pronouns import PRONOUNS, UNSPACED, are_pronouns
from introspect.errors import SelectionError
from introspect.io import Row, RowError
from introspect.text import Span, counted, joined_words, listed, shortened

_FINAL = {".", "!", "?", "…", "。", "！", "？", "؟", "۔", "।"}
_CLOSING = {'"', "'", "''", "”", "’", "»", "」", "』", ")", "-RRB-", "）"}

# Before a full stop that is a word of its own, as ours are.
_ABBREVIATIONS = {"Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Jr", "Sr", "Gen", "Sen", "Rep", "vs"}


@dataclass(frozen=True)
class ClusterOptions:
    """How cases are made of clusters: which words are pronouns, and which mentions candidates.

    Args:
        sentences: how many sentences make the text: the pronoun's own and those before it.
        words: the longest text in words; earlier sentences are left out until it fits.
        antecedents: how many mentions of the pronoun's cluster, the nearest before it.
        distractors: how many mentions of other clusters, the nearest before it.
        language: whose list of pronouns is used where a file has no parts of speech; words of
            Chinese and Japanese are put together without spaces.
        pronouns: words that are taken for pronouns instead, whatever their part of speech.

    Raises:
        SelectionError: an option has a value that it cannot have.
    """

    sentences: int = 3
    words: int | None = None
    antecedents: int = 1
    distractors: int = 1
    language: str = "en"
    pronouns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        least = {"sentences": 1, "words": 1, "antecedents": 1, "distractors": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and not (type(value) is int and value >= smallest):
                raise SelectionError(
                    f"Expected `{name}` as a whole number from {smallest} on, got {value!r}."
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
        longest = f", at most {counted(self.words, 'word')}" if self.words else ""
        return (
            f"Each pronoun ({self._which}) with the nearest earlier mentions {window}{longest}: "
            f"{self.antecedents} of its own cluster at most, {self.distractors} of others."
        )

    @property
    def _which(self) -> str:
        if self.pronouns is not None:
            return shortened(listed(self.pronouns), 100)
        return f"by part of speech, or else the list for {self.language!r}"


@dataclass(frozen=True)
class Mention:
    """A mention: its characters, and the entity whose cluster it is in."""

    span: Span
    entity: str


@dataclass(frozen=True)
class Document:
    """A document with clusters; all spans are half-open character offsets into its text.

    Args:
        name: its name, which its cases share as their group.
        text: all of it.
        words: the characters of each word.
        sentences: the words of each sentence, half-open.
        pronouns: for each word, whether it is a pronoun.
        mentions: all mentions that have characters in one piece.
        unread: kind and description of each mention that has none.
    """

    name: str
    text: str
    words: Sequence[Span]
    sentences: Sequence[Span]
    pronouns: Sequence[bool]
    mentions: Sequence[Mention]
    unread: Sequence[tuple[str, str]] = field(default=())


def document_of_words(
    name: str,
    sentences: Sequence[Sequence[str]],
    mentions: Iterable[tuple[int, int, str]],
    options: ClusterOptions,
    tags: Sequence[bool] | None = None,
) -> Document:
    """Return a document made of words.

    Args:
        name: its name.
        sentences: the words of each sentence.
        mentions: first word, word after the last, and entity of each; counted over all sentences.
        options: the language, and the words that are pronouns.
        tags: for each word, whether its part of speech is a pronoun's; by default the list is used.

    Raises:
        RowError: a mention is not one of the words.
    """
    words = [word for sentence in sentences for word in sentence]
    text, places = joined_words(words, options.language not in UNSPACED)
    spans, start = [], 0
    for sentence in sentences:
        # Some collections mark a paragraph by a sentence of one space.
        if any(word.strip() for word in sentence):
            spans.append((start, start + len(sentence)))
        start += len(sentence)
    by_words = tags is None or options.pronouns is not None
    return Document(
        name=name,
        text=text,
        words=places,
        sentences=spans,
        pronouns=are_pronouns(words, options.language, options.pronouns)
        if by_words
        else tags or [],
        mentions=[
            Mention((places[first][0], places[end - 1][1]), entity)
            for first, end, entity in (_checked(mention, len(words)) for mention in mentions)
        ],
    )


def _checked(mention: tuple[int, int, str], num_words: int) -> tuple[int, int, str]:
    first, end, _ = mention
    if not 0 <= first < end <= num_words:
        raise RowError(
            f"Expected mentions among the {num_words} words of the document, got the words "
            f"{first} to {end - 1}.",
            kind="span",
        )
    return mention


def sentences_by_marks(words: Sequence[str], breaks: Collection[int] = ()) -> list[Span]:
    """Return sentences as spans of words, each ended by a final mark.

    Args:
        words: the words.
        breaks: numbers of words that begin a paragraph.

    Example:
        >>> sentences_by_marks("Mr . A came . It rained !".split())
        [(0, 5), (5, 8)]
    """
    ends, is_over = [], False
    for place, word in enumerate(words):
        if place and (place in breaks or (is_over and word not in _CLOSING | _FINAL)):
            ends.append(place)
            is_over = False
        before = words[place - 1] if place else ""
        is_final = word in _FINAL and not (word == "." and before in _ABBREVIATIONS)
        is_over = is_over or is_final
    return list(zip([0, *ends], [*ends, len(words)], strict=True)) if words else []


def read_documents(
    source: CaseSource,
    documents: Iterable[tuple[Row, Callable[[], Document]]],
    options: ClusterOptions,
) -> Iterator[Outcome]:
    """Yield the cases of documents, what was left out of them, and a reject for each bad one.

    Args:
        source: the file.
        documents: the first row of each, and a function that reads it.
        options: how cases are made.
    """
    build: Callable[[], Document]

    def rows() -> Iterator[Row]:
        nonlocal build
        for row, function in documents:
            build = function
            yield row

    def parse(row: Row) -> list[Outcome]:
        return list(_outcomes(source.name, row, build(), options))

    yield from source.outcomes(rows(), parse)


def _outcomes(
    name: str, row: Row, document: Document, options: ClusterOptions
) -> Iterator[Outcome]:
    for kind, reason in document.unread:
        yield LeftOut(name, row.line, reason, document.name, kind)
    finder = _Finder(document, options)
    places = [place for place, is_pronoun in enumerate(document.pronouns) if is_pronoun]
    if not places:
        reason = f"The document {document.name!r} has no pronoun."
        yield LeftOut(name, row.line, reason, document.name, "no_pronoun")
    for place in places:
        try:
            yield finder.case(place)
        except RowError as error:
            yield LeftOut(name, row.line, str(error), document.name, error.kind)


class _Finder:
    """The candidates of the pronouns of one document."""

    def __init__(self, document: Document, options: ClusterOptions) -> None:
        self._document, self._options = document, options
        # The nearest mention ends last; of those that end together, the longest is all of them.
        self._mentions = sorted(document.mentions, key=lambda m: (m.span[1], -m.span[0]))
        self._ends = [mention.span[1] for mention in self._mentions]
        self._entities: dict[Span, set[str]] = {}
        for mention in document.mentions:
            self._entities.setdefault(mention.span, set()).add(mention.entity)
        self._first_ends: dict[str, int] = {}
        for mention in self._mentions:
            self._first_ends.setdefault(mention.entity, mention.span[1])
        self._starts = [first for first, _ in document.sentences]

    def case(self, place: int) -> Outcome:
        """Return the case of a pronoun.

        Raises:
            RowError: there is none; ``kind`` says why.
        """
        document, pronoun = self._document, self._document.words[place]
        entity = self._entity(pronoun)
        first, end = self._window(place)
        begin = document.words[first][0]
        antecedents, distractors = self._candidates(pronoun, entity, begin)

        def moved(span: Span) -> Span:
            return span[0] - begin, span[1] - begin

        return checked_case(
            document.text[begin : document.words[end - 1][1]],
            moved(pronoun),
            sorted(
                [(moved(s), True) for s in antecedents] + [(moved(s), False) for s in distractors]
            ),
            group=document.name,
            id=f"{document.name}-{place}",
        )

    def _entity(self, pronoun: Span) -> str:
        entities = self._entities.get(pronoun, set())
        word = f"The pronoun {self._document.text[slice(*pronoun)]!r} at {pronoun}"
        if not entities:
            raise RowError(f"{word} is in no cluster.", kind="no_cluster")
        if len(entities) > 1:
            raise RowError(f"{word} is in several clusters.", kind="several_clusters")
        return next(iter(entities))

    def _window(self, place: int) -> Span:
        """Return the words of the text: the pronoun's sentence, and those before that fit."""
        number = bisect_right(self._starts, place) - 1
        end = self._document.sentences[number][1]
        first = max(0, number - self._options.sentences + 1)
        longest = self._options.words
        while longest is not None and first < number and end - self._starts[first] > longest:
            first += 1
        if longest is not None and end - self._starts[first] > longest:
            raise RowError(
                f"The sentence of {self._document.text[slice(*self._document.words[place])]!r} "
                f"has {end - self._starts[first]} words, more than {longest}.",
                kind="long_sentence",
            )
        return self._starts[first], end

    def _candidates(self, pronoun: Span, entity: str, begin: int) -> tuple[list[Span], list[Span]]:
        """Return the antecedents and the distractors, apart from each other and the pronoun."""
        earlier = self._earlier(pronoun, begin)
        own = [m.span for m in earlier if m.entity == entity]
        antecedents = _apart(own, [], self._options.antecedents)
        if not antecedents:
            raise self._without_antecedent(pronoun, entity)
        # A distractor that holds a mention of the pronoun's cluster would be half an antecedent.
        others = [
            m.span
            for m in earlier
            if m.entity != entity and not any(_overlap(m.span, span) for span in own)
        ]
        return antecedents, _apart(others, antecedents, self._options.distractors)

    def _earlier(self, pronoun: Span, begin: int) -> list[Mention]:
        """Return the mentions from ``begin`` on that end before the pronoun, the nearest first."""
        first, end = bisect_right(self._ends, begin), bisect_right(self._ends, pronoun[0])
        return [m for m in reversed(self._mentions[first:end]) if m.span[0] >= begin]

    def _without_antecedent(self, pronoun: Span, entity: str) -> RowError:
        word = f"The pronoun {self._document.text[slice(*pronoun)]!r} at {pronoun}"
        if self._first_ends[entity] <= pronoun[0]:
            reason = f"{word} has earlier mentions of its cluster only outside the text's window."
            return RowError(reason, kind="outside_window")
        return RowError(f"{word} is the first mention of its cluster.", kind="first_mention")


def _apart(spans: Sequence[Span], taken: Sequence[Span], most: int) -> list[Span]:
    """Return the first spans that overlap neither each other nor those taken."""
    chosen: list[Span] = []
    for span in spans:
        if len(chosen) == most:
            break
        if not any(_overlap(span, other) for other in (*taken, *chosen)):
            chosen.append(span)
    return chosen


def _overlap(first: Span, second: Span) -> bool:
    return first[0] < second[1] and second[0] < first[1]
