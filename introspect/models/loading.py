"""Loading a model and its tokenizer."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from introspect.errors import ModelError
from introspect.models.model import Model
from introspect.models.sources import Source, find_source

__all__ = ["load"]

# Heads that a base model may lack in its file without any attention changing.
_HARMLESS = ("pooler", "classifier", "lm_head", "position_ids")
_SMALLEST_VOCABULARY = 2


def load(
    model: str | os.PathLike[str] | tuple[nn.Module, Any] | Model = "minilm",
    *,
    device: str | torch.device | None = None,
    allow_pickle: bool = False,
) -> Model:
    """A model that can be asked for its attention.

    Args:
        model: an alias (``minilm``), the id of a model on the hub, a local folder, or a pair
            ``(module, tokenizer)`` of transformers objects, which are used as they are.
        device: where to run it; by default the CPU, or where a given module is.
        allow_pickle: load weights in Python's pickle format too. Only for files you trust.

    Raises:
        ModelError: not found, unsafe, incomplete, or without a fast tokenizer.

    Example:
        >>> load("minilm").module.config.num_attention_heads     # doctest: +SKIP
        12
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str | os.PathLike):
        model = os.fspath(model)
        return _load_source(find_source(model, allow_pickle=allow_pickle), device, allow_pickle)
    if not (isinstance(model, tuple) and len(model) == 2 and isinstance(model[0], nn.Module)):
        raise ModelError(
            "Expected a model's name, a folder or a pair (module, tokenizer), got "
            f"{type(model).__name__}. Give for example load((module, tokenizer))."
        )
    module, tokenizer = model
    name = getattr(getattr(module, "config", None), "name_or_path", "") or type(module).__name__
    return Model(module if device is None else module.to(device), tokenizer, name=name)


def _load_source(source: Source, device: Any, allow_pickle: bool) -> Model:
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    options: dict[str, Any] = {
        "trust_remote_code": False,
        "local_files_only": source.is_local,
    }
    try:
        module, report = AutoModel.from_pretrained(
            source.location,
            use_safetensors=None if allow_pickle else True,
            output_loading_info=True,
            **options,
        )
        tokenizer = AutoTokenizer.from_pretrained(source.location, **options)
    except (
        OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        raise ModelError(
            f"Expected to load {source.name!r}, but it failed: {_first_line(error)} "
            "Check the name, that the weights are safetensors, and that the repository needs no "
            "code of its own."
        ) from error
    # Without its files transformers makes up a tokenizer of special tokens only.
    if len(tokenizer) - len(set(tokenizer.all_special_tokens)) < _SMALLEST_VOCABULARY:
        raise ModelError(
            f"Expected a tokenizer with {source.name!r}, but it has no vocabulary: every word "
            "would be unknown. Copy its files there, tokenizer.json above all."
        )
    missing = sorted(
        key for key in report["missing_keys"] if not any(part in key for part in _HARMLESS)
    )
    if missing:
        raise ModelError(
            f"Expected the weights of every layer in {source.name!r}, but {len(missing)} are "
            f"missing, for example {missing[0]}: they would be random. Give complete weights."
        )
    revision = source.revision or getattr(module.config, "_commit_hash", None)
    module.eval()
    if device is not None:
        module.to(device)
    return Model(module, tokenizer, name=source.name, revision=revision)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
