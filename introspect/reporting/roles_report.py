"""The report on plain sentences: what every head attends to, over all of them."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd

from introspect.page import Document
from introspect.records import Certificate
from introspect.reporting.findings import LOOKING_IS_NOT_CAUSING, Finding
from introspect.reporting.html import (
    certificate_rows,
    notices_prose,
    paragraphs,
    provenance_of,
    set_prose,
    table,
    version_of_introspect,
)
from introspect.reporting.report import Report
from introspect.reporting.set_report import data_table
from introspect.studies.heads import SimilarityAnalyzer, role_names
from introspect.views import role_map_section, role_title, unit_of

__all__ = ["finding_of_roles", "sentence_report"]

_RULES = (
    "Every token that is no special token counts once, with its row of raw weights. For a role it "
    "counts where it can see a key of that role, as far as the model’s mask lets it: a text "
    "without punctuation says nothing about attention to punctuation.",
    "A cell is the mean over all tokens of all sentences, so that a long sentence counts for more "
    "than a short one. Roles overlap: the token before may be a special one, so the shares do not "
    "add up to 100 %.",
    "Entropy says how widely a head spreads its attention, in bits: 0 for one token, 3 for eight "
    "tokens alike. Relative entropy divides it by the most that it could be.",
)
_SIMILAR = (
    "The distance of two heads is the Jensen–Shannon distance of their rows, in the mean over all "
    "tokens: 0 for heads that do the same, 1 for heads that never look at the same token. Heads "
    "are put together by average linkage."
)
_NAMED_FIRST = ("previous", "next", "self", "special", "first", "same_token", "punctuation")


def sentence_report(
    name: str,
    roles: pd.DataFrame,
    certificate: Certificate,
    *,
    similarity: SimilarityAnalyzer | None = None,
    notices: Sequence[str] = (),
    command: str | None = None,
) -> Report:
    """Build one page on what the heads of a model attend to in a set of sentences.

    Args:
        name: the name of the set.
        roles: of ``RolesAnalyzer.compute``.
        certificate: of one capture, which says how it was made and by which model.
        similarity: the comparison of heads on the same sentences, if there was one.
        notices: what a reader must know first: sentences that were left out or cut.
        command: the command line.
    """
    title = f"What heads look at in {name}"
    finding = finding_of_roles(roles)
    document = Document(title, summary=_summary(title, finding, roles, certificate, command))
    document.add_prose(notices_prose(notices) + set_prose(finding))
    document.add_contents()
    named = _roles_of(roles)
    known = [role for role in named if roles[role].notna().any()]
    if known:
        first = "previous" if "previous" in known else known[0]
        shown = {role: named[role] for role in known}
        document.add_section(role_map_section(roles, shown, first), folds=True)
    with document.chapter("The head with most of each role"):
        document.add_prose(_strongest_table(roles, named))
    if similarity is not None:
        with document.chapter("Heads that do the same"):
            document.add_prose(paragraphs([_SIMILAR]) + _cluster_table(similarity))
    with document.chapter("How it was measured"):
        document.add_prose(paragraphs(_RULES) + _role_list(named))
    with document.chapter("Proof and provenance"):
        rows = certificate_rows(certificate)
        document.add_prose(table(rows, "Certificate of the first capture"))
        document.add_prose(table(provenance_of(certificate, command), "To repeat this report"))
    return Report(document.to_html(), finding.plain, scores=None, notices=tuple(notices))


def finding_of_roles(roles: pd.DataFrame) -> Finding:
    """Return the headline of the table, and what it does not show."""
    n = {name: int(roles[name].iloc[0]) for name in ("n_texts", "n_tokens")}
    details = [
        f"*{head}* gives most to {words.removeprefix('attention to ')}: {shown} of its attention, "
        f"over {count:,} tokens."
        for role, words in _roles_of(roles).items()
        if role in _NAMED_FIRST and (found := _strongest(roles, role))
        for head, shown, count in [found]
    ]
    missing = int(roles["n_missing"].max())
    caveats = [
        "A head is named for a role because it has most of it in these sentences. Some head always "
        "has most: read how much it is, and how far the next one is behind.",
        LOOKING_IS_NOT_CAUSING,
    ]
    if missing:
        caveats.insert(
            0,
            f"Up to {missing:,} tokens of a head have no row of weights, and are left out of its "
            "means.",
        )
    headline = (
        f"What *{len(roles)} heads* look at, over {n['n_tokens']:,} tokens of "
        f"{n['n_texts']:,} {'text' if n['n_texts'] == 1 else 'texts'}."
    )
    return Finding(headline, tuple(details), tuple(caveats))


def _roles_of(roles: pd.DataFrame) -> dict[str, str]:
    """Return a table's roles with their descriptions: each has a column and a column of counts."""
    reach = max(int(c.rsplit("_", 1)[1]) for c in ["after_1", *roles] if c.startswith("after_"))
    return {name: words for name, words in role_names(reach).items() if name in roles}


def _strongest(roles: pd.DataFrame, role: str) -> tuple[str, str, int] | None:
    """Return the head with the most of a role: its name, how much, and over how many tokens."""
    if not roles[role].notna().any():
        return None
    row = roles.loc[roles[role].idxmax()]
    head = f"L{int(row['layer'])}H{int(row['head'])}"
    return head, _shown(role, float(row[role])), int(row[f"n_{role}"])


def _shown(role: str, value: float) -> str:
    unit = unit_of(role)
    return f"{value:.2f} {unit}" if unit in ("bits", "tokens") else f"{value:.1%}"


def _strongest_table(roles: pd.DataFrame, named: dict[str, str]) -> str:
    rows = []
    for role in named:
        found = _strongest(roles, role)
        middle = _shown(role, float(roles[role].median())) if found else "–"
        rows.append((role_title(role), *(found[:2] if found else ("–", "–")), middle))
    return data_table(("role", "head with most", "how much", "middle of all heads"), rows)


def _cluster_table(similarity: SimilarityAnalyzer) -> str:
    """Build the table of clusters of heads, and how far apart the heads of each cluster are."""
    distances, placed = similarity.matrix(), similarity.map()
    rows = []
    for number, members in placed.groupby("cluster"):
        names = [f"L{layer}H{head}" for layer, head in members[["layer", "head"]].to_numpy()]
        inside = distances.loc[names, names].to_numpy()
        pairs = len(names) * (len(names) - 1)
        apart = f"{inside.sum() / pairs:.2f}" if pairs else "–"
        rows.append((int(str(number)) + 1, len(names), ", ".join(names), apart))
    return data_table(("group", "heads", "which", "mean distance within"), rows)


def _role_list(named: dict[str, str]) -> str:
    items = "".join(
        f"<li><strong>{html.escape(role_title(role))}</strong>: {html.escape(words)}</li>"
        for role, words in named.items()
    )
    return f"<ul>{items}</ul>"


def _summary(
    title: str,
    finding: Finding,
    roles: pd.DataFrame,
    certificate: Certificate,
    command: str | None,
) -> dict[str, object]:
    return {
        "kind": "report",
        "title": title,
        "finding": finding.plain,
        "texts": int(roles["n_texts"].iloc[0]),
        "cases": 0,
        "model": certificate.model,
        "revision": certificate.revision,
        "introspect": version_of_introspect(),
        "command": command,
    }
