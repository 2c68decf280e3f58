"""What an atlas says of the heads that a report names, with links to their pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from introspect.errors import SelectionError
from introspect.io import CARDS
from introspect.page import template
from introspect.records import Certificate, Head
from introspect.studies.atlas import NOT_KNOWN, Atlas

_HEAD = re.compile(r"\bL(\d+)H(\d+)\b")
_NOT_IN_IT = "not in this atlas, which is of some layers."


def check_atlas(atlas: Atlas | None, model: str | None) -> None:
    """Raise unless an atlas is of the model that a report is about.

    Args:
        atlas: the atlas, if there is one.
        model: the name of the model, as far as it has one.

    Raises:
        SelectionError: it is of another model.
    """
    if atlas is not None and model and atlas.model and atlas.model != model:
        raise SelectionError(
            f"Expected an atlas of {model}, got one of {atlas.model}. Make one: introspect atlas "
            f"FILE --model {model} --out DIR."
        )


def named_heads(sentences: Iterable[str]) -> list[Head]:
    """Return the heads that sentences name, each once, in their order.

    Example:
        >>> list(map(str, named_heads(["*L3H1* points, L5H11 does not.", "L3H1 is the best."])))
        ['L3H1', 'L5H11']
    """
    named = (found for sentence in sentences for found in _HEAD.findall(sentence))
    return list(dict.fromkeys(Head(int(layer), int(head)) for layer, head in named))


def atlas_prose(atlas: Atlas, certificate: Certificate, sentences: Iterable[str]) -> Markup:
    """Build a list of the heads that sentences name, each with what an atlas says and a link.

    Args:
        atlas: an atlas of the model.
        certificate: of the capture that the sentences rest on.
        sentences: what the report says.

    Raises:
        SelectionError: the atlas is of another model.
    """
    check_atlas(atlas, certificate.model)
    known = {
        Head(int(row.layer), int(row.head)): str(row.sentence) for row in atlas.heads.itertuples()
    }
    rows = []
    for head in named_heads(sentences):
        has_page = atlas.has_page(str(head))
        link = f"{quote(atlas.link)}/{CARDS}/{head}.html" if has_page else ""
        rows.append((str(head), link, known.get(head, _NOT_IN_IT)))
    macros: Any = template("introspect.reporting", "prose.html").module
    return Markup(macros.atlas(rows, atlas.summary["corpus"], _other_weights(atlas, certificate)))


def _other_weights(atlas: Atlas, certificate: Certificate) -> str:
    """Say that an atlas is of another revision of the model; nothing where it is not known."""
    revision = atlas.summary["provenance"].get("Revision")
    if not certificate.revision or revision in (None, NOT_KNOWN, certificate.revision):
        return ""
    return (
        f"The atlas was made of revision {revision} of the model, this report of "
        f"{certificate.revision}."
    )
