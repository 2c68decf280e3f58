"""The file format of a record: safetensors, with a header for everything that is not a tensor."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from introspect.errors import RecordError
from introspect.io import as_typed, from_plain, object_from, regular
from introspect.records.facts import AudioFrames, Certificate, PatchGrid
from introspect.records.tokens import TokenSequence

_FORMAT = "introspect.attention-record/2"
# Without a digest: a change in it goes unnoticed where the types stay.
_WITHOUT_DIGEST = "introspect.attention-record/1"
_PART = "part."
_VISIBLE = "visible"
_DIGEST = "sha256"


def packed(fields: Mapping[str, Any]) -> bytes:
    """Return the content of a file for a record with these fields."""
    from safetensors.torch import save

    header = {
        "format": _FORMAT,
        "kind": fields["kind"],
        "layers": fields["layers"],
        "queries": asdict(fields["queries"]),
        "keys": asdict(fields["keys"]),
        "certificate": asdict(fields["certificate"]),
        "notices": fields["notices"],
        "grid": None if fields["grid"] is None else asdict(fields["grid"]),
    }
    if fields["frames"] is not None:
        header["frames"] = asdict(fields["frames"])
    tensors = {"attentions": fields["attentions"]}
    if fields["visible"] is not None:
        tensors[_VISIBLE] = fields["visible"]
    tensors |= {f"{_PART}{name}": part for name, part in fields["parts"].items()}
    header[_DIGEST] = digest_of(header, tensors)
    return save(tensors, metadata={"introspect": json.dumps(header)})


def digest_of(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the digest of everything in a file, whatever the order in which it is kept."""
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


@contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the fields of a saved record; the record must be built inside the block.

    Raises:
        RecordError: the file is not a saved record, or is damaged so that no record can be built.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(regular(path)), framework="pt") as stream:
            header = object_from((stream.metadata() or {})["introspect"])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        _check_whole(header, tensors)
        yield _fields(header, tensors)
    # Whatever a foreign or damaged header raises while it is parsed.
    except (
        OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError, RuntimeError,
        OverflowError,
    ) as error:  # fmt: skip
        raise RecordError(
            f"Expected a record written by AttentionRecord.save at {os.fspath(path)!r}, "
            f"but it cannot be read ({error}). Give the path of a saved record."
        ) from error


def _check_whole(header: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise unless a file is of a known format, and is as it was written."""
    digest = header.pop(_DIGEST, None)
    if header.get("format") not in (_FORMAT, _WITHOUT_DIGEST):
        raise ValueError("its format is not known")
    if header["format"] == _FORMAT and digest != digest_of(header, tensors):
        raise ValueError("it has changed since it was written")
    for name, tensor in tensors.items():
        if name != _VISIBLE and not tensor.dtype.is_floating_point:
            raise ValueError(f"{name} is of {tensor.dtype}")


def _fields(header: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return the fields of a record from what its file holds.

    Raises:
        ValueError: one is of another type than it should be.
    """
    layers = as_typed(tuple[int, ...], header["layers"], "layers")
    if any(layer < 0 for layer in layers):
        raise ValueError("a layer has a negative number")
    return {
        "attentions": tensors["attentions"],
        "visible": tensors.get(_VISIBLE),
        "queries": sequence_from(header["queries"]),
        "keys": sequence_from(header["keys"]),
        "kind": as_typed(str, header["kind"], "kind"),
        "layers": layers,
        "certificate": from_plain(Certificate, header["certificate"]),
        "notices": as_typed(tuple[str, ...], header["notices"], "notices"),
        "grid": _grid(header.get("grid")),
        "frames": None
        if header.get("frames") is None
        else from_plain(AudioFrames, header["frames"]),
        "parts": {
            name.removeprefix(_PART): part
            for name, part in tensors.items()
            if name.startswith(_PART)
        },
    }


def sequence_from(parts: Any) -> TokenSequence:
    """Return the tokens that plain values describe.

    Raises:
        ValueError: they are of other types, or name places outside the text.
    """
    sequence = from_plain(TokenSequence, parts)
    for start, end in sequence.offsets:
        if not 0 <= start <= end:
            raise ValueError(f"a token is at characters {start} to {end}")
    texts = max(1, len(sequence.texts))
    for number in sequence.sequence_ids:
        if number is not None and not 0 <= number < texts:
            raise ValueError(f"a token is of text {number}, and there are {texts}")
    return sequence


def _grid(parts: Any) -> PatchGrid | None:
    if parts is None:
        return None
    grid = from_plain(PatchGrid, parts)
    if min(grid.rows, grid.columns) < 1 or grid.first < 0:
        raise ValueError(f"its grid is of {grid.rows} × {grid.columns} from {grid.first}")
    return grid
