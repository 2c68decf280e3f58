"""Run the notebooks, each from top to bottom on a fresh kernel and without a network.

    python tools/run_notebooks.py                       # fails where one does not run, or says else
    python tools/run_notebooks.py --write               # renews the outputs
    python tools/run_notebooks.py notebooks/01*.ipynb   # only these
    python tools/run_notebooks.py notebooks/01*.ipynb --set text="…" --set pronoun=he
                                                        # with another sentence in the first cell

An error fails, and so does a word on stderr, a notebook of 3 MB, a path of this machine in an
output, and text that is not what the committed notebook says. Pictures and pages may differ, and
decimals by a thousandth, as processors round in their own ways; by a twentieth in a notebook that
trains (``"introspect": {"trains": true}`` in its metadata), where rounding grows. With another
sentence only an error and a word on stderr do.
"""

from __future__ import annotations

import argparse
import ast
import copy
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
MOST_BYTES = 3_000_000
#: Time limit of one cell, in seconds.
PATIENCE = 300
#: What the cell asks that installs the package in Colab; elsewhere it does nothing.
IN_COLAB = "google.colab"
#: Nothing listens here: a kernel that requests something from a network fails at once.
NOWHERE = "http://127.0.0.1:9"

# Relative and absolute: how far a decimal may be from the committed one.
_ROUNDED = (1e-3, 1e-6)
_TRAINED = (0.05, 1e-4)
_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")

# A hundred million letters of base64 contain a /tmp/ somewhere.
_PACKED = re.compile(r"[A-Za-z0-9+/=]{100,}")

Notebook = Any


def read(path: Path) -> Notebook:
    """Read a notebook from its file."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run notebooks; return 0 if there is no fault."""
    parser = argparse.ArgumentParser(description="Run the notebooks without a network.")
    parser.add_argument("files", nargs="*", type=Path, help="by default all of notebooks/")
    parser.add_argument("--write", action="store_true", help="renew the outputs")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=TEXT", help="a name of the first cell"
    )
    options = parser.parse_args(arguments)
    given = dict(each.split("=", 1) for each in options.set)
    if given and options.write:
        parser.error("Expected --set or --write, got both: outputs are those of the own sentence.")
    failed = False
    for path in options.files or sorted(FOLDER.glob("*.ipynb")):
        began = time.perf_counter()
        faults = renew(path) if options.write else check(path, given)
        for fault in faults:
            print(f"{path.name}: {fault}", file=sys.stderr)
        failed = failed or bool(faults)
        print(
            f"{path.name}: {time.perf_counter() - began:.0f} s, {path.stat().st_size / 1e6:.1f} MB"
        )
    return int(failed)


def check(path: Path, given: Mapping[str, str] | None = None) -> list[str]:
    """Return the faults of a notebook when it runs; leave the committed file unchanged.

    Args:
        path: the notebook.
        given: other texts for names of the first cell.
    """
    committed = read(path)
    if given:
        fresh, faults = executed(with_texts(committed, given))
        return faults + faults_of(fresh)
    fresh, faults = executed(committed)
    if not faults and is_comparable(committed, os.environ):
        faults = differences(committed, fresh)
    return faults + faults_of(fresh)


def renew(path: Path) -> list[str]:
    """Run a notebook and write its outputs, unless they have faults."""
    fresh, faults = executed(read(path))
    faults = faults + faults_of(fresh)
    if not faults:
        path.write_text(written(fresh), encoding="utf-8")
    return faults


def with_texts(notebook: Notebook, given: Mapping[str, str]) -> Notebook:
    """Return the notebook with other texts for names that its cell of parameters gives a text.

    Raises:
        ValueError: the cell gives a name no text.
    """
    changed = copy.deepcopy(notebook)
    cell = parameters(changed)
    own = texts_of(cell)
    if unknown := sorted(given.keys() - own):
        raise ValueError(f"Expected names that the first cell gives a text, got {unknown}.")
    lines = cell.source.splitlines()
    for place, line in enumerate(lines):
        name = line.partition(" = ")[0]
        if name in given:
            lines[place] = f"{name} = {given[name]!r}"
    cell.source = "\n".join(lines)
    return changed


def texts_of(cell: Any) -> dict[str, str]:
    """Return the names that a cell gives a text, and the texts."""
    found = {}
    for node in ast.parse(cell.source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def executed(notebook: Notebook) -> tuple[Notebook, list[str]]:
    """Return the notebook with new outputs, and what failed while it ran."""
    fresh = copy.deepcopy(notebook)
    with tempfile.TemporaryDirectory() as folder:
        # Files that a notebook writes do not belong to the project.
        (work := Path(folder) / "work").mkdir()
        client = NotebookClient(
            fresh,
            timeout=PATIENCE,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(work)}},
        )
        try:
            with environment(offline(Path(folder))):
                client.execute()
        except CellExecutionError as error:
            return cleaned(fresh), [f"a cell failed: {error.ename}: {error.evalue}"]
        except (TimeoutError, RuntimeError) as error:
            return cleaned(fresh), [f"it was stopped: {error}"]
    return cleaned(fresh), []


def offline(folder: Path) -> dict[str, str]:
    """Return variables that keep a kernel from the network and from a user's own settings."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOWHERE)
    own = {
        name: str(folder / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    }
    return {
        **proxies,
        **{name.upper(): address for name, address in proxies.items()},
        **own,
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process temporarily: the kernel inherits them."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def code_cells(notebook: Notebook) -> Iterator[Any]:
    """Yield the code cells."""
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def parameters(notebook: Notebook) -> Any:
    """Return the first code cell after the one that installs the package in Colab."""
    return next(cell for cell in code_cells(notebook) if IN_COLAB not in cell.source)


def cleaned(notebook: Notebook) -> Notebook:
    """Remove what differs between runs or machines."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    kept = {name: notebook.metadata[name] for name in ("introspect",) if name in notebook.metadata}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, **kept}
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id, cell.metadata = f"cell-{number}", {}
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    return notebook


def joined(outputs: Sequence[Any]) -> list[Any]:
    """Join the output of each stream into one piece: it arrives in arbitrary pieces."""
    found: list[Any] = []
    for output in outputs:
        output.pop("transient", None)
        last = found[-1] if found else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            found.append(output)
    return found


def written(notebook: Notebook) -> str:
    """Return a notebook as it is committed."""
    text: str = nbformat.writes(notebook, version=4, ensure_ascii=False)  # type: ignore[no-untyped-call]
    return text.rstrip("\n") + "\n"


def is_comparable(notebook: Notebook, environment: Mapping[str, str]) -> bool:
    """Return whether outputs must equal the committed ones: not if a named file is missing here."""
    needed = notebook.metadata.get("introspect", {}).get("made_with", [])
    return all(environment.get(name) for name in needed)


def differences(committed: Notebook, fresh: Notebook) -> list[str]:
    """Return where the text of a cell's output differs from the committed one."""
    found = []
    trains = committed.metadata.get("introspect", {}).get("trains", False)
    relative, absolute = _TRAINED if trains else _ROUNDED
    pairs = zip(code_cells(committed), code_cells(fresh), strict=True)
    for number, (before, after) in enumerate(pairs, start=1):
        said, says = text_of(before), text_of(after)
        if not alike(said, says, relative, absolute):
            found.append(
                f"code cell {number} no longer says {said[:200]!r}, but {says[:200]!r}; renew it "
                "with --write if that is right"
            )
    return found


def alike(said: str, says: str, relative: float, absolute: float) -> bool:
    """Return whether two texts have the same words and whole numbers, and like decimals."""
    before, after = _NUMBER.split(said), _NUMBER.split(says)
    return len(before) == len(after) and all(
        one == other
        or (
            number % 2 == 1
            and not (one.isdecimal() or other.isdecimal())
            and math.isclose(float(one), float(other), rel_tol=relative, abs_tol=absolute)
        )
        for number, (one, other) in enumerate(zip(before, after, strict=True))
    )


def text_of(cell: Any) -> str:
    """Return what a cell prints, and its results as text."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        # The name of a picture contains its size in pixels, which fonts change.
        elif "image/png" not in output.get("data", {}):
            parts.append(output.get("data", {}).get("text/plain", ""))
    return "".join("".join(part) for part in parts)


def faults_of(notebook: Notebook) -> list[str]:
    """Return what must not be committed."""
    found = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"code cell {number} holds an error: {output.ename}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"code cell {number} says on stderr: {output.text.strip()[:500]}")
        if address := re.search(r"<.* at 0x[0-9a-f]+>", text_of(cell)):
            found.append(f"code cell {number} shows an address in memory: {address[0][:200]}")
    text = written(notebook)
    found += [f"it holds a path of this machine: {place}" for place in places_in(text)]
    if (size := len(text.encode())) >= MOST_BYTES:
        found.append(f"it has {size / 1e6:.1f} MB, and must have less than {MOST_BYTES / 1e6:.0f}")
    return found


def places_in(text: str) -> list[str]:
    """Return paths of this machine in a text, but not in long runs of letters such as pictures."""
    text = _PACKED.sub("", text)
    roots = {str(ROOT), str(Path.home()), sys.prefix, tempfile.gettempdir()} - {"/"}
    usual = r"(?<![\w.])(/home/|/Users/|/root/|/work/|/tmp/|[A-Z]:\\\\Users)"
    return sorted({root for root in roots if f"{root}/" in text} | set(re.findall(usual, text)))


if __name__ == "__main__":
    sys.exit(main())
