"""Probing sets: read rows, cut them into shards, run these, and gather results into a folder.

``reading`` and ``rows`` handle the input; ``preparing``, ``batches``, and ``worker`` run a shard;
``jobs`` runs many with the engine ``serial`` or ``ray_engine``; ``store`` keeps finished shards,
``plan`` records what they depend on, and ``folder`` controls who may write; ``gathering``,
``findings``, ``outcome``, and ``finishing`` make tables and a report; ``finished`` is the result.
"""

from lazy_loader import attach_stub

# A module bears this name too, which loading it would otherwise put in the function's place.
from introspect.runs.estimate import estimate  # noqa: F401

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
