"""The structure holds: imports go downward only, and importing the package loads little."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from grimp import build_graph
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "introspect"

# One namespace of several folders: what stands in it directly serves them all.
NAMESPACES = ("introspect.studies",)
# Folders within a folder that outsiders may go to.
SEPARATE = ("introspect.models.circuits", "introspect.primer.stories")


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    paths = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def folder_of(name: str) -> str:
    """The folder that a module belongs to, whose ``__init__`` hands out its names."""
    parts = name.split(".")
    depth = 3 if ".".join(parts[:2]) in NAMESPACES and len(parts) > 2 else 2
    return next((each for each in SEPARATE if name.startswith(each)), ".".join(parts[:depth]))


def imports(package: Path) -> Iterator[tuple[str, int, str, str]]:
    """Importing module, line, module and name that it imports; also in functions and for types."""
    for importer, path in modules(package).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((importer, node.lineno, alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{importer}: relative import in line {node.lineno}"
                yield from (
                    (importer, node.lineno, node.module or "", alias.name) for alias in node.names
                )


def past_the_face(package: Path) -> list[str]:
    """Imports from another folder that do not go by its ``__init__``."""
    known = modules(package)
    return [
        f"{importer}:{line} imports {name} of {module}, which is not its own folder's"
        for importer, line, module, name in imports(package)
        if module in known
        and known[module].name != "__init__.py"
        and "." in folder_of(module)
        and folder_of(module) not in (module, folder_of(importer))
    ]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty where none do."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def package_of(folder: Path, files: dict[str, str]) -> Path:
    """Write a package of these files."""
    package = folder / "small"
    for name, source in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return package


def test_imports_keep_the_contracts_of_pyproject(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize(
    "source",
    [
        "from small.roof import tile",
        "import small.roof",
        "def later():\n    from small.roof import tile",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from small.roof import tile",
    ],
)
def test_an_import_turned_upward_is_refused(tmp_path, monkeypatch, source):
    package_of(tmp_path, {"ground.py": source, "roof.py": "tile = 1"})
    config = tmp_path / ".importlinter"
    config.write_text(
        "[importlinter]\nroot_package = small\n[importlinter:contract:layers]\nname = layers\n"
        "type = layers\ncontainers = small\nlayers =\n    roof\n    ground\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert lint_imports(config_filename=str(config), no_cache=True) == 1


def test_folders_are_imported_by_what_their_init_hands_out():
    assert past_the_face(PACKAGE) == []


def test_an_import_past_the_init_of_a_folder_is_found(tmp_path):
    files = {"a/__init__.py": "", "a/one.py": "x = 1", "b.py": "from small.a.one import x"}
    (fault,) = past_the_face(package_of(tmp_path, files))
    assert fault.startswith("small.b:1 imports x of small.a.one")
    inside = package_of(tmp_path / "inside", {**files, "b.py": "", "a/two.py": files["b.py"]})
    assert past_the_face(inside) == []


def test_no_modules_import_each_other_in_a_circle():
    graph = build_graph("introspect", cache_dir=None)
    assert not circle(
        {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    )


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_only_the_command_line_uses_the_whole_package():
    known = modules(PACKAGE)
    users = {
        importer
        for importer, _, module, name in imports(PACKAGE)
        if module == "introspect" and f"introspect.{name}" not in known
    }
    assert users
    assert all(name.startswith("introspect.cli.") for name in users)


HEAVY = ("torch", "transformers", "plotly", "pandas", "numpy")


@pytest.mark.parametrize(
    "code",
    [
        "import introspect",
        "import introspect.cli",
        "import sys; sys.argv = ['introspect', '--help']\n"
        "from introspect.cli import main\n"
        "try: main()\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(code):
    code += f"\nimport sys; print('LOADED', [m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert result.stdout.strip().endswith("LOADED []")


def faces() -> list[str]:
    """The folders whose names stand in a stub."""
    return [name for name, path in modules(PACKAGE).items() if path.with_suffix(".pyi").is_file()]


@pytest.mark.parametrize("package", faces())
def test_what_a_folder_hands_out_is_the_thing_and_not_a_module_of_its_name(package):
    """In a new process, and with every module loaded before the names are asked for."""
    code = (
        "import importlib, pkgutil, sys, types\n"
        f"package = importlib.import_module({package!r})\n"
        "for each in pkgutil.iter_modules(package.__path__):\n"
        "    if each.name not in ('cli', 'app'):\n"
        "        importlib.import_module(f'{package.__name__}.{each.name}')\n"
        "print([n for n in package.__all__ if isinstance(getattr(package, n), types.ModuleType)])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"


def test_functions_are_imported_from_their_folder():
    from introspect.functional import relevance, rollout
    from introspect.hooks import capture

    assert all(callable(each) for each in (relevance, rollout, capture))


def test_every_public_name_is_there():
    import introspect as ix

    assert list(ix.__all__) == sorted(ix.__all__)
    for name in ix.__all__:
        assert getattr(ix, name) is not None
    assert set(ix.__all__) <= set(dir(ix))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ix.nonsense


def test_no_folder_bears_the_name_of_a_public_function():
    import introspect as ix

    folders = {name.split(".")[1] for name in modules(PACKAGE) if "." in name}
    assert not folders & set(ix.__all__)
