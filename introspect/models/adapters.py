"""Folders that hold an adapter of PEFT: they are loaded with the model that they adapt."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from introspect.errors import MissingExtraError, ModelError

CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# The class that a base is loaded as, by what its adapter was trained for.
_CLASSES = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds an adapter, and no whole model beside it.

    Raises:
        ModelError: it holds both, so that one of them would be left out.
    """
    if not (folder / CONFIG).is_file():
        return False
    whole = [path.name for path in folder.glob("*.safetensors") if path.name not in _WEIGHTS]
    if whole and (folder / "config.json").is_file():
        raise ModelError(
            f"Expected a model or an adapter in {str(folder)!r}, got both ({whole[0]} and "
            f"{CONFIG}). Put the adapter's files into a folder of their own."
        )
    return True


def base_of(folder: Path) -> tuple[str, str]:
    """Return the name of the model that an adapter was made for, and the class to load it as.

    Raises:
        MissingExtraError: peft is not installed.
        ModelError: the configuration is damaged, or names no base.
    """
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("peft", "wrappers", "An adapter")
    try:
        config: Mapping[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        base = config.get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"Expected an adapter's configuration in {str(folder / CONFIG)!r}, but it cannot be "
            f"read ({type(error).__name__}). Save the adapter again with save_pretrained."
        ) from error
    if config.get("adapters"):
        raise ModelError(
            f"Expected one adapter in {str(folder)!r}, got a mixture of several, whose weights lie "
            "elsewhere. Load it with PEFT, and give load((model, tokenizer))."
        )
    if not base:
        raise ModelError(
            f"Expected base_model_name_or_path in {str(folder / CONFIG)!r}, the model that the "
            "adapter was made for, but there is none. Write it there, or give "
            "load((PeftModel.from_pretrained(base, folder), tokenizer))."
        )
    return str(base), _CLASSES.get(str(config.get("task_type")), "AutoModel")


def num_labels_in(folder: Path) -> int | None:
    """Return the number of labels of a classifier that an adapter brings, or ``None``."""
    from safetensors import safe_open

    weights = folder / _WEIGHTS[0]
    if not weights.is_file():
        return None
    with safe_open(weights, framework="pt") as stored:
        for name in stored.keys():  # noqa: SIM118 (it is no mapping)
            if name.endswith(("classifier.weight", "score.weight", "out_proj.weight")):
                return int(stored.get_slice(name).get_shape()[0])
    return None


def adapted(base: nn.Module, folder: Path, name: str) -> nn.Module:
    """Return a base model with the adapter of a folder in it.

    Raises:
        ModelError: the adapter does not fit the base.
    """
    import peft

    try:
        model: nn.Module = peft.PeftModel.from_pretrained(base, str(folder))
        state = peft.utils.load_peft_weights(str(folder), device="cpu")
        outcome: Any = peft.set_peft_model_state_dict(model, state)
    except Exception as error:  # whatever PEFT raises for what it does not know
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"Expected the adapter {name!r} to fit its base {type(base).__name__}, but it failed: "
            f"{lines[0]} Check base_model_name_or_path in {CONFIG}."
        ) from error
    if unfit := outcome.unexpected_keys:
        raise ModelError(
            f"Expected the adapter {name!r} to fit its base {type(base).__name__}, but the base "
            f"has no place for {len(unfit)} of its weights, for example {unfit[0]}. Check "
            f"base_model_name_or_path in {CONFIG}."
        )
    return model.eval()
