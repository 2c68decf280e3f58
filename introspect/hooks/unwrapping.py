"""The transformers model inside whatever is handed over, and what its code takes and reads.

Models arrive wrapped: adapted by PEFT, compiled, spread over devices, or as one part of a program
of one's own. What attends is the transformers model inside, whose ``forward`` names its inputs; a
wrapper's often names none. This is the one place that looks for it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Container, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from introspect.errors import CaptureError

_SPREAD = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrapped(given: Any) -> Any:
    """Return what a wrapper computes with, where it computes nothing of its own.

    Taken off are a ``Model`` of this package, a pipeline, ``torch.compile``, DataParallel and
    DistributedDataParallel, and PEFT where its adapters are in the layers. A PEFT model that puts a
    prompt before the text stays as it is, and so does anything else.
    """
    while (inner := _inside(given)) is not None:
        given = inner
    return given


def _inside(given: Any) -> Any:
    if not isinstance(given, nn.Module):
        # A model of this package, or a pipeline; by their attributes, as neither is imported here.
        parts = (getattr(given, name, None) for name in ("module", "model"))
        return next((part for part in parts if isinstance(part, nn.Module)), None)
    if isinstance(given, _SPREAD):
        return given.module
    if is_adapted(given):
        return None if changes_the_run(given) else given.get_base_model()  # type: ignore[operator]
    # What torch.compile wraps; of TorchScript the parts are no dictionary.
    parts = vars(given).get("_modules", {})
    return parts["_orig_mod"] if "_orig_mod" in parts else None  # noqa: SIM401


def is_adapted(module: nn.Module) -> bool:
    """Return whether a module is a model of PEFT."""
    is_of_peft = type(module).__module__.partition(".")[0] == "peft"
    return is_of_peft and hasattr(module, "get_base_model")


def changes_the_run(adapted: Any) -> bool:
    """Return whether a PEFT model does more in a run than its adapted layers do."""
    return any(
        getattr(config, "is_prompt_learning", False)
        or "XLORA" in str(getattr(config, "peft_type", ""))
        or getattr(config, "alora_invocation_tokens", None) is not None
        for config in _adapters(adapted)
    )


def _adapters(adapted: Any) -> Iterator[Any]:
    """Yield the configurations of the active adapters."""
    configs: Mapping[str, Any] = getattr(adapted, "peft_config", {})
    active = getattr(adapted, "active_adapters", None) or getattr(adapted, "active_adapter", [])
    active = active() if callable(active) else active
    names = [active] if isinstance(active, str) else list(active)
    yield from (configs[name] for name in names if name in configs)


def watched_module(given: Any) -> nn.Module:
    """Return the module to run for what is handed over, whose ``forward`` takes the inputs.

    Raises:
        CaptureError: it is no module.
    """
    found = unwrapped(given)
    if not isinstance(found, nn.Module):
        raise CaptureError(
            f"Expected a transformers model, got {type(given).__name__}. Give a model of ix.load, "
            "or a module of transformers."
        )
    if isinstance(found, torch.jit.ScriptModule):
        raise CaptureError(
            "Expected a module whose code runs as Python, got one of TorchScript, which shows none "
            "of its attention. Hand over the module that was scripted."
        )
    return found


def models_inside(module: nn.Module) -> list[nn.Module]:
    """Return the outermost transformers models in a module, each once."""
    module = unwrapped(module)
    if isinstance(module, PreTrainedModel) or is_adapted(module):
        return [module]
    found: dict[int, nn.Module] = {}
    for child in module.children():
        found |= {id(each): each for each in models_inside(child)}
    return list(found.values())


def has_own_attention(module: nn.Module) -> bool:
    """Return whether a module has no transformers model in it, whose attention is known."""
    return not models_inside(module)


def attending_module(given: Any) -> nn.Module:
    """Return the transformers model inside what is handed over, or a module that has none.

    Raises:
        CaptureError: it is no module, or has several transformers models in it.
    """
    found = watched_module(given)
    return found if has_own_attention(found) else transformers_model(found)


def transformers_model(given: Any) -> nn.Module:
    """Return the one transformers model inside what is handed over.

    Args:
        given: a model of this package, a transformers model, a pipeline, a SentenceTransformer, a
            wrapper of PEFT, ``torch.compile`` or DataParallel, or a module of one's own with one
            transformers model in it.

    Raises:
        CaptureError: there is none in it, or there are several.
    """
    found = watched_module(given)
    models = models_inside(found)
    if len(models) == 1:
        return models[0]
    if models:
        names = ", ".join(type(each).__name__ for each in models)
        raise CaptureError(
            f"Expected one transformers model in {type(found).__name__}, got {len(models)} "
            f"({names}): each reads a text of its own. Hand over one of them."
        )
    raise CaptureError(
        f"Expected a transformers model, got {type(found).__name__}, which is none and has none in "
        "it: only those compute attention where it can be watched. Hand over a model that "
        "transformers has loaded."
    )


class Anything(Container[str]):
    """The inputs of a module that takes whatever it is given."""

    def __contains__(self, name: object) -> bool:
        return True


def taken_by(module: nn.Module) -> Container[str]:
    """Return the names of the inputs that a module's ``forward`` takes.

    A ``forward`` that was replaced by one of ``(*args, **kwargs)`` names nothing; that of the class
    still does.
    """
    for forward in (module.forward, type(module).forward):
        parameters = inspect.signature(forward).parameters
        named = [
            name
            for name, each in parameters.items()
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) and name != "self"
        ]
        if named or not parameters:
            # PEFT names a few inputs and hands the rest on.
            if is_adapted(module) and len(parameters) > len(named):
                return {*named, *_names(taken_by(module.get_base_model()))}  # type: ignore[operator]
            return named
    return Anything()


def _names(taken: Container[str]) -> list[str]:
    return [] if isinstance(taken, Anything) else list(taken)  # type: ignore[call-overload]


def check_positions(module: nn.Module) -> None:
    """Raise an error where a model reads more than the tokens of a text.

    Raises:
        CaptureError: an adapter puts a prompt before the text, or runs the model more than once.
    """
    for part in module.modules():
        if is_adapted(part) and changes_the_run(part):
            kinds = [str(getattr(each, "peft_type", "")) for each in _adapters(part)]
            kind = ", ".join(each.rpartition(".")[2] for each in kinds)
            raise CaptureError(
                f"Expected a model that reads a text's own tokens, one position for each, got "
                f"{type(part).__name__} with {kind}: what it adds to the run is not of the text, "
                "so a place in the text is another place in the model. Hand over "
                "peft_model.get_base_model() for the model without it; ix.capture(peft_model, "
                "inputs) has the attention as it is."
            )


_POSITIONS = "position_embedding_type"
# What code that knows one scheme only has: positions added to the embeddings.
_PLAIN = (None, "absolute")


def unread_positions(module: nn.Module) -> str:
    """Return what a configuration says of positions that the model's code does not do.

    A model that was trained with relative keys, and runs on code without them, attends otherwise
    than it was trained to.

    Returns:
        A clause for a certificate; empty where the code does what the configuration says.
    """
    for part in module.modules():
        scheme = getattr(getattr(part, "config", None), _POSITIONS, None)
        if not isinstance(part, PreTrainedModel) or scheme in _PLAIN:
            continue
        if not _is_read(type(part).__module__):
            name = type(part).__name__
            return f"its configuration has {_POSITIONS}={scheme!r}, which {name} ignores"
    return ""


@cache
def _is_read(module: str) -> bool:
    """Return whether the file of a model's class mentions the setting."""
    try:
        return _POSITIONS in inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError):
        return True  # there is no source to tell by
