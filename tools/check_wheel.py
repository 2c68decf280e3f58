"""Build the source archive and the wheel into dist/, and check both in empty environments.

    make wheel

Each is installed, with the default model, into an environment that sees nothing of this checkout,
and has to write a report there. Of its version, the file's name, the installed metadata,
``introspect.__version__`` and CITATION.cff have to say the same.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import bootstrap

ROOT = bootstrap.ROOT
DIST = ROOT / "dist"
SENTENCE = "The animal didn't cross the street because it was too tired."
REPORT = ("--pronoun", "it", "--antecedent", "animal", "--distractor", "street")
_VERSIONS = (
    "import importlib.metadata as m, introspect; "
    "print(m.version('introspect-transformers'), introspect.__version__, introspect.__file__)"
)


def main() -> int:
    """Build and check; 0 if both files may be given to others."""
    try:
        wheel = built()
        for given in (wheel, source_of(wheel)):
            with tempfile.TemporaryDirectory() as folder:
                check(given, Path(folder))
            print(f"{given.relative_to(ROOT).as_posix()} is in order")
    except bootstrap.BootstrapError as error:
        print(f"check_wheel: error: {error}", file=sys.stderr)
        return 1
    return 0


def built() -> Path:
    """Return the wheel, built anew from the source archive."""
    shutil.rmtree(DIST, ignore_errors=True)
    bootstrap.run([sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT)], "build")
    version = bootstrap.project_version(ROOT)
    wheel = DIST / f"introspect_transformers-{version}-py3-none-any.whl"
    if not wheel.exists():
        found = ", ".join(sorted(path.name for path in DIST.iterdir()))
        raise bootstrap.BootstrapError(f"Expected {wheel.name} in dist/, found {found}.")
    return wheel


def source_of(wheel: Path) -> Path:
    """Return the source archive beside a wheel."""
    archive = wheel.with_name(wheel.name.removesuffix("-py3-none-any.whl") + ".tar.gz")
    if not archive.exists():
        raise bootstrap.BootstrapError(f"Expected {archive.name} in dist/, found none.")
    return archive


def check(given: Path, folder: Path) -> None:
    """Install a wheel or a source archive in an environment of its own; let it write a report."""
    version = bootstrap.project_version(ROOT)
    cited = cited_version((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    if cited != version:
        raise bootstrap.BootstrapError(f"Expected {version} in CITATION.cff, found {cited}.")
    environment = folder / "environment"
    bootstrap.make_environment(environment, with_outer_packages=False)
    constraints = ROOT / "constraints.txt"
    torch = bootstrap.pinned_torch(constraints.read_text(encoding="utf-8"))
    held = ("--constraint", str(constraints))
    bootstrap.install(environment, *held, f"torch=={torch}", *bootstrap.torch_arguments())
    bootstrap.install(environment, *held, str(given))
    bootstrap.install_files(environment, {"offline"}, ROOT)
    python = bootstrap.python_of(environment)
    installed, stated, place = output([str(python), "-c", _VERSIONS], folder).split(maxsplit=2)
    if (installed, stated) != (version, version):
        raise bootstrap.BootstrapError(
            f"Expected version {version}; the metadata says {installed}, the package {stated}."
        )
    if not Path(place.strip()).resolve().is_relative_to(folder.resolve()):
        raise bootstrap.BootstrapError(f"Expected the installed package, got {place.strip()}.")
    command = python.with_name("introspect" + python.suffix)
    page = folder / "report.html"
    print(output([str(command), "report", SENTENCE, *REPORT, "--out", str(page)], folder).strip())
    if not page.is_file():
        raise bootstrap.BootstrapError("Expected report.html from the installed command, got none.")


def cited_version(citation: str) -> str | None:
    """Return the version in the text of CITATION.cff."""
    match = re.search(r"^version: \"?([^\"\n]+)\"?$", citation, re.MULTILINE)
    return match[1] if match else None


def output(command: Sequence[str], folder: Path) -> str:
    """Return what a command prints that runs outside the checkout and without a network."""
    others = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        command,
        cwd=folder,
        env=others | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        raise bootstrap.BootstrapError(f"{Path(command[0]).name} gave {result.returncode}.")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main())
