"""Open and close an intervention of any kind."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType

from torch import nn

from introspect.calls import checked_call, checked_class
from introspect.changes import Changes, current_task, locked_here, unlock
from introspect.errors import SelectionError
from introspect.hooks import (
    EDITABLE,
    AttentionEditor,
    Edit,
    attending_module,
    attention_layout,
    check_positions,
    editor_of,
)
from introspect.models import Model

ModelLike = Model | nn.Module


@dataclass(frozen=True, eq=False)
class _Opened:
    """One time that an intervention was opened."""

    editor: AttentionEditor
    changes: Changes


@checked_class
class Intervention(AbstractContextManager["Intervention"]):
    """A change of a model that lasts as long as the ``with`` block, in the thread that opened it.

    Interventions may be nested; a later one changes what the earlier ones leave. They may end in
    any order, as those of several generators or asyncio tasks do. On exit, also by an exception or
    Ctrl-C, the model is restored; so it is when the intervention is dropped without an exit, or
    its thread ends. An intervention can be opened again.

    Args:
        model: the model.
        edits: the changes.
        words: a description for reports.
    """

    def __init__(self, model: ModelLike, edits: Iterable[Edit], words: str = "edited") -> None:
        self.module = module_of(model)
        self.edits = tuple(edits)
        self.words = words
        self._opened: list[_Opened] = []

    def __enter__(self) -> Intervention:
        layout = attention_layout(self.module)
        edits = tuple(
            replace(edit, kind=layout.main) if layout.main and edit.kind == "self" else edit
            for edit in self.edits
        )
        for edit in edits:
            _check(edit, layout.heads)
        opened = _Opened(editor_of(self.module, edits), Changes(holder=self))
        locked = locked_here()
        try:
            try:
                self._opened.append(opened)
                opened.editor.attach(opened.changes)
            except BaseException:
                self._close(opened)
                raise
        except BaseException:
            unlock(locked)
            self._close(opened)  # again, in case Ctrl-C has interrupted the first time
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened = None
        try:
            opened = self._last_opened()
            self._close(opened)
        finally:
            self._close(opened or self._last_opened())
        if error is None and self.edits and not opened.editor.count:
            warnings.warn(
                f"The intervention ({self.words}) changed nothing: within it "
                f"{type(self.module).__name__} computed no attention that it is about. Run the "
                "model in the thread that opened it, before it ends.",
                stacklevel=2,
            )

    def _last_opened(self) -> _Opened:
        """Return the last time it was opened, in this thread and task if in any of them."""
        here = (threading.current_thread(), current_task())
        own = [each for each in self._opened if (each.changes.thread, each.changes.task) == here]
        if not self._opened:
            raise SelectionError(
                f"Expected an intervention that is open, to end it, but this one ({self.words}) "
                "is not. Use it as a block: with ix.ablate(model, 'L3H1'): model.capture(text)."
            )
        return (own or self._opened)[-1]

    def _close(self, opened: _Opened) -> None:
        opened.changes.undo()
        self._opened = [each for each in self._opened if each is not opened]

    def __repr__(self) -> str:
        return f"Intervention({type(self.module).__name__}: {self.words})"


@checked_call
def intervene(model: ModelLike, edits: Iterable[Edit]) -> Intervention:
    """Change parts of a model's attention with custom functions.

    Args:
        model: a model of this package, or a transformers module.
        edits: each a kind of attention, a layer, a part (``queries``, ``keys``, ``values``,
            ``attentions``, ``head_outputs``) and a function from the part to its new value; the
            part has the shape in which it is captured, ``(batch, num_heads, …)``.

    Raises:
        SelectionError: a layer or part that the model does not have.
        CaptureError: its attention cannot be changed.

    Example:
        >>> import introspect as ix
        >>> model = ix.load("pronoun")
        >>> half = ix.Edit("self", 1, "head_outputs", lambda heads, visible: heads / 2)
        >>> with ix.intervene(model, [half]):
        ...     record = model.capture("The fox did not cross the river because it was too wide.")
    """
    return Intervention(model, edits)


def module_of(model: ModelLike) -> nn.Module:
    """Return the transformers module inside a model, whatever it is wrapped in.

    Raises:
        SelectionError: it is not a model.
        CaptureError: it has none in it, or one whose places are not those of the text.
    """
    module = model.module if isinstance(model, Model) else model
    if isinstance(module, str):
        raise SelectionError(
            f"Expected the model to change, got the name {module!r}: what is loaded by name is "
            "gone with the call. Load it once, model = ix.load(…), and change that: "
            "with ix.ablate(model, 'L3H1'): model.capture(text)."
        )
    if not isinstance(module, nn.Module):
        raise SelectionError(
            f"Expected a model of ix.load, or a transformers module, got {type(model).__name__}."
        )
    check_positions(module)
    return attending_module(module)


def _check(edit: Edit, places: Iterable[tuple[str, int]]) -> None:
    known = sorted(places)
    if (edit.kind, edit.layer) not in known:
        raise SelectionError(
            f"Expected an attention that the model has, such as {known[0]}, got "
            f"{(edit.kind, edit.layer)}. Layers are numbered from 0."
        )
    if edit.part not in EDITABLE:
        raise SelectionError(f"Expected `part` from {', '.join(EDITABLE)}, got {edit.part!r}.")
