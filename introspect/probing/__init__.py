"""Probing sets: read rows, cut them into shards, run these, and gather results into a folder.

``reading`` and ``rows`` handle the input; ``preparing``, ``batches``, and ``worker`` run a shard;
``jobs`` runs many with the engine ``serial`` or ``ray_engine``; ``store`` keeps finished shards,
``plan`` records what they depend on, and ``folder`` controls who may write; ``gathering``,
``findings``, ``outcome``, and ``finishing`` make tables and a report; ``finished`` is the result.
"""

from introspect.probing.cache import CacheOptions
from introspect.probing.estimate import Estimate, estimate
from introspect.probing.finished import ProbeRun
from introspect.probing.jobs import ProbeInterruptedError
from introspect.probing.ray_engine import RayOptions
from introspect.probing.run import probe
from introspect.probing.saving import SavedAttention

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
