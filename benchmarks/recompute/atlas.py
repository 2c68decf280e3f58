"""Claims of an atlas: rules of heads, what they do on cases, what they write.

Rules are chosen anew from the table of rules, by loops over its rows, and so is the verdict. Sums
of texts stand in no table: shares and their intervals are read. Every number that a sentence prints
is looked for among the figures of its head.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator

from benchmarks.recompute.folder import HEAD, DifferenceError, Folder, Numbers, Row

#: What is named covers so much in both halves, and so much of what even attention leaves.
COVERAGE, BEYOND, SURE, FEWEST_ROWS = 0.3, 0.25, 0.25, 20
MOSTLY_SPECIAL, SIGNIFICANT = 0.9, 0.05
#: A head copies, or writes against what it reads, from or up to this share of other entries.
COPIES, SUPPRESSES = 0.75, 0.25
SPECIAL, BESIDE = "special", "reference"
_PRINTED = re.compile(r"[+−]?\d[\d,]*(?:\.\d+)?")

#: The rows of a head's rules in one half, by name.
Rows = dict[str, Row]
Place = tuple[int, int]


class Rules:
    """The table of rules, by half, head and rule.

    Args:
        folder: the folder of an atlas.
    """

    def __init__(self, folder: Folder) -> None:
        table = folder.table("rules.parquet")
        heads = folder.table("heads.parquet")
        assert table is not None, "no rules.parquet"
        assert heads is not None, "no heads.parquet"
        self.special: dict[Place, float] = {
            (row.layer, row.head): row.special for row in heads.itertuples()
        }
        self._rows: dict[str, dict[Place, Rows]] = {"finding": {}, "checking": {}}
        for row in table.to_dict("records"):
            place = row["layer"], row["head"]
            self._rows[row["half"]].setdefault(place, {})[row["rule"]] = row
        self._order = list(dict.fromkeys(table["rule"]))

    def of(self, place: Place, half: str = "checking") -> Rows:
        """Return the rows of a head in one half."""
        return self._rows[half].get(place, {})

    def best(self, place: Place, *, of_rest: bool = False) -> str | None:
        """Choose a head's rule in the half that finds; of the rest, without special tokens."""
        rows = self.of(place, "finding")
        most = max((row["n"] for row in rows.values()), default=0)
        asked = max(
            (r["n"] for p in self.special for r in self.of(p, "finding").values()), default=0
        )
        found, highest = None, -math.inf
        for name in self._in_order(rows):
            row = rows[name]
            too_few = row["n"] < min(FEWEST_ROWS, asked / 2)
            if name == BESIDE or too_few or (of_rest and name == SPECIAL):
                continue
            score = _beyond(row) * math.sqrt(row["n"] / most) + 2 * _is_strong(row)
            if name == SPECIAL:
                score = 9 if row["coverage"] >= MOSTLY_SPECIAL else score - 1.5
            if score > highest:
                found, highest = name, score
        return found

    def _in_order(self, rows: Rows) -> list[str]:
        return [name for name in self._order if name in rows]

    def is_named(self, place: Place) -> bool:
        """Decide whether the other half confirms a head's rule."""
        return self._is_strong_twice(place) and self._is_sure(place)

    def _is_strong_twice(self, place: Place) -> bool:
        best = self.best(place)
        halves = (self.of(place, half).get(best or "") for half in ("finding", "checking"))
        return all(row is not None and _is_strong(row) for row in halves)

    def _is_sure(self, place: Place) -> bool:
        row = self.of(place)[self.best(place) or ""]
        return bool(row["ci_low"] >= SURE and row["p_adjusted"] < SIGNIFICANT)

    def unsteady(self, place: Place) -> str | None:
        """Return the rule that covers enough in the half that checks alone, if one does."""
        finding, checking = self.of(place, "finding"), self.of(place)
        only = [
            name
            for name in self._in_order(checking)
            if name not in (SPECIAL, BESIDE) and _is_strong(checking[name])
            and not (name in finding and _is_strong(finding[name]))
        ]  # fmt: skip
        return max(only, key=lambda name: _beyond(checking[name]), default=None)

    def of_all_heads(self, rule: str) -> float:
        """Return the mean coverage of a rule over the heads that it asks about."""
        known = [
            self.of(place)[rule]["coverage"] for place in self.special if rule in self.of(place)
        ]
        return sum(known) / len(known)

    def part(self, place: Place, rule: str) -> float:
        """Return the part of a head's rows that a rule asks about."""
        rows = self.of(place)
        return float(rows[rule]["n"] / max(row["n"] for row in rows.values()))

    def printed(self, place: Place) -> Iterator[float]:
        """Yield the figures that the sentence of a head may print, most of them percentages."""
        yield 100 * self.special[place]
        for name in filter(None, (self.best(place), self.best(place, of_rest=True))):
            row = self.of(place).get(name)
            if row is not None:
                ends = row["coverage"], row["ci_low"], row["ci_high"], row["even"]
                yield from (100 * figure for figure in (*ends, self.of_all_heads(name)))
                yield from (100 * self.part(place, name), row["p_adjusted"], 0.001)
        if unsteady := self.unsteady(place):
            for half in ("finding", "checking"):
                yield 100 * self.of(place, half)[unsteady]["coverage"]


def _beyond(row: Row) -> float:
    left = 1 - row["even"]
    return float((row["coverage"] - row["even"]) / left) if left else -1.0


def _is_strong(row: Row) -> bool:
    is_much = row["coverage"] >= COVERAGE and _beyond(row) >= BEYOND
    return bool(is_much and row["n"] >= FEWEST_ROWS)


def _rules(folder: Folder) -> Rules:
    if "rules" not in folder.__dict__:
        folder.__dict__["rules"] = Rules(folder)
    found: Rules = folder.__dict__["rules"]
    return found


def _head(claim: Row) -> Place:
    """Return the head that a sentence is about, also of a claim on all heads beside it."""
    layer, head = map(int, HEAD.findall(claim["sentence"])[0])
    return layer, head


def _check(is_so: bool, difference: str) -> None:
    """Raise, also where Python leaves assertions out.

    Raises:
        DifferenceError: it is not so.
    """
    if not is_so:
        raise DifferenceError(difference)


def _check_printed(claim: Row, figures: list[float], without: Iterable[str] = ()) -> None:
    """Raise where a sentence prints a number that is no figure of its head.

    Args:
        claim: the claim.
        figures: the figures of its head.
        without: names in it, whose digits are no figures.

    Raises:
        DifferenceError: no table has one of the numbers.
    """
    words = claim["sentence"].replace("95% CI", "")
    for name in without:
        words = words.replace(name, "")
    words = HEAD.sub("", words)
    for text in _PRINTED.findall(words):
        value = float(text.replace(",", "").replace("−", "-"))
        half = 0.5 * 10.0 ** -len(text.partition(".")[2])
        if not any(abs(value - figure) <= half + 1e-9 for figure in figures):
            raise DifferenceError(f"{text} is printed, and no table has it")


def of_rule(folder: Folder, claim: Row) -> Numbers | None:
    """Choose the rule of a head anew, judge it, and compare what is said of it."""
    rules, place = _rules(folder), _head(claim)
    best = rules.best(place)
    row = rules.of(place).get(best or "")
    if best is None or row is None:
        _check(claim["estimate"] is None or not claim["n"], "no rule is asked about")
        return {}
    figures = [*rules.printed(place), float(folder.summary["texts"]), 5.0]
    _check_printed(claim, figures, sorted(rules.of(place), key=len, reverse=True))
    _check(claim["kind"].startswith("describes") == rules.is_named(place), "the verdict is another")
    found = {"n": float(row["n"])}
    what = claim["kind"].partition(": ")[2]
    if not what:
        ends = {"low": row["ci_low"], "high": row["ci_high"], "p": row["p_adjusted"]}
        return found | {"estimate": row["coverage"], **ends}
    if what == "even attention":
        return found | {"estimate": row["even"]}
    if what == "all heads":
        return found | {"estimate": rules.of_all_heads(best)}
    if what == "special tokens":
        return found | {"estimate": rules.special[place]}
    part, _, name = what.partition(": ")
    if part == "rest":
        _check(name == rules.best(place, of_rest=True), "another rule is best of the rest")
        return found | {"estimate": rules.of(place)[name]["coverage"]}
    _check(name == rules.unsteady(place), "another rule covers enough in one half")
    return found | {"estimate": rules.of(place, part)[name]["coverage"]}


def of_described(folder: Folder, claim: Row) -> Numbers:
    """Count the heads with a rule, those of special tokens apart."""
    rules = _rules(folder)
    named = [rules.best(place) for place in rules.special if rules.is_named(place)]
    counts = {
        "": len(named) - named.count(SPECIAL), "heads": len(rules.special),
        "special tokens": named.count(SPECIAL),
    }  # fmt: skip
    return {"estimate": counts[claim["kind"].partition(": ")[2]]}


def _on_cases(folder: Folder, claim: Row) -> Row | None:
    """Return the row of a head on the cases, after a look at every number that is printed."""
    table = folder.table("coreference.parquet")
    if table is None:
        return None
    layer, head = _head(claim)
    row: Row = table[(table["layer"] == layer) & (table["head"] == head)].iloc[0].to_dict()
    about = folder.summary["cases"]
    figures = [100 * float(value) for value in (*row.values(), *about["baselines"].values())]
    ps = [row["p_adjusted"], row["reverse_p_adjusted"], 0.001]
    counts = [row["n"], row["reverse_n"], 2.0 * len(table)]
    held = [100 * float(end) for end in about["held_out"] if end is not None]
    _check_printed(claim, [*figures, *ps, *counts, *held], [about["name"]])
    return row


def of_cases(**columns: str) -> Callable[[Folder, Row], Numbers | None]:
    """Return a function that reads figures of a head beside cases.

    Args:
        columns: the columns of the figures of a claim.
    """

    def read(folder: Folder, claim: Row) -> Numbers | None:
        row = _on_cases(folder, claim)
        return None if row is None else {field: float(row[name]) for field, name in columns.items()}

    return read


def of_preference(folder: Folder, claim: Row) -> Numbers | None:
    """Read how often a head prefers the antecedent, and judge it; beside it the best baseline."""
    row = _on_cases(folder, claim)
    if row is None:
        return None
    before = "" if row["n"] > 0 else "reverse_"
    p = row[f"{before}p_adjusted"]
    _check((p < SIGNIFICANT) == claim["kind"].startswith("prefers"), "the verdict is another")
    found = {"n": float(row[f"{before}n"])}
    if claim["kind"].endswith("baseline"):
        return found | {"estimate": max(folder.summary["cases"]["baselines"].values())}
    names = {"estimate": "accuracy", "low": "ci_low", "high": "ci_high", "p": "p_adjusted"}
    return found | {field: float(row[before + name]) for field, name in names.items()}


def of_pronouns(folder: Folder, claim: Row) -> Numbers | None:
    """Read what goes from pronouns to possible antecedents, and judge it by even attention."""
    row = _on_cases(folder, claim)
    if row is None or not row["n_pronoun_rows"]:
        return None if row is None else {}
    is_more = row["coverage_ci_low"] > row["coverage_even"]
    _check(is_more == claim["kind"].startswith("refers"), "the verdict is another")
    rules, place = _rules(folder), _head(claim)
    of_rule = rules.of(place)[BESIDE]
    part = of_rule["n"] / max(each["n"] for each in rules.of(place).values())
    covered, even = of_rule["coverage"], of_rule["even"]
    ends = {"low": row["coverage_ci_low"], "high": row["coverage_ci_high"]}
    found = {
        "": {"estimate": row["part"], "low": row["part_ci_low"], "high": row["part_ci_high"],
             "n": of_rule["n"], "groups": row["num_groups"]},
        "even attention": {"estimate": row["part_even"]},
        "all heads": {"estimate": _mean_of_heads(folder, "part")},
        "rows of pronouns": {"estimate": part},
        "of these rows": {"estimate": covered, **ends},
        "even attention in these rows": {"estimate": even},
        "all heads in these rows": {"estimate": rules.of_all_heads(BESIDE)},
    }[claim["kind"].partition(": ")[2]]  # fmt: skip
    return {field: float(value) for field, value in found.items()}


def _mean_of_heads(folder: Folder, column: str) -> float:
    table = folder.table("coreference.parquet")
    assert table is not None, "no coreference.parquet"
    known = [float(value) for value in table[column] if not math.isnan(value)]
    return sum(known) / len(known)


def of_writes(folder: Folder, claim: Row) -> Numbers | None:
    """Read what a head writes, in texts or by its weights, and judge whether it copies."""
    table = folder.table("copying.parquet")
    if table is None:
        return None
    layer, head = _head(claim)
    row: Row = table[(table["layer"] == layer) & (table["head"] == head)].iloc[0].to_dict()
    values = [float(value) for value in row.values()]
    others = [row["n_entries"] - 1, 100 / row["n_entries"]] if "n_entries" in row else []
    _check_printed(claim, [*values, *(100 * value for value in values), *others, 50.0, 1.0])
    kind, _, what = claim["kind"].partition(": ")
    by = " by weights" if kind.endswith(" by weights") else ""
    if what:
        column = {"logit of the key": "to_key", "logit of others": "to_others", "first": "first"}
        return {"estimate": float(row[column[what]])}
    counts = ("n_entries", "n_entries") if by else ("n_tokens", "n_texts")
    name = "by_weights" if by else "copying"
    p = row.get("by_weights_p_adjusted" if by else "p_adjusted", 0.0)
    share, low, high = (row[f"{name}{end}"] for end in ("", "_ci_low", "_ci_high"))
    is_sure = p < SIGNIFICANT and not low <= 0.5 <= high
    if share >= COPIES or share <= SUPPRESSES:
        said = "copies" if share >= COPIES else "writes against"
        _check((kind == f"{said}{by}") == is_sure, "the verdict is another")
    else:
        is_no = not math.isnan(p) and low > SUPPRESSES and high < COPIES
        _check(kind.startswith("no-copies") == is_no, "the verdict is another")
    found = {"estimate": share, "low": low, "high": high, "p": p}
    return found | {name: float(row[of]) for name, of in zip(("n", "groups"), counts, strict=True)}


#: What recomputes each kind of claim.
ATLAS: dict[str, Callable[[Folder, Row], Numbers | None]] = {
    **{f"{start}described{end}": of_described for start in ("", "no-")
       for end in ("", ": heads", ": special tokens")},
    **{f"{start}prefers{end}": of_preference for start in ("", "no-")
       for end in ("", ": baseline")},
    "gives": of_cases(estimate="antecedent_share", n="n"),
    "gives: distractor": of_cases(estimate="distractor_share"),
    "chosen": of_cases(estimate="chosen"),
    **{f"{verdict}{by}{figure}": of_writes
       for verdict in ("copies", "writes against", "no-copies", "unsure whether it copies")
       for by in ("", " by weights")
       for figure in ("", ": logit of the key", ": logit of others", ": first")},
    **{f"{start}refers{end}": of_pronouns for start in ("", "no-") for end in (
        "", ": even attention", ": all heads", ": rows of pronouns", ": of these rows",
        ": even attention in these rows", ": all heads in these rows")},
}  # fmt: skip


def of_atlas(kind: str) -> Callable[[Folder, Row], Numbers | None] | None:
    """Return what recomputes a kind of claim of an atlas."""
    is_rule = kind.split(": ")[0] in ("describes", "no-describes")
    return of_rule if is_rule else ATLAS.get(kind)
