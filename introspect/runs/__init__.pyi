# What the folder hands out, each name loaded on its first use.
from .cache import CacheOptions as CacheOptions
from .causal import CAUSAL_KIND as CAUSAL_KIND
from .causal import causal_folder as causal_folder
from .corpus_atlas import atlas as atlas
from .corpus_atlas import atlas_lines as atlas_lines
from .estimate import Estimate as Estimate
from .estimate import estimate as estimate
from .heads import HEADS_KIND as HEADS_KIND
from .heads import HeadOptions as HeadOptions
from .heads import heads_folder as heads_folder
from .heads import is_page as is_page
from .jobs import ProbeInterruptedError as ProbeInterruptedError
from .ray_engine import RayOptions as RayOptions
from .run import ProbeRun as ProbeRun
from .run import probe as probe
from .saved_attention import SavedAttention as SavedAttention
from .worker import WorkerOptions as WorkerOptions
