"""Loading of a model that will be asked, with its LM head if it has one."""

from __future__ import annotations

from typing import Any

from introspect.causal.metrics import METRICS, default_metric
from introspect.errors import ModelError
from introspect.models import Model, load
from introspect.models.loading import load_text

__all__ = ["load_to_ask"]


def load_to_ask(name: str, metric: str | None = None, **options: Any) -> Model:
    """Load a model with its LM head; without it, where it has none or none is wanted.

    A model without a head can only be asked by the surrogate, and reports say so.

    Args:
        name: as ``load`` takes it.
        metric: the way the answer will be read; by default as the model's head allows.
        options: options of ``load``.

    Raises:
        ModelError: the model cannot be loaded.

    Example:
        >>> default_metric(load_to_ask("pronoun")).name
        'at-pronoun'
    """
    if metric in METRICS and METRICS[metric].is_surrogate:
        return load_text(load(name, **options))
    try:
        model = load_text(load(name, with_head=True, **options))
    except ModelError:
        # Not every file names a class with a head; if something else is wrong, this raises it.
        return load_text(load(name, **options))
    # Another head, such as one that classifies texts, gives no states to compare.
    return load_text(load(name, **options)) if default_metric(model).is_surrogate else model
