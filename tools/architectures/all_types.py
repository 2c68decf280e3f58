"""Every text model type of the installed transformers, held against its own eager attention.

    python tools/architectures/all_types.py [--types bert,llama] [--json FILE] [--write | --check]

For each type a tiny random model is built from its configuration: no network, no files. It is
loaded as a user would load it, captured, and compared with the same model run eagerly, which
returns its attention itself. All parts of the capture must then fit together.

Types are read from transformers' own tables, so a new release brings its new types by itself; one
that cannot be built is named with the reason. Each runs in a process of its own with a limit on
time and memory, so that a crash of one costs one row. The result is ``docs/architectures.md``.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import sys
import time
from pathlib import Path

from document import DOCUMENT, document, totals
from processes import examine_all
from tiny import text_types


def main() -> int:
    """Run all types, or those named, and print, write, or compare the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--types", help="only these, with commas")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--workers", type=int, default=2, help="how many types at a time")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    what.add_argument("--check", action="store_true", help="fail if it would change")
    options = parser.parse_args()
    if options.types and (options.write or options.check):
        parser.error("the document is of all types: leave out --types")
    names = options.types.split(",") if options.types else text_types()
    start = time.monotonic()
    rows = examine_all(names, options.workers)
    print(f"{len(rows)} types in {time.monotonic() - start:.0f} s", file=sys.stderr)
    if options.json:
        listed = [dataclasses.asdict(row) for row in rows]
        options.json.write_text(json.dumps(listed, indent=1), encoding="utf-8")
    text = document(rows)
    if options.check:
        return check(text)
    if options.write:
        DOCUMENT.write_text(text, encoding="utf-8")
        text = "\n".join(totals(rows))
    print(text)
    return 0


def check(text: str) -> int:
    """Print what would change in the document; return 1 if anything would."""
    written = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    name = f"docs/{DOCUMENT.name}"
    lines = difflib.unified_diff(
        written.splitlines(), text.splitlines(), name, f"{name} as it would be", lineterm=""
    )
    changes = "\n".join(lines)
    print(changes or f"{name} is up to date")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
