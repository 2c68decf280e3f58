"""Claims on what heads attend to in texts: roles, relations of treebanks, shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks.recompute.folder import HEAD, Folder, Numbers, Row
from benchmarks.recompute.rows import of_row


def of_role(folder: Folder, claim: Row) -> Numbers | None:
    """Read a score of a head, or of even attention, from the table of roles."""
    table = folder.table("heads.csv")
    score = claim["kind"].removeprefix("role ").removeprefix("most ").split(":")[0]
    score = score.replace("-", "_").replace("previous_token_token", "previous_token")
    if table is None or score not in table:
        return None
    layer, head = map(int, HEAD.findall(claim["subject"])[0])
    rows = table[(table["layer"] == layer) & (table["head"] == head)]
    if claim["kind"].endswith(": even"):
        return {"estimate": float(rows[f"{score}_baseline"].iloc[0])}
    assert claim["kind"].startswith("role") or rows[score].iloc[0] == table[score].max()
    return {
        "estimate": float(rows[score].iloc[0]), "low": float(rows[f"{score}_ci_low"].iloc[0]),
        "high": float(rows[f"{score}_ci_high"].iloc[0]),
    }  # fmt: skip


def of_pattern(share: str, n: str) -> Callable[[Folder, Row], Numbers | None]:
    """Return a function that reads a share of patterns; that of all heads is of none."""
    read = of_row("patterns.csv", estimate=share, n=n)

    def of_some(folder: Folder, claim: Row) -> Numbers | None:
        table = folder.table("patterns.csv")
        if table is None or claim["subject"] != "all heads":
            return read(folder, claim)
        assert table[share].isna().all(), "some head has a share"
        return {}

    return of_some


def of_no_role(folder: Folder, claim: Row) -> Numbers | None:
    """Recompute the largest score of all heads; count the heads; read the threshold."""
    table = folder.table("heads.csv")
    if table is None:
        return None
    if claim["kind"].endswith("threshold"):
        return {"estimate": folder.summary["threshold"]}
    if claim["kind"].endswith("heads"):
        return {"estimate": len(table)}
    scores = [name.removesuffix("_ci_low") for name in table if name.endswith("_ci_low")]
    return {"estimate": max(float(table[name].max()) for name in scores),
            "n": float(table["n_sequences"].iloc[0])}  # fmt: skip


def of_read(folder: Folder, claim: Row) -> Numbers | None:
    """Read how much was read: by heads with roles, shapes of patterns, or roles in sentences."""
    if claim["kind"].endswith("threshold"):
        return {"estimate": folder.summary["threshold"]}
    if claim["sentence"].startswith("The model read"):
        table, columns = folder.table("heads.csv"), ("length", "n_sequences")
    else:
        name = "patterns" if claim["sentence"].startswith("The shapes") else "roles"
        table, columns = folder.table(f"{name}.csv"), ("n_tokens", "n_texts")
    if table is None:
        return None
    if claim["kind"].endswith("heads"):
        return {"estimate": len(table)}
    return {"estimate": float(table[columns[0]].iloc[0]), "n": float(table[columns[1]].iloc[0])}


def of_unobservable(folder: Folder, claim: Row) -> Numbers | None:
    """Check that some score has no value in any head; the claim has no number."""
    table = folder.table("heads.csv")
    assert table is None or table.isna().all().any(), "every score is known"
    return {}


def of_sentences(folder: Folder, claim: Row) -> Numbers | None:
    """Read from the table of roles what a head gives most to, or what even attention does."""
    table = folder.table("roles.csv")
    if table is None:
        return None
    role = claim["kind"].removeprefix("most ").removesuffix(": even")
    layer, head = map(int, HEAD.findall(claim["subject"])[0])
    row = table[(table["layer"] == layer) & (table["head"] == head)].iloc[0]
    assert row[role] == table[role].max(), "another head gives more"
    if claim["kind"].endswith(": even"):
        return {"estimate": float(row[f"even_{role}"])}
    return {"estimate": float(row[role]), "n": float(row[f"n_{role}"])}


def of_relations(folder: Folder, claim: Row) -> Numbers | None:
    """Count relations, or read the one that comes nearest, or what would have been found."""
    table = folder.table("relations.csv")
    if table is None:
        return None
    tested = table[table["accuracy"].notna()]
    if claim["kind"] == "no-test":
        assert tested.empty, "some relation was tested"
        return {}
    counts = {
        "followed": tested["is_followed"].astype(bool).sum(), "followed: tested": len(tested),
    }  # fmt: skip
    if claim["kind"] in counts:
        return {"estimate": float(counts[claim["kind"]])}
    if claim["kind"] == "no-follows: sentences":
        return {"estimate": folder.summary["texts"]}
    if claim["kind"] == "no-follows":
        row = tested.loc[tested["p_adjusted"].fillna(1.0).idxmin()]
        return {field: float(row[name]) for field, name in _RELATION.items() if name}
    row = tested.loc[tested["n"].astype(float).idxmax()]
    assert row["relation"] == claim["subject"].split(", ")[1], "another relation has more pairs"
    found = {"n": float(row["n"]), "groups": float(row["n_sentences"])}
    if claim["kind"].startswith("no-"):
        assert math.isnan(row["detectable"]), "something would have been found"
        return found
    return found | {"estimate": float(row["detectable"])}


_RELATION = {"estimate": "accuracy", "low": "ci_low", "high": "ci_high", "p": "p_adjusted",
             "n": "n", "groups": "n_sentences", "relation": ""}  # fmt: skip

#: What recomputes each kind of claim.
HEADS: dict[str, Callable[[Folder, Row], Numbers | None]] = {
    "follows": of_row("relations.csv", **_RELATION),
    "follows: offset": of_row("relations.csv", estimate="offset_accuracy", relation=""),
    "follows: even": of_row("relations.csv", estimate="even_accuracy", relation=""),
    **dict.fromkeys(("positional", "no-positional"),
                    of_pattern("position_share", "n_position")),
    **dict.fromkeys(("rare_word", "no-rare_word"),
                    of_pattern("rare_share", "n_tokens")),
    **{f"no-{kind}: texts": of_row("patterns.csv", estimate="n_texts")
       for kind in ("positional", "rare_word")},
    **dict.fromkeys(("no-role", "no-role: heads", "no-role: threshold"), of_no_role),
    **dict.fromkeys(("read", "read: heads", "read: threshold"), of_read),
    "unobservable": of_unobservable,
    **{f"most {role}{end}": of_sentences for end in ("", ": even") for role in (
       "previous", "next", "self", "special", "first", "same_token", "punctuation")},
    **dict.fromkeys(("followed", "followed: tested", "no-follows", "no-follows: sentences",
                     "no-test", "detectable: follows", "no-detectable: follows"), of_relations),
    "no-positional: by chance": of_row("patterns.csv", estimate="position_chance"),
    "no-rare_word: by chance": of_row("patterns.csv", estimate="rare_chance"),
    **{f"{start} {role}{end}": of_role for start, end in (("role", ""), ("most", ""),
       ("most", ": even")) for role in ("previous-token", "duplicate-token", "induction",
       "previous_token", "duplicate_token")},
}  # fmt: skip
