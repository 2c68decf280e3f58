"""Write docs/reference/cli.md from the commands themselves.

Run as

    python tools/cli_page.py            # fails where the page is not what the commands say
    python tools/cli_page.py --write    # renews it
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
_OPENING = """\
# Command line

Made from the commands by `python tools/cli_page.py --write`; a test keeps it up to date. A bare
`introspect` prints its help, `introspect COMMAND --help` that of a command.
[Exit codes and environment](environment.md) are on a page of their own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the page with the commands, or write it; return 0 if it is right."""
    if "--write" in (sys.argv[1:] if arguments is None else arguments):
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    print("docs/reference/cli.md is stale: python tools/cli_page.py --write", file=sys.stderr)
    return 1


def page() -> str:
    """Return the text of the page."""
    from typer.main import get_command

    from introspect.cli.main import app

    command: Any = get_command(app)
    parts = [_OPENING, *_options(command)]
    for name, each in command.commands.items():
        parts += [f"## introspect {name}", _sentence(each.help), _usage(name, each)]
        parts += _options(each)
    return "\n\n".join(parts) + "\n"


def _usage(name: str, command: Any) -> str:
    given = [_argument(each) for each in command.params if each.param_type_name == "argument"]
    return "\n".join(["```text", " ".join(["introspect", name, *given, "[OPTIONS]"]), "```"])


def _argument(argument: Any) -> str:
    name = argument.name.upper() + (" …" if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _options(command: Any) -> list[str]:
    """Return a table of the arguments and options; nothing of a command without any."""
    rows = [row for each in command.params if not each.hidden for row in _row(each)]
    return (
        ["\n".join(["| option | what it is | default |", "|---|---|---|", *rows])] if rows else []
    )


def _row(option: Any) -> Iterator[str]:
    if option.name in ("help", "install_completion", "show_completion"):
        return
    if option.param_type_name == "argument":
        names = [option.name.upper()]
    else:
        names = [*option.opts, *option.secondary_opts]
    default = (
        "" if option.default in (None, False, ()) or callable(option.default) else option.default
    )
    shown = "" if default == "" else f"`{_plain(default)}`"
    written = ", ".join(f"`{name}`" for name in names)
    yield f"| {written} | {_cell(option.help)} | {shown} |"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes"
    return str(getattr(value, "value", value))


def _cell(text: str | None) -> str:
    return " ".join((text or "").replace("|", "\\|").split())


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    sys.exit(main())
