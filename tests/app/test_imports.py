"""The app stands on the library, and nothing stands on the app but the command that starts it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import introspect

ROOT = Path(introspect.__file__).parent
ON_SCREEN = ("cached.py", "display.py", "form.py", "server.py")


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{each.name}" for each in node.names}
        elif isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
    return names


def importers(package: str) -> set[str]:
    return {
        file.relative_to(ROOT).as_posix()
        for file in ROOT.rglob("*.py")
        if any(f"{name}.".startswith(f"{package}.") for name in imported(file))
    }


def test_only_the_command_that_starts_the_app_imports_it():
    outside = {file for file in importers("introspect.app") if not file.startswith("app/")}
    assert outside == {"cli/sets.py"}


def test_only_what_draws_imports_streamlit():
    others = {name for name in importers("streamlit") if not name.startswith("app/pages/")}
    assert others == {f"app/{name}" for name in ON_SCREEN}


@pytest.mark.slow
def test_the_app_runs_no_model_itself():
    for package in ("torch", "numpy", "introspect.hooks", "introspect.functional"):
        assert not {file for file in importers(package) if file.startswith("app/")}, package
