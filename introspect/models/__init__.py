"""Models: found by name, loaded safely, and asked for the attention of a text."""

from introspect.models.loading import load
from introspect.models.model import Model

__all__ = ["Model", "load"]
