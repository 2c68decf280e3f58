"""The pages of an atlas: an index of all heads, and a page for each head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from introspect.page import Document, Section, sequence_json
from introspect.records import Certificate, Head, TokenSequence
from introspect.reporting.atlas_cases import COUNTED, AtlasCases
from introspect.reporting.atlas_writes import AtlasWrites
from introspect.reporting.prose import (
    ATTENTION_IS_NOT_CAUSATION,
    Finding,
    paragraphs,
    place_of_table,
    rejected_notices,
)
from introspect.reporting.skeleton import Report, Skeleton
from introspect.statistics import Claim
from introspect.studies.atlas import (
    BEYOND,
    COVERAGE,
    DISTANCE_BINS,
    ENTROPY_BIN,
    MEASURES,
    RULE,
    AtlasSums,
    AtlasTables,
    HeadSentences,
)
from introspect.text import counted, listed, percent, verb, whole

# Tokens shown before and after what an example is about.
_AROUND = 16
# Heads of a rule that are named in the words of the index.
_MOST_NAMED = 12
# What the mean of a measure is called.
_LABELS = {
    "entropy": "entropy in bits",
    "distance": "distance in tokens",
    "special": "share to special tokens",
    "self": "share to the token itself",
    "previous": "share to the previous token",
    "next": "share to the next token",
    "first": "share to the first token",
    "same_token": "share to the same token elsewhere",
}


@dataclass(frozen=True, eq=False)
class AtlasFindings:
    """What the pages of an atlas are written from.

    Args:
        name: the name of the corpus.
        read: what was read, in sentences.
        tables: the tables.
        sums: what they were made from.
        texts: the tokens of the texts of the examples, by hash.
        certificate: how attention was captured, and from which model.
        num_tokens: the number of tokens read.
        num_rejected: the number of rows without a result.
        command: the command line.
        heads: the heads that get a page.
        cases: the cases that were scored beside it.
        writes: what its heads write, where the model has an unembedding.
    """

    name: str
    read: tuple[str, ...]
    tables: AtlasTables
    sums: AtlasSums
    texts: Mapping[int, TokenSequence]
    certificate: Certificate
    num_tokens: int
    num_rejected: int
    command: str | None
    heads: tuple[Head, ...]
    cases: AtlasCases | None = None
    writes: AtlasWrites = field(default_factory=AtlasWrites)

    @cached_property
    def claims(self) -> dict[Head, tuple[Claim, ...]]:
        """The claims on each head, the first of which has its sentence."""
        sentences = HeadSentences(self.sums, self.tables.found)
        return {
            Head(layer, head): sentences.claims(place, head)
            for place, layer in enumerate(self.sums.layers)
            for head in range(self.sums.num_heads)
        }

    def case_claims(self, head: Head) -> tuple[Claim, ...]:
        """Return what the cases claim of a head; nothing without cases."""
        return () if self.cases is None else self.cases.claims(head)

    @cached_property
    def tokens_of(self) -> dict[str, TokenSequence]:
        """The tokens of each text, by its id."""
        return {self.sums.kept.texts[number].id: tokens for number, tokens in self.texts.items()}

    @property
    def notices(self) -> list[str]:
        """Return what a reader must know first."""
        found = rejected_notices(self.num_rejected)
        if self.cases is not None:
            found += rejected_notices(self.cases.num_rejected, "case", "cases_rejects.jsonl")
        return found


def atlas_index(findings: AtlasFindings) -> Report:
    """Build the index of an atlas: every head as a point, a square and a row."""
    finding = _finding(findings)
    skeleton = _skeleton(findings, "Atlas of", finding)
    document = skeleton.begin(
        figure=Section(
            "atlas",
            "All heads",
            "Each point and square is a head; choosing one says what it does.",
            _index_state(findings),
        )
    )
    with document.chapter("Table of all heads"):
        document.add_prose(place_of_table("heads"))
    claims = [claim for each in findings.claims.values() for claim in each]
    for head in findings.heads:
        claims += [*findings.case_claims(head), *findings.writes.claims(head)]
    return skeleton.finish(
        document,
        method=_method(findings),
        captured="the capture of one text of the corpus",
        claims=claims,
    )


def _skeleton(findings: AtlasFindings, title: str, finding: Finding) -> Skeleton:
    model = findings.certificate.model or "the model"
    return Skeleton(
        title=f"{title} {model} on {findings.name}",
        finding=finding,
        certificate=findings.certificate,
        texts=findings.sums.num_texts,
        notices=findings.notices,
        read=(*findings.read, *(findings.cases.read if findings.cases else ())),
        command=findings.command,
    )


def _finding(findings: AtlasFindings) -> Finding:
    heads = findings.tables.heads
    named = heads[heads["best_rule"].notna()]
    total = len(heads)
    special = [rule.is_of_special for rule in findings.sums.rules.values()]
    of_special = {name for name, flag in zip(findings.sums.rules, special, strict=True) if flag}
    number = int((~named["best_rule"].isin(of_special)).sum())
    sinks = len(named) - number
    follow = verb(number, "follows", "follow")
    sentence = (
        f"*{whole(number)} of {counted(total, 'head')}* {follow} a rule on {findings.name}."
        if number
        else f"No rule describes any of {counted(total, 'head')} on {findings.name}."
    )
    if sinks:
        many = f"{whole(sinks)} {verb(sinks, 'gives', 'give')} much to special tokens alone"
        sentence = f"{sentence[:-1]}; {many}."
    if not findings.tables.found.is_checked:
        texts = findings.sums.num_texts
        sentence = (
            f"No rule can be checked: {counted(texts, 'text')} of {findings.name} "
            f"{verb(texts, 'is', 'are')} too few, or too much alike."
        )
    claim = Claim(
        kind="described" if number or sinks else "no-described",
        subject="heads",
        sentence=sentence,
        estimate=float(number),
        n=findings.sums.num_texts,
        groups=findings.tables.found.num_groups,
        rule=RULE,
    )
    details = [_heads_of(findings, rule, rows) for rule, rows in _by_rule(named)]
    if findings.cases is not None:
        sentences = {head: claims[0].sentence for head, claims in findings.claims.items()}
        details += findings.cases.index_sentences(sentences)
    caveat = (
        "A rule says where attention goes, in both halves of these texts; another corpus may show "
        "another job."
    )
    return Finding(
        sentence,
        tuple(details),
        (caveat, ATTENTION_IS_NOT_CAUSATION),
        (claim, claim.beside("heads", total), claim.beside("special tokens", sinks)),
    )


def _heads_of(findings: AtlasFindings, rule: str, rows: pd.DataFrame) -> str:
    heads = [Head(int(row.layer), int(row.head)) for row in rows.itertuples()]
    names = listed(heads, most=_MOST_NAMED)
    return f"{counted(len(heads), 'head')}: {findings.sums.rules[rule].name} ({names})."


def _by_rule(named: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = [(str(rule), rows) for rule, rows in named.groupby("best_rule", sort=True)]
    return sorted(groups, key=lambda each: (-len(each[1]), each[0]))


def _without_rows(findings: AtlasFindings) -> list[str]:
    """Say by which rules no row has a choice, if there are any."""
    asked = findings.sums.sums.n.sum((0, 1, 2)).tolist()
    rules = zip(findings.sums.rules.values(), asked, strict=True)
    if not (names := [rule.name for rule, n in rules if not n and not rule.needs]):
        return []
    return [
        f"By {counted(len(names), 'rule')} no row of these texts has a choice: {listed(names)}."
    ]


def _method(findings: AtlasFindings) -> list[str]:
    half = "Half of the texts, by their hashes, find a rule for each head; the other half check it."
    return [
        f"{counted(findings.sums.num_texts, 'text')} with "
        f"{counted(findings.num_tokens, 'token')} were read. {half}",
        f"A head gets a rule under these conditions: {RULE}. The rules tried are "
        f"{listed([each.name for each in findings.sums.rules.values() if not each.is_beside])}.",
        "What counts is weight on tokens that are not special, in rows that have a key of the rule "
        "and another key; for the rule about special tokens, all weight. Even attention divides "
        "the same weight evenly among the tokens that the mask lets a row see. Intervals are over "
        "blocks of texts.",
        *_without_rows(findings),
        *([COUNTED] if findings.cases else []),
        *findings.writes.method,
    ]


def _index_state(findings: AtlasFindings) -> dict[str, Any]:
    heads = findings.tables.heads
    columns = {
        "rule": [_rule_name(findings, rule) for rule in heads["best_rule"]],
        "sentence": heads["sentence"].tolist(),
        "coverage": _plain(heads["best_rule_coverage"]),
        "low": _plain(heads["best_rule_ci_low"]),
        "high": _plain(heads["best_rule_ci_high"]),
        "even": _plain(heads["best_rule_even"]),
        "modes": heads["num_modes"].tolist(),
        **{name: _plain(heads[name]) for name in MEASURES},
    }
    beside = _cases_columns(findings) | _writes_columns(findings)
    return {
        "layers": list(findings.sums.layers),
        "numHeads": findings.sums.num_heads,
        "columns": {**columns, **{name: values for name, (_, values) in beside.items()}},
        "axes": [
            ["coverage", "share covered by its rule"],
            *([name, _LABELS[name]] for name in MEASURES),
            ["modes", "number of jobs"],
            *([name, label] for name, (label, _) in beside.items()),
        ],
        "shares": ["coverage", *MEASURES[2:], *beside],
        "named": [str(head) for head in findings.cases.chosen] if findings.cases else [],
        "first": ["distance", "entropy", "coverage"],
        "pages": [str(head) for head in findings.heads],
    }


def _cases_columns(findings: AtlasFindings) -> dict[str, tuple[str, list[float | None]]]:
    """Return the label and the numbers of what cases say of every head; nothing without cases."""
    if findings.cases is None:
        return {}
    table = findings.cases.table
    return {
        name: (label, _plain(table[name]))
        for name, label in (
            ("accuracy", "accuracy on the cases, pronoun to candidate"),
            ("part", "share from pronouns to possible antecedents"),
            ("chosen", "share of divisions that choose it"),
        )
    }


def _writes_columns(findings: AtlasFindings) -> dict[str, tuple[str, list[float | None]]]:
    """Return how far every head copies; nothing of models that do not write."""
    copies = findings.writes.copies
    if copies.empty:
        return {}
    labels = {
        "copying": "share over which it copies",
        "by_weights": "share over which it copies by its weights",
    }
    known = {name: label for name, label in labels.items() if copies[name].notna().any()}
    return {name: (label, _plain(copies[name])) for name, label in known.items()}


def _rule_name(findings: AtlasFindings, rule: object) -> str:
    return "" if pd.isna(rule) else findings.sums.rules[str(rule)].name


def _plain(values: Sequence[float] | pd.Series[Any]) -> list[float | None]:
    """Return numbers with more digits than a page shows, and nothing where there is none.

    Rounded twice, a number could differ from the one in the sentence beside it.
    """
    return [None if math.isnan(value) else round(float(value), 7) for value in values]


def head_pages(findings: AtlasFindings) -> Iterator[tuple[str, str]]:
    """Yield the file name and the page of each head."""
    of_all = _histograms_of_all(findings.sums)
    tables = {
        name: dict(list(table.groupby(["layer", "head"])))
        for name, table in findings.tables.by_name.items()
        if name not in ("heads", "texts")
    }
    for head in findings.heads:
        own = {name: rows.get((head.layer, head.head)) for name, rows in tables.items()}
        yield f"{head}.html", _head_page(findings, head, own, of_all)


def _head_page(
    findings: AtlasFindings,
    head: Head,
    tables: Mapping[str, pd.DataFrame | None],
    of_all: list[list[float]],
) -> str:
    claims = findings.claims[head]
    model = findings.certificate.model or "the model"
    document = Document(
        f"{head} of {model} on {findings.name}",
        heading=str(head),
        summary={
            "kind": "head-card",
            "title": f"{head} of {model}",
            "finding": claims[0].plain,
            "texts": findings.sums.num_texts,
            "model": model,
        },
    )
    document.add_section(
        Section(
            "head-card",
            f"What {head} does",
            f"In {model}, on {counted(findings.sums.num_texts, 'text')} of {findings.name}.",
            _card_state(findings, head, tables, of_all),
        )
    )
    document.add_prose(
        paragraphs(
            [
                f"A rule is named if it covers {RULE}.",
                ATTENTION_IS_NOT_CAUSATION,
            ]
        )
    )
    return document.to_html()


def _card_state(
    findings: AtlasFindings,
    head: Head,
    tables: Mapping[str, pd.DataFrame | None],
    of_all: list[list[float]],
) -> dict[str, Any]:
    place = findings.sums.layers.index(head.layer)
    own = findings.sums.sums.histogram[place, head.head]
    sentence = findings.claims[head][0].sentence
    return {
        "head": str(head),
        "model": findings.certificate.model,
        "corpus": findings.name,
        "sentence": sentence,
        "coreference": list(dict.fromkeys(c.sentence for c in findings.case_claims(head))),
        "writes": {
            "sentences": list(dict.fromkeys(c.sentence for c in findings.writes.claims(head))),
            "entries": findings.writes.listed(head),
        },
        "rules": _rules_state(findings, tables["rules"]),
        "thresholds": [COVERAGE, BEYOND],
        "distributions": [
            {
                "name": _LABELS[name],
                "own": _parts(own[number]),
                "all": of_all[number],
                "ends": _ends(name),
            }
            for number, name in enumerate(MEASURES)
        ],
        "examples": _examples_state(findings, tables["examples"]),
        "tokens": _rows(tables["tokens"], ("side", "token", "count", "n", "lift")),
        "modes": _modes_state(findings, tables["modes"]),
        "similar": [
            [str(Head(int(row.other_layer), int(row.other_head))), round(float(row.distance), 3)]
            for row in _each(tables["similar"])
        ],
        "map": _map_state(tables["maps"]),
        "heads": [str(each) for each in findings.heads],
    }


def _each(table: pd.DataFrame | None) -> Iterator[Any]:
    return iter(()) if table is None else iter(table.itertuples())


def _rows(table: pd.DataFrame | None, columns: Sequence[str]) -> list[list[Any]]:
    return [
        [round(value, 2) if isinstance(value, float) else value for value in row]
        for row in ([] if table is None else table[list(columns)].to_numpy().tolist())
    ]


def _rules_state(findings: AtlasFindings, table: pd.DataFrame | None) -> list[list[Any]]:
    """Return a row for each rule: its name, both halves, even attention, all heads, p and rows."""
    found: dict[str, dict[str, Any]] = {}
    for row in _each(table):
        found.setdefault(str(row.rule), {})[str(row.half)] = row
    rows = []
    listed_already: set[str] = set()
    for rule, halves in found.items():
        if rule in listed_already:
            continue
        alike = findings.sums.same_as(rule)
        listed_already |= set(alike)
        names = [findings.sums.rules[name].name for name in (rule, *alike)]
        finding, checking = halves.get("finding"), halves.get("checking")
        at: Any = checking or finding
        values = (
            finding and finding.coverage, checking and checking.coverage, at.ci_low, at.ci_high,
            at.even, at.mean_of_heads, at.precision,
        )  # fmt: skip
        rows.append(
            [
                " = ".join(names),
                *_plain([math.nan if value is None else value for value in values]),
                None if math.isnan(at.p_adjusted) else float(at.p_adjusted),
                int(at.n),
            ]
        )
    return sorted(rows, key=lambda row: -(row[2] or 0) + (row[5] or 0))


def _modes_state(findings: AtlasFindings, table: pd.DataFrame | None) -> list[list[Any]]:
    return [
        [
            findings.sums.rules[row.rule].name if row.rule else "",
            round(float(row.share), 3),
            round(float(row.coverage), 3),
        ]
        for row in _each(table)
    ]


def _map_state(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return the places of queries and of keys, and the tokens, which are alike for both."""
    if table is None:
        return None
    sides = dict(list(table.groupby("side", sort=True)))
    return {
        "labels": sides["key"]["token"].tolist(),
        **{
            str(side): rows[["x", "y", "strength"]].round(2).to_numpy().tolist()
            for side, rows in sides.items()
        },
    }


def _examples_state(findings: AtlasFindings, table: pd.DataFrame | None) -> list[dict[str, Any]]:
    return [_example(findings, row) for row in _each(table)]


def _example(findings: AtlasFindings, row: Any) -> dict[str, Any]:
    """Return an example with the tokens around its query and its key, and special tokens."""
    tokens = findings.tokens_of[row.text_id]
    count = len(tokens)
    places = [row.query_index, row.query_index if row.key_index < 0 else row.key_index]
    first, last = max(0, min(places) - _AROUND), min(count - 1, max(places) + _AROUND)
    kept = [
        place
        for place in range(count)
        if first <= place <= last or tokens.special_tokens_mask[place]
    ]
    weights = np.array(row.row, dtype=np.int64)
    return {
        "set": row.set,
        "rank": int(row.rank),
        "id": row.text_id,
        "weight": round(float(row.weight), 3),
        "query": kept.index(row.query_index),
        "key": -1 if row.key_index < 0 else kept.index(row.key_index),
        "place": [int(row.query_index), int(row.key_index)],
        "isCut": [first > 0 and not all(tokens.special_tokens_mask[:first]),
                  last < count - 1 and not all(tokens.special_tokens_mask[last + 1 :])],
        "row": weights[kept].tolist(),
        "tokens": sequence_json(_cut(tokens, kept)),
    }  # fmt: skip


def _cut(tokens: TokenSequence, places: Sequence[int]) -> TokenSequence:
    """Return some tokens of a sequence, with only the words that they are of."""
    chosen = tokens.at(places)
    used = sorted({word for word in chosen.word_ids if word is not None})
    numbers = {word: number for number, word in enumerate(used)}
    return TokenSequence(
        tokens=chosen.tokens,
        token_ids=chosen.token_ids,
        offsets=chosen.offsets,
        word_ids=tuple(None if word is None else numbers[word] for word in chosen.word_ids),
        special_tokens_mask=chosen.special_tokens_mask,
        unknown_mask=chosen.unknown_mask,
        generated_mask=chosen.generated_mask,
        sequence_ids=chosen.sequence_ids,
        words=tuple(tokens.words[word] for word in used),
        texts=tokens.texts,
    )


def _parts(counts: Any) -> list[float]:
    total = int(counts.sum())
    return [round(int(count) / total, 4) if total else 0.0 for count in counts]


def _histograms_of_all(sums: AtlasSums) -> list[list[float]]:
    """Return the distribution of each measure over the rows of all heads."""
    together = sums.sums.histogram.sum((0, 1))
    return [_parts(together[number]) for number in range(len(MEASURES))]


def _ends(name: str) -> list[str]:
    """Return the words for the ends of a measure's bins."""
    if name == "entropy":
        return ["0", f"{ENTROPY_BIN * 20:.0f}"]
    if name == "distance":
        return ["0", f"{DISTANCE_BINS[-1]}+"]
    return [percent(0.0, 0), percent(1.0, 0)]
