"""The cases that the pronouns of a document with clusters make."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from introspect.data.outcomes import CaseSource, LeftOut, Outcome, checked_case
from introspect.data.published.documents import Document, Mention
from introspect.data.published.options import ClusterOptions
from introspect.io import Row, RowError
from introspect.text import Span, whole


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


#: So many mentions may end in the text of a case before its pronoun.
MOST_MENTIONS = 5_000


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
        # Words of a contraction that does not spell them out have the same characters.
        self._shared = {word for word, then in pairwise(document.words) if word == then}
        self._starts = [first for first, _ in document.sentences]

    def case(self, place: int) -> Outcome:
        """Return the case of a pronoun.

        Raises:
            RowError: there is none; ``kind`` says why.
        """
        document, pronoun = self._document, self._document.words[place]
        if pronoun in self._shared:
            raise RowError(
                f"A pronoun is part of {document.text[slice(*pronoun)]!r} at {pronoun}, which does "
                "not spell it out.",
                kind="contraction",
            )
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
        while first < number and end - self._starts[first] > longest:
            first += 1
        if end - self._starts[first] > longest:
            raise RowError(
                f"The sentence of {self._document.text[slice(*self._document.words[place])]!r} "
                f"has {whole(end - self._starts[first])} words, more than {whole(longest)}.",
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
        is_own = _Covered(own)
        others = (m.span for m in earlier if m.entity != entity and not is_own.touches(m.span))
        return antecedents, _apart(others, antecedents, self._options.distractors)

    def _earlier(self, pronoun: Span, begin: int) -> list[Mention]:
        """Return the mentions from ``begin`` on that end before the pronoun, the nearest first.

        Raises:
            RowError: they are too many.
        """
        first, end = bisect_right(self._ends, begin), bisect_right(self._ends, pronoun[0])
        if end - first > MOST_MENTIONS:
            raise RowError(
                f"The pronoun {self._document.text[slice(*pronoun)]!r} at {pronoun} has "
                f"{whole(end - first)} mentions before it in its text, more than "
                f"{whole(MOST_MENTIONS)}.",
                kind="many_mentions",
            )
        return [m for m in reversed(self._mentions[first:end]) if m.span[0] >= begin]

    def _without_antecedent(self, pronoun: Span, entity: str) -> RowError:
        word = f"The pronoun {self._document.text[slice(*pronoun)]!r} at {pronoun}"
        if self._first_ends[entity] <= pronoun[0]:
            reason = f"{word} has earlier mentions of its cluster only outside the text's window."
            return RowError(reason, kind="outside_window")
        return RowError(f"{word} is the first mention of its cluster.", kind="first_mention")


class _Covered:
    """The characters of some spans, as spans that are apart."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans: list[Span] = []
        for start, end in sorted(spans):
            if self._spans and start < self._spans[-1][1]:
                first, last = self._spans[-1]
                self._spans[-1] = (first, max(last, end))
            else:
                self._spans.append((start, end))
        self._ends = [end for _, end in self._spans]

    def touches(self, span: Span) -> bool:
        """Return whether a span has one of the characters."""
        place = bisect_right(self._ends, span[0])
        return place < len(self._spans) and self._spans[place][0] < span[1]


def _apart(spans: Iterable[Span], taken: Sequence[Span], most: int) -> list[Span]:
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
