"""Choose the column that holds the sentences."""

from __future__ import annotations

from collections.abc import Sequence

from introspect.errors import InputError
from introspect.text import shortened

#: Chosen by name if several columns could hold the sentences and none is requested.
USUAL_COLUMNS = ("text", "sentence")


def choose_column(
    source: str, names: Sequence[str], column: str | None, *, texts: Sequence[str] | None = None
) -> str:
    """Return the column requested, the only one with texts, or the one with a usual name.

    Args:
        source: what is read, for the message.
        names: all columns.
        column: the one requested, if any.
        texts: those that hold texts; by default all.

    Raises:
        InputError: the requested column is missing or holds no texts; or none is requested and
            none or several could be meant.

    Example:
        >>> choose_column("a.csv", ["label", "text"], None)
        'text'
    """
    texts = names if texts is None else texts
    listed = shortened(", ".join(names), 200) or "none"
    if column is not None:
        if column not in names:
            raise InputError(
                f"Expected the column {column!r} in {source!r}; found: {listed}. Name one of these."
            )
        if column not in texts:
            raise InputError(
                f"Expected texts in the column {column!r} of {source!r}, which holds something "
                f"else; columns with texts: {shortened(', '.join(texts), 200) or 'none'}."
            )
        return column
    meant = texts if len(texts) == 1 else [name for name in texts if name in USUAL_COLUMNS]
    if len(meant) != 1:
        raise InputError(
            f"Expected one column of texts in {source!r}, or one named "
            f"{' or '.join(USUAL_COLUMNS)}; found: {listed}. Name one with column=… (--column)."
        )
    return meant[0]
