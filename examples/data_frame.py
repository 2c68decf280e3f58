"""A DataFrame of sentences and words in, the same with a column of weights out."""

from __future__ import annotations

import argparse

import pandas as pd

import introspect as ix


def with_weights(
    table: pd.DataFrame, model: ix.Model, head: str = "L3H1", *, column: str = "weight"
) -> pd.DataFrame:
    """Return a table with what a head gives from ``query`` to ``key`` in each ``text``.

    Args:
        table: with the columns ``text``, ``query`` and ``key``.
        model: the model.
        head: the head.
        column: the name of the new column.
    """
    place = tuple(ix.Head.parse(head))
    weights = []
    records = model.capture_many(table["text"].tolist())
    for record, row in zip(records, table.itertuples(), strict=True):
        pairs = ix.pair_table(record, query=row.query, key=row.key).set_index(["layer", "head"])
        weights.append(float(pairs.loc[place, "weight"]))
    return table.assign(**{column: weights})


def main() -> None:
    """Read a CSV file, and write it with the column."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv")
    parser.add_argument("out")
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    table = pd.read_csv(options.csv)
    with_weights(table, ix.load(options.model)).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
