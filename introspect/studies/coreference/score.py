"""Scores of every head of a model on coreference cases, which run in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from introspect.calls import checked_call
from introspect.data import Cases, as_cases
from introspect.errors import CaptureError, InputError, naming
from introspect.functional import Mention, checked_mention
from introspect.models import EncodedText, Model, length_batches, load_text
from introspect.progress import ProgressLike, Stages, following
from introspect.records import Weights, checked_weights, resegmented_tokens
from introspect.studies.coreference.analyzer import CoreferenceAnalyzer
from introspect.studies.coreference.batch import mention_words
from introspect.studies.coreference.claims import DEFAULT, Options
from introspect.studies.coreference.tables import Scores
from introspect.studies.runner import (
    BatchRunner,
    NotFiniteError,
    default_lanes,
    halving,
    no_memory_for,
    one_thread,
    run_in_lanes,
)
from introspect.text import CorefCase, Span

SCORING = "scoring cases"

Segment = Callable[[str], Sequence[Span]]

# So many cases are tokenized at once and sorted into batches of like length.
_TOGETHER = 2_048


@checked_call(renamed={("weights", "renormalised"): "renormalized"})
def score(
    model: Model | str,
    cases: Cases,
    *,
    mention: Mention = "mean",
    weights: Weights = "raw",
    last_position: bool = False,
    segment: Segment | None = None,
    truncation: bool = False,
    options: Options = DEFAULT,
    progress: ProgressLike = None,
) -> Scores:
    """Score every attention head of a model on coreference cases, which run in batches.

    Args:
        model: a model, or the name of one.
        cases: the cases, a single one, the path of a file of them, or a DataFrame.
        mention: how the word pairs of two mentions are combined into one number.
        weights: ``raw``, ``renormalized`` without special tokens and the row's own position, or
            ``norm``: each weight times the norm of the vector that the key adds; the table of heads
            then also has the accuracy by raw weights, ``raw_accuracy``.
        last_position: also score what the last position of a text attends to, as a third direction
            (``last_position_to_candidate``) within the same choice and the same tests. In a causal
            model it sees every candidate, and the pronoun's row only those before it.
        segment: a function from a text to the spans of its words, for scripts without spaces, such
            as ``introspect.text.chinese.chinese_words``.
        truncation: cut texts that are too long; a case whose mentions are truncated is an error.
        options: the numbers of draws for intervals and p-values, and the random seed.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, how much of it is done, and its total.

    Raises:
        IntrospectError: a case cannot be scored; the message names it.
    """
    with following(progress) as tell:
        analyzer = score_cases(
            model,
            cases,
            mention=mention,
            weights=weights,
            last_position=last_position,
            segment=segment,
            truncation=truncation,
            progress=tell,
        )
        tell("computing intervals and p-values", 0)
        return analyzer.compute(options)


def score_cases(
    model: Model | str,
    cases: Cases,
    *,
    mention: Mention = "mean",
    weights: Weights = "raw",
    last_position: bool = False,
    segment: Segment | None = None,
    truncation: bool = False,
    progress: ProgressLike = None,
) -> CoreferenceAnalyzer:
    """Return an analyzer of the cases, which run in batches; the arguments are those of ``score``.

    Raises:
        IntrospectError: a case cannot be scored; the message names it.
    """
    checked_weights(weights)
    checked_mention(mention)
    given = _named(as_cases(cases))
    loaded = load_text(model)
    make = partial(CoreferenceAnalyzer, mention, weights, last_position)
    with following(progress) as tell:
        lanes = _Lanes(BatchRunner(loaded), make, given, tell)
        for first in range(0, len(given), _TOGETHER):
            some = given[first : first + _TOGETHER]
            lanes.run(some, _encoded(loaded, some, segment, truncation=truncation))
        return lanes.analyzer()


def _named(cases: Sequence[CorefCase]) -> list[CorefCase]:
    """Return the cases, each with an id.

    Raises:
        InputError: two cases have the same id.
    """
    named = [
        case if case.id is not None else replace(case, id=f"case-{number}")
        for number, case in enumerate(cases, start=1)
    ]
    seen: set[str | None] = set()
    for case in named:
        if case.id in seen:
            raise InputError(f"Expected a different id for each case, got {case.id!r} twice.")
        seen.add(case.id)
    return named


def _encoded(
    model: Model, cases: Sequence[CorefCase], segment: Segment | None, *, truncation: bool
) -> list[EncodedText]:
    """Return the tokens of each case, in which its mentions have been found."""
    encoded = []
    outcomes = model.encoded([case.text for case in cases], truncation=truncation)
    for case, outcome in zip(cases, outcomes, strict=True):
        with naming(f"Case {case.id}"):
            if isinstance(outcome, Exception):
                raise outcome
            tokens = resegmented_tokens(outcome.tokens, segment) if segment else outcome.tokens
            mention_words(tokens, case)
            encoded.append(replace(outcome, tokens=tokens))
    return encoded


class _Lanes:
    """The lanes in which batches of cases run, each with an analyzer of its own."""

    def __init__(
        self,
        runner: BatchRunner,
        make: Callable[[], CoreferenceAnalyzer],
        cases: Sequence[CorefCase],
        tell: Stages,
    ) -> None:
        self._runner = runner
        self._analyzers = [make() for _ in range(default_lanes(runner.model))]
        self._names = [str(case.id) for case in cases]
        self._told = 0
        self._tell = tell
        self._lock = threading.Lock()
        tell(SCORING, 0, len(cases))

    def run(self, cases: Sequence[CorefCase], encoded: Sequence[EncodedText]) -> None:
        """Score some more cases."""
        batches = length_batches(
            [len(each.tokens) for each in encoded],
            self._runner.limits,
            num_heads=self._runner.num_heads,
            alike=not self._runner.takes_mask,
        )

        def in_lane(analyzer: CoreferenceAnalyzer) -> Callable[[list[int]], object]:
            def run(batch: list[int]) -> object:
                of_batch = [encoded[i] for i in batch], [cases[i] for i in batch]
                try:
                    return self._runner.run(*of_batch, [analyzer])
                except NotFiniteError as problem:
                    name = cases[batch[problem.places[0]]].id
                    raise CaptureError(f"Case {name}: {problem}") from problem

            return lambda batch: halving(batch, run, done, give_up)

        def done(batch: list[int], route: object) -> None:
            with self._lock:
                self._told += len(batch)
                self._tell(SCORING, self._told, len(self._names))

        def give_up(index: int) -> None:
            reason = no_memory_for(len(encoded[index].tokens))
            raise CaptureError(f"Case {cases[index].id}: {reason}")

        with one_thread():
            run_in_lanes(list(batches), [in_lane(each) for each in self._analyzers])

    def analyzer(self) -> CoreferenceAnalyzer:
        """Return one analyzer with all cases, in the order in which they were given."""
        first, *others = self._analyzers
        for other in others:
            first.merge(other)
        if not len(first):
            return first
        places = {name: place for place, name in enumerate(first.columns.names)}
        return first.taken([places[name] for name in self._names])
