"""Commands about this machine: what it has, and what can be captured on it."""

from __future__ import annotations

from typing import Annotated

import typer

from introspect.cli.shared import AllowPickle, load, print_table

__all__ = ["doctor"]


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model to load and to capture from.")
    ] = None,
    allow_pickle: AllowPickle = False,
) -> None:
    """Show versions and devices; with a model, what can be captured and how exactly."""
    from introspect.doctor import environment, examination

    print_table("Environment", environment())
    if model is not None:
        print_table(f"Model {model}", examination(load(model, allow_pickle=allow_pickle)))
