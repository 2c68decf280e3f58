"""Claims beside what the tables give."""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.recompute import formulas
from benchmarks.recompute.atlas import of_atlas
from benchmarks.recompute.bias import BIAS
from benchmarks.recompute.causal import CAUSAL
from benchmarks.recompute.detect import DETECTABLE
from benchmarks.recompute.folder import DifferenceError, Folder, Numbers, Row
from benchmarks.recompute.heads import HEADS
from benchmarks.recompute.sets import SETS
from introspect.statistics import Claim, exclusions

RECOMPUTE = {**SETS, **BIAS, **DETECTABLE, **CAUSAL, **HEADS}

#: The kinds of claims that no table has, and why.
WITHOUT_A_TABLE = {
    **dict.fromkeys(
        ("points", "points: others", "points: more", "no-points", "no-points: others", "prefers",
         "prefers-by-chance", "position", "readable", "no-distractor", "points-instead",
         "points-instead: others", "everywhere", "everywhere: others", "captured",
         "captured: heads"),
        "a page of one text has no tables beside it",
    ),
    **dict.fromkeys(
        ("logit", "logit: part", "logit: parts", "predicts", "predicts: token",
         "reads at the embeddings"),
        "a page of the logit lens has no tables beside it",
    ),
    **dict.fromkeys(
        (f"{start}groups{end}" for start in ("", "no-") for end in (
            "", ": stability", ": silhouette", ": fewest tried", ": most tried")),
        "groups are told by halves of the texts, and a table has all of them together",
    ),
    "differs: heads": "the differences of all heads are on the page, and in no table",
    "no-scores": "it has no number",
}  # fmt: skip


#: A claim, with what the tables give.
Recomputed = tuple[Row, Numbers | DifferenceError | None]


def recomputed(folder: Folder) -> list[Recomputed]:
    """Return each claim with the numbers that the tables give, or with what else differs.

    It is ``None`` where they give none.
    """
    find = of_atlas if folder.is_atlas else RECOMPUTE.get
    found: list[Recomputed] = []
    for claim in folder.claims:
        compute = find(claim["kind"])
        try:
            found.append((claim, compute(folder, claim) if compute else None))
        except DifferenceError as difference:
            found.append((claim, difference))
    return found


def differences(recomputed: Sequence[Recomputed]) -> Iterator[str]:
    """Yield what differs between the claims of a folder and its tables, in words."""
    for claim, found in recomputed:
        if isinstance(found, DifferenceError):
            yield f"{claim['kind']}, {claim['subject']}: {found}"
            continue
        for name, value in (found or {}).items():
            if not name.startswith("slack") and (words := _apart(claim, name, value, found or {})):
                yield f"{claim['kind']}, {claim['subject']}: {words}"


def _apart(claim: Row, name: str, value: float, found: Numbers) -> str:
    field, given = name.rstrip("~"), claim[name.rstrip("~")]
    if math.isnan(value):
        return ""
    if given is None:
        return f"{field} is not there, the tables give {value:.6g}"
    slack = 1e-6 * max(1.0, abs(given))
    if name.endswith("~"):
        # Both p-values are shares of permutations: of as many as are drawn here, and of 1000.
        variance = max(value * (1 - value), given * (1 - given), 1 / formulas.DRAWS)
        slack = (
            formulas.DEVIATIONS * math.sqrt(variance * (1 / formulas.DRAWS + 1 / 1000))
            + 1 / formulas.DRAWS
        )
    elif name in ("low", "high") and "slack" in found:
        slack += found["slack"]
    slack += found.get(f"slack of {name}", 0.0)
    if abs(value - given) <= slack:
        return ""
    return f"{field} is {given:.6g}, the tables give {value:.6g}"


def faults(path: Path) -> tuple[list[str], Counter[str], int]:
    """Return what is wrong with the claims of a folder, what was not recomputed, and what was."""
    page = path if path.suffix == ".html" else None
    folder = Folder(path.parent if page else path)
    found = recomputed(folder)
    wrong = list(differences(found))
    claims = [
        Claim(**{k: math.nan if v is None else v for k, v in c.items()}) for c in folder.claims
    ]
    wrong += [f"{one.sentence} | {other.sentence}: {why}" for one, other, why in exclusions(claims)]
    if shown := _shown(folder, page):
        wrong += [
            f"not on the page: {claim.plain}"
            for claim in dict.fromkeys(claims)
            if _words(claim.plain) not in shown and not _is_long_list(claim, claims)
        ]
    left = Counter(claim["kind"] for claim, numbers in found if numbers is None)
    return wrong, left, len(folder.claims) - sum(left.values())


def _shown(folder: Folder, page: Path | None) -> str:
    """Return the words of a page, or of the only one in a folder; of an atlas, of all its pages."""
    pages = [page] if page else sorted(folder.path.glob("*.html"))
    if folder.is_atlas:
        pages += sorted(folder.path.glob("heads/*.html"))
    elif len(pages) > 1:
        return ""
    texts = [each.read_text(encoding="utf-8") for each in pages]
    plain = html.unescape(" ".join(re.sub(r"<[^>]+>", "", text) for text in texts))
    # What scripts read is JSON.
    return _words(re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), plain))


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("*", ""))


def _is_long_list(claim: Claim, claims: Sequence[Claim]) -> bool:
    """Return whether a page names only the first of so many heads."""
    return sum(other.kind == claim.kind for other in claims) > 5
