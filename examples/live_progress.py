"""Follow a long call with a function of one's own: of the stage, what is done, and the total."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import introspect as ix


def json_lines(to: TextIO) -> Callable[[str, int, int | None], None]:
    """Return a progress function that writes an object a line, as a dashboard reads it."""
    began = time.monotonic()

    def tell(stage: str, done: int, total: int | None) -> None:
        seconds = round(time.monotonic() - began, 1)
        line = {"stage": stage, "done": done, "total": total, "seconds": seconds}
        print(json.dumps(line), file=to, flush=True)

    return tell


def count_tokens(model: ix.Model, texts: Sequence[str], to: TextIO = sys.stderr) -> int:
    """Capture texts, say how far it has come, and return how many tokens they have."""
    records = model.capture_many(texts, batch_size=8, progress=json_lines(to))
    return sum(len(record.keys) for record in records)


def main() -> None:
    """Capture the lines of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    texts = [line for line in options.texts.read_text("utf-8").splitlines() if line.strip()]
    print(count_tokens(ix.load(options.model), texts))


if __name__ == "__main__":
    main()
