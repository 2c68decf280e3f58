"""The tree of errors is the one its docstring draws."""

from __future__ import annotations

import importlib.metadata
import inspect
import re

import pytest

from introspect import errors

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and value.__module__ == errors.__name__
}


def drawn_tree() -> dict[str, str | None]:
    """Each class of the drawing with the one it hangs on."""
    parents: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^([ │├└─]*)([A-Z]\w+Error)\b", line)
        if not match:
            continue
        depth, name = len(match[1]), match[2]
        while path and path[-1][0] >= depth:
            path.pop()
        parents[name] = path[-1][1] if path else None
        path.append((depth, name))
    return parents


def test_the_drawing_has_every_class_and_no_other():
    assert set(drawn_tree()) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_hangs_where_it_is_drawn(name):
    parent = drawn_tree()[name]
    bases = [base.__name__ for base in CLASSES[name].__bases__]
    assert bases[0] == (parent or "Exception")


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_is_caught_by_the_root_and_is_public(name):
    assert issubclass(CLASSES[name], errors.IntrospectError)
    assert name in errors.__all__


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("TextError", ValueError),
        ("MentionError", ValueError),
        ("SelectionError", ValueError),
        ("RecordError", ValueError),
        ("OutputError", OSError),
        ("MissingExtraError", ImportError),
    ],
)
def test_errors_are_also_what_python_would_have_raised(name, builtin):
    assert issubclass(CLASSES[name], builtin)


def test_a_missing_extra_says_how_to_install_it():
    error = errors.MissingExtraError("ray", "ray", "Running on several machines")
    assert 'pip install "ray>=' in str(error)
    assert "'ray'" in str(error)
    assert (error.package, error.extra) == ("ray", "ray")


def test_the_command_for_an_extra_names_packages_that_pip_finds(monkeypatch):
    lines = [
        "torch>=2.6",
        "peft>=0.21; extra == 'wrappers'",
        'bits>=0.50; sys_platform != "darwin" and extra == "wrappers"',
        "ray>=2.60; extra == 'ray'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    command = 'pip install "peft>=0.21" "bits>=0.50"'
    assert errors.install_command("wrappers", "peft") == command
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    assert errors.install_command("ray", "ray") == 'pip install "ray"'
