"""Make the project's environment: ``.venv`` with the project and the extras asked for.

Run by the Makefile; needs nothing but Python. A second run that finds everything in place does
nothing. A torch that is already there and fits is kept, and one that must be installed is
installed by itself first: a resolver that is free to choose takes builds of several gigabytes.

    python tools/bootstrap.py --extras offline,dev

TORCH_PIP_ARGS in the environment is handed to pip when torch is installed, for example to name the
index that has the build for your machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
# What must be unchanged for an environment to be current.
_INPUTS = ("pyproject.toml", "constraints.txt")
_ASK_VERSION = "import importlib.metadata as m; print(m.version({!r}))"
_ASK_REQUIREMENTS = "import importlib.metadata as m; print(*m.requires({!r}) or [], sep='\\n')"


class BootstrapError(Exception):
    """Raised if the environment cannot be made; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environment; return 0 if it is there."""
    parser = argparse.ArgumentParser(description="Make the project's environment.")
    parser.add_argument("--extras", default="", help="extras to install, with commas")
    options = parser.parse_args(arguments)
    extras = {extra.strip() for extra in options.extras.split(",") if extra.strip()}
    try:
        ensure(ROOT, extras)
    except BootstrapError as error:
        print(f"bootstrap: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        problem = f"Could not use {error.filename or ROOT} ({error.strerror or error})"
        advice = "Restore the file, or run `make clean` if it is in .venv."
        print(f"bootstrap: error: {problem}. {advice}", file=sys.stderr)
        return 2
    return 0


def ensure(root: Path, extras: set[str]) -> None:
    """Bring ``root/.venv`` to what the project's files and the extras ask for."""
    environment = root / ".venv"
    stamp = environment / "introspect-stamp.json"
    wanted = fingerprint(root)
    installed = read_stamp(stamp, wanted)
    if installed is not None and extras <= installed:
        return
    check_python(sys.version_info[:2])
    check_extras(extras, root)
    extras = extras | (installed or set())
    # From here on the environment is unfinished: a run that is interrupted is repeated.
    stamp.unlink(missing_ok=True)
    pinned = pinned_torch(root / "constraints.txt")
    if not python_of(environment).exists():
        make_environment(environment, with_outer_packages=fits(outer_torch(), root))
    elif not has_pip(python_of(environment)):
        # Some tools make environments without it, and so does a venv module that is half installed.
        command = [str(python_of(environment)), "-m", "ensurepip", "--upgrade"]
        run(command, "add pip to .venv; is the venv module installed?")
    found = torch_version(python_of(environment))
    kept = found if found is not None and fits(found, root) else None
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    if kept is not None:
        other = release(kept) != release(pinned)
        free = requirements_of(python_of(environment), "torch") if other else set()
        text = constraints_with(kept, text, free)
    constraints = str(environment / "constraints.txt")
    Path(constraints).write_text(text, encoding="utf-8")
    if kept is None:
        torch = [f"torch=={pinned}", *torch_arguments()]
        pip(environment, "install", "--constraint", constraints, *torch)
    print(f"bootstrap: installing introspect with {', '.join(sorted(extras)) or 'no extras'} …")
    project = f"{root}[{','.join(sorted(extras))}]" if extras else str(root)
    pip(environment, "install", "--editable", project, "--constraint", constraints)
    write_stamp(stamp, wanted, extras)


def fingerprint(root: Path) -> str:
    """Return a digest that changes whenever the environment must."""
    # The place counts: in a checkout that was moved or copied, .venv runs the code of the old one.
    digest = hashlib.sha256(f"{sys.version}\n{root.resolve()}".encode())
    for name in _INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def read_stamp(stamp: Path, wanted: str) -> set[str] | None:
    """Return the extras of a finished and current environment, or ``None``."""
    try:
        content = json.loads(stamp.read_text(encoding="utf-8"))
        return set(content["extras"]) if content["fingerprint"] == wanted else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_stamp(stamp: Path, wanted: str, extras: Iterable[str]) -> None:
    """Mark the environment as finished."""
    content = json.dumps({"fingerprint": wanted, "extras": sorted(extras)})
    partial = stamp.with_suffix(".part")
    partial.write_text(content, encoding="utf-8")
    partial.replace(stamp)


def check_python(version: tuple[int, int]) -> None:
    """Refuse a Python that is too old."""
    if version < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        came = ".".join(map(str, version))
        raise BootstrapError(
            f"Expected Python {oldest} or newer, got {came}. "
            "Name another one: make PYTHON=python3.11 …"
        )


def check_extras(extras: set[str], root: Path) -> None:
    """Refuse an extra that pyproject.toml does not have: pip only warns."""
    import tomllib  # not in the Pythons that `check_python` refuses

    with (root / "pyproject.toml").open("rb") as stream:
        known = tomllib.load(stream)["project"]["optional-dependencies"]
    if unknown := extras - known.keys():
        raise BootstrapError(
            f"Expected extras out of {', '.join(sorted(known))}; got {', '.join(sorted(unknown))}."
        )


def pinned_torch(constraints: Path) -> str:
    """Return the torch version that the project is tested with."""
    match = re.search(r"^torch==(\S+)$", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise BootstrapError("Expected a line torch==… in constraints.txt. Restore the file.")
    return match[1]


def fits(version: str | None, root: Path) -> bool:
    """Return whether a torch version is in the range of pyproject.toml (``torch>=…``)."""
    if version is None:
        return False
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(r'"torch>=([\d.]+)"', text)
    if match is None:
        raise BootstrapError("Expected a dependency torch>=… in pyproject.toml. Restore the file.")
    return release(version) >= release(match[1])


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: ``2.13.0+cpu`` is ``(2, 13, 0)``."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def torch_version(python: Path) -> str | None:
    """Return the torch version that an interpreter has, or ``None``."""
    return version_in(python, "torch")


def has_pip(python: Path) -> bool:
    """Return whether an interpreter has pip."""
    return version_in(python, "pip") is not None


def version_in(python: Path, package: str) -> str | None:
    """Return the version of a package that an interpreter has, or ``None``."""
    return ask(python, _ASK_VERSION.format(package))


def ask(python: Path, code: str) -> str | None:
    """Return what an interpreter prints, or ``None`` if it fails or prints nothing."""
    command = [str(python), "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None if result.returncode == 0 else None


def outer_torch() -> str | None:
    """Return the torch version that an environment made here can see in the outer interpreter."""
    # Made from another environment it would see the packages of the base, not that one's.
    return torch_version(Path(sys.executable)) if sys.prefix == sys.base_prefix else None


def requirements_of(python: Path, package: str) -> set[str]:
    """Return normalized names of what an installed package requires, extras included."""
    lines = ask(python, _ASK_REQUIREMENTS.format(package)) or ""
    return {normalized(match[0]) for match in re.finditer(r"^[\w.-]+", lines, re.MULTILINE)}


def normalized(name: str) -> str:
    """Return the canonical spelling of a package's name: ``typing-extensions``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def torch_arguments() -> list[str]:
    """Return the user's pip arguments for installing torch."""
    return shlex.split(os.environ.get("TORCH_PIP_ARGS", ""))


def constraints_with(torch: str, text: str, free: set[str]) -> str:
    """Return the project's constraints for a torch that is kept, so that pip leaves it alone.

    ``free`` names packages that are not pinned: what another torch than the project's requires,
    often to the version (torch 2.6 wants ``sympy==1.13.1``), so that the pins could not be met.
    """
    lines = [
        f"torch=={torch}" if line.startswith("torch==") else line
        for line in text.splitlines()
        if normalized(line.partition("==")[0]) not in free
    ]
    return "\n".join([*lines, ""])


def make_environment(environment: Path, *, with_outer_packages: bool) -> None:
    """Make an empty environment; it sees the outer packages if they have a suitable torch."""
    # What is there has no interpreter, or one that is gone: nothing in it can be used.
    command = [sys.executable, "-m", "venv", "--clear", str(environment)]
    if with_outer_packages:
        print("bootstrap: keeping the torch that is already installed")
        command.append("--system-site-packages")
    run(command, "make the environment; is the venv module installed?")


def pip(environment: Path, *arguments: str) -> None:
    """Run pip in the environment."""
    python = str(python_of(environment))
    command = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    run(command, "install packages; is there a network?")


def python_of(environment: Path) -> Path:
    """Return the interpreter of an environment."""
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return environment / folder / name


def run(command: Sequence[str], purpose: str) -> None:
    """Run a command; report its failure in one line after its own output."""
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        raise BootstrapError(f"Could not {purpose} ({shlex.join(command)} gave {code})")


if __name__ == "__main__":
    sys.exit(main())
