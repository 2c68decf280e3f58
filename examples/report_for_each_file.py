"""Write a report for each text file of a folder, and go on after one that cannot be read."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import introspect as ix


def write_reports(model: ix.Model, files: Iterable[Path], out: Path) -> dict[str, str]:
    """Write a report for each file; return the reason for each that has none."""
    out.mkdir(parents=True, exist_ok=True)
    refused = {}
    for file in files:
        try:
            report = ix.report(model, file.read_text("utf-8").strip(), truncation=True)
        except (ix.IntrospectError, UnicodeDecodeError) as error:
            refused[file.name] = str(error)
            continue
        report.save(out / f"{file.stem}.html")
    return refused


def main() -> int:
    """Write the reports of a folder; return 3 if some files have none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.txt"))
    refused = write_reports(ix.load(options.model), files, options.out)
    for name, reason in refused.items():
        print(f"{name}: {reason}")
    return 3 if refused else 0


if __name__ == "__main__":
    raise SystemExit(main())
