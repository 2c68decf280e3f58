"""A tiny random model of each type, from its configuration: no network, no files."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import transformers
from sizes import BESIDE_TEXT, PAD, SIZES, SPECIAL, TASKS, TEXT_SUFFIXES, VARIANTS, VOCABULARY
from torch import nn
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

#: More than this is no tiny model: its configuration has sizes of names that are not known here.
MOST_PARAMETERS = 10_000_000
MOST_LAYERS = 12

LENGTH = 16
PADDED = 4


class ElsewhereError(Exception):
    """Raised if a type reads more than text, or none; the message names what, or the text type."""


# Without the types that its own code does not have.
_AUTO: Any = transformers.AutoModel


@functools.cache
def text_types() -> tuple[str, ...]:
    """Return model types with a text task in transformers' own tables, and text towers."""
    tables = [getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}) for task in TASKS]
    named = {name for table in tables for name in table}
    named |= {name for name in auto.MODEL_MAPPING_NAMES if name.endswith(TEXT_SUFFIXES)}
    return tuple(sorted(named & set(auto.MODEL_MAPPING_NAMES)))


@dataclasses.dataclass(frozen=True, eq=False)
class Tiny:
    """A small model, loaded eagerly and by default, with inputs and what the eager one returns."""

    eager: nn.Module
    default: nn.Module
    inputs: dict[str, Any]
    output: Any


def tiny(name: str) -> Tiny:
    """Return a small model of a type that runs.

    Raises:
        ElsewhereError: the type reads more than text.
        Exception: the first reason why none of the small configurations ran.
    """
    if beside := BESIDE_TEXT.get(name) or _other_input(name):
        raise ElsewhereError(beside)
    first: Exception | None = None
    for variant in VARIANTS:
        try:
            config = small_config(CONFIG_MAPPING[name], {**variant, **SPECIAL.get(name, {})})
            return _run(config)
        except ElsewhereError:
            raise
        except Exception as error:
            first = first or error
    assert first is not None
    raise first


def _run(config: Any) -> Tiny:
    _check_size(config)
    eager = _module(config, "eager")
    inputs = inputs_for(eager)
    with torch.no_grad():
        output = eager(**inputs, output_attentions=True)
    return Tiny(eager, _module(config, None), inputs, output)


def _other_input(name: str) -> str | None:
    """Return what a type reads instead of text."""
    found: Any = _AUTO._model_mapping[CONFIG_MAPPING[name]]
    model = found[0] if isinstance(found, (list, tuple)) else found
    if "input_ids" in inspect.signature(model.forward).parameters:
        return None
    return f"reads no text: its main input is `{model.main_input_name}`"


def small_config(cls: Any, changes: Mapping[str, Any]) -> Any:
    """Return a configuration with small sizes."""
    aliases = getattr(cls, "attribute_map", None) or {}
    known = set(inspect.signature(cls.__init__).parameters) | set(aliases)
    if dataclasses.is_dataclass(cls):
        known |= {field.name for field in dataclasses.fields(cls)}
    chosen: dict[str, Any] = {}
    for key, value in {**SIZES, **changes}.items():
        if value is not None and (key in known or key in changes):
            chosen.setdefault(aliases.get(key, key), value)
    config = cls(**chosen)
    config.architectures = config.architectures or []  # Funnel has several, and asks which
    text = config.get_text_config()
    if text is not config and not {"encoder", "decoder"} <= set(changes):
        raise ElsewhereError(
            f"reads more than text; its text part is of the type `{text.model_type}`"
        )
    return config


def _check_size(config: Any) -> None:
    """Raise if a model would not be tiny, before any memory is allocated."""
    layers = getattr(config, "num_hidden_layers", 0)
    if isinstance(layers, int) and layers > MOST_LAYERS:
        raise ValueError("too large: it has sizes of other names")
    with torch.device("meta"):
        shape = _AUTO.from_config(copy.deepcopy(config))
    if sum(parameter.numel() for parameter in shape.parameters()) > MOST_PARAMETERS:
        raise ValueError("too large: it has sizes of other names")


def module_of(config: Any, implementation: str | None = None) -> nn.Module:
    """Return a small model of a configuration, with weights that are the same every time."""
    return _module(config, implementation)


def small_configs(name: str) -> Iterator[Any]:
    """Yield the small configurations of a type, those that can be made."""
    for variant in VARIANTS:
        try:
            config = small_config(CONFIG_MAPPING[name], {**variant, **SPECIAL.get(name, {})})
            _check_size(config)
        except Exception:  # another variant may fit
            continue
        yield config


def _module(config: Any, implementation: str | None) -> nn.Module:
    """Return a model with the same weights every time, whatever the implementation.

    They are far larger than a fresh model's, which attends almost evenly to everything and would
    hide a mistake; their standard deviation keeps the size of what passes through a layer.
    """
    options = {} if implementation is None else {"attn_implementation": implementation}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        # A copy: the model notes in its configuration which implementation it runs.
        module = _AUTO.from_config(copy.deepcopy(config), dtype=torch.float32, **options)
        torch.manual_seed(8)
        for parameter in module.parameters():
            fan_in = parameter.shape[-1] if parameter.dim() > 1 else 4
            parameter.add_(torch.randn(parameter.shape) / math.sqrt(fan_in))
    return module.eval()  # type: ignore[no-any-return]


def inputs_for(module: nn.Module) -> dict[str, Any]:
    """Return two texts, one of them padded; for an encoder-decoder also the output so far."""
    taken = inspect.signature(module.forward).parameters
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, VOCABULARY, (2, LENGTH), generator=generator)
    inputs: dict[str, Any] = {"input_ids": ids}
    if "attention_mask" in taken:
        mask = torch.ones_like(ids)
        mask[1, -PADDED:] = 0
        ids[1, -PADDED:] = PAD
        inputs["attention_mask"] = mask
    if "bbox" in taken:
        boxes = torch.randint(0, 40, (2, LENGTH, 4), generator=generator)
        inputs["bbox"] = boxes.sort(-1).values
    if getattr(module.config, "is_encoder_decoder", False) and "decoder_input_ids" in taken:
        inputs["decoder_input_ids"] = torch.randint(5, VOCABULARY, (2, 7), generator=generator)
    if "use_cache" in taken:
        inputs["use_cache"] = False
    return inputs


def stable_reason(error: BaseException) -> str:
    """Return why a type does not run, in words that are the same on every machine."""
    text = str(error)
    if "too large" in text:
        return "its small sizes are not known here"
    if needed := re.search(r"requires the (\S+) library", text):
        return f"needs the package {needed[1]}"
    if "Unrecognized configuration" in text or "Could not find" in text:
        return "transformers has no base model class for it"
    return f"does not run at small sizes ({type(error).__name__})"
