"""Models: found by name, loaded safely, and asked for the attention of a text or a picture."""

from introspect.models.loading import load, load_text
from introspect.models.model import Model
from introspect.models.vision import VisionModel

__all__ = ["Model", "VisionModel", "load", "load_text"]
