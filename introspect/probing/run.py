"""One probe: cases in, a folder of tables and a report out."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from introspect.analyzers.bias import Bias, bias_labels, bias_table
from introspect.analyzers.coreference import Options, Scores, against_table
from introspect.analyzers.linear_probe import ProbeResult, linear_probe
from introspect.analyzers.pairs import PairShifts, pair_shifts
from introspect.cases import Reject, reject_to_json
from introspect.errors import InputError, SelectionError
from introspect.files import write_atomically, write_lines
from introspect.functional.coreference import Mention
from introspect.models import Model, load_text
from introspect.models.null import null_model as random_weights
from introspect.probing.folder import check_folder, filled_folder
from introspect.probing.scoring import Collected, collect
from introspect.reporting.provenance import provenance_rows
from introspect.reporting.set_report import SetFindings, set_report
from introspect.segmentation import chinese_words
from introspect.statistics import FEWEST_GROUPS
from introspect.weighting import Weights, checked_weights

__all__ = ["ProbeRun", "probe"]

DEFAULT = Options()
_CONTRASTS = (("stereotype", ("pro", "anti")), ("gender", ("male", "female")))
_HARDEST = 8
_SHOWN_PAIRS = 6
_SEGMENTERS = {None: None, "jieba": chinese_words}


@dataclass(frozen=True)
class ProbeRun:
    """What a probe found, and where it is.

    Args:
        folder: the folder with tables and report.
        scores: the tables.
        finding: the headline, as plain text.
        rejects: rows without a score, with their reasons.
    """

    folder: Path
    scores: Scores
    finding: str
    rejects: tuple[Reject, ...]


def probe(
    model: Model | str,
    cases: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    engine: str = "serial",
    mention: Mention = "mean",
    weights: Weights = "raw",
    segment: str | None = None,
    null_model: bool = False,
    fresh: bool = False,
    options: Options = DEFAULT,
    command: str | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> ProbeRun:
    """Score every head of a model on a file of cases, and leave a folder.

    The folder holds ``heads`` (Parquet and CSV), ``cases.parquet``, ``baselines.csv``,
    ``summary.json``, ``report.html``, ``rejects.jsonl`` and ``run.json``. It appears when all of it
    is there.

    Args:
        model: a model, or the name of one.
        cases: cases as JSON, one a line.
        out: the folder.
        engine: what runs it; ``serial``.
        mention: how the word pairs of two mentions become one number.
        weights: ``raw``, ``renormalised`` without special tokens and the row's own position, or
            ``norm``: each weight times the length of what it brings.
        segment: what divides texts without spaces into words: ``jieba`` (extra ``chinese``);
            without it every character is a word.
        null_model: also score the same architecture with random weights, as a baseline.
        fresh: write over a finished probe.
        options: how much is drawn for intervals and p-values, and from which seed.
        command: the command line that made it, for the provenance.
        tell: called with the number of rows so far.

    Raises:
        InputError: no case can be scored.
        OutputError: the folder is taken or cannot be written.
        SelectionError: an unknown engine.
    """
    if engine != "serial":
        raise SelectionError(f"Expected the engine serial, got {engine!r}.")
    if segment not in (None, "jieba"):
        raise SelectionError(f"Expected `segment` as jieba or nothing, got {segment!r}.")
    checked_weights(weights)
    folder, path = Path(out), Path(cases)
    check_folder(folder, fresh=fresh)
    loaded = load_text(model)
    started = time.perf_counter()
    found = collect(
        loaded, path, mention=mention, weights=weights, segment=_SEGMENTERS[segment], tell=tell
    )
    if not found.cases or found.record is None:
        raise InputError(_nothing(path, found.rejects))
    captured = time.perf_counter()
    scores = found.analyzer.compute(options)
    if null_model:
        scores = _with_null(scores, random_weights(loaded), path, found, options)
    pairs = _pairs(found, options)
    findings = SetFindings(
        name=path.name,
        scores=scores,
        num_groups=len({case.group for case in found.analyzer.scored}),
        linear=_linear(found, options),
        bias=_bias(found, options),
        pairs=pairs,
        shown_pairs=_shown_pairs(loaded, found, pairs),
        rejects=tuple(found.rejects),
        record=found.record,
        weights=weights,
        hardest=_hardest(loaded, found, scores),
        command=command,
    )
    page = set_report(findings)
    timings = {"capture_s": captured - started, "statistics_s": time.perf_counter() - captured}
    plan = _plan(path, found, options, command)
    with filled_folder(folder) as place:
        _write(place, findings, page.html, timings, plan)
    return ProbeRun(folder, scores, page.finding, tuple(found.rejects))


def _nothing(path: Path, rejects: list[Reject]) -> str:
    first = f" The first: line {rejects[0].line}: {rejects[0].reason}" if rejects else ""
    return (
        f"Expected at least one case that can be scored in {str(path)!r}, got none; "
        f"{len(rejects)} rows were rejected.{first}"
    )


def _with_null(
    scores: Scores, model: Model, path: Path, found: Collected, options: Options
) -> Scores:
    """The held-out choice of a head among random weights, as one more baseline."""
    if scores.choice is None:
        return scores
    few = replace(options, permutations=1, selections=1)
    mention, weights = found.analyzer.mention, found.analyzer.weights
    again = collect(model, path, mention=mention, weights=weights, segment=found.segment)
    null = again.analyzer.compute(few)
    if null.choice is None:
        return scores
    choice = null.choice
    row = ("random_weights", choice.n, choice.accuracy, choice.ci_low, choice.ci_high)
    baselines = pd.DataFrame([row], columns=list(scores.baselines.columns))
    credits = scores.held_out[["id"]].merge(null.held_out[["id", "credit"]], how="left", on="id")
    against = against_table(
        scores.held_out, {"random_weights": credits["credit"].fillna(0.5).tolist()}, options
    )
    return replace(
        scores,
        baselines=pd.concat([scores.baselines, baselines], ignore_index=True),
        against=pd.concat([scores.against, against], ignore_index=True),
    )


def _linear(found: Collected, options: Options) -> ProbeResult | None:
    groups = {case.group for case in found.features if case.is_forced_choice}
    if len(groups) < FEWEST_GROUPS:
        return None
    return linear_probe(found.features, seed=options.seed)


def _bias(found: Collected, options: Options) -> Bias | None:
    """The difference between two kinds of cases, where the collection names them."""
    cases = tuple(found.cases.values())
    for key, contrast in _CONTRASTS:
        labels = {case.extra.get(key) for case in cases}
        if set(contrast) <= labels:
            bias = bias_table(found.analyzer.scored, bias_labels(cases, key), contrast, options)
            # A contrast is one between versions of the same text: passages of two genders that
            # only share a page differ in everything else too.
            groups = {case.group for case in found.analyzer.scored}
            return bias if 2 * bias.num_groups > len(groups) else None
    return None


def _pairs(found: Collected, options: Options) -> PairShifts | None:
    shifts = pair_shifts(found.versions, options=options)
    return shifts if shifts.pairs else None


def _shown_pairs(model: Model, found: Collected, pairs: PairShifts | None) -> tuple[Any, ...]:
    """Some pairs with their records, the earlier answer first, to be held side by side."""
    shown = []
    for group in pairs.pairs[:_SHOWN_PAIRS] if pairs else ():
        cases = [case for case in found.cases.values() if case.group == group]
        cases.sort(key=lambda case: case.antecedents[0].span)
        shown.append(tuple((case, found.captured(model, case.text)) for case in cases))
    return tuple(shown)


def _hardest(model: Model, found: Collected, scores: Scores) -> tuple[Any, ...]:
    """The cases that the chosen head gets most wrong, captured once more to be shown."""
    if scores.choice is None:
        return ()
    head, direction = scores.choice.head, scores.choice.direction
    table = scores.cases
    rows = table[
        (table["layer"] == head.layer)
        & (table["head"] == head.head)
        & (table["direction"] == direction)
        & (table["credit"] < 1)
    ]
    worst = rows.assign(gap=rows["antecedent_weight"] - rows["distractor_weight"]).nsmallest(
        _HARDEST, "gap", keep="first"
    )
    cases = [(found.cases[name], gap) for name, gap in zip(worst["id"], worst["gap"], strict=True)]
    return tuple((case, found.captured(model, case.text), gap) for case, gap in cases)


def _write(
    place: Path, findings: SetFindings, page: str, timings: Mapping[str, float], plan: Any
) -> None:
    scores = findings.scores
    scores.heads.to_parquet(place / "heads.parquet", index=False)
    scores.heads.to_csv(place / "heads.csv", index=False)
    scores.cases.to_parquet(place / "cases.parquet", index=False)
    scores.baselines.to_csv(place / "baselines.csv", index=False)
    write_lines(place / "rejects.jsonl", map(reject_to_json, findings.rejects))
    write_atomically(place / "report.html", page)
    write_atomically(place / "summary.json", _json(_summary(findings, timings)))
    write_atomically(place / "run.json", _json(plan))


def _summary(findings: SetFindings, timings: Mapping[str, float]) -> dict[str, Any]:
    scores, linear = findings.scores, findings.linear
    choice = scores.choice
    return {
        "finding": findings.finding.plain,
        "selected": []
        if choice is None
        else [
            {"layer": head.layer, "head": head.head, "direction": direction, "share": share}
            for head, direction, share in choice.frequencies
        ],
        "held_out": None
        if choice is None
        else {
            "accuracy": choice.accuracy,
            "ci_low": choice.ci_low,
            "ci_high": choice.ci_high,
            "p_value": choice.p_value,
            "n": choice.n,
        },
        "in_sample": None
        if choice is None
        else {
            "layer": choice.in_sample_head.layer,
            "head": choice.in_sample_head.head,
            "direction": choice.in_sample_direction,
            "accuracy": choice.in_sample_accuracy,
        },
        "baselines": scores.baselines.to_dict("records"),
        "against": scores.against.to_dict("records"),
        "linear_probe": None
        if linear is None
        else {
            "accuracy": linear.accuracy,
            "ci_low": linear.ci_low,
            "ci_high": linear.ci_high,
            "in_sample_accuracy": linear.in_sample_accuracy,
            "shuffled_labels": linear.control_accuracy,
        },
        "n": len(findings.scores.held_out) or None,
        "num_groups": findings.num_groups,
        "outside_forced_choice": len(scores.outside_forced_choice),
        "rejected": len(findings.rejects),
        "notes": list(scores.notes),
        "timings": dict(timings),
        "provenance": dict(provenance_rows(findings.record, findings.command)),
    }


def _plan(path: Path, found: Collected, options: Options, command: str | None) -> dict[str, Any]:
    assert found.record is not None
    return {
        "input": {"name": path.name, "sha256": _hash(path)},
        "mention": found.analyzer.mention,
        "weights": found.analyzer.weights,
        "segment": "jieba" if found.segment else None,
        "options": asdict(options),
        "threads": torch.get_num_threads(),
        **dict(provenance_rows(found.record, command)),
    }


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """What JSON can say: no NumPy numbers, and null for what is not a number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [_plain(one) for one in value] if isinstance(value, Iterable) else value
