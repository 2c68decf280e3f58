"""Run a command: its exit code, and a one-line message on failure."""

from __future__ import annotations

import signal
import sys
import traceback

import typer

from introspect.cli.commands import StoppedError, app
from introspect.errors import IntrospectError

__all__ = ["main", "program"]


def program() -> None:
    """Run ``main`` in a process that ends with it, where a second Ctrl-C may come late."""
    try:
        main()
    except KeyboardInterrupt:
        _fail("interrupted", None, code=1)
    finally:
        # From here on nothing is left to stop, and Python would only complain.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    try:
        code = app(args=arguments, standalone_mode=False)
    except typer.Abort:
        _fail("interrupted", None, code=1)
    except (KeyboardInterrupt, StoppedError) as stop:
        _fail(str(stop) or "interrupted", None, code=1)
    except IntrospectError as error:
        _fail(str(error), error, code=2)
    except Exception as error:
        if hasattr(error, "format_message"):  # what the parser raises for bad arguments
            _fail(f"{error.format_message()} Try: introspect --help", error, code=2)
        _fail(
            f"{type(error).__name__}: {error} (a fault of introspect itself; "
            "-v before the command shows where)",
            error,
            code=1,
        )
    sys.exit(code or 0)


def _fail(message: str, error: BaseException | None, *, code: int) -> None:
    if error is not None and {"-v", "--verbose"} & set(sys.argv[1:]):
        traceback.print_exception(error)
    line = " ".join(message.split())
    print(f"introspect: error: {line}", file=sys.stderr)
    sys.exit(code)
