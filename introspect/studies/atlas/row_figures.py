"""What the rows of one text give: to the keys of each rule, near, far, and to which token most."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from introspect.functional import in_grains, make_summable_, row_entropy
from introspect.studies.analyzer import Floats, Integers
from introspect.studies.atlas.rule_text import RuleText
from introspect.studies.atlas.rules import Rule, Targets, targets_of

#: The figures of a row whose distribution is kept, in order.
MEASURES = (
    "entropy", "distance", "special", "self", "previous", "next", "first", "same_token",
)  # fmt: skip
#: The number of bins of each distribution.
BINS = 20
#: The lower ends of the bins of distances, in tokens: single ones first, then wider.
DISTANCE_BINS = (
    0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256, 512,
)  # fmt: skip
#: The width of a bin of the entropy, in bits.
ENTROPY_BIN = 0.5

# Shares of even attention are rounded to multiples of this, so that their sums over a text with
# weights of float32 are exact; an error of 8e-6.
_EVEN_GRAIN = 2.0**-16
# The weights of masks that are held at a time: 16 MB.
_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class TextMasks:
    """The keys of each rule for the rows of a text, under one mask of the model.

    Args:
        rows: the tokens that are not special, which are the queries.
        candidates: ``(num_rows, length)``, bool: visible keys that are not special.
        visible: the same shape: all visible keys.
        targets: ``(num_rules, num_rows, length)``, bool: visible keys of each rule.
        is_of_special: ``(num_rules,)``, whether a rule's keys are special tokens.
        places: ``(num_measures - 2, num_rows, length)``, bool: the keys of the measures that are
            shares.
        asked: ``(num_rules, num_rows)``, bool: rows with a key of the rule and a choice.
        even: the same shape, float64: the share of even attention.
        has_key: ``(num_measures, num_rows)``, bool: the rows that have a measure.
    """

    rows: torch.Tensor
    candidates: torch.Tensor
    visible: torch.Tensor
    targets: torch.Tensor
    is_of_special: torch.Tensor
    places: torch.Tensor
    asked: torch.Tensor
    even: torch.Tensor
    has_key: torch.Tensor
    _factors: torch.Tensor | None = None

    @classmethod
    def of(cls, text: RuleText, rules: dict[str, Rule], visible: torch.Tensor) -> TextMasks:
        """Build the masks.

        Args:
            text: the text.
            rules: the rules, by name.
            visible: ``(length, length)``, bool: the keys that the model lets each query see.

        Raises:
            InputError: a rule does not return a mask of the text.
        """
        is_special = torch.from_numpy(text.is_special)
        rows = (~is_special).nonzero().flatten()
        seen = visible.cpu()[rows]
        every = [targets_of(name, rule, text) for name, rule in rules.items()]
        targets = torch.from_numpy(np.stack(every))[:, rows] & seen
        of_special = torch.tensor([rule.is_of_special for rule in rules.values()])
        candidates = seen & ~is_special
        number = torch.where(of_special[:, None], seen.sum(-1), candidates.sum(-1))
        found = targets.sum(-1)
        asked = (found > 0) & (number > 1)
        even = (found / number.clamp(min=1) / _EVEN_GRAIN).double().round() * _EVEN_GRAIN
        places = torch.from_numpy(_places(text))[:, rows] & seen
        is_seen = seen.any(-1)
        has_key = torch.cat([is_seen.expand(2, -1), places.any(-1)])
        return cls(
            rows, candidates, seen, targets, of_special, places, asked, even * asked, has_key
        )

    @cached_property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Return which two rules ask for other keys in some row, ``(num_rules, num_rules)``."""
        asked = self.targets & self.asked[..., None]
        keys = np.array([hash(each.numpy().tobytes()) for each in asked])
        return np.asarray(keys[:, None] != keys[None, :])

    @cached_property
    def active(self) -> torch.Tensor:
        """The numbers of the rules that some row is asked about."""
        return self.asked.any(-1).nonzero().flatten()

    def factors(self) -> torch.Tensor:
        """Return ``(num_rows, length, num_factors)``, float32.

        The factors are the rules that are active, the measures that are shares, the candidates, and
        how far away each key is.
        """
        if self._factors is not None:
            return self._factors
        apart = (self.rows[:, None] - torch.arange(self.visible.shape[-1])).abs()
        masks = torch.cat([self.targets[self.active], self.places, self.candidates[None]])
        found = torch.cat([masks, apart[None]]).permute(1, 2, 0).float()
        if found.numel() <= _AT_ONCE:
            object.__setattr__(self, "_factors", found)
        return found


def _places(text: RuleText) -> Targets:
    """Return the keys of the measures that are shares, ``(num_measures - 2, length, length)``."""
    length = len(text)
    found = np.zeros((len(MEASURES) - 2, length, length), dtype=bool)
    found[0] = text.is_special
    found[1:4] = [np.eye(length, k=k, dtype=bool) for k in (0, -1, 1)]
    found[4, 1:, 0] = True
    found[5] = text.entries[:, None] == text.entries[None, :]
    np.fill_diagonal(found[5], False)
    return found


class RuleSums(NamedTuple):
    """What the rows of some texts give to rules; arrays end in ``(num_heads, num_rules)``.

    Args:
        covered: the weight on the keys of the rule.
        weight: all weight that counts: on tokens that are not special; for a rule about special
            tokens, on all.
        even: what even attention of the same weight would put on the keys of the rule.
        hits: the rows whose largest weight is on a key of the rule.
        n: the rows that the rule asks about.
        total: ``(..., num_heads)``, all weight on tokens that are not special.
    """

    covered: Floats
    weight: Floats
    even: Floats
    hits: Floats
    n: Integers
    total: Floats


class MeasureSums(NamedTuple):
    """The distributions of the rows of some texts; arrays end in ``(num_heads, num_measures)``.

    Args:
        sums: the sum of each measure.
        n: the rows that have it.
        histogram: ``(..., num_heads, num_measures, BINS)``, the rows in each bin.
    """

    sums: Floats
    n: Integers
    histogram: Integers


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one text in one layer, measured.

    Args:
        rules: what they give to the rules.
        measures: their distributions.
        vectors: ``(num_rows, num_heads, num_rules)``, float32: the share of a row's countable
            weight on the keys of each rule.
        best: ``(num_heads, num_rows)``: the key of the largest weight among the candidates; -1
            without any, or with several.
        largest: the same shape, float32: that weight.
        outside: the same shape, float32: the largest weight among candidates other than the token
            itself; -1 without any.
        outside_key: the same shape: its key, the first of several.
    """

    rules: RuleSums
    measures: MeasureSums
    vectors: torch.Tensor
    best: torch.Tensor
    largest: torch.Tensor
    outside: torch.Tensor
    outside_key: torch.Tensor


def measured_rows(pattern: torch.Tensor, masks: TextMasks) -> Rows:
    """Measure the rows of a text.

    Args:
        pattern: ``(num_heads, length, length)``, finite weights.
        masks: the text.
    """
    chosen = pattern[:, masks.rows].cpu().float()
    weights = make_summable_(chosen.clone())
    shares = _shares(weights, masks)
    num_rules, active = len(masks.targets), masks.active
    sizes = [len(active), len(MEASURES) - 2, 1, 1]
    of_rules, of_places, of_candidates, distance = torch.split(shares, sizes, dim=-1)
    covered = shares.new_zeros(*shares.shape[:2], num_rules)
    covered[..., active] = of_rules
    whole = of_candidates + of_places[..., :1]
    total = torch.where(masks.is_of_special, whole, of_candidates)
    known = whole[..., 0] > 0
    asked = masks.asked.T[:, None] & known[..., None]
    largest = Largest.of(weights, masks)
    values = torch.cat([row_entropy(chosen)[None], in_grains(distance).permute(2, 1, 0)])
    values = torch.cat([values, of_places.permute(2, 1, 0).double()])
    return Rows(
        rules=_rule_sums(covered, total, asked, masks, largest, of_candidates),
        measures=_measure_sums(values, known.T, masks),
        vectors=covered / total.clamp(min=1e-12),
        best=largest.key.where(largest.is_sole, torch.tensor(-1)),
        largest=largest.weight,
        outside=largest.outside,
        outside_key=largest.outside_key,
    )


def _shares(weights: torch.Tensor, masks: TextMasks) -> torch.Tensor:
    """Return what each row gives to each factor, ``(num_rows, num_heads, num_factors)``.

    Sums of a row's weights, multiples of 2⁻²³ below 2, are exact in float32.
    """
    by_row = weights.transpose(0, 1)
    factors = masks.factors()
    size = max(1, _AT_ONCE // max(1, weights.shape[0] * weights.shape[-1]))
    parts = zip(torch.split(by_row, size), torch.split(factors, size), strict=True)
    return torch.cat([rows @ keys for rows, keys in parts])


@dataclass(frozen=True, eq=False)
class Largest:
    """The largest weight of each row among the candidates; arrays are ``(num_heads, num_rows)``.

    Args:
        weight: the weight; -1 without a candidate.
        key: its key, the first of several.
        is_sole: whether it is above 0 and on one key only.
        tied: ``(num_heads, num_rows, length)``, bool: all its keys, where any row has several.
        outside: the largest weight among candidates other than the token itself; -1 without any.
        outside_key: its key, the first of several.
        special: the share of a row's largest weights, among all keys, that is on special tokens.
    """

    weight: torch.Tensor
    key: torch.Tensor
    is_sole: torch.Tensor
    tied: torch.Tensor | None
    outside: torch.Tensor
    outside_key: torch.Tensor
    special: torch.Tensor

    @classmethod
    def of(cls, weights: torch.Tensor, masks: TextMasks) -> Largest:
        """Find the largest weights of the rows of a text."""
        given = weights.masked_fill(~masks.candidates, -1.0)
        largest, key = given.max(-1)
        is_largest = given == largest[..., None]
        is_sole = largest > 0
        tied = None
        if int(is_largest.sum()) != largest.numel():
            is_sole &= is_largest.sum(-1) == 1
            tied = is_largest & masks.candidates
        outside, outside_key = largest.clone(), key.clone()
        heads, rows = (key == masks.rows).nonzero(as_tuple=True)
        if len(heads):
            without = given[heads, rows]
            without[torch.arange(len(rows)), masks.rows[rows]] = -1.0
            outside[heads, rows], outside_key[heads, rows] = without.max(-1)
        is_special = masks.visible & ~masks.candidates
        places = is_special.any(0).nonzero().flatten()
        special = torch.zeros(largest.shape, dtype=torch.float64)
        if len(places):
            on_special = weights[..., places].masked_fill(~is_special[:, places], -1.0)
            highest = on_special.amax(-1)
            special = (highest > largest).double()
            for head, row in (highest == largest).nonzero().tolist():
                ours = int((on_special[head, row] == highest[head, row]).sum())
                special[head, row] = ours / (ours + int(is_largest[head, row].sum()))
        return cls(largest, key, is_sole, tied, outside, outside_key, special)

    def hits(self, masks: TextMasks) -> torch.Tensor:
        """Return the share of the largest weights of each row that are on keys of a rule.

        Returns:
            ``(num_rows, num_heads, num_rules)``, float64: 1 or 0, a part where several are the
            largest. Rules about special tokens compare with all keys, the others with candidates.
        """
        rows = torch.arange(len(masks.rows))
        found = masks.targets[:, rows, self.key].permute(2, 1, 0).double()
        if self.tied is not None:
            several = (self.tied.sum(-1) > 1).nonzero().tolist()
            for head, row in several:
                at = self.tied[head, row]
                found[row, head] = masks.targets[:, row][:, at].double().mean(-1)
        return torch.where(masks.is_of_special, self.special.T[..., None], found)


def _rule_sums(
    covered: torch.Tensor,
    total: torch.Tensor,
    asked: torch.Tensor,
    masks: TextMasks,
    largest: Largest,
    of_candidates: torch.Tensor,
) -> RuleSums:
    weight = (total * asked).double()
    even = (weight * masks.even.T[:, None]).sum(0)
    hits = (largest.hits(masks) * asked).sum(0)
    return RuleSums(
        (covered * asked).sum(0, dtype=torch.float64).numpy(),
        weight.sum(0).numpy(),
        in_grains(even).numpy(),
        in_grains(hits).numpy(),
        asked.sum(0).numpy(),
        of_candidates.sum((0, 2), dtype=torch.float64).numpy(),
    )


def _measure_sums(values: torch.Tensor, known: torch.Tensor, masks: TextMasks) -> MeasureSums:
    """Return the distributions of all measures over the rows of a text.

    Args:
        values: ``(num_measures, num_heads, num_rows)``, float64.
        known: ``(num_heads, num_rows)``, rows with any weight.
        masks: the text.
    """
    observed = masks.has_key[:, None] & known
    edges = torch.tensor(DISTANCE_BINS, dtype=torch.float64)
    bins = (values * BINS).long()
    bins[0] = (values[0] / ENTROPY_BIN).long()
    bins[1] = torch.bucketize(values[1], edges, right=True) - 1
    num_heads = values.shape[1]
    slots = torch.arange(num_heads) * len(MEASURES) + torch.arange(len(MEASURES))[:, None]
    codes = slots[..., None] * BINS + bins.clamp_(0, BINS - 1)
    size = num_heads * len(MEASURES) * BINS
    counts = torch.bincount(codes[observed], minlength=size)
    return MeasureSums(
        (values * observed).sum(-1).T.numpy(),
        observed.sum(-1).T.numpy(),
        counts.view(num_heads, len(MEASURES), BINS).numpy(),
    )


def quantized(weights: torch.Tensor) -> np.ndarray:
    """Return weights from 0 to 1 at 8 bits, with an error of at most 0.002."""
    return (weights.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
