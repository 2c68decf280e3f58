"""Coreference as it is published: a reader for each form, and which form a file has."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
