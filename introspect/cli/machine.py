"""Commands about this machine: its environment, and what can be captured on it."""

from __future__ import annotations

from typing import Annotated

import typer

from introspect.cli.shared import AllowPickle, load, print_table, show_notices

__all__ = ["app", "doctor"]


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


def app(
    host: Annotated[
        str, typer.Option(help="The address to listen at; by default this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port.", min=1, max=65_535)] = 8501,
) -> None:
    """Serve the app: type a sentence, see its attention (extra app). Ctrl-C ends it."""
    from introspect.app.starting import LOOPBACK, address_of, check_start, serve

    check_start(host, port)
    if host not in LOOPBACK:
        show_notices(
            (
                "whoever reaches this address can load models, also from folders of this machine; "
                "leave --host out to keep it to yourself",
            )
        )
    typer.echo(address_of(host, port))
    serve(host, port)
