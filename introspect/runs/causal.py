"""A causal study of a file of cases, written as a folder with tables, a summary, and a report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from introspect.data import Inputs, InputSet, Reject, input_set, read_case_rows, reject_to_json
from introspect.errors import SelectionError
from introspect.interventions import Ablation
from introspect.io import PathLike, as_json, claimed_folder, results_of, write_run
from introspect.models import Model
from introspect.progress import ProgressLike, following
from introspect.reporting import (
    Report,
    causal_report,
    check_atlas,
    finding_of_study,
    first_record,
    heads_that_attend,
    provenance_rows,
    version_of_introspect,
)
from introspect.runs.outcome import write_evidence
from introspect.runs.plan import checksum
from introspect.runs.rows import name_of, no_result
from introspect.studies.atlas import Atlas
from introspect.studies.causal import CausalStudy, causal_study, heads_with
from introspect.text import CorefCase

#: The name of these folders in messages.
CAUSAL_KIND = "causal"


@dataclass(frozen=True, eq=False)
class CausalFolder:
    """The results of a causal study and their folder.

    Args:
        folder: the folder.
        study: the study.
        report: its report.
        rejects: rows that the model was not asked about, with line and reason.
    """

    folder: Path
    study: CausalStudy
    report: Report
    rejects: tuple[Reject, ...]


@dataclass(frozen=True)
class _Rows:
    """The cases that were read, each with its file, line and text, and the rows that are none."""

    cases: list[CorefCase]
    places: list[tuple[str, int, str]]
    rejects: list[Reject]
    is_cut: bool


def causal_folder(
    model: Model,
    inputs: Inputs | InputSet,
    out: str | os.PathLike[str],
    *,
    heads: str | None = None,
    method: Ablation = "zero",
    reference: Sequence[str] | None = None,
    metric: str | None = None,
    share: float | None = 0.8,
    minimal_pairs: bool = True,
    limit: int | None = None,
    seed: int = 0,
    also_read: Sequence[PathLike] = (),
    atlas: Atlas | None = None,
    overwrite: bool = False,
    command: str | None = None,
    progress: ProgressLike = None,
) -> CausalFolder:
    """Ask a model about the cases of a file with each head ablated, and write a folder.

    The folder holds ``effects`` (CSV and Parquet), ``case_effects.parquet``, ``summary.json``,
    ``report.html``, ``rejects.jsonl``, ``run.json``, ``cases.parquet``, ``baselines.csv`` and
    ``held_out.csv``; and, if they were measured, ``methods.csv``, ``pairs.csv``, ``direct.csv``,
    ``mediation.csv`` and ``smallest.csv``. All of it is put in place at the end.

    Args:
        model: the model; without an LM head, the answer is a stated surrogate.
        inputs: cases: a table, JSON lines or a list; or an ``InputSet``, which also says how they
            are read.
        out: the folder.
        heads: the heads, such as ``L3H1,L5``; all by default.
        method: the ablation method.
        reference: texts for ``mean`` and ``resample``; by default those of the cases.
        metric: how the answer is read.
        share: search for the heads that carry this share of the effect of all; ``None`` skips
            the search.
        minimal_pairs: whether effects within minimal pairs are measured.
        limit: use only this many of the first cases; the report says so.
        seed: the random seed of the intervals and samples.
        also_read: further files that are never written, such as that of the reference texts.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.
        overwrite: replace an earlier run.
        command: the command line, for the provenance.
        progress: as for ``causal_study``.

    Raises:
        InputError: the file cannot be read, or no case can be asked.
        OutputError: the folder is not empty or cannot be written.
        SelectionError: a head, method, or metric does not exist, or the atlas is of another model.
    """
    check_atlas(atlas, model.name)
    given = input_set(inputs, wanted="cases")
    with (
        claimed_folder(
            out,
            CAUSAL_KIND,
            "replace",
            overwrite=overwrite,
            inputs=[*given.places, *also_read],
        ) as folder,
        following(progress) as tell,
    ):
        rows = _read(given, limit)
        began = time.monotonic()
        notices = [f"Only the first {limit} cases of the file were asked."] if rows.is_cut else []
        tell.announce(given.words)
        study = causal_study(
            model, rows.cases, heads, method=method, reference=reference, metric=metric,
            share=share, minimal_pairs=minimal_pairs, seed=seed, progress=tell,
        )  # fmt: skip
        tell("writing the report", 0)
        report = causal_report(
            study,
            name=name_of(given),
            read=given.words,
            rejects=[one.reason for one in rows.rejects],
            notices=notices,
            command=command,
            atlas=None if atlas is None else atlas.beside(folder),
        )
        rejects = [*rows.rejects, *_unasked(rows, study)]
        result = CausalFolder(
            Path(out), study, report, tuple(sorted(rejects, key=lambda one: one.line))
        )
        plan = {
            "kind": CAUSAL_KIND,
            "cases": checksum(rows.cases),
            "read": [layout.facts for layout in given.layouts],
            "model": model.name,
            "revision": model.revision,
            "heads": heads,
            "method": method,
            "reference": None if reference is None else checksum(reference),
            "metric": study.effects.answers.metric.name,
            "share": share,
            "minimal_pairs": minimal_pairs,
            "limit": limit,
            "seed": seed,
        }
        with results_of(folder) as place:
            _write(place, result, plan, time.monotonic() - began, command)
    return result


def _read(inputs: InputSet, limit: int | None) -> _Rows:
    """Read the cases of all inputs, up to the limit."""
    if limit is not None and limit < 1:
        raise SelectionError(f"Expected a limit of at least 1 case, got {limit}.")
    rows = _Rows([], [], [], is_cut=False)
    located = iter(read_case_rows(inputs))
    for file, row, outcome in located:
        if isinstance(outcome, Reject):
            rows.rejects.append(outcome)
            continue
        assert row is not None  # only a file without rows is handled differently
        rows.cases.append(outcome)
        rows.places.append((file.source, row.line, row.shown))
        if len(rows.cases) == limit:
            more = any(isinstance(each, CorefCase) for _, _, each in islice(located, 1))
            return _Rows(rows.cases, rows.places, rows.rejects, is_cut=more)
    if not rows.cases:
        raise no_result(inputs, len(rows.rejects), next(iter(rows.rejects), None))
    return rows


def _unasked(rows: _Rows, study: CausalStudy) -> Iterator[Reject]:
    """Yield a reject for each case that the study left out, with its line."""
    for number, reason in study.rejected:
        source, line, shown = rows.places[number]
        yield Reject(source, line, reason, shown, "not_asked")


def _write(
    place: Path, result: CausalFolder, plan: dict[str, Any], seconds: float, command: str | None
) -> None:
    """Write everything that a causal run leaves, the plan last."""
    _write_tables(place, result.study)
    (place / "report.html").write_text(result.report.html, encoding="utf-8")
    lines = "".join(f"{reject_to_json(one)}\n" for one in result.rejects)
    (place / "rejects.jsonl").write_text(lines, encoding="utf-8")
    summary = _summary(result, seconds, command)
    (place / "summary.json").write_text(as_json(summary), encoding="utf-8")
    files = [path.name for path in place.iterdir()]
    write_run(place, plan, files, command=command, version=version_of_introspect())


def _write_tables(place: Path, study: CausalStudy) -> None:
    study.heads.to_parquet(place / "effects.parquet", index=False)
    study.heads.to_csv(place / "effects.csv", index=False)
    study.effects.cases.to_parquet(place / "case_effects.parquet", index=False)
    study.scores.cases.to_parquet(place / "cases.parquet", index=False)
    write_evidence(place, study.scores)
    if study.mediation is not None:
        study.mediation.heads.to_csv(place / "mediation.csv", index=False)
    if study.followed.heads:
        study.followed.methods.to_csv(place / "methods.csv", index=False)
        study.followed.pairs.to_csv(place / "pairs.csv", index=False)
        study.followed.direct.to_csv(place / "direct.csv", index=False)
    if study.smallest is not None:
        study.smallest.steps.to_csv(place / "smallest.csv", index=False)


_OF_SET = (
    "total", "total_low", "total_high", "faithfulness", "low", "high", "incompleteness",
    "incompleteness_low", "incompleteness_high", "random", "as_faithful", "num_random", "n",
    "reached",
)  # fmt: skip
_OF_CHOICE = ("direction", "accuracy", "ci_low", "ci_high", "p_value")


def _summary(result: CausalFolder, seconds: float, command: str | None) -> dict[str, Any]:
    study = result.study
    own = study.ability
    choice = study.scores.choice
    return {
        "finding": finding_of_study(study).plain,
        **study.heads.attrs,
        "claims": [claim.to_json() for claim in result.report.claims],
        "n": own.n,
        "num_groups": own.groups,
        "accuracy": {"value": own.accuracy, "ci_low": own.low, "ci_high": own.high},
        "heads_that_support": _records(heads_with(study.heads, "supports")),
        "heads_that_oppose": _records(heads_with(study.heads, "opposes")),
        "depends_on_the_method": _records(heads_with(study.heads, "depends on the method")),
        "heads_that_attend": [str(head) for head in heads_that_attend(study.heads)],
        "chosen_by_attention": None
        if study.chosen is None
        else {**asdict(study.chosen), "heads": [str(head) for head in study.chosen.heads]},
        "held_out_attention": None
        if choice is None
        else {
            "head": str(choice.head),
            **{name: getattr(choice, name) for name in _OF_CHOICE},
        },
        "correlation": study.correlation,
        "smallest": None
        if study.smallest is None
        else {
            "heads": [str(head) for head in study.smallest.heads],
            "steps": _records(study.smallest.steps),
            **{name: getattr(study.smallest, name) for name in _OF_SET},
            "needless": [str(head) for head in study.smallest.needless],
        },
        "followed": {
            "heads": [str(head) for head in study.followed.heads],
            "methods": _records(study.followed.methods),
            "pairs": _records(study.followed.pairs),
            "direct": _records(study.followed.direct),
        },
        "minimal_pairs": None
        if study.mediation is None
        else {
            "heads": _records(study.mediation.heads),
            "by_weights": None
            if study.mediation_by_weights is None
            else _records(study.mediation_by_weights.heads),
            "left_out": dict(study.mediation.left_out),
        },
        "notes": list(study.notes),
        "rejected": len(result.rejects),
        "seconds": round(seconds, 1),
        "provenance": dict(provenance_rows(first_record(study).certificate, command)),
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, with NumPy numbers converted to Python's."""
    return [
        {name: value.item() if hasattr(value, "item") else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
