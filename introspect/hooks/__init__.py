"""Watching a model attend: one idea a file.

``capture`` runs a model once and gives what its attention modules computed.
"""

from introspect.hooks.capturing import Captured, capture
from introspect.hooks.certificate import verify

__all__ = ["Captured", "capture", "verify"]
