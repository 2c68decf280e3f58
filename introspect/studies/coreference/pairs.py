"""Minimal pairs, which test if a head shifts to the other candidate when a word changes the answer.

"The animal didn't cross the street because it was too tired / wide."
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from introspect.data import case_from_json
from introspect.errors import InputError, SelectionError
from introspect.functional import FLOOR
from introspect.statistics import (
    FEWEST_GROUPS,
    Claim,
    detectable_mean,
    effect_intervals,
    permutation_test,
)
from introspect.studies.analyzer import Floats, known_means, ratio
from introspect.studies.coreference.claims import DEFAULT, Options
from introspect.studies.coreference.columns import CaseColumns, check_alike, head_places
from introspect.studies.coreference.head_claims import pair_claims
from introspect.text import CorefCase, counted, is_unspaced, segment_words, shortened, verb

Measure = Literal["share", "raw"]

#: The columns of the table, in order.
PAIR_COLUMNS = (
    "layer", "head", "direction", "n_pairs", "n_not_observable", "n_undefined", "shift", "ci_low",
    "ci_high", "p_value", "p_adjusted", "both_right", "n_both",
)  # fmt: skip

#: The two versions of a minimal pair differ in at most this many words outside their mentions.
MOST_WORDS = 2
#: The share of pairs with both versions right, of coin flips and of a head that is blind to what
#: differs.
BOTH_RIGHT_BY_COIN, BOTH_RIGHT_IF_BLIND = 0.25, 0.0

# A note names this many groups that are not pairs and counts the rest.
_NAMED = 5


@dataclass(frozen=True, eq=False)
class PairVersion:
    """One version of a potential minimal pair.

    Args:
        name: the case's id.
        group: the case's group.
        phrases: the candidates' words, in the order of the text.
        antecedents: which candidates the pronoun refers to.
        weights: ``(num_candidates, num_directions, num_layers, num_heads)``.
        observable: ``(num_directions, num_layers)``.
        layers: the model's own numbers.
        words: the words outside the mentions, with a sign for each mention.
    """

    name: str
    group: str
    phrases: tuple[str, ...]
    antecedents: tuple[bool, ...]
    weights: Floats
    observable: npt.NDArray[np.bool_]
    layers: tuple[int, ...]
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: CaseColumns, index: int) -> PairVersion:
        """Return one of the cases as a version."""
        case = case_from_json(columns.lines[index])
        # A case may list its antecedent first, but versions are compared in the order of the text.
        order = sorted(range(len(case.candidates)), key=lambda i: case.candidates[i].span)
        weights = columns.weights[columns.of(index)]
        return cls(
            name=columns.names[index],
            group=columns.groups[index],
            phrases=tuple(case.phrase(case.candidates[i].span) for i in order),
            antecedents=tuple(case.candidates[i].antecedent for i in order),
            weights=weights if order == sorted(order) else weights[order],
            observable=columns.observable[index],
            layers=columns.layers,
            words=words_outside(case),
        )

    @property
    def is_forced_choice(self) -> bool:
        """Return whether there is a right and a wrong answer."""
        return any(self.antecedents) and not all(self.antecedents)

    def right(self) -> Floats:
        """Check which heads give the antecedent alone the most, as a flat array of 1 and 0."""
        gold = np.array(self.antecedents)
        flat = self.weights.reshape(len(gold), -1)
        is_most = flat[gold].max(0) > flat[~gold].max(0)
        return np.asarray((is_most & (flat.sum(0) >= FLOOR)).astype(np.float64))


def words_outside(case: CorefCase) -> tuple[str, ...]:
    """Return the words of a case outside its mentions, with a sign for each mention.

    Example:
        >>> from introspect.data import own_cases
        >>> words_outside(next(iter(own_cases("en"))))[:4]
        ('The', '<candidate>', 'refused', 'to')
    """
    mentions = [(case.pronoun, "pronoun")]
    mentions += [(candidate.span, "candidate") for candidate in case.candidates]
    starts = {start: sign for (start, _), sign in sorted(mentions, reverse=True)}
    found = []
    for start, end in segment_words(case.text):
        signs = [sign for (first, stop), sign in mentions if first < end and start < stop]
        if signs and start in starts:
            found.append(f"<{starts[start]}>")
        elif not signs and any(map(str.isalnum, case.text[start:end])):
            found.append(case.text[start:end])
    return tuple(found)


def words_apart(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the words in which two texts differ.

    Two that change places are two. Where every character is a word, as in Chinese, two of a run
    count as one: such words have about two characters.

    Example:
        >>> words_apart(["too", "tired"], ["too", "wide"]), words_apart(["a"], ["so", "very", "a"])
        (1, 2)
        >>> words_apart(["the", "and", "a"], ["a", "and", "the"])
        2
    """
    in_place = sum(a != b for a, b in zip(one, other, strict=False))
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    aligned = sum(
        max(_num_words(one[a:b]), _num_words(other[c:d]))
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    )
    return aligned if len(one) != len(other) else min(aligned, in_place)


def _num_words(words: Sequence[str]) -> int:
    characters = sum(len(word) == 1 and is_unspaced(word) for word in words)
    return len(words) - characters + math.ceil(characters / 2)


@dataclass(frozen=True, eq=False)
class PairShifts:
    """The shift of each head within minimal pairs.

    Args:
        table: one row for each layer, head and direction. ``shift`` is the mean over the
            ``n_pairs`` in which it is defined; the p-values test whether it is above 0.
            ``both_right`` is the share of the ``n_both`` pairs that can be observed in which the
            antecedent alone gets the most in both versions: 0.25 for coin flips, and 0 for a head
            that is blind to what differs.
        pairs: the groups that are pairs.
        notes: what could not be computed or was left out, and why.
        detectable: the smallest mean shift of one head that would have been found, with an adjusted
            p-value below 0.05, in 80% of such sets; NaN where there is none.
    """

    table: pd.DataFrame
    pairs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    detectable: float = math.nan

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what is claimed of the shifts; empty where there are too few pairs for a test."""
        return pair_claims(self.table, self.detectable)


def pair_shifts(
    versions: Sequence[PairVersion],
    *,
    measure: Measure = "share",
    options: Options = DEFAULT,
) -> PairShifts:
    r"""Compute how far each head shifts from one candidate to the other, over all pairs.

    A pair is a group of exactly two cases of forced choice with the same candidates in the same
    order of the text, each with one antecedent, which differs, and with at most two other words
    that differ. With *f* the earlier and *s* the
    later of the two antecedents, and *F*, *S* the versions in which they are right,

    .. math:: \text{shift} = (b_f - b_s)_F - (b_f - b_s)_S,
              \qquad b_f = \frac{a_f}{a_f + a_s}

    from -2 to 2; 0 for a head that ignores the word that differs, above 0 for one that follows the
    answer. A share is undefined where the two candidates together get less than the floor. With
    ``measure="raw"``, *b* is the weight itself.

    The p-values come from swapping the two versions of a pair; ``p_adjusted`` compares with the
    largest value over all heads and directions, one-sided.

    Args:
        versions: the cases, in any order.
        measure: ``share`` or ``raw``.
        options: the numbers of draws for intervals and p-values, and the random seed.

    Raises:
        InputError: there is no case, or the cases are of several models.
        SelectionError: ``measure`` is unknown.
    """
    if measure not in ("share", "raw"):
        raise SelectionError(f"Expected `measure` as share or raw, got {measure!r}.")
    if not versions:
        raise InputError("Expected at least one case, got none.")
    check_alike((each.name, each.weights.shape[1:], each.layers) for each in versions)
    pairs, others = _paired(versions)
    shape = versions[0].weights.shape[1:]
    shifts = np.empty((len(pairs), math.prod(shape)))
    seen = np.empty(shifts.shape, dtype=bool)
    for number, pair in enumerate(pairs.values()):
        observable = pair[0].observable & pair[1].observable
        seen[number] = np.broadcast_to(observable[..., None], shape).ravel()
        shifts[number] = _shift(pair, measure)
    both = [pair[0].right() * pair[1].right() for pair in pairs.values()]
    both_right = np.where(seen, np.reshape(both, shifts.shape), 0).sum(0)
    shifts[~seen] = np.nan
    defined = ~np.isnan(shifts)
    low, high, p_value, p_adjusted, notes, critical = _claims(shifts, list(pairs), options)
    table = head_places(shape, versions[0].layers).assign(
        n_pairs=defined.sum(0),
        n_not_observable=(~seen).sum(0),
        n_undefined=(seen & ~defined).sum(0),
        shift=known_means(shifts),
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        p_adjusted=p_adjusted,
        both_right=ratio(both_right, seen.sum(0)),
        n_both=seen.sum(0),
    )
    notes = (*_of_others(others), *notes)
    detectable = _detectable(shifts, critical)
    return PairShifts(table[list(PAIR_COLUMNS)], tuple(pairs), notes, detectable)


def _detectable(shifts: Floats, critical: float) -> float:
    """Return the mean shift that would have been found of a head that varies as most do."""
    if math.isnan(critical):
        return math.nan
    known = shifts[:, (~np.isnan(shifts)).all(0)]
    if not known.size:
        return math.nan
    return detectable_mean(critical, len(known), float(np.median(known.std(0, ddof=1))))


def minimal_pairs_of(columns: CaseColumns) -> tuple[str, ...]:
    """Return the groups of cases that are minimal pairs."""
    sizes = Counter(columns.groups)
    twos = [i for i, group in enumerate(columns.groups) if sizes[group] == 2]
    return tuple(_paired([PairVersion.of(columns, i) for i in twos])[0])


Pair = tuple[PairVersion, PairVersion]


def _paired(versions: Sequence[PairVersion]) -> tuple[dict[str, Pair], dict[str, str]]:
    """Return the pairs by group, and for the other groups the reason why they are not pairs."""
    groups: dict[str, list[PairVersion]] = {}
    for version in versions:
        groups.setdefault(version.group, []).append(version)
    pairs: dict[str, Pair] = {}
    others: dict[str, str] = {}
    for name, members in groups.items():
        if reason := _why_no_pair(members):
            others[name] = reason
            continue
        # The order of the two makes no difference, because swapping them changes both signs.
        pairs[name] = (members[0], members[1])
    return pairs, others


def _why_no_pair(members: Sequence[PairVersion]) -> str:
    """Return the reason why a group is not a pair, or an empty string for one that is."""
    if not all(version.is_forced_choice for version in members):
        return "a case outside forced choice"
    if len(members) != 2:
        return "not two cases"
    one, other = members
    if one.phrases != other.phrases:
        return "different candidates"
    if sum(one.antecedents) != 1 or sum(other.antecedents) != 1:
        return "several antecedents"
    if one.antecedents == other.antecedents:
        return "the same antecedent"
    apart = words_apart(one.words, other.words)
    return f"more than {MOST_WORDS} words differ" if apart > MOST_WORDS else ""


def _shift(pair: Pair, measure: Measure) -> Floats:
    places = (pair[0].antecedents.index(True), pair[1].antecedents.index(True))
    first, second = (_preference(version, places, measure) for version in pair)
    return np.asarray(first - second)


def _preference(version: PairVersion, places: tuple[int, int], measure: Measure) -> Floats:
    """Compute how much more the earlier antecedent gets than the later one, as a flat array."""
    earlier, later = (version.weights[place].ravel() for place in places)
    preference: Floats = earlier - later
    if measure == "raw":
        return preference
    total = earlier + later
    undefined = np.full(total.shape, np.nan)
    return np.asarray(np.divide(preference, total, out=undefined, where=total >= FLOOR))


def _claims(
    shifts: Floats, names: Sequence[str], options: Options
) -> tuple[Floats, Floats, Floats, Floats, tuple[str, ...], float]:
    """Compute intervals and p-values of the mean shift of each head, and notes on missing ones.

    The last is the critical value of the test.
    """
    if len(names) < FEWEST_GROUPS:
        nothing = np.full(shifts.shape[1], np.nan)
        note = (
            f"no intervals or p-values: {counted(len(names), 'pair')} "
            f"{verb(len(names), 'is', 'are')} too few; it takes at least {FEWEST_GROUPS}"
        )
        return nothing, nothing, nothing, nothing, (note,), math.nan
    low, high = effect_intervals(shifts, names, resamples=options.resamples, seed=options.seed)
    # Swapping the two versions flips the sign of a shift.
    test = permutation_test(
        np.stack([shifts, -shifts]), names, permutations=options.permutations, seed=options.seed
    )
    known = ~np.isnan(shifts).all(0)
    p_value, p_adjusted = (np.where(known, p, np.nan) for p in (test.p_value, test.p_adjusted))
    return low, high, p_value, p_adjusted, (), test.critical


def _of_others(others: dict[str, str]) -> Iterator[str]:
    """Yield one note for each reason why groups are not pairs."""
    for reason in dict.fromkeys(others.values()):
        names = [shortened(name) for name, why in others.items() if why == reason]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield (
            f"{len(names)} {'group is' if len(names) == 1 else 'groups are'} no pair "
            f"({reason}): {', '.join(names[:_NAMED])}{more}"
        )
