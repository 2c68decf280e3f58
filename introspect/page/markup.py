"""HTML from templates: whatever is put into one is escaped, unless it is HTML already."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from introspect.text import visible_text


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
