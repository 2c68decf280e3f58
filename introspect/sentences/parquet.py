"""Read a column of a Parquet file, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from introspect.cases.lines import Row, RowError
from introspect.cases.opening import opened
from introspect.sentences.columns import choose_column

__all__ = ["read_parquet"]

# Rows that are held at a time: few, because a text may be long.
_ROWS = 128
# Columns are read in pieces of this size, rather than whole row groups.
_BUFFER_BYTES = 1 << 20


def read_parquet(path: str, column: str | None) -> Iterator[tuple[Row, object]]:
    """Yield the rows, numbered from 1, each with its value in the column.

    A file that becomes unreadable ends with a row that has a fault.

    Raises:
        InputError: the file is missing, or has no such column of strings.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened(path).close()  # says so where it is missing
    number = 0
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            schema = file.schema_arrow
            texts = [field.name for field in schema if _is_text(field.type)]
            chosen = choose_column(path, schema.names, column, texts=texts)
            for batch in file.iter_batches(batch_size=_ROWS, columns=[chosen]):
                for value in batch.column(0):
                    number += 1
                    yield _row(number, value)
    except (pa.ArrowException, OSError) as error:
        reason = f"The file is damaged here ({error}). Get it again."
        # Line 0: the file as a whole.
        line = number + 1 if number else 0
        yield Row(line, "", fault=RowError(reason, kind="damaged")), None


def _row(number: int, scalar: Any) -> tuple[Row, object]:
    try:
        value = scalar.as_py()
    except UnicodeDecodeError as error:
        reason = f"Expected UTF-8, got byte 0x{error.object[error.start]:02X}."
        raw = error.object.decode("utf-8", "replace")
        return Row(number, raw, fault=RowError(reason, kind="encoding")), None
    return Row(number, "" if value is None else value), value


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_kind(kind) for is_kind in (types.is_string, types.is_large_string))
