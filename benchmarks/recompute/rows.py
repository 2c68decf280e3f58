"""Claims whose numbers stand in one row of a table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.recompute.folder import HEAD, Folder, Numbers, Row


def of_row(file: str, **columns: str) -> Callable[[Folder, Row], Numbers | None]:
    """Return a function that reads the numbers of a claim from the row of its head in a table."""

    def read(folder: Folder, claim: Row) -> Numbers | None:
        table = folder.table(file)
        if table is None:
            return None
        heads = [tuple(map(int, found)) for found in HEAD.findall(claim["subject"])]
        if not heads:
            return None
        rows = table[(table["layer"] == heads[0][0]) & (table["head"] == heads[0][1])]
        if len(heads) > 1 and "other_layer" in table:
            is_other = (rows["other_layer"] == heads[1][0]) & (rows["other_head"] == heads[1][1])
            rows = rows[is_other]
        if "relation" in columns:
            rows = table[table["relation"] == claim["subject"].split(", ")[1]]
        if "method" in columns:
            rows = rows[rows["method"] == columns["method"]]
        names = {k: v for k, v in columns.items() if k not in ("relation", "method")}
        return {field: float(rows[name].iloc[0]) for field, name in names.items()}

    return read
