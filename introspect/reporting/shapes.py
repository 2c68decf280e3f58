"""The report on the shapes of heads' patterns over texts: positions, rare words, classes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from introspect.functional import PATTERN_CLASSES
from introspect.page import Instrument
from introspect.records import AttentionRecord, Certificate, Head
from introspect.reporting.prose import ATTENTION_IS_NOT_CAUSATION, Finding, data_table, paragraphs
from introspect.reporting.skeleton import Report, Skeleton, example_words
from introspect.studies.atlas import Atlas
from introspect.studies.heads import heads_listed, pattern_claims
from introspect.text import NO_NUMBER, counted, listed, percent, whole
from introspect.views import Choice, instrument, share_measures

_MANY = 12

PATTERN_RULES = (
    "Positional, and on rare words (Voita et al. 2019): of each token’s row the largest weight "
    "counts, if it is the only one; special tokens compete, and a head that gives most to them is "
    "neither. How rare a word is was counted in these texts themselves, so that few texts say "
    "little.",
    "The shape of a pattern (Kovaleva et al. 2019; the shares are this package’s own): vertical if "
    "half of it goes to two tokens whatever the query, diagonal if half of it goes to the token "
    "itself and its neighbors, both if each has a quarter and they three quarters "
    "together; block if it stays in the own one of two segments; else heterogeneous. A head has "
    "the shape that it has in most texts.",
)


def patterns_report(
    name: str,
    patterns: pd.DataFrame,
    certificate: Certificate,
    *,
    example: AttentionRecord | None = None,
    notices: Sequence[str] = (),
    read: Sequence[str] = (),
    command: str | None = None,
    atlas: Atlas | None = None,
) -> Report:
    """Build the page on the shapes of the patterns of heads over texts.

    Args:
        name: the name of the set.
        patterns: of ``PatternsAnalyzer.compute``.
        certificate: of one capture.
        example: the attention over one of the sentences, to open the page with.
        notices: what a reader must know first.
        read: what was read from which file, in sentences.
        command: the command line.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.
    """
    skeleton = Skeleton(
        title=f"Shapes of attention in {name}",
        finding=finding_of_patterns(patterns),
        certificate=certificate,
        texts=int(patterns["n_texts"].iloc[0]),
        notices=notices,
        read=read,
        command=command,
        atlas=atlas,
    )
    document = skeleton.begin(
        instrument=None if example is None else _opening(example, patterns),
        example="" if example is None else example_words(int(patterns["n_texts"].iloc[0])),
    )
    with document.chapter("Where the largest weights are"):
        document.add_prose(places_table(patterns))
    with document.chapter("Shapes"):
        document.add_prose(classes_table(patterns))
    return skeleton.finish(document, method=PATTERN_RULES, captured="the first capture")


def _opening(example: AttentionRecord, patterns: pd.DataFrame) -> Instrument:
    """Return the example, its heads colored by what was measured on all texts."""
    labels = {
        "position_share": "largest weights at one place",
        "rare_share": "largest weights at rare words",
    }
    chances = {name: float(patterns[name.replace("share", "chance")].mean()) for name in labels}
    return instrument(example, Choice(measures=share_measures(patterns, labels, chances)))


def finding_of_patterns(patterns: pd.DataFrame) -> Finding:
    """Return the headline of the table, and what it does not show."""
    claims = pattern_claims(patterns)
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    return Finding(headline, tuple(details), (ATTENTION_IS_NOT_CAUSATION,), claims)


def pattern_words(patterns: pd.DataFrame) -> list[str]:
    """Describe positional and rare-word heads on texts, or the head that comes nearest."""
    _, *details = dict.fromkeys(claim.sentence for claim in pattern_claims(patterns))
    return details


def place_words(offset: int) -> str:
    """Describe a key's position relative to the query.

    Example:
        >>> place_words(-1), place_words(2)
        ('the token before', '2 tokens after')
    """
    side = "before" if offset < 0 else "after"
    return f"the token {side}" if abs(offset) == 1 else f"{counted(abs(offset), 'token')} {side}"


def places_table(patterns: pd.DataFrame) -> Markup:
    """Build the table of heads with most of their maxima at one offset, up to a dozen."""
    known = patterns[patterns["position_share"].notna()]
    ordered = known.sort_values("position_share", ascending=False, kind="stable")
    many = max(_MANY, int(known["is_positional"].sum()))
    rows = [
        (
            str(Head(int(row["layer"]), int(row["head"]))),
            place_words(int(row["position"])),
            _beside_chance(row["position_share"], row["position_chance"]),
            whole(row["n_position"]),
            _beside_chance(row["rare_share"], row["rare_chance"]),
            row["pattern"].replace("_", " and "),
        )
        for row in ordered.head(many).to_dict("records")
    ]
    columns = (
        "head",
        "place",
        "largest weights there",
        "of tokens",
        "on the rarest token",
        "shape",
    )
    return data_table(columns, rows)


def _beside_chance(value: float, chance: float) -> str:
    beside = "" if pd.isna(value) else f" (a blind choice {percent(chance)})"
    return f"{percent(value)}{beside}"


def classes_table(patterns: pd.DataFrame) -> Markup:
    """Build the table of how many heads, and which, have each shape."""
    rows = []
    for shape in (*PATTERN_CLASSES, "none"):
        of_shape = patterns[patterns["pattern"] == shape]
        heads = [Head(int(row.layer), int(row.head)) for row in of_shape.itertuples()]
        if heads or shape != "none":
            words = "no text was long enough" if shape == "none" else shape.replace("_", " and ")
            rows.append((words, len(heads), heads_listed(heads) or NO_NUMBER))
    even = listed(
        dict.fromkeys(patterns.loc[patterns["even_pattern"] != "none", "even_pattern"]), "or"
    ).replace("_", " and ")
    said = [f"Even attention over all that the mask allows would be {even}."] if even else []
    return data_table(("shape", "heads", "which"), rows) + paragraphs(said)
