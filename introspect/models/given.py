"""What is handed to ``load`` in place of a name: its module and its tokenizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from introspect.changes import Changes
from introspect.errors import CaptureError, ModelError
from introspect.hooks import (
    attending_module,
    attention_layout,
    few_tokens,
    has_own_attention,
    hook_before,
    taken_by,
    unwrapped,
    without_dropout,
)
from introspect.models.fit import reads_sound

_READERS = ("tokenizer", "image_processor", "processor")


def pair_in(given: Any) -> tuple[Any, Any]:
    """Return the module and what reads for it: a tokenizer or a processor.

    Args:
        given: a pair, a pipeline of transformers, or a SentenceTransformer, which have both.

    Raises:
        ModelError: it is none of these, or has no tokenizer.
    """
    if isinstance(given, tuple) and len(given) == 2:
        return given
    module = unwrapped(given)
    is_model = isinstance(module, nn.Module)
    # A pipeline of sound has a tokenizer too, for what its model writes.
    of_sound = ("processor", "feature_extractor") if is_model and reads_sound(module) else ()
    names = (*of_sound, *_READERS)
    reader = next((r for name in names if (r := _attribute(given, name)) is not None), None)
    if is_model and reader is not None and not isinstance(reader, nn.Module):
        return given, reader
    if is_model:
        raise ModelError(
            f"Expected a tokenizer beside {type(given).__name__}, got the module alone. Give "
            "load((module, tokenizer))."
        )
    raise ModelError(
        "Expected a model's name, a folder or a pair (module, tokenizer), got "
        f"{type(given).__name__}. Give for example load((module, tokenizer))."
    )


def _attribute(given: Any, name: str) -> Any:
    try:
        return getattr(given, name, None)
    except Exception:  # a property of a class that is not known
        return None


def module_in(given: Any) -> nn.Module:
    """Return the transformers model inside what is handed over, or a module that has none.

    Raises:
        ModelError: it is no module, there are several models in it, or it reads no tokens or
            attends to none.
    """
    if not isinstance(unwrapped(given), nn.Module):
        raise ModelError(
            "Expected a model's name, a folder or a pair (module, tokenizer), got a pair with "
            f"{type(given).__name__} first. Give for example load((module, tokenizer))."
        )
    try:
        module = attending_module(given)
        if has_own_attention(module):
            attention_layout(module)  # only a run shows whether it attends to what it reads
        return module
    except CaptureError as error:
        raise ModelError(str(error)) from error


def owner_of(given: Any, module: nn.Module) -> str | None:
    """Return the class of the caller's own that a model is a part of, or ``None``.

    Raises:
        ModelError: it gives the model something else to read than it is given.
    """
    outer = unwrapped(given)
    if outer is module:
        return None
    _check_passes_on(outer, module)
    return type(outer).__name__


def _check_passes_on(outer: nn.Module, module: nn.Module) -> None:
    """Check, on a few tokens, that a model is given the tokens which its owner is given."""
    try:
        inputs = few_tokens(module)
    except CaptureError:
        return
    given: list[Any] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given.append(kwargs.get("input_ids", args[0] if args else None))

    taken = taken_by(outer)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    named = {name: value.to(device) for name, value in inputs.items() if name in taken}
    try:
        with Changes() as changes, torch.no_grad(), without_dropout(outer):
            hook_before(changes, [module], note)
            outer(**named)
    except Exception:  # it takes other inputs than tokens, which then tell nothing
        return
    ids = named.get("input_ids")
    if ids is not None and not any(torch.is_tensor(one) and _same(one, ids) for one in given):
        raise ModelError(
            f"Expected {type(outer).__name__} to give {type(module).__name__} the tokens that it "
            "is given, but it gives it something else, so a place in the text is another place in "
            f"the model. Hand over the {type(module).__name__} itself, to study it without."
        )


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool((one == other).all())
