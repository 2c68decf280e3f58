"""Watching a model attend: one idea a file.

``capture`` runs a model once and gives what its attention modules computed.
"""

from introspect.hooks.certificate import verify
from introspect.hooks.observation import Captured, capture

__all__ = ["Captured", "capture", "verify"]
