"""Site hooks for MkDocs: render the formulas and examples of docstrings.

A formula becomes MathML, which browsers draw without a script or a font; an example becomes a block
of code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from mkdocs.plugins import event_priority

# ``.. math:: …`` and its more indented lines; and ``:math:`…``` within a line.
_BLOCK = re.compile(r"^(?P<indent> *)\.\. math::(?P<rest>.*)$")
_INLINE = re.compile(r":math:`(?P<formula>[^`]+)`")
_FENCE = re.compile(r" *(```+|~~~+)")


@event_priority(100)  # before the plugin reads its own settings
def on_config(config: Any) -> Any:
    """Register the docstring notation and how names are read; MkDocs calls this."""
    config.markdown_extensions.append(Docstrings())
    options = config.plugins["mkdocstrings"].config.handlers["python"]["options"]
    options["extensions"] = [str(Path(__file__).with_name("griffe_functions.py"))]
    return config


class Docstrings(Extension):  # type: ignore[misc]
    """Markdown extension for docstrings: formulas, and examples that run as tests."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name that Markdown calls
        """Register the preprocessor: after lines are normalized, before code is extracted."""
        md.preprocessors.register(_Docstrings(md), "docstrings", 29)


class _Docstrings(Preprocessor):  # type: ignore[misc]
    def run(self, lines: list[str]) -> list[str]:
        """Return the lines with each formula and example replaced."""
        found: list[str] = []
        waiting = list(lines)
        fence = ""
        while waiting:
            line = waiting.pop(0)
            if opened := _FENCE.match(line):
                fence = "" if opened[1] == fence else fence or opened[1]
            if fence:
                found.append(line)
            elif line.lstrip().startswith(">>> "):
                indent = line[: len(line) - len(line.lstrip())]
                found += [f"{indent}```pycon", line]
                while waiting and waiting[0].strip():
                    found.append(waiting.pop(0))
                found.append(f"{indent}```")
            elif block := _BLOCK.match(line):
                rest = _taken(waiting, len(block["indent"]))
                formula = " ".join([block["rest"].strip(), *rest])
                found += ["", block["indent"] + self._kept(formula, "block"), ""]
            else:
                found.append(_INLINE.sub(lambda match: self._kept(match["formula"]), line))
        return found

    def _kept(self, formula: str, display: str = "inline") -> str:
        """Store a formula so that Markdown leaves it alone; it treats all math as a paragraph."""
        return str(self.md.htmlStash.store(convert(formula.strip(), display=display)))


def _taken(waiting: list[str], indent: int) -> list[str]:
    """Take the lines that continue a formula, which are indented further than it is."""
    taken = []
    while waiting:
        line = waiting[0]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        taken.append(waiting.pop(0).strip())
    return taken
