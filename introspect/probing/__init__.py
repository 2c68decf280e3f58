"""Probing sets: rows are read, cut into shards, run by an engine, and gathered into a folder.

``reading`` and ``rows`` are what comes in; ``preparing``, ``batches`` and ``worker`` run a shard;
``serial`` and ``ray_engine`` run many; ``store`` keeps what is done, ``plan`` says what it depends
on, ``folder`` who may write; ``gathering``, ``findings`` and ``outcome`` make tables and a report.
"""

from introspect.probing.cache import CacheOptions
from introspect.probing.estimate import Estimate, estimate
from introspect.probing.ray_engine import RayOptions
from introspect.probing.run import ProbeInterruptedError, ProbeRun, probe
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
