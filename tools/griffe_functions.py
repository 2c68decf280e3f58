"""Griffe extension: show a function as one, also where its module has the same name.

``from .score import score`` makes ``introspect.score`` a function at run time. Read from sources
it is ambiguous, and the reference would show the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import griffe


class Functions(griffe.Extension):
    """Let a name that a package imports from its module of that name be what is imported."""

    def on_package(self, *, pkg: Any, loader: Any, **_: Any) -> None:
        """Replace such names once every other one is resolved; Griffe calls this."""
        # What is replaced is not walked again: fields of dataclasses are read before.
        griffe.DataclassesExtension().on_package(pkg=pkg, loader=loader)
        loader.resolve_aliases(implicit=True)
        for package in list(_packages(pkg)):
            for name, member in list(package.members.items()):
                module = member.final_target if member.is_alias and member.resolved else member
                if module.is_alias or not module.is_module or name not in module.members:
                    continue
                if package.imports.get(name):
                    package.members[name] = griffe.Alias(name, module.members[name], parent=package)


def _packages(module: Any) -> Iterator[Any]:
    yield module
    for member in list(module.members.values()):
        if not member.is_alias and member.is_module:
            yield from _packages(member)
