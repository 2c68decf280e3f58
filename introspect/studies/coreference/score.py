"""Scoring coreference cases one at a time, each with the record of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from introspect.deprecated import renamed_value
from introspect.errors import InputError, naming
from introspect.functional import Mention
from introspect.models import Model, load_text
from introspect.records import AttentionRecord, Weights, parts_for, resegmented
from introspect.studies.coreference.claims import Options
from introspect.studies.coreference.columns import ScoredCase, scored
from introspect.studies.coreference.tables import Scores, case_table, scores_of
from introspect.text import CorefCase, Span

__all__ = ["CoreferenceAnalyzer", "score"]

DEFAULT = Options()


@dataclass
class CoreferenceAnalyzer:
    """An analyzer that collects scores case by case.

    Args:
        mention: how the word pairs of two mentions are combined into one number.
        weights: ``raw``, ``renormalized`` or ``norm``.
    """

    mention: Mention = "mean"
    weights: Weights = "raw"
    _cases: dict[str, ScoredCase] = field(default_factory=dict)

    @property
    def scored(self) -> tuple[ScoredCase, ...]:
        """The cases so far, in the order in which they were added."""
        return tuple(self._cases.values())

    def update(self, batch: Iterable[tuple[CorefCase, AttentionRecord]]) -> None:
        """Score some cases with the records of their texts.

        Raises:
            InputError: two cases have the same id, or the records are of different models.
            MentionError: a mention cannot be found among the tokens.
        """
        for case, record in batch:
            name = case.id if case.id is not None else f"case-{len(self._cases) + 1}"
            if name in self._cases:
                raise InputError(f"Expected a different id for each case, got {name!r} twice.")
            self._add(scored(case, record, name, self.mention, self.weights))

    def _add(self, case: ScoredCase) -> None:
        first = next(iter(self._cases.values()), case)
        if (first.layers, first.margin.shape) != (case.layers, case.margin.shape):
            raise InputError(
                f"Expected records of one model, got {first.margin.shape[1:]} layers and heads for "
                f"{first.name!r} and {case.margin.shape[1:]} for {case.name!r}."
            )
        self._cases[case.name] = case

    def merge(self, other: CoreferenceAnalyzer) -> None:
        """Take over what another analyzer has collected from other cases.

        Raises:
            InputError: a case is in both, or the two score mentions differently.
        """
        if both := self._cases.keys() & other._cases.keys():
            raise InputError(f"Expected different cases to merge, got {sorted(both)[0]!r} twice.")
        ours, theirs = (self.mention, self.weights), (other.mention, other.weights)
        if ours != theirs:
            raise InputError(f"Expected one way to score mentions, got {ours} and {theirs}.")
        for case in other._cases.values():
            self._add(case)

    def compute(self, options: Options = DEFAULT) -> Scores:
        """Compute the tables of all cases so far.

        Args:
            options: the numbers of draws for intervals and p-values, and the random seed.

        Raises:
            InputError: there are no cases.
        """
        if not self._cases:
            raise InputError("Expected at least one case to score, got none.")
        cases = list(self._cases.values())
        return scores_of(cases, case_table(cases), options)


@renamed_value("weights", "renormalised", "renormalized")
def score(
    model: Model | str,
    cases: Sequence[CorefCase],
    *,
    mention: Mention = "mean",
    weights: Weights = "raw",
    segment: Callable[[str], Sequence[Span]] | None = None,
    truncation: bool = False,
    options: Options = DEFAULT,
) -> Scores:
    """Score every attention head of a model on coreference cases.

    Args:
        model: a model, or the name of one.
        cases: the cases.
        mention: how the word pairs of two mentions are combined into one number.
        weights: ``raw``, ``renormalized`` without special tokens and the row's own position, or
            ``norm``: each weight times the norm of the vector that the key adds; the table of heads
            then also has the accuracy by raw weights, ``raw_accuracy``.
        segment: a function from a text to the spans of its words, for scripts without spaces, such
            as ``introspect.text.chinese.chinese_words``.
        truncation: cut texts that are too long; a case whose mentions are cut off is an error.
        options: the numbers of draws for intervals and p-values, and the random seed.

    Raises:
        IntrospectError: a case cannot be scored; the message names it.
    """
    loaded = load_text(model)
    include = ("attentions", *parts_for(weights))
    analyzer = CoreferenceAnalyzer(mention=mention, weights=weights)
    for number, case in enumerate([cases] if isinstance(cases, CorefCase) else cases, start=1):
        with naming(f"Case {case.id or number}"):
            record = loaded.capture(case.text, truncation=truncation, include=include)
            analyzer.update([(case, resegmented(record, segment) if segment else record)])
    return analyzer.compute(options)
