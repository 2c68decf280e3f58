"""Runs: an input becomes a folder of tables and a report, and an interrupted run can be resumed.

``rows`` reads the input, ``batches`` and ``worker`` run a ``shard``, and ``jobs`` runs many shards
in this process or with ``ray_engine``; ``store`` keeps finished shards, and ``plan`` records
what they depend on. ``tables``, ``findings`` and ``outcome`` make tables and a report of a probe,
which ``run`` starts; ``causal`` and ``heads`` are the runs of the other studies.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
