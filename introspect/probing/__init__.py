"""Probing sets: rows are read, cut into shards, run by an engine, and gathered into a folder.

``reading`` and ``rows`` are what comes in; ``preparing``, ``batches`` and ``worker`` run a shard;
``jobs`` runs many, by the engine ``serial`` or ``ray_engine``; ``store`` keeps what is done,
``plan`` says what it depends on, ``folder`` who may write; ``gathering``, ``findings``, ``outcome``
and ``finishing`` make tables and a report, ``finished`` is what a caller gets.
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
