"""Check that no text of the project has a word that was replaced by a better one.

    python tools/words.py

Run by `make lint` over everything that a person reads: pages, notebooks, help, messages, docstrings
and the words of scripts. It reads sources alone, so that it needs nothing but Python. Each finding
is one line with the place, the words around it and what to say instead.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What is not said, as a pattern; what is said instead; a text that the pattern finds.
REPLACED = {
    r"(?<!\ba )\blook(s|ed|ing)? (best |most |back )?at\b": (
        "attend to",
        "a head that looks at the noun",
    ),
    r"\b(heads?|it) looks?\b(?! (like|for|right))": ("attend to", "where a head looks"),
    r"(?<!said to )\bpoints at\b|\bheads? point at\b": ("attend to", "a head points at a word"),
    r"\b(tak(e|es|en|ing)|took) (each |the |a |single )?(heads? |them |it )?out\b": (
        "ablate, remove",
        "each head taken out in turn",
    ),
    r"\bcut off\b": ("truncated; cut an edge", "words that are cut off"),
    r"\btwins?\b": ("minimal pair", "of a case and its twin"),
    r"\brelabell?(s|ed|ing)?\b": ("permutation test, permuted labels", "on relabeled cases"),
    r"\bgiv(e|es|en|ing) (nothing )?on\b(?! (this|random|texts))": (
        "output, pass on",
        "what the head gives on",
    ),
    r"state that it was given": ("input state, residual stream", "the state that it was given"),
    r"\bheads? that (reads?|answers|writes)\b": ("LM head", "with the head that reads"),
    r"\bheads? of its layer\b": ("other heads of layer 1", "the other heads of its layer 0"),
    r"\bmiddle of (all|the) heads\b": ("median of the heads", "the middle of all heads"),
    r"\bin the place of\b": ("overwrite; replace", "put in the place of an earlier run"),
    r"\bgo(es|ne)? on (where|with)\b": (
        "rerun the command to resume; resumed",
        "the command goes on where it was",
    ),
    r"\bstopped by (?!Ctrl|SIGTERM)": ("is interrupted", "Stopped by a signal, run it again"),
    r"\bwould say\b|\bmodel says\b|\bgives (?!the )(\w+|“\w+”|_\w+_|\*\w+\*) most\b": (
        "predict",
        "what each layer would say",
    ),
    r"\bno head beats\b": ("these cases do not show that …", "No head beats the nearest noun"),
    r"(?-i:\bOf) (folds|that file)|\bof the engine ray\b": (
        "random seed",
        "Of folds, resampling and permutation",
    ),
    r"\bwith_head\b": ("lm_head", "ix.load(name, with_head=True)"),
    r"\b(re)?normalis|\bcolour|\bbehaviour|\bfavour|\bneighbour|\bhonour|\blabour": (
        "American spelling",
        "weights, renormalised",
    ),
    r"\b(anal|catal)ys(e[ds]?|ing)\b(?<!analyses)|\bcent(re|red|ring)\b|\bgrey(?!_)|\blicence": (
        "American spelling",
        "the centre of a cell",
    ),
    r"\b(label|model|cancel|travel|signal)l(ed|ing)\b|\bartefact|\bcatalogue|\bjudgement": (
        "American spelling",
        "a labelled case",
    ),
    r"\b(summar|optim|initial|token|visual|character|recogn|organ|general|minim|maxim|emphas|"
    r"real|serial|vector|random|quant|util|local|categor|memor|mean-ablat)is(e[dsr]?|ing|"
    r"ation)\b(?<!realises to)": ("American spelling", "it is tokenised"),
    r"\d[  ]%(?![-\w({%])": ("68.1%, without a space", "in 95 % of the draws"),
    r"\bper cent\b": ("percent, %", "one per cent of it"),
}
#: How the docstring of a function does not begin.
OPENING = r"(What|How|Whether|Which|Where|If)\b"
#: How the help of an option does not begin: it names the thing.
HELP = r"(What|How|Whether|Which|Where|If|Of|For|Its|Only these)\b"
#: Titles and names of others, and names that stay as they are.
ALLOWED = ("What Does BERT Look At?",)
PAGES = ("*.md", "docs/**/*.md", "introspect/models/circuits/*/README.md", "examples/*.md")
SCRIPTS = ("introspect/**/assets/*.js", "introspect/**/*.toml")
CODE = ("introspect/**/*.py", "tools/**/*.py", "benchmarks/**/*.py", "examples/**/*.py")
#: The checker names what it looks for; what was released is told in the words of its time.
LEFT_OUT = ("tools/words.py", "CHANGELOG.md")


def main() -> int:
    """Print the findings; return 0 if there is none."""
    found = findings()
    for line in found:
        print(line, file=sys.stderr)
    return int(bool(found))


def findings() -> list[str]:
    """Return one line for each use of a replaced word, and for each docstring that opens badly."""
    found = [
        f"{place}: “…{use}…”: say: {instead}"
        for place, text in texts().items()
        for pattern, (instead, _) in REPLACED.items()
        for use in uses(pattern, text)
    ]
    for path in files(CODE):
        for line, opening in openings(path.read_text(encoding="utf-8")):
            found.append(f"{named(path)}:{line}: “{opening}”: begin with a verb: Return the …")
    for path in files(("introspect/cli/*.py",)):
        for line, told in helps(path.read_text(encoding="utf-8")):
            found.append(f"{named(path)}:{line}: “{told}”: name the thing: Random seed for …")
    return found


@cache
def texts() -> dict[str, str]:
    """Return everything that a person reads, by the file it is in."""
    told = {named(path): path.read_text(encoding="utf-8") for path in files((*PAGES, *SCRIPTS))}
    for path in files(("notebooks/*.ipynb",)):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        told[named(path)] = "\n".join("".join(cell["source"]) for cell in cells)
    for path in files(CODE):
        told[named(path)] = "\n".join(strings_of(path.read_text(encoding="utf-8")))
    return told


def files(patterns: tuple[str, ...]) -> list[Path]:
    """Return the files of the project that fit one of the patterns."""
    found = (path for pattern in patterns for path in sorted(ROOT.glob(pattern)))
    return [path for path in found if named(path) not in LEFT_OUT]


def named(path: Path) -> str:
    """Return the path of a file within the project."""
    return path.relative_to(ROOT).as_posix()


def strings_of(source: str) -> Iterator[str]:
    """Yield the docstrings and messages of a module; values in an f-string are an ellipsis."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value
        waiting += ast.iter_child_nodes(node) if not isinstance(node, ast.JoinedStr) else []


def openings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the opening of each function docstring that begins with a question."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            opening = (ast.get_docstring(node) or "").partition("\n")[0]
            if re.match(OPENING, opening):
                yield node.lineno, opening


def helps(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each help that does not name the thing."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "help":
            told = "".join(strings_of(ast.unparse(node.value)))
            if re.match(HELP, told):
                yield node.value.lineno, told


def uses(pattern: str, text: str) -> list[str]:
    """Return where a text has the pattern, each with a few words around it."""
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    line = re.sub(r"\s+", " ", text)
    matches = re.finditer(pattern, line, re.IGNORECASE)
    return [line[max(0, match.start() - 40) : match.end() + 20] for match in matches]


if __name__ == "__main__":
    sys.exit(main())
