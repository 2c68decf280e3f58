"""Pure tensor functions, one idea per file, without a model, a tokenizer or I/O."""

from lazy_loader import attach_stub

# A module bears this name too, which loading it would otherwise put in the function's place.
from introspect.functional.relevance import relevance  # noqa: F401

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
