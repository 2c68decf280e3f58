"""The map of known roles: every head's scores on random tokens, framed where it has the role."""

from __future__ import annotations

from introspect.heads import HeadStudy
from introspect.heads.detecting import SCORES
from introspect.page import Section
from introspect.reporting.head_wording import LOOKS_AT
from introspect.reporting.role_map import grid_of
from introspect.views.palette import SEQUENTIAL, themed

__all__ = ["known_roles_section"]


def known_roles_section(study: HeadStudy) -> Section | None:
    """Build the section of a page that shows the map; ``None`` where no score is known.

    Args:
        study: the study of heads.
    """
    table = study.roles
    layers = sorted(int(layer) for layer in table["layer"].unique())
    known = [name for name in SCORES if table[name].notna().any()]
    if not known:
        return None
    return Section(
        kind="role-map",
        title="Every head",
        lead=(
            "Choose a role. A cell is a head’s score for it, the mean over the random sequences; "
            "colours run from 0 to all of its attention. Framed heads have the role. Point at a "
            "head for its number."
        ),
        state={
            "layers": layers,
            "numHeads": int(table["head"].max()) + 1,
            "scale": themed(SEQUENTIAL),
            "first": _first(study, known),
            "roles": [
                {
                    "name": name,
                    "title": SCORES[name],
                    "words": f"attention to {LOOKS_AT[name]}",
                    "unit": "of attention",
                    "counted": "sequences",
                    "most": 1,
                    "values": grid_of(table, name, layers),
                    "low": grid_of(table, f"{name}_ci_low", layers),
                    "high": grid_of(table, f"{name}_ci_high", layers),
                    "counts": grid_of(table, "n_sequences", layers),
                    "framed": [
                        [layers.index(head.layer), head.head] for head in study.called(SCORES[name])
                    ],
                }
                for name in known
            ],
        },
    )


def _first(study: HeadStudy, known: list[str]) -> str:
    """Return the rarest of the roles that were found, or else the first score."""
    found = [name for name in known if study.called(SCORES[name])]
    return found[-1] if found else known[0]
