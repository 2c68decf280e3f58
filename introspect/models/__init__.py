"""Models that are found by name, loaded safely, and captured on a text or an image."""

from introspect.models.loader import load, load_text
from introspect.models.model import Model
from introspect.models.vision import VisionModel

__all__ = ["Model", "VisionModel", "load", "load_text"]
