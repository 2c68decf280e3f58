"""Attention saved to disk beside the tables: a file per batch and an index of the texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from introspect.calls import checked_class
from introspect.errors import InputError, RecordError
from introspect.io import (
    ATTENTION,
    as_typed,
    from_json,
    from_plain,
    object_from,
    regular,
    sealed,
    unsealed,
    write_atomically,
)
from introspect.records import AttentionRecord, digest_of, sequence_from
from introspect.studies.analyzer import Texts

#: The index of the folder of saved attention.
INDEX = "index.jsonl"

Precision = Literal["float32", "float16"]


@dataclass
class Saver:
    """An analyzer that writes the patterns of each batch of a running model to a file.

    Unlike any other analyzer, it holds all layers of one batch.

    Args:
        folder: the folder of the files.
        shard: the number of the shard, for the file names.
        names: the names of the texts, by the identity of their tokens.
        precision: the precision in which patterns are saved.
    """

    folder: Path
    shard: int
    names: Mapping[int, str]
    precision: Precision = "float32"
    _texts: Texts | None = field(default=None, repr=False)
    _layers: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)
    _index: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def begin(self, texts: Texts) -> None:
        """Begin a new batch, and drop the remains of an unfinished one."""
        self._texts, self._layers = texts, {}

    def see(self, layer: int, attentions: torch.Tensor) -> None:
        """Take the patterns of a layer, ``(batch, num_heads, length, length)``."""
        self._layers[layer] = attentions.to("cpu", getattr(torch, self.precision))

    def end(self) -> None:
        """Write the batch.

        Raises:
            OutputError: the file cannot be written.
        """
        assert self._texts is not None, "a batch ended before it began"
        tensors, sequences = {}, {}
        # The name depends on the content, because lanes take batches in any order.
        first = list(self.names).index(id(self._texts.sequences[0]))
        file = f"{self.shard:06d}-{first:05d}.safetensors"
        for number, tokens in enumerate(self._texts.sequences):
            length, name = len(tokens), self.names[id(tokens)]
            own = [layer[number, :, :length, :length] for layer in self._layers.values()]
            tensors[str(number)] = torch.stack(own)
            sequences[str(number)] = asdict(tokens)
            self._index.append({"id": name, "file": file, "key": str(number)})
        layers = list(self._layers)
        digests = {key: _digest(tensors[key], sequences[key], layers) for key in tensors}
        header = {
            "layers": json.dumps(layers),
            "sequences": json.dumps(sequences, ensure_ascii=False),
            "digests": json.dumps(digests),
        }
        write_atomically(self.folder / file, save(tensors, header), durable=True)
        self._texts, self._layers = None, {}

    def merge(self, other: Saver) -> None:
        """Merge the index of the files that another lane has written."""
        self._index += other._index

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the index of texts and their files."""
        order = {name: place for place, name in enumerate(self.names.values())}
        index = sorted(self._index, key=lambda entry: order[entry["id"]])
        # In ASCII, so that no line is split at a Unicode line separator.
        lines = "\n".join(map(sealed, index))
        return {INDEX: np.frombuffer(lines.encode(), dtype=np.uint8)}


@checked_class
class SavedAttention(Mapping[str, AttentionRecord]):
    """The records that a probe with ``save_attention`` wrote, by the ids of their texts.

    A record is read on access.

    Args:
        folder: the folder of the probe.

    Raises:
        InputError: the folder holds no attention.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder) / ATTENTION
        try:
            lines = Path(regular(self._folder / INDEX)).read_text(encoding="utf-8").splitlines()
            places = [from_plain(_Place, unsealed(line)) for line in lines]
        except (OSError, ValueError) as error:
            reason = "there is no index of it"
            if not isinstance(error, FileNotFoundError):
                reason = f"its index cannot be read ({error})"
            raise InputError(
                f"Expected saved attention in {str(folder)!r}, but {reason}. Probe with "
                "save_attention (--save-attention) first."
            ) from error
        self._places = {place.id: place for place in places}

    def __getitem__(self, name: str) -> AttentionRecord:
        """Return the record of a text.

        Raises:
            KeyError: there is no text of this name.
            RecordError: its file is gone or damaged.
        """
        place = self._places[name]
        path = self._folder / place.file
        try:
            # A name with folders in it would lead elsewhere.
            if Path(place.file).name != place.file:
                raise ValueError(f"{place.file} is no file of this folder")
            return _read(path, place.key)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise RecordError(
                f"Expected the attention of {name!r} in {str(path)!r}, but it cannot be read "
                f"({error}). Run the probe again with --overwrite."
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@dataclass(frozen=True)
class _Place:
    """Where the attention of a text is.

    Args:
        id: the name of the text.
        file: the file of its batch.
        key: its name in that file.
    """

    id: str
    file: str
    key: str


def _read(path: Path, key: str) -> AttentionRecord:
    with safe_open(regular(path), framework="pt") as file:
        header = file.metadata() or {}
        attentions = file.get_tensor(key)
    tokens = object_from(header["sequences"])[key]
    layers = from_json(header["layers"])
    if object_from(header["digests"])[key] != _digest(attentions, tokens, layers):
        raise ValueError("it has changed since it was written")
    sequence = sequence_from(tokens)
    return AttentionRecord(
        attentions=attentions.float(),
        queries=sequence,
        keys=sequence,
        layers=as_typed(tuple[int, ...], layers, "layers"),
    )


def _digest(attentions: torch.Tensor, tokens: Any, layers: Any) -> str:
    """Return the digest of all that is kept of a text."""
    return digest_of({"tokens": tokens, "layers": layers}, {"attentions": attentions})
