"""Make the project's environment: ``.venv`` with the project and the extras asked for.

Run by the Makefile; needs nothing but Python. A second run that finds everything in place does
nothing. A torch that is already there and fits is kept, and one that must be installed is
installed by itself first: a resolver that is free to choose takes builds of several gigabytes.

    python tools/bootstrap.py --extras offline,dev
    python tools/bootstrap.py --extras offline,dev --versions oldest

``--versions`` chooses the versions of the dependencies: ``tested`` (constraints.txt, the default),
``oldest`` (the lower bounds in pyproject.toml) or ``newest`` (whatever pip finds).

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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
VERSIONS = ("tested", "oldest", "newest")
# What must be the same for an environment to be still the right one.
_INPUTS = ("pyproject.toml", "constraints.txt")
# The version of the project is here alone; an environment records it when it is made.
_VERSION_FILE = Path("introspect", "__init__.py")
# Extras with the tools of developers: nobody needs old versions of those.
_TOOL_EXTRAS = ("dev", "docs", "notebooks")
# Extras of files alone. The package of the weights requires a library, and that scikit-learn, which
# only its own loader uses.
_FILE_EXTRAS = ("offline",)
_LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])? *>= *(?P<version>[\w.]+)")
_COMPILE = (
    "import compileall, sysconfig; "
    "compileall.compile_dir(sysconfig.get_path('purelib'), quiet=2, workers=0)"
)
_ASK_VERSION = "import importlib.metadata as m; print(m.version({!r}))"
_ASK_REQUIREMENTS = "import importlib.metadata as m; print(*m.requires({!r}) or [], sep='\\n')"


class BootstrapError(Exception):
    """The environment cannot be made; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environment; return 0 if it is there."""
    parser = argparse.ArgumentParser(description="Make the project's environment.")
    parser.add_argument("--extras", default="", help="extras to install, with commas")
    parser.add_argument(
        "--versions", default="tested", choices=VERSIONS, help="versions of the dependencies"
    )
    options = parser.parse_args(arguments)
    extras = {extra.strip() for extra in options.extras.split(",") if extra.strip()}
    try:
        ensure(ROOT, extras, options.versions)
    except BootstrapError as error:
        print(f"bootstrap: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        problem = f"Could not use {error.filename or ROOT} ({error.strerror or error})"
        advice = "Restore the file, or run `make clean` if it is in .venv."
        print(f"bootstrap: error: {problem}. {advice}", file=sys.stderr)
        return 2
    return 0


def ensure(root: Path, extras: set[str], versions: str = "tested") -> None:
    """Bring ``root/.venv`` to what the project's files, the extras and the versions ask for."""
    environment = root / ".venv"
    stamp = environment / "introspect-stamp.json"
    wanted = fingerprint(root, versions)
    installed = read_stamp(stamp, wanted)
    if installed is not None and extras <= installed:
        return
    check_python(sys.version_info[:2])
    check_extras(extras, root)
    extras = extras | (installed or set())
    # From here on the environment is unfinished: a run that is interrupted is repeated.
    stamp.unlink(missing_ok=True)
    text = constraints_of(root, versions)
    pinned = pinned_torch(text) if versions != "newest" else None

    def is_kept(version: str | None) -> bool:
        return versions == "tested" and fits(version, root)

    if not python_of(environment).exists() or is_of_another_python(environment):
        make_environment(environment, with_outer_packages=is_kept(outer_torch()))
    elif not has_pip(python_of(environment)):
        # Some tools make environments without it, and so does a venv module that is half installed.
        command = [str(python_of(environment)), "-m", "ensurepip", "--upgrade"]
        run(command, "add pip to .venv; is the venv module installed?")
    found = torch_version(python_of(environment))
    kept = found if is_kept(found) else None
    if kept is not None and pinned is not None:
        other = release(kept) != release(pinned)
        free = requirements_of(python_of(environment), "torch") if other else set()
        text = constraints_with(kept, text, free)
    constraints = str(environment / "constraints.txt")
    Path(constraints).write_text(text, encoding="utf-8")
    upgrade = ["--upgrade", "--upgrade-strategy", "eager"] if versions == "newest" else []
    if kept is None:
        torch = [f"torch=={pinned}" if pinned else "torch", *upgrade, *torch_arguments()]
        install(environment, "--constraint", constraints, *torch)
        if pinned is None:
            # What was found at the user's index is not to be replaced from another one.
            newest = torch_version(python_of(environment))
            Path(constraints).write_text(f"torch=={newest}\n", encoding="utf-8")
    print(f"bootstrap: installing introspect with {', '.join(sorted(extras)) or 'no extras'} …")
    resolved = sorted(extras - {*_FILE_EXTRAS})
    project = f"{root}[{','.join(resolved)}]" if resolved else str(root)
    install(environment, "--editable", project, "--constraint", constraints, *upgrade)
    install_files(environment, extras, root)
    compile_packages(environment)
    write_stamp(stamp, wanted, extras)


def install_files(environment: Path, extras: set[str], root: Path) -> None:
    """Install the packages of extras that are files alone, without what they require."""
    known = project_table(root)["optional-dependencies"]
    packages = [package for extra in sorted(extras & {*_FILE_EXTRAS}) for package in known[extra]]
    if packages:
        install(environment, "--no-deps", *packages)


def fingerprint(root: Path, versions: str = "tested") -> str:
    """Return a digest that changes whenever the environment must."""
    # The place counts: in a checkout that was moved or copied, .venv runs the code of the old one.
    digest = hashlib.sha256(f"{sys.version}\n{root.resolve()}\n{versions}".encode())
    digest.update(project_version(root).encode())
    for name in _INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def project_version(root: Path) -> str:
    """Return the version that the package states, ``0.3.0``."""
    text = (root / _VERSION_FILE).read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise BootstrapError(
            f"Expected a line __version__ = … in {_VERSION_FILE.as_posix()}. Restore the file."
        )
    return match[1]


def read_stamp(stamp: Path, wanted: str) -> set[str] | None:
    """Return the extras of a finished and current environment, or ``None``."""
    try:
        content = json.loads(stamp.read_text(encoding="utf-8"))
        return set(content["extras"]) if content["fingerprint"] == wanted else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_stamp(stamp: Path, wanted: str, extras: Iterable[str]) -> None:
    """Say that the environment is finished."""
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
    known = project_table(root)["optional-dependencies"]
    if unknown := extras - known.keys():
        raise BootstrapError(
            f"Expected extras out of {', '.join(sorted(known))}; got {', '.join(sorted(unknown))}."
        )


def project_table(root: Path) -> dict[str, Any]:
    """Return the table ``project`` of pyproject.toml."""
    import tomllib  # not in the Pythons that `check_python` refuses

    with (root / "pyproject.toml").open("rb") as stream:
        table: dict[str, Any] = tomllib.load(stream)["project"]
    return table


def constraints_of(root: Path, versions: str) -> str:
    """Return the constraints for pip, in the format of constraints.txt."""
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    if versions == "oldest":
        return oldest_constraints(project_table(root), text)
    return text if versions == "tested" else ""


def oldest_constraints(project: Mapping[str, Any], tested: str) -> str:
    """Return the lower bound of each dependency that the project declares for its users.

    Tools of developers keep the version that they are tested with; what neither names is pip's
    choice, since the exact versions of the one set seldom suit the other.
    """
    extras = project["optional-dependencies"]
    users = [line for extra in extras if extra not in _TOOL_EXTRAS for line in extras[extra]]
    bounds = lower_bounds([*project["dependencies"], *users])
    tools = lower_bounds(line for extra in _TOOL_EXTRAS for line in extras.get(extra, ()))
    pins = [line for line in tested.splitlines() if "==" in line and not line.startswith("#")]
    kept = [line for line in pins if normalized(line.partition("==")[0]) in tools.keys() - bounds]
    return "\n".join([*(f"{name}=={bounds[name]}" for name in sorted(bounds)), *kept, ""])


def lower_bounds(requirements: Iterable[str]) -> dict[str, str]:
    """Return normalized names and lower bounds: ``numpy>=1.26`` is ``{"numpy": "1.26"}``."""
    matches = (_LOWER_BOUND.match(requirement) for requirement in requirements)
    return {normalized(match["name"]): match["version"] for match in matches if match}


def pinned_torch(constraints: str) -> str:
    """Return the version of torch in a text of constraints."""
    match = re.search(r"^torch==(\S+)$", constraints, re.MULTILINE)
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
    """Return what an interpreter prints, or ``None`` if it fails or has nothing to say."""
    command = [str(python), "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None if result.returncode == 0 else None


def outer_torch() -> str | None:
    """Return the version of torch that an environment made here sees outside itself."""
    # Made from another environment it would see the packages of the base, not that one's.
    return torch_version(Path(sys.executable)) if sys.prefix == sys.base_prefix else None


def requirements_of(python: Path, package: str) -> set[str]:
    """Return normalized names of what an installed package requires, extras included."""
    lines = ask(python, _ASK_REQUIREMENTS.format(package)) or ""
    return {normalized(match[0]) for match in re.finditer(r"^[\w.-]+", lines, re.MULTILINE)}


def normalized(name: str) -> str:
    """Return the one spelling of a package's name: ``a_b`` is ``a-b``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def torch_arguments() -> list[str]:
    """Return the further arguments for pip when it installs torch."""
    return split_arguments(os.environ.get("TORCH_PIP_ARGS", ""), is_windows=os.name == "nt")


def split_arguments(text: str, *, is_windows: bool) -> list[str]:
    """Split as a shell does; on Windows a backslash divides folders and escapes nothing."""
    if not is_windows:
        return shlex.split(text)
    words = shlex.split(text, posix=False)
    return [w[1:-1] if len(w) > 1 and w[0] == w[-1] and w[0] in "\"'" else w for w in words]


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
    """Make an empty environment; it sees the outer packages where their torch fits."""
    # What is there has no interpreter, or one that is gone: nothing in it can be used.
    command = [sys.executable, "-m", "venv", "--clear", str(environment)]
    if with_outer_packages:
        print("bootstrap: keeping the torch that is already installed")
        command.append("--system-site-packages")
    run(command, "make the environment; is the venv module installed?")


def install(environment: Path, *arguments: str) -> None:
    """Install packages with pip; what they hold is compiled by `compile_packages`."""
    python = str(python_of(environment))
    options = ["--disable-pip-version-check", "--quiet", "install", "--no-compile"]
    run([python, "-m", "pip", *options, *arguments], "install packages; is there a network?")


def compile_packages(environment: Path) -> None:
    """Compile the packages of an environment on every processor; pip would take one.

    Half of pip's time goes into this. A file that cannot be compiled is no fault: some packages
    hold templates, or tests in the grammar of another Python.
    """
    run([str(python_of(environment)), "-c", _COMPILE], "compile the packages of .venv")


def is_of_another_python(environment: Path) -> bool:
    """Return whether a Python of another minor version made the environment."""
    try:
        text = (environment / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False
    # venv calls it version, virtualenv and uv call it version_info.
    match = re.search(r"^version(?:_info)? *= *(\d+)\.(\d+)", text, re.MULTILINE)
    if match is None or (int(match[1]), int(match[2])) == sys.version_info[:2]:
        return False
    wanted = ".".join(map(str, sys.version_info[:2]))
    print(f"bootstrap: .venv has Python {match[1]}.{match[2]}; making it again with {wanted}")
    return True


def python_of(environment: Path, *, is_windows: bool = os.name == "nt") -> Path:
    """Return the interpreter of an environment."""
    folder, name = ("Scripts", "python.exe") if is_windows else ("bin", "python")
    return environment / folder / name


def run(command: Sequence[str], purpose: str) -> None:
    """Run a command; its failure is one line after its own output."""
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        raise BootstrapError(f"Could not {purpose} ({shlex.join(command)} gave {code})")


if __name__ == "__main__":
    sys.exit(main())
