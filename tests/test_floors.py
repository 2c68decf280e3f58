"""The structure holds: imports go down the floors only, and importing the package loads little."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "introspect"

# The rooms of the house, from the ground up: a module imports from its own room and from those
# below it. Several rooms make a floor of docs/architecture.md; between the rooms of one floor the
# order is fixed here too, so that there is one way to go and no circle.
ROOMS = (
    "errors",
    "files",
    "text",
    "segmentation",
    "functional",
    "statistics",
    "mentions",
    "cases",
    "sentences",
    "records",
    "weighting",
    "attribution",
    "alignment",
    "scoring",
    "hooks",
    "page",
    "views",
    "primer",
    "interop",
    "models",
    "interventions",
    "analyzers",
    "causal",
    "heads",
    "residual",
    "reporting",
    "probing",
    "doctor",
    "app",
    "cli",
)

# Those that use the package as anybody would, by its public names.
USERS = ("cli",)

Import = tuple[str, str, int]


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: Path) -> Iterator[Import]:
    """Importing module, imported module and line; also inside functions and for types only."""
    known = modules(package)
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets: list[str] = []
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: relative import in line {node.lineno}"
                base = node.module or ""
                targets = [
                    f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base
                    for alias in node.names
                ]
            for target in targets:
                if target.split(".")[0] == package.name:
                    yield name, target, node.lineno


def eager(package: Path) -> Iterator[int]:
    """Lines where the package itself imports its own modules other than for types.

    Its table of lazy names is above every floor, and so are the types of those names; anything else
    in it would be loaded by every ``import``.
    """
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [package.name if node.level else node.module or ""]
        else:
            continue
        if any(name.split(".")[0] == package.name for name in names):
            yield node.lineno


def faults(package: Path, rooms: tuple[str, ...]) -> list[str]:
    """What is wrong with the imports of a package; empty for a sound one."""
    found = [f"{package.name}:{line} imports before it is asked to" for line in eager(package)]
    graph: dict[str, set[str]] = {}
    for source, target, line in imports(package):
        if source == package.name:
            continue  # for types only, which `eager` sees to
        if target == package.name:
            if source.split(".")[1] not in USERS:
                found.append(f"{source}:{line} imports the whole package")
            continue
        rooms_of = [name.split(".")[1] for name in (source, target)]
        for name, room in zip((source, target), rooms_of, strict=True):
            if room not in rooms:
                found.append(f"{name} is in no room: add {room!r} to ROOMS")
        if all(room in rooms for room in rooms_of):
            here, there = (rooms.index(room) for room in rooms_of)
            if there > here:
                found.append(f"{source}:{line} imports {target}, which is above it")
        graph.setdefault(source, set()).add(target)
    return found + circles(graph)


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle."""
    found: list[str] = []
    finished: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            # A folder's __init__ collects its own modules; that is its purpose.
            found.append(" → ".join([*path[path.index(name) :], name]))
            return
        if name in finished:
            return
        for target in sorted(graph.get(name, ())):
            visit(target, [*path, name])
        finished.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def test_imports_go_down_the_floors_only():
    assert faults(PACKAGE, ROOMS) == []


def test_every_room_is_there():
    names = {name.split(".")[1] for name in modules(PACKAGE) if "." in name}
    assert names == set(ROOMS)


def house(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "house"
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return package


@pytest.mark.parametrize(
    "source",
    [
        "from house.roof import tile",
        "import house.roof",
        "def later():\n    from house.roof import tile",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.roof import tile",
    ],
)
def test_an_import_turned_upward_is_found(tmp_path, source):
    package = house(tmp_path, {"cellar.py": source, "roof.py": "tile = 1", "__init__.py": ""})
    (fault,) = faults(package, ("cellar", "roof"))
    assert "house.cellar" in fault and "above" in fault


def test_a_circle_within_a_room_is_found(tmp_path):
    files = {
        "__init__.py": "",
        "cellar/__init__.py": "",
        "cellar/a.py": "from house.cellar.b import x",
        "cellar/b.py": "from house.cellar.a import y",
    }
    assert faults(house(tmp_path, files), ("cellar",)) == [
        "house.cellar.a → house.cellar.b → house.cellar.a"
    ]


def test_a_module_in_no_room_is_found(tmp_path):
    package = house(tmp_path, {"__init__.py": "", "shed.py": "import house.shed.x"})
    assert any("in no room" in fault for fault in faults(package, ("cellar",)))


def test_a_sound_house_has_no_faults(tmp_path):
    files = {
        "__init__.py": "if TYPE_CHECKING:\n    from house.roof import x",
        "roof.py": "import house.cellar",
        "cellar.py": "",
    }
    package = house(tmp_path, files)
    assert faults(package, ("cellar", "roof")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from house.cellar import wine",
        "import house.cellar",
        "def later():\n    import house.cellar",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import house.cellar",
    ],
)
def test_an_import_by_the_package_itself_is_found(tmp_path, source):
    package = house(tmp_path, {"__init__.py": source, "cellar.py": "wine = 1"})
    (fault,) = faults(package, ("cellar",))
    assert fault.startswith("house:") and "before it is asked to" in fault


def test_only_the_command_line_uses_the_whole_package(tmp_path):
    files = {"__init__.py": "", "cli/one.py": "import house", "cellar/cli.py": "import house"}
    (fault,) = faults(house(tmp_path, files), ("cellar", "cli"))
    assert fault.startswith("house.cellar.cli:1 ")


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


def test_every_public_name_is_there():
    import introspect as ix

    assert list(ix.__all__) == sorted(ix.__all__)
    for name in ix.__all__:
        assert getattr(ix, name) is not None
    assert set(ix.__all__) <= set(dir(ix))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ix.nonsense


def test_no_folder_bears_the_name_of_a_public_function():
    import introspect as ix

    rooms = {name.split(".")[1] for name in modules(PACKAGE) if "." in name}
    assert not rooms & set(ix.__all__)
