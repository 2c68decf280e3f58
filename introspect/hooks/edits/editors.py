"""The choice of the editor that fits how a model computes its attention."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from introspect.hooks.edits.edits import Edit, InterfaceEditor
from introspect.hooks.edits.products import ProductEditor
from introspect.hooks.layout import attention_layout

AttentionEditor = InterfaceEditor | ProductEditor


def editor_of(module: nn.Module, edits: Sequence[Edit]) -> AttentionEditor:
    """Return the editor that applies the edits while it is open.

    Raises:
        CaptureError: the model's attention cannot be changed, or not in these parts.
    """
    layout = attention_layout(module)
    if layout.products:
        return ProductEditor(module, edits, layout)
    return InterfaceEditor(module, edits, layout)
