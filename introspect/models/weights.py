"""The files that hold a model's weights: the very ones that will be read, and no pickle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from introspect.errors import ModelError

_SAFE = ".safetensors"
#: The ending of an index of several files, and the name of a whole model's.
INDEX = ".index.json"
MODEL_INDEX = f"model.safetensors{INDEX}"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
# Where transformers and PEFT look, in their order; the second of each only for pickles.
_OF_MODEL = ("model.safetensors", MODEL_INDEX)
_OF_PICKLED_MODEL = ("pytorch_model.bin", f"pytorch_model.bin{INDEX}")
_OF_ADAPTER = ("adapter_model.safetensors",)
_OF_PICKLED_ADAPTER = ("adapter_model.bin",)


def weight_files(folder: Path, *, adapter: bool = False, allow_pickle: bool) -> list[Path]:
    """Return the files that a folder's weights will be read from.

    Args:
        folder: the folder of a model or an adapter.
        adapter: whether it is an adapter of PEFT.
        allow_pickle: also return weights in Python's pickle format.

    Raises:
        ModelError: there are none, one that an index names is missing, or one is a pickle.
    """
    safe, pickled = (
        (_OF_ADAPTER, _OF_PICKLED_ADAPTER) if adapter else (_OF_MODEL, _OF_PICKLED_MODEL)
    )
    named = None if adapter else named_in(folder / "config.json")
    wanted = (named,) if named else (*safe, *(pickled if allow_pickle else ()))
    first = next((folder / name for name in wanted if (folder / name).is_file()), None)
    if first is None:
        raise _no_weights(folder, wanted)
    names = shards_in(first) if first.name.endswith(INDEX) else [str(first.relative_to(folder))]
    for name in names:
        check_weights_name(name, str(folder), allow_pickle=allow_pickle)
    files = [folder / name for name in sorted(names)]
    if absent := [file for file in files if not file.is_file()]:
        raise ModelError(
            f"Expected the weights {absent[0].name!r} in {str(folder)!r}, which {first.name} names,"
            " but there is no such file. Copy all parts of the model there."
        )
    return files


def check_weights_name(name: str, place: str, *, allow_pickle: bool) -> None:
    """Raise unless a name is that of weights in the model's own folder, and of no pickle.

    Raises:
        ModelError: it is a pickle, or lies elsewhere.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ModelError(
            f"Expected weights inside {place!r}, but {name!r} lies elsewhere. Copy the weights "
            "there, and correct the index."
        )
    if not name.endswith(_SAFE) and not allow_pickle:
        raise pickled_weights(name, place)


def pickled_weights(name: str, place: str) -> ModelError:
    """Return the error for weights that are read by running what is in them."""
    return ModelError(
        f"Expected weights as safetensors in {place!r}, got {name}, a pickle: loading one can run "
        "any code. Convert it, or, if you trust its origin, allow it with --allow-pickle "
        "(allow_pickle=True)."
    )


def is_pickle(path: Path) -> bool:
    """Return whether a file's name is that of a pickle."""
    return path.name.lower().endswith(_PICKLED)


def named_in(config: Path) -> str | None:
    """Return the weights that a configuration names, which are taken before all others.

    Raises:
        ModelError: the configuration cannot be read.
    """
    name = _object_in(config).get("transformers_weights")
    return name if isinstance(name, str) and name else None


def shards_in(index: Path) -> list[str]:
    """Return the names of the files that an index says the weights are in.

    Raises:
        ModelError: it is no index.
    """
    places = _object_in(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise _unreadable(index, "it has no weight_map")
    if not all(isinstance(name, str) for name in places.values()):
        raise _unreadable(index, "its weight_map names something else than files")
    return list(dict.fromkeys(places.values()))


def _object_in(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    # JSON that is nested too deep exhausts the stack.
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, type(error).__name__) from error
    if not isinstance(content, dict):
        raise _unreadable(path, f"it holds a {type(content).__name__}")
    return content


def _unreadable(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"Expected an object of JSON in {str(path)!r}, as save_pretrained writes it, but it cannot "
        f"be read ({problem}). Copy the file again."
    )


def _no_weights(folder: Path, wanted: Iterable[str]) -> ModelError:
    others = sorted(path for path in folder.iterdir() if path.is_file())
    if found := next((path for path in others if is_pickle(path)), None):
        return pickled_weights(found.name, str(folder))
    if found := next((path for path in others if path.name.endswith(_SAFE)), None):
        return ModelError(
            f"Expected weights in {str(folder)!r} under the name {next(iter(wanted))}, got "
            f"{found.name}. Rename the file, or save the model again with save_pretrained."
        )
    return ModelError(
        f"Expected weights (a *{_SAFE} file) in {str(folder)!r}, but there are none beside "
        "config.json. Copy the weights there; random ones would show nothing."
    )
