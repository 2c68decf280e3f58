"""Statistics of heads: intervals, family-wise tests, and held-out selection.

Everything counts *groups* (minimal pairs, schemas, pages, translations): no group is ever divided
by a fold, a resample, or a label permutation. Arrays are ``(num_cases, num_heads)``, where "heads"
stands for every combination that is tested (layer, head, and direction), and NaN marks what a mask
makes impossible to observe. All numbers are determined by the random seed.

``groups`` has exact sums by group and folds, ``intervals`` the intervals of accuracies and effects,
``permutation`` the permutation test of all heads, ``selection`` the held-out selection and the
accuracy on minimal pairs, and ``claim`` the row of a ledger.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
