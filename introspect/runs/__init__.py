"""Probing sets: read rows, cut them into shards, run these, and gather results into a folder.

``reading`` and ``rows`` handle the input; ``preparing``, ``batches``, and ``worker`` run a shard;
``jobs`` runs many with the engine ``serial`` or ``ray_engine``; ``store`` keeps finished shards,
``plan`` records what they depend on, and ``folder`` controls who may write; ``gathering``,
``findings``, ``outcome``, and ``finishing`` make tables and a report; ``finished`` is the result.
"""

from introspect.models import BatchLimits
from introspect.runs.cache import CacheOptions
from introspect.runs.causal import CAUSAL_KIND, causal_folder
from introspect.runs.estimate import Estimate, estimate
from introspect.runs.heads import HEADS_KIND, HeadOptions, heads_folder, is_page
from introspect.runs.jobs import ProbeInterruptedError
from introspect.runs.options import WorkerOptions
from introspect.runs.ray_engine import RayOptions
from introspect.runs.run import ProbeRun, probe
from introspect.runs.saved_attention import SavedAttention

__all__ = [
    "CAUSAL_KIND",
    "HEADS_KIND",
    "BatchLimits",
    "CacheOptions",
    "Estimate",
    "HeadOptions",
    "ProbeInterruptedError",
    "ProbeRun",
    "RayOptions",
    "SavedAttention",
    "WorkerOptions",
    "causal_folder",
    "estimate",
    "heads_folder",
    "is_page",
    "probe",
]
