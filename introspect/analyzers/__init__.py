"""Thin accumulators over the functional layer, with ``update``, ``merge`` and ``compute``."""
