"""What can be claimed of heads: intervals, family-wide tests, and held-out choice.

Everything counts *groups* (twins, schemas, pages, translations): no group is ever divided by a
fold, a resample or a relabelling. Arrays are ``(num_cases, num_heads)``, where "heads" stands for
every combination that is tried (layer, head and direction), and NaN marks what a mask makes
impossible to observe. All numbers follow from the seed.

``groups`` has sums by group and folds, ``bootstrap`` intervals, ``relabelling`` the test of all
heads, ``selection`` the held-out choice, ``twins`` pairs with both right, and ``units`` why sums
of credits are exact.
"""

from introspect.statistics.bootstrap import grouped_bootstrap
from introspect.statistics.groups import FEWEST_GROUPS, fold_of_groups
from introspect.statistics.relabelling import PermutationTest, permutation_test
from introspect.statistics.selection import HeldOut, held_out_selection
from introspect.statistics.twins import twin_accuracy

__all__ = [
    "FEWEST_GROUPS",
    "HeldOut",
    "PermutationTest",
    "fold_of_groups",
    "grouped_bootstrap",
    "held_out_selection",
    "permutation_test",
    "twin_accuracy",
]
