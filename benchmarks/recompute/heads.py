"""Claims on what heads attend to in texts: roles, relations of treebanks, shapes."""

from __future__ import annotations

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


_RELATION = {"estimate": "accuracy", "low": "ci_low", "high": "ci_high", "p": "p_adjusted",
             "n": "n", "groups": "n_sentences", "relation": ""}  # fmt: skip

#: What recomputes each kind of claim.
HEADS: dict[str, Callable[[Folder, Row], Numbers | None]] = {
    "follows": of_row("relations.csv", **_RELATION),
    "follows: offset": of_row("relations.csv", estimate="offset_accuracy", relation=""),
    "follows: even": of_row("relations.csv", estimate="even_accuracy", relation=""),
    **dict.fromkeys(("positional", "no-positional"),
                    of_row("patterns.csv", estimate="position_share", n="n_position")),
    **dict.fromkeys(("rare_word", "no-rare_word"),
                    of_row("patterns.csv", estimate="rare_share", n="n_tokens")),
    "no-positional: by chance": of_row("patterns.csv", estimate="position_chance"),
    "no-rare_word: by chance": of_row("patterns.csv", estimate="rare_chance"),
    **{f"{start} {role}{end}": of_role for start, end in (("role", ""), ("most", ""),
       ("most", ": even")) for role in ("previous-token", "duplicate-token", "induction",
       "previous_token", "duplicate_token")},
}  # fmt: skip
