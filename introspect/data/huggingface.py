"""Data sets from the Hugging Face Hub, and those written by ``save_to_disk``.

Downloads are kept in the cache of the package ``datasets`` and read from there, a few rows at
a time; without a network only what is in it can be read. No code of a data set is run: releases of
``datasets`` that could are refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from introspect.errors import InputError, IntrospectError, MissingExtraError

#: The format of such an input.
HUGGINGFACE = "hf"
#: The prefix of its name, unless it is a folder that ``save_to_disk`` wrote.
PREFIX = f"{HUGGINGFACE}:"

# The files that ``save_to_disk`` writes beside the data: for one split, and for several.
_SAVED = ("state.json", "dataset_dict.json")
# Not within the brackets of ``train[:10%]``.
_OLDEST_MAJOR = 4
_TEXTS = ("string", "large_string")


@dataclass(frozen=True)
class _Place:
    name: str
    config: str | None = None
    split: str | None = None


def is_saved(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a folder that ``save_to_disk`` wrote."""
    return any(os.path.isfile(os.path.join(path, name)) for name in _SAVED)


def short_name(given: str) -> str:
    """Return the name without its parent folders.

    Example:
        >>> short_name("hf:stanfordnlp/imdb:train")
        'hf:stanfordnlp/imdb:train'
    """
    place = _place(given)
    if not os.path.isdir(place.name):
        return given
    parts = (Path(place.name).resolve().name, place.config, place.split)
    return ":".join(part for part in parts if part)


def rows_of(given: str) -> Any:
    """Return the split of a data set, as the package ``datasets`` has it.

    Raises:
        InputError: there is no such data set or split, or it cannot be fetched.
        MissingExtraError: ``datasets`` is not installed.
    """
    return _loaded(given)


def text_columns(data_set: Any) -> tuple[str, ...]:
    """Return the columns that hold texts."""
    kinds = data_set.features.items()
    return tuple(name for name, kind in kinds if getattr(kind, "dtype", None) in _TEXTS)


def plain_columns(data_set: Any) -> list[str]:
    """Return the columns of values and lists, which are read without decoding a picture."""
    plain = ("Value", "ClassLabel", "List", "LargeList", "Sequence")
    kinds = data_set.features.items()
    return [name for name, kind in kinds if isinstance(kind, list) or type(kind).__name__ in plain]


def data_files(given: str) -> list[Path]:
    """Return the files that hold the rows of a data set, in order.

    Raises:
        InputError: there is no such data set or split, or it cannot be fetched.
        MissingExtraError: ``datasets`` is not installed.
    """
    return [Path(file["filename"]) for file in _loaded(given).cache_files]


def _place(given: str) -> _Place:
    if not given.startswith(PREFIX):
        return _Place(given)
    # A colon in brackets is part of a slice of the split.
    words, bracket, slice_of = given.removeprefix(PREFIX).partition("[")
    name, *rest = words.split(":")
    if bracket and rest:
        rest[-1] += bracket + slice_of
    if not name or len(rest) > 2:
        raise InputError(
            f"Expected a data set as hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT, got {given!r}."
        )
    split = rest.pop() if rest else None
    return _Place(name, rest.pop() if rest else None, split)


def _loaded(given: str) -> Any:
    datasets = _datasets()
    place = _place(given)
    try:
        if not is_saved(place.name):
            data_set = datasets.load_dataset(place.name, place.config, split=place.split)
            return data_set if place.split else _split(given, data_set, None)
        data_set = datasets.load_from_disk(place.name)
    except IntrospectError:
        raise
    except Exception as error:  # Whatever the package and its HTTP client raise.
        raise InputError(
            f"Expected a data set at {given!r}, but: {error or type(error).__name__}. Check the "
            "name; without a network, give a folder that save_to_disk made, or fetch it once."
        ) from error
    if not isinstance(data_set, dict):
        data_set = {str(data_set.split or place.split): data_set}
    return _split(given, data_set, place.split)


def _split(given: str, splits: dict[str, Any], wanted: str | None) -> Any:
    """Return the requested split, or the only one."""
    if wanted is None and len(splits) == 1:
        return next(iter(splits.values()))
    if wanted not in splits:
        raise InputError(
            f"Expected one of the splits {', '.join(splits)} of {given!r}, got {wanted or 'none'}. "
            "Name one: hf:NAME:SPLIT."
        )
    return splits[wanted]


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "datasets", "reading a data set") from error
    if int(datasets.__version__.split(".")[0]) < _OLDEST_MAJOR:
        raise InputError(
            f"Expected the package datasets {_OLDEST_MAJOR} or newer, which runs no code of a data "
            f"set, got {datasets.__version__}. Update it: pip install --upgrade datasets"
        )
    return datasets
