# What the folder hands out, each name loaded on its first use.
from .ablation import METHODS as METHODS
from .ablation import NEEDS_REFERENCE as NEEDS_REFERENCE
from .ablation import Ablations as Ablations
from .ablation import ablate as ablate
from .ablation import scale as scale
from .edges import edges_between as edges_between
from .edges import knock_out as knock_out
from .intervention import Intervention as Intervention
from .intervention import intervene as intervene
from .intervention import module_of as module_of
from .patches import patch as patch
from .patches import patched as patched
from .references import run_parts as run_parts
from .targets import HeadsByLayer as HeadsByLayer
from .targets import checked_kind as checked_kind
from .targets import heads_by_layer as heads_by_layer
from .targets import names_of_heads as names_of_heads
