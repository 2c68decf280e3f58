"""The report on plain sentences: what every head attends to, over all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from introspect.records import AttentionRecord, Certificate
from introspect.reporting.prose import (
    ATTENTION_IS_NOT_CAUSATION,
    Finding,
    data_table,
    definitions,
    paragraphs,
)
from introspect.reporting.skeleton import Report, Skeleton, example_words
from introspect.statistics import Claim
from introspect.studies.atlas import Atlas
from introspect.studies.heads import (
    SimilarityAnalyzer,
    best_number,
    group_claims,
    role_claims,
    roles_of,
)
from introspect.text import counted, decimal, percent
from introspect.views import (
    Choice,
    instrument,
    role_map_section,
    role_title,
    share_measures,
    unit_of,
)

_RULES = (
    "Every token that is no special token counts once, with its row of raw weights. For a role it "
    "counts where it can see a key of that role, as far as the model’s mask lets it: a text "
    "without punctuation says nothing about attention to punctuation.",
    "A cell is the mean over all tokens of all sentences, so that a long sentence counts for more "
    "than a short one. Roles overlap: the token before may be a special one, so the shares do not "
    "add up to 100%.",
    "Even attention is what a head would give that attends equally to all that the mask lets a "
    "token see, special tokens included.",
    "Entropy says how widely a head spreads its attention, in bits: 0 for one token, 3 for eight "
    "tokens alike. Relative entropy divides it by the most that it could be.",
)
_SIMILAR = (
    "The distance of two heads is the Jensen–Shannon distance of their rows, in the mean over all "
    "tokens: 0 for heads that do the same, 1 for heads that never attend to the same token. "
    "Heads are grouped by average linkage. The number of groups is one that halves of the texts "
    "agree on (adjusted Rand index of at least 0.75), with a silhouette of at least 0.25."
)


def sentence_report(
    name: str,
    roles: pd.DataFrame,
    certificate: Certificate,
    *,
    similarity: SimilarityAnalyzer | None = None,
    example: AttentionRecord | None = None,
    notices: Sequence[str] = (),
    read: Sequence[str] = (),
    command: str | None = None,
    atlas: Atlas | None = None,
) -> Report:
    """Build one page on what the heads of a model attend to in a set of sentences.

    Args:
        name: the name of the set.
        roles: of ``RolesAnalyzer.compute``.
        certificate: of one capture, which says how it was made and by which model.
        similarity: the comparison of heads on the same sentences, if there was one.
        example: the attention over one of the sentences, to open the page with.
        notices: what a reader must know first: sentences that were left out or cut.
        read: what was read from which file, in sentences.
        command: the command line.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.
    """
    skeleton = Skeleton(
        title=f"What heads attend to in {name}",
        finding=finding_of_roles(roles),
        certificate=certificate,
        texts=int(roles["n_texts"].iloc[0]),
        notices=notices,
        read=read,
        command=command,
        atlas=atlas,
    )
    named = roles_of(roles)
    known = [role for role in named if roles[role].notna().any()]
    known.sort(key=lambda role: role != "previous")
    shares = [role for role in known if unit_of(role) == "of attention"]
    measures = share_measures(roles, {role: f"attention: {role_title(role)}" for role in shares})
    document = skeleton.begin(
        instrument=None if example is None else instrument(example, Choice(measures=measures)),
        example="" if example is None else example_words(int(roles["n_texts"].iloc[0])),
    )
    if known:
        first = known[0]
        shown = {role: named[role] for role in known}
        document.add_section(role_map_section(roles, shown, first), folds=True)
    with document.chapter("The head with most of each role"):
        document.add_prose(_strongest_table(roles, named))
    of_groups: tuple[Claim, ...] = ()
    if similarity is not None:
        with document.chapter("Heads that do the same"):
            tried = similarity.numbers()
            of_groups = group_claims(tried)
            said = dict.fromkeys(claim.sentence for claim in of_groups)
            document.add_prose(paragraphs([_SIMILAR, *said]) + _cluster_table(similarity, tried))
    terms = definitions((role_title(role), words) for role, words in named.items())
    return skeleton.finish(
        document, method=_RULES, terms=terms, captured="the first capture", claims=of_groups
    )


def finding_of_roles(roles: pd.DataFrame) -> Finding:
    """Return the headline of the table, and what it does not show."""
    claims = role_claims(roles)
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    missing = int(roles["n_missing"].max())
    caveats = [
        "A head is named for a role because it has most of it in these sentences. Some head always "
        "has most: read how much it is, and how far the next one is behind.",
        ATTENTION_IS_NOT_CAUSATION,
    ]
    if missing:
        caveats.insert(
            0,
            f"Up to {counted(missing, 'token')} of a head have no row of weights, and are left out "
            "of its means.",
        )
    return Finding(headline, tuple(details), tuple(caveats), claims)


def _strongest(roles: pd.DataFrame, role: str) -> tuple[str, str, int, str] | None:
    """Return the head with the most of a role: its name, how much, of how many tokens, and even."""
    if not roles[role].notna().any():
        return None
    row = roles.loc[roles[role].idxmax()]
    head = f"L{int(row['layer'])}H{int(row['head'])}"
    even = _shown(role, float(row[f"even_{role}"]))
    return head, _shown(role, float(row[role])), int(row[f"n_{role}"]), even


def _shown(role: str, value: float) -> str:
    unit = unit_of(role)
    return f"{decimal(value)} {unit}" if unit in ("bits", "tokens") else percent(value)


def _strongest_table(roles: pd.DataFrame, named: dict[str, str]) -> Markup:
    rows = []
    for role in named:
        found = _strongest(roles, role)
        median = _shown(role, float(roles[role].median())) if found else "–"
        head, most, _, even = found or ("–", "–", 0, "–")
        rows.append((role_title(role), head, most, median, even))
    columns = ("role", "head with most", "how much", "median of the heads", "even attention")
    return data_table(columns, rows)


def _cluster_table(similarity: SimilarityAnalyzer, tried: pd.DataFrame) -> Markup:
    """Build the table of clusters of heads, and how far apart the heads of each cluster are."""
    if best_number(tried) == 1:
        return Markup()
    distances, placed, even = similarity.matrix(), similarity.map(), similarity.from_even()
    rows = []
    for number, members in placed.groupby("cluster"):
        names = [f"L{layer}H{head}" for layer, head in members[["layer", "head"]].to_numpy()]
        inside = distances.loc[names, names].to_numpy()
        pairs = len(names) * (len(names) - 1)
        apart = decimal(inside.sum() / pairs if pairs else None)
        uneven = decimal(even.loc[names].mean())
        rows.append((int(str(number)) + 1, len(names), ", ".join(names), apart, uneven))
    columns = ("group", "heads", "which", "mean distance within", "from even attention")
    return data_table(columns, rows)
