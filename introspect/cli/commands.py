"""The commands of ``introspect``, each a function of a sibling module."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.core

from introspect.cli import causes, insides, machine, pages, sets

__all__ = ["StoppedError", "app"]


class StoppedError(Exception):
    """Raised for Ctrl-C, in a form that the parser passes on with its message."""


class _Commands(typer.core.TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer alone would turn Ctrl-C into an exit code without a message."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise StoppedError(str(stop)) from stop


app = typer.Typer(
    name="introspect",
    cls=_Commands,
    help="See what a pretrained Transformer attends to, and whether it matters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """See what a pretrained Transformer attends to, and whether it matters."""


for _command in (
    pages.report,
    pages.view,
    pages.compare,
    sets.cases,
    sets.probe,
    insides.heads,
    insides.lens,
    causes.causal,
    causes.ablate,
    pages.index,
    machine.doctor,
    machine.app,
):
    app.command()(_command)
