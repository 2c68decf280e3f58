"""Load a model with its tokenizer, image processor or feature extractor."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from logging import ERROR
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import torch
from torch import nn

from introspect.calls import checked_call
from introspect.changes import Changes, change_setting
from introspect.errors import IntrospectError, MissingExtraError, ModelError
from introspect.hooks import is_encoder_decoder, unread_positions, unwrapped
from introspect.models.adapters import adapted, base_of, num_labels_in
from introspect.models.audio import AudioModel
from introspect.models.fit import (
    check_reader,
    check_used,
    chosen_tower,
    is_computed,
    is_feature_extractor,
    is_image_processor,
    names_stored,
    reads_pictures,
    reads_sound,
    unused_weights,
)
from introspect.models.given import module_in, owner_of, pair_in
from introspect.models.model import Model
from introspect.models.sources import (
    ModelSource,
    check_hub_weights,
    check_same_state,
    find_source,
)
from introspect.models.vision import VisionModel


def hush() -> None:
    """Silence the output of transformers and the hub client while a model is loaded."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def silent() -> Iterator[None]:
    """Suppress transformers' messages, except errors, for the duration of the block."""
    from transformers.utils import logging

    with Changes() as changes:
        change_setting(changes, "verbosity", ERROR, logging.get_verbosity, logging.set_verbosity)
        yield


@contextmanager
def barless() -> Iterator[None]:
    """Suppress transformers' progress bars for the duration of the block."""
    from transformers.utils import logging

    def write(is_shown: bool) -> None:
        switch: Any = logging.enable_progress_bar if is_shown else logging.disable_progress_bar
        switch()

    with Changes() as changes:
        change_setting(changes, "bars", False, logging.is_progress_bar_enabled, write)
        yield


# Heads that may be missing from a base model's file without affecting any attention.
_HARMLESS = ("pooler", "classifier", "lm_head", "position_ids")
_HARMLESS_WITH_LM_HEAD = ("pooler", "position_ids")
_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


_Loadable = str | os.PathLike[str] | tuple[nn.Module, Any]


# A type checker can tell which of the two is returned only by the tower, not by the name.
@overload
def load(
    model: VisionModel | _Loadable,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    allow_pickle: bool = False,
    lm_head: bool = False,
    strict: bool = True,
    tower: Literal["vision"],
) -> VisionModel: ...
@overload
def load(
    model: Model | _Loadable = "minilm",
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    allow_pickle: bool = False,
    lm_head: bool = False,
    strict: bool = True,
    tower: Literal["text"] | None = None,
) -> Model: ...
@checked_call(renamed={"with_head": "lm_head"})
def load(
    model: Model | VisionModel | AudioModel | _Loadable = "minilm",
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    allow_pickle: bool = False,
    lm_head: bool = False,
    strict: bool = True,
    tower: Literal["vision", "text"] | None = None,
) -> Model | VisionModel | AudioModel:
    """Load a model whose attention can be captured.

    Args:
        model: an alias (``minilm``; or ``induction``, ``shortcut``, ``reversal``, ``pronoun``,
            ``pronoun-gated``, which come with the package), the id of a model on the hub, a local
            folder, or a pair ``(module, tokenizer)``, ``(module, image_processor)`` or ``(module,
            feature_extractor)`` of transformers objects, which are used unchanged.
        device: the device to run on; by default the CPU, or the device of a given module.
        dtype: the data type in which a named model runs: ``float32``, ``bfloat16`` or ``float16``;
            by default as it was saved.
        allow_pickle: also load weights in Python's pickle format. Only for files you trust.
        lm_head: load the model with the language-modeling head that it was saved with, as
            generation (``generate=True``) requires; by default only the layers that attend are
            loaded.
        strict: refuse weights that the model does not use, and a scheme of positions that its code
            does not have: its attention would not be that of the trained model. With ``False`` the
            certificate of each record names them. What no attention depends on, such as a pooler
            or another head, is never refused.
        tower: ``vision`` or ``text``, for a model that has one of each (CLIP).

    Returns:
        A ``Model``; a ``VisionModel`` for a model that reads images, and an ``AudioModel`` for one
        that reads sound.

    Raises:
        ModelError: the model is not found, unsafe, incomplete or partly unused, or has no
            tokenizer, image processor or feature extractor.
        MissingExtraError: the model reads images, and pillow is not installed.

    Example:
        >>> load("minilm").module.config.num_attention_heads     # doctest: +SKIP
        12
    """
    if dtype is not None and not isinstance(model, str | os.PathLike):
        raise ModelError(
            f"Expected a model's name beside dtype={dtype!r}, got {type(model).__name__}: what was "
            "loaded already is used as it is. Load it in that type yourself."
        )
    if isinstance(model, Model | VisionModel | AudioModel):
        return model
    if isinstance(model, str | os.PathLike):
        model = os.fspath(model)
        source = find_source(model, allow_pickle=allow_pickle)
        way = _Way(_device(device), _dtype(dtype), allow_pickle, lm_head, strict)
        if source.is_adapter:
            return _load_adapter(source, way)
        return _load_source(source, way, tower=tower)
    given, reader = pair_in(model)
    module = module_in(given)
    within = owner_of(given, module)
    name = getattr(getattr(module, "config", None), "name_or_path", "") or type(module).__name__
    module = chosen_tower(module, tower, name)
    check_reader(module, reader, name)
    check_used(module, name, strict=strict)
    return _paired(_moved(module, device), reader, name=name, within=within)


def _moved(module: nn.Module, device: str | torch.device | None) -> nn.Module:
    if device is None:
        return module
    try:
        return module.to(device)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"Expected {type(module).__name__} to go to {device}, but it cannot be moved: "
            f"{_first_line(error)} Leave `device` out, to use it where it is."
        ) from error


def _paired(
    module: nn.Module,
    reader: Any,
    *,
    name: str,
    revision: str | None = None,
    within: str | None = None,
    unused: str = "",
) -> Model | VisionModel | AudioModel:
    """Combine a module with its tokenizer, image processor or feature extractor."""
    if reads_sound(module) or is_feature_extractor(reader):
        return AudioModel(module, reader, name=name, revision=revision, unused=unused)
    if reads_pictures(module) or is_image_processor(reader):
        return VisionModel(module, reader, name=name, revision=revision, unused=unused)
    return Model(module, reader, name=name, revision=revision, within=within, unused=unused)


def load_text(model: Model | _Loadable, *, lm_head: bool = False) -> Model:
    """Load a model of text, as ``load`` does.

    Args:
        model: as for ``load``.
        lm_head: as for ``load``; a model that was loaded before is as it is.

    Raises:
        ModelError: the model reads images or sound.
    """
    # Only loading shows what kind of model a name stands for.
    loaded: Model | VisionModel | AudioModel = load(model, lm_head=lm_head)
    if isinstance(loaded, VisionModel):
        raise ModelError(
            f"Expected a model that reads text, but {loaded.name} reads pictures. Capture a "
            "picture with it, and show it with ix.image_view; or choose a model of text."
        )
    if isinstance(loaded, AudioModel):
        raise ModelError(
            f"Expected a model that reads text, but {loaded.name} reads sound. Capture a WAV file "
            "with it, and show it with ix.audio_view; or choose a model of text."
        )
    return loaded


class _Way(NamedTuple):
    """How a model is loaded: the options of ``load``."""

    device: torch.device | None
    dtype: torch.dtype | None
    allow_pickle: bool
    lm_head: bool
    strict: bool

    def moved(self, module: nn.Module) -> nn.Module:
        """Return a module on the device and in the data type that are asked for."""
        if self.device is None and self.dtype is None:
            return module
        return module.to(device=self.device, dtype=self.dtype)


def _device(name: str | torch.device | None) -> torch.device | None:
    if name is None or isinstance(name, torch.device):
        return name
    try:
        # Only allocating a tensor on the device shows whether it exists.
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"Expected a device of this machine, such as cpu, got {name!r}: {_first_line(error)} "
            "introspect doctor lists them."
        ) from error


def _dtype(name: str | torch.dtype | None) -> torch.dtype | None:
    chosen = getattr(torch, name, None) if isinstance(name, str) else name
    if (chosen is not None and chosen not in _DTYPES) or (name is not None and chosen is None):
        names = ", ".join(str(each).removeprefix("torch.") for each in _DTYPES)
        raise ModelError(f"Expected `dtype` from {names}, got {name!r}.")
    return chosen


def _load_adapter(source: ModelSource, way: _Way) -> Model | VisionModel | AudioModel:
    """Load an adapter with the model that it adapts."""
    folder = Path(source.location)
    named, auto = base_of(folder)
    base_source = find_source(named, allow_pickle=way.allow_pickle)
    if base_source.is_adapter:
        raise ModelError(
            f"Expected a whole model as the base of the adapter {source.name!r}, got {named!r}, an "
            "adapter itself. Merge that one into its base first (merge_and_unload)."
        )
    base = _load_source(
        base_source, way, tower=None, auto=auto,
        labels=num_labels_in(folder) if auto.endswith("Classification") else None,
    )  # fmt: skip
    with loading(source.name):
        module = adapted(base.module, folder, source.name)
        if not way.lm_head and hasattr(found := unwrapped(module), "base_model_prefix"):
            module = found.base_model
        reader = base.tokenizer if isinstance(base, Model) else base.processor
        if any(folder.glob("tokenizer*")):
            reader = _reader_class(module).from_pretrained(str(folder), local_files_only=True)
        module = way.moved(module)
    check_reader(unwrapped(module), reader, source.name)
    revision = f"{source.revision} on {base.name} {base.revision}"
    return _paired(module, reader, name=source.name, revision=revision, unused=base.unused)


def _load_source(
    source: ModelSource,
    way: _Way,
    *,
    tower: str | None,
    auto: str | None = None,
    labels: int | None = None,
) -> Model | VisionModel | AudioModel:
    if not (source.is_local or way.allow_pickle):
        check_hub_weights(source.location)
    options: dict[str, Any] = {
        "trust_remote_code": False,
        "local_files_only": source.is_local,
    }
    with loading(source.name):
        with _quietly(source):
            whole, report = _class_of(source, options, auto, lm_head=way.lm_head).from_pretrained(
                source.location,
                use_safetensors=None if way.allow_pickle else True,
                output_loading_info=True,
                **({} if labels is None else {"num_labels": labels}),
                **options,
            )
        module = chosen_tower(whole, tower, source.name)
        reader = _reader_class(module).from_pretrained(source.location, **options)
        stored = names_stored(source.files)
    check_same_state(source)
    check_reader(module, reader, source.name)
    # What an adapter brings is not in its base.
    brought = ("classifier", "score", "qa_outputs") if auto is not None else ()
    missing = [key for key in report["missing_keys"] if not is_computed(whole, key)]
    _check_complete(missing, source.name, way, brought)
    names = unused_weights(whole, report["unexpected_keys"], stored)
    unused = check_used(module, source.name, names, strict=way.strict)
    revision = source.revision or getattr(module.config, "_commit_hash", None)
    with loading(source.name):
        module = way.moved(module.eval())
    return _paired(module, reader, name=source.name, revision=revision, unused=unused)


def _class_of(
    source: ModelSource, options: dict[str, Any], auto: str | None, *, lm_head: bool
) -> Any:
    """Return the class to load a model as."""
    import transformers

    if auto is not None:
        return getattr(transformers, auto)
    if lm_head or not _has_base_class(source, options):
        return _class_with_lm_head(source, options)
    return transformers.AutoModel


def _has_base_class(source: ModelSource, options: dict[str, Any]) -> bool:
    """Return whether transformers has a class for a model's layers alone.

    It has none for two models that were put together, an encoder and a decoder.
    """
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(source.location, **options)
    except Exception:  # it says what is wrong when the model itself is loaded
        return True
    return type(config) in transformers.MODEL_MAPPING or not config.architectures


def _check_complete(missing: Iterable[str], name: str, way: _Way, brought: tuple[str, ...]) -> None:
    """Raise if a weight that attention depends on is missing."""
    harmless = (*(_HARMLESS_WITH_LM_HEAD if way.lm_head else _HARMLESS), *brought)
    needed = sorted(key for key in missing if not any(part in key for part in harmless))
    if needed:
        raise ModelError(
            f"Expected the weights of every layer in {name!r}, but {len(needed)} are missing, for "
            f"example {needed[0]}: they would be random. Give complete weights."
        )


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turn whatever the libraries raise while they load a model into an error that names it."""
    try:
        yield
    except (IntrospectError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    # Validation errors of configurations, and the panics of tokenizers, which are no exceptions.
    except BaseException as error:
        raise ModelError(
            f"Expected to load {name!r}, but it failed: {_first_line(error)} Check the name, that "
            "the files are whole, that the weights are safetensors, and that the repository needs "
            "no code of its own."
        ) from error


@contextmanager
def _quietly(source: ModelSource) -> Iterator[None]:
    """Suppress transformers' report on weights: missing ones raise an error here.

    Downloads show their progress; loading from disk does not.
    """
    with silent():
        if not source.is_local:
            yield
            return
        with barless():
            yield


def _reader_class(module: nn.Module) -> Any:
    """Return the class that loads a module's tokenizer, image processor or feature extractor."""
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor, AutoTokenizer

    if reads_sound(module):
        # A tokenizer is for what it writes.
        return AutoProcessor if is_encoder_decoder(module) else AutoFeatureExtractor
    if not reads_pictures(module):
        return AutoTokenizer
    if importlib.util.find_spec("PIL") is None:
        raise MissingExtraError("pillow", "vision", "A model that reads pictures")
    return AutoImageProcessor


def _class_with_lm_head(source: ModelSource, options: dict[str, Any]) -> Any:
    """Return the class that the model was saved from."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(source.location, **options)
    named = (config.architectures or [""])[0]
    model_class = getattr(transformers, named, None)
    if model_class is None or not hasattr(model_class, "from_pretrained"):
        raise ModelError(
            f"Expected the configuration of {source.name!r} to name the class with its LM head, "
            f"got {named or 'none'}. Load the module with transformers, and give load((module, "
            "tokenizer))."
        )
    return model_class


def _first_line(error: BaseException) -> str:
    """Return the first line of an error as a sentence; with the next, if it announces that."""
    text = str(error).strip()
    if "ignore_mismatched_sizes" in text:  # transformers says which in a report that is silenced
        return "its weights have other shapes than its configuration says."
    first, *others = text.splitlines() or [type(error).__name__]
    whole = f"{first} {others[0].strip()}" if others and first[-1] == ":" else first
    return whole if whole.endswith((".", "!", "?")) else f"{whole}."


def unused_by(model: Model | VisionModel | AudioModel) -> str:
    """Return the weights and settings that a model does not use, in words; empty if it uses all."""
    return "; ".join(filter(None, (model.unused, unread_positions(model.module))))
