"""Thin accumulators over the functional layer: ``update``, ``merge``, ``compute``."""
