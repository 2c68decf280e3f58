"""The file format of a record: safetensors, with a header for everything that is not a tensor."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from introspect.errors import RecordError
from introspect.records.facts import Certificate, PatchGrid
from introspect.records.tokens import TokenSequence

_FORMAT = "introspect.attention-record/1"
_PART = "part."
_VISIBLE = "visible"


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
    tensors = {"attentions": fields["attentions"]}
    if fields["visible"] is not None:
        tensors[_VISIBLE] = fields["visible"]
    tensors |= {f"{_PART}{name}": part for name, part in fields["parts"].items()}
    return save(tensors, metadata={"introspect": json.dumps(header)})


@contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the fields of a saved record; the record must be built inside the block.

    Raises:
        RecordError: the file is not a saved record, or is damaged so that no record can be built.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="pt") as stream:
            header = json.loads((stream.metadata() or {})["introspect"])
            if header.get("format") != _FORMAT:
                raise KeyError("format")
            names = set(stream.keys())
            yield {
                "visible": stream.get_tensor(_VISIBLE) if _VISIBLE in names else None,
                "attentions": stream.get_tensor("attentions"),
                "queries": _sequence(header["queries"]),
                "keys": _sequence(header["keys"]),
                "kind": header["kind"],
                "layers": tuple(header["layers"]),
                "certificate": Certificate(**header["certificate"]),
                "notices": tuple(header["notices"]),
                "grid": _grid(header.get("grid")),
                "parts": {
                    name.removeprefix(_PART): stream.get_tensor(name)
                    for name in sorted(names)
                    if name.startswith(_PART)
                },
            }
    # Whatever a foreign or damaged header raises while it is parsed.
    except (
        OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise RecordError(
            f"Expected a record written by AttentionRecord.save at {os.fspath(path)!r}, "
            f"but it cannot be read ({error}). Give the path of a saved record."
        ) from error


def _sequence(parts: dict[str, Any]) -> TokenSequence:
    return TokenSequence(**{name: tuple(value) for name, value in parts.items()})


def _grid(parts: dict[str, Any] | None) -> PatchGrid | None:
    if parts is None:
        return None
    height_width = parts["patch"]
    return PatchGrid(**{**parts, "patch": None if height_width is None else tuple(height_width)})
