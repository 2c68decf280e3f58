"""Reading and writing: streams, lines, files, folders and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from introspect.io.files import check_destination, replacing, write_atomically, write_lines
from introspect.io.folders import (
    PLAN,
    SHARDS,
    check_folder,
    clean,
    held,
    open_folder,
    read_plan,
    replacing_folder,
    write_plan,
)
from introspect.io.lines import (
    LONGEST_LINE,
    ROW_LENGTH,
    PathLike,
    Row,
    RowError,
    read_lines,
    read_table,
)
from introspect.io.streams import Stream, codec_of, is_packed, is_stdin, opened, stdin, unpacked
from introspect.lazy import attributes

if TYPE_CHECKING:
    from introspect.io.arrays import Arrays, as_json, pack, unpack

__all__ = [
    "LONGEST_LINE",
    "PLAN",
    "ROW_LENGTH",
    "SHARDS",
    "Arrays",
    "PathLike",
    "Row",
    "RowError",
    "Stream",
    "as_json",
    "check_destination",
    "check_folder",
    "clean",
    "codec_of",
    "held",
    "is_packed",
    "is_stdin",
    "open_folder",
    "opened",
    "pack",
    "read_lines",
    "read_plan",
    "read_table",
    "replacing",
    "replacing_folder",
    "stdin",
    "unpack",
    "unpacked",
    "write_atomically",
    "write_lines",
    "write_plan",
]

if not TYPE_CHECKING:
    __getattr__ = attributes(
        __name__,
        {
            "arrays": ("Arrays", "as_json", "pack", "unpack"),
        },
    )
