"""Whether what was loaded fits together: weights, configuration, tokenizer and embedding."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from introspect.errors import ModelError
from introspect.hooks import unread_positions
from introspect.models.inputs import num_embeddings
from introspect.models.tokens import is_fast, is_tokenizer
from introspect.text import counted, listed, verb, whole

_SMALLEST_VOCABULARY = 2
_SHOWN = 3
# Heads on top of the layers that attend, which no attention depends on, wherever they are kept.
_HEADS = re.compile(r"(^|\.)(pooler|seq_relationship)(\.|$)")
_ASSIGNED = re.compile(r"\bself\.(\w+) = ")
# What earlier versions of transformers saved beside the weights: masks, positions and versions,
# which are computed today.
_COMPUTED = re.compile(
    r"(^|\.)(position_ids|token_type_ids|version|causal_mask|masked_bias|num_batches_tracked"
    r"|(attn|attention)\.bias)$"
)
# Of positions, by models that compute them; any other model would ignore the positions.
_OF_POSITIONS = {
    "inv_freq": re.compile("rotary|rope", re.IGNORECASE),
    "relative_position_index": re.compile("relative_position", re.IGNORECASE),
}
_TOWERS = {"vision": "vision_model", "text": "text_model"}


def check_reader(module: nn.Module, tokenizer: Any, name: str) -> None:
    """Raise unless a model of text has a tokenizer with a vocabulary that it has embeddings for.

    Raises:
        ModelError: the vocabulary is empty, or larger than the embedding.
    """
    if reads_pictures(module) or reads_sound(module) or not is_tokenizer(tokenizer):
        return
    # Without its files transformers creates a tokenizer of special tokens only.
    if len(tokenizer) - len(set(tokenizer.all_special_tokens)) < _SMALLEST_VOCABULARY:
        raise ModelError(
            f"Expected a tokenizer with {name!r}, but it has no vocabulary: every word "
            "would be unknown. Copy its files there, tokenizer.json above all."
        )
    _check_reads_text(tokenizer, name)
    rows = num_embeddings(module)
    size = (
        tokenizer.backend_tokenizer.get_vocab_size(with_added_tokens=False)
        if is_fast(tokenizer)
        else tokenizer.vocab_size
    )
    if rows is not None and size > rows:
        raise ModelError(
            f"Expected an embedding for each of the {whole(size)} entries of the tokenizer's "
            f"vocabulary in {name!r}, got {whole(rows)}: the tokenizer is of another model. Copy "
            "the tokenizer's files from where the weights are from."
        )


def _check_reads_text(tokenizer: Any, name: str) -> None:
    """Raise if a tokenizer reads no text alone, but a table, or words in boxes.

    Raises:
        ModelError: it does not.
    """
    try:
        tokenizer(text="a")
    except Exception as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"Expected a tokenizer with {name!r} that reads a text alone, but "
            f"{type(tokenizer).__name__} does not: {said.removesuffix('.')}. Hand the tensors that "
            "it makes to ix.capture(module, inputs)."
        ) from error


def check_used(module: nn.Module, name: str, unused: Sequence[str] = (), *, strict: bool) -> str:
    """Return what a certificate has to say of weights and settings that a model does not use.

    What it says of positions is left out here: a capture finds it itself.

    Raises:
        ModelError: there are some, and ``strict`` is set.
    """
    note = words_on_unused(unused)
    found = "; ".join(filter(None, (note, unread_positions(module))))
    if found and strict:
        raise ModelError(
            f"Expected {name!r} and the code of {type(module).__name__} to fit, but {found}. Its "
            "attention would not be that of the trained model. Mend the configuration, or load it "
            "as it is with strict=False (--no-strict)."
        )
    return note


def reads_pictures(module: nn.Module) -> bool:
    """Return whether the main input of a module is an image."""
    if getattr(module, "main_input_name", None) != "pixel_values":
        return False
    # The tower of text of some models says the same of itself.
    taken = inspect.signature(module.forward).parameters
    return "pixel_values" in taken or "input_ids" not in taken


def what_it_reads(module: nn.Module) -> str:
    """Return what a model reads, in words: ``pictures``, ``sound`` or ``text``."""
    if reads_pictures(module):
        return "pictures"
    return "sound" if reads_sound(module) else "text"


def is_image_processor(processor: Any) -> bool:
    """Return whether ``processor`` is a transformers image processor."""
    from transformers.image_processing_base import ImageProcessingMixin

    return isinstance(processor, ImageProcessingMixin)


def reads_sound(module: nn.Module) -> bool:
    """Return whether the main input of a module is a sound."""
    return getattr(module, "main_input_name", None) in ("input_values", "input_features")


def extractor_in(processor: Any) -> Any:
    """Return the feature extractor of a processor, or itself."""
    return getattr(processor, "feature_extractor", processor)


def is_feature_extractor(processor: Any) -> bool:
    """Return whether ``processor`` is a feature extractor of transformers for sound, or has one."""
    from transformers import SequenceFeatureExtractor

    return isinstance(extractor_in(processor), SequenceFeatureExtractor)


def chosen_tower(module: nn.Module, tower: str | None, name: str) -> nn.Module:
    """Return the requested tower of a model of images and text; return other models unchanged.

    Args:
        module: the model.
        tower: ``vision`` or ``text``; ``None`` if the model has only one.
        name: the model's name, for errors.

    Raises:
        ModelError: there is no such tower, or there are two and none was chosen.
    """
    if tower not in (None, *_TOWERS):
        raise ModelError(f"Expected `tower` as vision or text, got {tower!r}.")
    parts = {side: getattr(module, name, None) for side, name in _TOWERS.items()}
    if all(isinstance(part, nn.Module) for part in parts.values()):
        if tower is None:
            raise ModelError(
                f"Expected a model that reads pictures or text, but {name} reads both, apart from "
                'each other. Choose with tower="vision" or tower="text", or give '
                "load((model.vision_model, image_processor)) or load((model.text_model, "
                "tokenizer))."
            )
        return parts[tower]  # type: ignore[return-value]
    read = {"vision": "pictures", "text": "text"}
    if tower is not None and what_it_reads(module) != read[tower]:
        raise ModelError(
            f"Expected a model with a {tower} tower, got {type(module).__name__}, which reads "
            f"{what_it_reads(module)} only. Leave `tower` out."
        )
    return module


def unused_weights(
    module: nn.Module, unexpected: Iterable[str], stored: Iterable[str] = ()
) -> list[str]:
    """Return the weights of a checkpoint that a model does not use and that its results need.

    Not among them are a pooler, the heads that other classes of the architecture have on top,
    buffers that are computed today, and what a quantized weight is stored with.

    Args:
        module: the model as loaded.
        unexpected: the names that transformers reports as not used.
        stored: all names in the checkpoint, as far as they are known.
    """
    prefix = f"{getattr(module, 'base_model_prefix', '')}."
    base: nn.Module = getattr(module, "base_model", module)
    is_prefixed = prefix != "." and any(name.startswith(prefix) for name in stored)
    tops = {name.partition(".")[0] for name in base.state_dict()}
    # The heads of the model itself: what is left over of these changes what it predicts.
    own = {name for name, _ in module.named_children()} if base is not module else set()

    def matters(name: str) -> bool:
        if _HEADS.search(name) or _COMPUTED.search(name) or _is_computed_position(name, base):
            return False
        rest = name.removeprefix(prefix)
        top = rest.partition(".")[0]
        if name.startswith(prefix) or (not is_prefixed and top in tops):
            return not _is_kept_elsewhere(rest, base)
        return top in own or not (is_prefixed or _is_head(top, module))

    return sorted(name for name in unexpected if matters(name))


def is_computed(module: nn.Module, name: str) -> bool:
    """Return whether a weight is of sinusoids, which a model computes and need not store."""
    owner, _, last = name.rpartition(".")
    try:
        part = module.get_submodule(owner)
    except AttributeError:
        return False
    # Its class computes them again when the model is loaded.
    return last == "weight" and "sinusoid" in type(part).__name__.lower()


def _is_computed_position(name: str, base: nn.Module) -> bool:
    """Return whether a name is of positions that a model computes itself, in its own way."""
    pattern = _OF_POSITIONS.get(name.rpartition(".")[2])
    if pattern is None:
        return False
    settings = getattr(base, "config", None)
    named = [*(vars(settings) if settings is not None else ()), *dict(base.named_parameters())]
    named += [word for place, part in base.named_modules() for word in (place, type(part).__name__)]
    return any(map(pattern.search, named))


def _is_kept_elsewhere(name: str, base: nn.Module) -> bool:
    """Return whether a name is of a buffer, or of what a quantized weight is stored with."""
    if any(name == buffer for buffer, _ in base.named_buffers()):
        return True
    if getattr(getattr(base, "config", None), "quantization_config", None) is None:
        return False
    owner, _, last = name.rpartition(".")
    weight, _, _ = name.partition(".weight.")
    parts = {part for part, _ in base.named_modules()}
    return last not in ("weight", "bias") and (owner in parts or weight in parts)


def _is_head(top: str, module: nn.Module) -> bool:
    """Return whether another class of the architecture has a part of this name."""
    base: nn.Module = getattr(module, "base_model", module)
    kind: type = type(base)
    return top in _parts_of_others(kind)


@cache
def _parts_of_others(base: type) -> frozenset[str]:
    """Return the names of the parts that classes beside a base model assign to themselves."""
    names: set[str] = set()
    for other in vars(sys.modules[base.__module__]).values():
        is_model = isinstance(other, type) and issubclass(other, PreTrainedModel)
        if not is_model or other is base or "__init__" not in vars(other):
            continue
        try:
            names.update(_ASSIGNED.findall(inspect.getsource(other.__init__)))
        except (OSError, TypeError):
            continue
    return frozenset(names)


def words_on_unused(unused: Iterable[str]) -> str:
    """Return what a certificate says of weights that are not used; empty if all are.

    Example:
        >>> words_on_unused(["encoder.layer.2.output.dense.weight"])
        '1 weight of the checkpoint is not used: encoder.layer.2.output.dense.weight'
    """
    names = list(unused)
    if not names:
        return ""
    are = verb(len(names), "is", "are")
    return f"{counted(len(names), 'weight')} of the checkpoint {are} not used: " + listed(
        names, most=_SHOWN
    )


def names_stored(files: Iterable[Any]) -> list[str]:
    """Return the names in files of safetensors; pickles are left out."""
    from safetensors import safe_open

    names: list[str] = []
    for file in files:
        if str(file).endswith(".safetensors"):
            with safe_open(file, framework="pt") as stored:
                names += stored.keys()
    return names
