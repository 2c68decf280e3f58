"""Probing sets: read rows, cut them into shards, run these, and gather results into a folder.

``reading`` and ``rows`` handle the input; ``preparing``, ``batches``, and ``worker`` run a shard;
``jobs`` runs many with the engine ``serial`` or ``ray_engine``; ``store`` keeps finished shards,
``plan`` records what they depend on, and ``folder`` controls who may write; ``gathering``,
``findings``, ``outcome``, and ``finishing`` make tables and a report; ``finished`` is the result.
"""

from introspect.runs.cache import CacheOptions
from introspect.runs.estimate import Estimate, estimate
from introspect.runs.jobs import ProbeInterruptedError
from introspect.runs.ray_engine import RayOptions
from introspect.runs.run import ProbeRun, probe
from introspect.runs.saved_attention import SavedAttention

__all__ = [
    "CacheOptions",
    "Estimate",
    "ProbeInterruptedError",
    "ProbeRun",
    "RayOptions",
    "SavedAttention",
    "estimate",
    "probe",
]
