"""Read a file of texts, one a line, and write what each head gives to the word before."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

import introspect as ix


def rows(model: ix.Model, texts: Iterable[str], batch_size: int = 32) -> Iterator[pd.DataFrame]:
    """Yield a table for each text: layer, head, and the mean weight to the word before."""
    for number, record in enumerate(model.capture_many(texts, batch_size=batch_size)):
        words = record.words()
        before = words.attentions.diagonal(-1, dim1=2, dim2=3).mean(-1)
        heads = pd.MultiIndex.from_product(
            [words.layers, range(words.num_heads)], names=["layer", "head"]
        )
        yield pd.DataFrame(
            {"text": number, "to_previous": before.flatten().numpy()}, index=heads
        ).reset_index()


def main() -> None:
    """Write the table of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    texts = [line for line in options.texts.read_text("utf-8").splitlines() if line.strip()]
    pd.concat(rows(ix.load(options.model), texts)).to_parquet(options.out, index=False)


if __name__ == "__main__":
    main()
