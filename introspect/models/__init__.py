"""Models that are found by name, loaded safely, and captured on a text or an image."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
