"""What a page is made of: templates, scripts, Plotly and styles.

A template escapes whatever is put into it, unless it is HTML already. Each script is an ES module
that imports only from its siblings. A page cannot load modules without a network or a looser
policy, so the files are joined in the order of their imports. Each becomes a function with a scope
of its own that returns what the file exports.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from introspect.text import visible_text

#: Of the vendored file, so that an unintended change is noticed before any page is written.
PLOTLY_SHA256 = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"

_IMPORT = re.compile(
    r'^import \{(?P<names>\s*\w+(?:,\s*\w+)*,?\s*)\} from "\./(?P<name>[\w-]+)\.js";\n',
    re.MULTILINE,
)
_EXPORT = re.compile(
    r"^export (?P<declared>(?:async )?function|class|const) (?P<name>\w+)", re.MULTILINE
)
_LEFTOVER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)

_MOUNT = re.compile(r"^export (?:async )?function (?P<name>mount\w+View)\b", re.MULTILINE)

# Comments are for whoever reads the sources: a page has no use for their bytes.
_COMMENT = re.compile(r"^[ \t]*(?://[^\n]*|/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*)\n", re.MULTILINE)
_STYLE_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_INDENT = re.compile(r"\n\s*")
# Between selectors and rules, where no indentation is; a space elsewhere may mean something.
_AROUND_MARKS = re.compile(r"[ \n]?([{};])[ \n]?")

_ENTRY = "entry"


@cache
def bundle(kinds: frozenset[str] | None = None) -> str:
    """Return the scripts of a page as one.

    Args:
        kinds: the kinds of views in the page; all by default. The script of a kind is in a file
            of its name and exports the function that builds the view.

    Raises:
        ValueError: a kind has no script.
    """
    sources = _sources()
    mounts = {
        name: match["name"] for name, source in sources.items() if (match := _MOUNT.search(source))
    }
    if missing := sorted((kinds or frozenset()) - set(mounts)):
        raise ValueError(f"Expected a script that makes each kind of view, none for {missing}.")
    chosen = {kind: mount for kind, mount in mounts.items() if kinds is None or kind in kinds}
    return join_modules({**sources, _ENTRY: _entry(chosen)}, _ENTRY)


def _entry(mounts: Mapping[str, str]) -> str:
    """Return the module that starts a page with these views."""
    imports = ['import { start } from "./page.js";\n']
    imports += [f'import {{ {mount} }} from "./{kind}.js";\n' for kind, mount in mounts.items()]
    table = ", ".join(f'"{kind}": {mount}' for kind, mount in mounts.items())
    return f"{''.join(imports)}start({{ {table} }});\n"


@cache
def _sources() -> Mapping[str, str]:
    """Return every script, by file name."""
    folder = files("introspect.page") / "assets"
    return {
        entry.name.removesuffix(".js"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".js")
    }


@cache
def read_asset(name: str) -> str:
    """Return the content of a text asset."""
    return (files("introspect.page") / "assets" / name).read_text(encoding="utf-8")


def join_modules(sources: Mapping[str, str], entry: str) -> str:
    """Join the modules that ``entry`` needs, in the order of their imports, into one strict script.

    Raises:
        ValueError: circular imports, a missing file, or an unsupported form of import.
    """
    ordered: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"Expected no circle of imports, got {' → '.join((*path, name))}.")
        if name in ordered:
            return
        if name not in sources:
            raise ValueError(f"Expected the script {name!r}, imported by {path[-1]}; none there.")
        for match in _IMPORT.finditer(sources[name]):
            visit(match["name"], (*path, name))
        ordered.append(name)

    visit(entry, ())
    body = "\n".join(_as_function(name, sources[name]) for name in ordered)
    return f'(() => {{\n"use strict";\nconst modules = {{}};\n{body}\n}})();\n'


def _as_function(name: str, source: str) -> str:
    exports = ", ".join(match["name"] for match in _EXPORT.finditer(source))
    plain = _COMMENT.sub("", source)
    plain = _IMPORT.sub(r'const {\g<names>} = modules["\g<name>"];\n', plain)
    plain = _EXPORT.sub(r"\g<declared> \g<name>", plain)
    if leftover := _LEFTOVER.search(plain):
        raise ValueError(f"Expected only named imports and exports in {name}: {leftover[0]!r}.")
    # Nor has it a use for indents: no text in a script goes over several lines.
    plain = _INDENT.sub("\n", plain)
    return f'modules["{name}"] = (() => {{\n{plain}return {{ {exports} }};\n}})();\n'


@cache
def plotly_source() -> str:
    """Return the vendored Plotly."""
    source = files("introspect.page") / "vendor" / "plotly" / "plotly-cartesian.min.js"
    return source.read_text(encoding="utf-8")


def as_json(data: Any) -> str:
    """Return JSON that cannot end the script element around it, and holds no NUL."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def binary_block(name: str, base64_gzip: str) -> str:
    """Return an element that holds compressed data for the scripts to unpack."""
    return f'<script type="application/octet-stream" id="{name}">{base64_gzip}</script>'


@cache
def packed_script(text: str) -> str:
    """Return what many pages carry, compressed once."""
    return packed(text)


def packed(text: str) -> str:
    """Return a text compressed, in characters that HTML leaves alone."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


def policy_for(*scripts: str) -> str:
    """Return the Content-Security-Policy that allows these scripts and no network requests."""
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; "
        # Plotly sets styles on the elements it draws.
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


#: In cascade order: what all views share, then the views, then print styles, which take precedence.
STYLES = (
    "base", "words", "instrument", "minimap", "tables", "chapters", "controls", "tokens", "grid",
    "matrix", "head", "model", "layer", "arithmetic", "evolution", "flow", "playback", "compare",
    "coreference", "cases", "image", "audio", "atlas", "drawn", "frame", "print",
)  # fmt: skip


#: Those of one kind of view: a page without it does not carry them.
STYLES_OF_ONE = frozenset({"layer", "flow", "compare", "image", "audio"})


@cache
def style_sheet(kinds: frozenset[str] = STYLES_OF_ONE) -> str:
    """Return the styles of a page as one sheet.

    Args:
        kinds: the kinds of views in the page; all by default.
    """
    wanted = (name for name in STYLES if name not in STYLES_OF_ONE or name in kinds)
    return "\n".join(map(plain_styles, wanted))


def plain_styles(name: str) -> str:
    """Return one of the styles without what only its readers need, which a page would carry."""
    bare = _STYLE_COMMENT.sub("", read_asset(f"styles/{name}.css"))
    return _AROUND_MARKS.sub(r"\1", _INDENT.sub("\n", bare)).strip()


@cache
def template(package: str, name: str) -> Any:
    """Return a template from the folder ``templates`` of a package.

    Its macros, called through ``.module``, return HTML. Two filters serve text from outside:
    ``visible`` shows characters that cannot be seen, ``emphasized`` the words between asterisks.
    """
    return _environment(package).get_template(name)


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = lambda text: visible_text(str(text))
    environment.filters["emphasized"] = emphasized
    return environment


def emphasized(sentence: str) -> Markup:
    """Return a sentence as HTML: ``*marked*`` words as emphasis, everything else as text.

    Example:
        >>> emphasized("*it* & others")
        Markup('<em>it</em> &amp; others')
    """
    return Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", str(escape(sentence))))
