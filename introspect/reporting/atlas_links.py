"""What an atlas says of the heads that a report names, with links to their pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from markupsafe import Markup

from introspect.errors import SelectionError
from introspect.page import template
from introspect.records import Certificate, as_head
from introspect.statistics import Claim
from introspect.studies.atlas import Atlas

_HEAD = re.compile(r"\bL\d+H\d+\b")


def check_atlas(atlas: Atlas, certificate: Certificate) -> None:
    """Raise unless an atlas is of the model that a report is about.

    Raises:
        SelectionError: it is of another model.
    """
    made_of = atlas.summary["provenance"].get("Model")
    if certificate.model and made_of and made_of != certificate.model:
        raise SelectionError(
            f"Expected an atlas of {certificate.model}, got one of {made_of}. Make one: introspect "
            f"atlas FILE --model {certificate.model} --out DIR."
        )


def named_heads(claims: Iterable[Claim]) -> list[str]:
    """Return the heads that sentences name, each once, in their order.

    Example:
        >>> one = Claim(kind="points", subject="L3H1", sentence="L3H1 points, L5H11 does not.")
        >>> named_heads([one])
        ['L3H1', 'L5H11']
    """
    return list(dict.fromkeys(name for claim in claims for name in _HEAD.findall(claim.sentence)))


def atlas_prose(atlas: Atlas, claims: Iterable[Claim]) -> Markup:
    """Build a list of the heads that claims name, each with its sentence and a link to its page.

    Raises:
        SelectionError: the atlas lacks a head; it is of some layers, or of another model.
    """
    counts = atlas.heads.groupby("layer")["head"].max() + 1
    sizes = {int(layer): int(count) for layer, count in counts.items()}
    rows = []
    for name in named_heads(claims):
        head = as_head(name, sizes)
        page = atlas.path / "heads" / f"{head}.html"
        link = f"{quote(atlas.link)}/heads/{head}.html" if page.exists() else ""
        rows.append((str(head), link, atlas.head(head).sentence))
    corpus = atlas.summary["corpus"]
    return Markup(template("introspect.reporting", "prose.html").module.atlas(rows, corpus))
