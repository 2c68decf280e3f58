"""Statistics of heads: intervals, family-wise tests, and held-out selection.

Everything counts *groups* (minimal pairs, schemas, pages, translations): no group is ever divided
by a fold, a resample, or a label permutation. Arrays are ``(num_cases, num_heads)``, where "heads"
stands for every combination that is tested (layer, head, and direction), and NaN marks what a mask
makes impossible to observe. All numbers are determined by the random seed.

``groups`` has sums by group and folds, ``bootstrap`` intervals, ``relabeling`` the permutation
test of all heads, ``selection`` the held-out selection, and the accuracy on minimal pairs,
and ``units`` exact sums of credits.
"""

from introspect.statistics.groups import (
    FEWEST_GROUPS,
    checked,
    drawn_counts,
    fold_of_groups,
    grouped_bootstrap,
)
from introspect.statistics.permutation import PermutationTest, permutation_test
from introspect.statistics.selection import HeldOut, held_out_selection, pair_accuracy

__all__ = [
    "FEWEST_GROUPS",
    "HeldOut",
    "PermutationTest",
    "checked",
    "drawn_counts",
    "fold_of_groups",
    "grouped_bootstrap",
    "held_out_selection",
    "pair_accuracy",
    "permutation_test",
]
