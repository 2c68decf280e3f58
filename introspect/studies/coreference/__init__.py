"""Coreference scores of every head over a set of cases."""

from lazy_loader import attach_stub

# A module bears this name too, which loading it would otherwise put in the function's place.
from introspect.studies.coreference.linear_probe import linear_probe  # noqa: F401
from introspect.studies.coreference.score import score  # noqa: F401

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
