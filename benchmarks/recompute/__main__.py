"""The command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import benchmarks.recompute
from benchmarks.recompute import faults


def main() -> None:
    """Print what differs in each folder, and exit with 1 if anything does."""
    parser = argparse.ArgumentParser(
        description=(benchmarks.recompute.__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folders", nargs="+", type=Path)
    is_right = True
    for path in parser.parse_args().folders:
        wrong, left, count = faults(path)
        for words in wrong:
            print(f"{path}: {words}")
        names = ", ".join(f"{kind} ({number})" for kind, number in left.items()) or "nothing"
        print(f"{path}: {count} rows recomputed, {len(wrong)} differ; not in a table: {names}")
        is_right &= not wrong
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
