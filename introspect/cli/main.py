"""Run a command: its exit code, and a one-line message on failure."""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from typing import Annotated, Any, TextIO

import typer
import typer.core

from introspect.cli import corpus, pages, sets, studies
from introspect.deprecated import renamed_arguments
from introspect.errors import IntrospectError

#: The exit code of a command that Ctrl-C stopped: 128 and the number of the signal.
STOPPED = 130
#: The exit code of a command that SIGTERM stopped, as `kill`, a batch system and Docker send it.
TERMINATED = 143


class TerminatedError(KeyboardInterrupt):
    """Raised for SIGTERM, so that everything is cleaned up as after Ctrl-C."""


class StoppedError(Exception):
    """Raised for Ctrl-C or SIGTERM, in a form that the parser passes on with its message."""


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
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from introspect import __version__

        typer.echo(f"introspect {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """See what a pretrained Transformer attends to, and whether it matters."""


for _command in (
    pages.report,
    pages.view,
    pages.compare,
    sets.cases,
    sets.probe,
    corpus.atlas,
    studies.heads,
    studies.lens,
    studies.causal,
    studies.ablate,
    pages.index,
    sets.doctor,
    sets.app,
):
    app.command()(_command)


def program() -> None:
    """Run ``main`` in a process that ends with it, where a second Ctrl-C may come late."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except KeyboardInterrupt as stop:
        _stop(stop)
    finally:
        # From here on nothing is left to stop, and Python would only complain.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


_TERMINATED = "terminated; what is finished is kept"
#: The signals that have come: Ray raises an error of its own in the place of ours.
_RECEIVED: list[int] = []


def _terminate(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows cleans up
    _RECEIVED.append(number)
    raise TerminatedError(_TERMINATED)


def _stop(stop: BaseException) -> None:
    """End with the exit code of the signal that has stopped a command."""
    if signal.SIGTERM in _RECEIVED:
        _fail(_TERMINATED, None, code=TERMINATED)
    _fail(str(stop) or "interrupted", None, code=STOPPED)


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:] or ["--help"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = app(args=renamed_arguments(arguments), standalone_mode=False)
    except typer.Abort:
        _fail("interrupted", None, code=STOPPED)
    except (KeyboardInterrupt, StoppedError) as stop:
        _stop(stop)
    except IntrospectError as error:
        _fail(str(error), error, code=2)
    except Exception as error:
        if hasattr(error, "format_message"):  # what the parser raises for bad arguments
            _fail(f"{error.format_message()} Try: {_help_of(error)}", error, code=2)
        _fail(
            f"{type(error).__name__}: {error} (a fault of introspect itself; "
            "-v before the command shows where)",
            error,
            code=1,
        )
    sys.exit(code or 0)


def _help_of(error: Any) -> str:
    """Return the command that shows the help on what was typed wrongly."""
    context, words = getattr(error, "ctx", None), ["--help"]
    while context is not None and context.parent is not None:
        context, words = context.parent, [context.info_name, *words]
    return " ".join(["introspect", *words])


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as a notice: to a user of the command line the place in the code is noise."""
    print(f"introspect: notice: {message}", file=sys.stderr)


def _fail(message: str, error: BaseException | None, *, code: int) -> None:
    if error is not None and {"-v", "--verbose"} & set(sys.argv[1:]):
        traceback.print_exception(error)
    line = " ".join(message.split())
    print(f"introspect: error: {line}", file=sys.stderr)
    sys.exit(code)
