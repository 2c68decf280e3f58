# What the folder hands out, each name loaded on its first use.
from .claim import Claim as Claim
from .effects import MANY_GROUPS as MANY_GROUPS
from .effects import EffectTest as EffectTest
from .effects import effect_test as effect_test
from .groups import FEWEST_GROUPS as FEWEST_GROUPS
from .groups import checked as checked
from .groups import fold_of_groups as fold_of_groups
from .intervals import accuracy_intervals as accuracy_intervals
from .intervals import drawn_counts as drawn_counts
from .intervals import effect_intervals as effect_intervals
from .permutation import PermutationTest as PermutationTest
from .permutation import permutation_test as permutation_test
from .selection import DIVISIONS as DIVISIONS
from .selection import SIGNIFICANT as SIGNIFICANT
from .selection import HeldOut as HeldOut
from .selection import held_out_selection as held_out_selection
from .selection import pair_accuracy as pair_accuracy
