"""A study of heads with known roles, written as a folder with tables, a summary, and a report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from introspect.io import (
    PAGE_ENDINGS,
    PathLike,
    as_json,
    check_page_file,
    claimed_file,
    claimed_folder,
    results_of,
    write_run,
)
from introspect.models import Model
from introspect.progress import ProgressLike, following
from introspect.records import Head
from introspect.reporting import (
    Report,
    check_atlas,
    head_report,
    provenance_rows,
    version_of_introspect,
)
from introspect.runs.plan import checksum
from introspect.studies.atlas import Atlas
from introspect.studies.heads import POSITIONAL, RARE_WORD, SCORES, HeadStudy, head_study

#: The name of these folders in messages.
HEADS_KIND = "heads"


@dataclass(frozen=True)
class HeadOptions:
    """Options of the search for heads; see ``head_study``."""

    num_sequences: int = 32
    prefix: tuple[int, int] = (0, 16)
    period: tuple[int, int] = (8, 22)
    kind: str | None = None
    threshold: float = 0.4
    importance: bool = True
    seed: int = 0


def heads_folder(
    model: Model,
    out: str | os.PathLike[str],
    texts: Sequence[str] | None = None,
    *,
    name: str | None = None,
    read: Sequence[str] = (),
    inputs: Sequence[PathLike] = (),
    options: HeadOptions | None = None,
    atlas: Atlas | None = None,
    overwrite: bool = False,
    command: str | None = None,
    progress: ProgressLike = None,
) -> Report:
    """Search for heads with known roles, and write a folder or only a page.

    The folder holds ``heads.csv`` and ``heads.parquet``, ``summary.json``, ``report.html`` and
    ``run.json``; with texts also ``patterns.csv``, and ``importance.csv`` if it was measured.
    All of it is put in place at the end.

    Args:
        model: the model.
        out: the folder, or a file that ends in ``.html`` for only the page.
        texts: texts for shapes and importance.
        name: the name of the texts.
        read: what was read from which file, in sentences.
        inputs: the files that the texts were read from, which are never written.
        options: options of the search.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.
        overwrite: replace an earlier run.
        command: the command line, for the provenance.
        progress: as for ``head_study``.

    Raises:
        OutputError: the folder is not empty or cannot be written.
        SelectionError: the atlas is of another model.
        IntrospectError: as for ``head_study``.
    """
    check_atlas(atlas, model.name)
    chosen = asdict(options or HeadOptions())
    if is_page(out):
        with claimed_file(check_page_file(out), inputs=inputs):
            study = _studied(model, texts, chosen, read, progress)
            seen = None if atlas is None else atlas.beside(Path(out).parent)
            report = head_report(study, name=name, read=read, command=command, atlas=seen)
            report.save(out)
        return report
    plan = {
        "kind": HEADS_KIND,
        "model": model.name,
        "revision": model.revision,
        "texts": None if texts is None else checksum(texts),
        "options": chosen,
    }
    with claimed_folder(out, HEADS_KIND, "replace", overwrite=overwrite, inputs=inputs) as folder:
        study = _studied(model, texts, chosen, read, progress)
        seen = None if atlas is None else atlas.beside(folder)
        report = head_report(study, name=name, read=read, command=command, atlas=seen)
        with results_of(folder) as place:
            _write(place, study, report, plan, command)
    return report


def _studied(
    model: Model,
    texts: Sequence[str] | None,
    options: dict[str, Any],
    read: Sequence[str],
    progress: ProgressLike,
) -> HeadStudy:
    with following(progress) as tell:
        tell.announce(read)
        return head_study(model, texts, **options, progress=tell)


def _write(
    place: Path, study: HeadStudy, report: Report, plan: dict[str, Any], command: str | None
) -> None:
    """Write everything that a search for heads leaves, the plan last."""
    study.roles.to_csv(place / "heads.csv", index=False)
    study.roles.to_parquet(place / "heads.parquet", index=False)
    if study.patterns is not None:
        study.patterns.to_csv(place / "patterns.csv", index=False)
    if study.importance is not None:
        study.importance.to_csv(place / "importance.csv", index=False)
    (place / "report.html").write_text(report.html, encoding="utf-8")
    summary = _summary(study, report, command)
    (place / "summary.json").write_text(as_json(summary), encoding="utf-8")
    files = [path.name for path in place.iterdir()]
    write_run(place, plan, files, command=command, version=version_of_introspect())


def is_page(out: str | os.PathLike[str]) -> bool:
    """Return whether the output is only a page instead of a folder."""
    return Path(out).suffix.lower() in PAGE_ENDINGS


def _summary(study: HeadStudy, report: Report, command: str | None) -> dict[str, Any]:
    first = study.roles.iloc[0]
    return {
        "finding": report.finding,
        "claims": [claim.to_json() for claim in report.claims],
        "threshold": study.threshold,
        "num_sequences": int(first["n_sequences"]),
        "length": int(first["length"]),
        "roles": {role: [str(head) for head in study.called(role)] for role in SCORES.values()},
        "strongest": {score: _strongest(study, score) for score in SCORES},
        "texts": study.num_texts,
        "positional": _flagged(study, "is_positional"),
        "positional_threshold": POSITIONAL,
        "rare_word": _flagged(study, "is_rare_word"),
        "rare_word_threshold": RARE_WORD,
        "loss": None if study.importance is None else study.importance.attrs["loss"],
        "notes": list(study.notes),
        "provenance": dict(provenance_rows(study.record.certificate, command)),
    }


def _strongest(study: HeadStudy, score: str) -> dict[str, Any] | None:
    head = study.strongest(score)
    if head is None:
        return None
    rows = study.roles
    row = rows[(rows["layer"] == head.layer) & (rows["head"] == head.head)].iloc[0]
    ends = {end: float(row[f"{score}_{end}"]) for end in ("ci_low", "ci_high", "baseline")}
    return {"head": str(head), "value": float(row[score]), **ends}


def _flagged(study: HeadStudy, column: str) -> list[str] | None:
    if study.patterns is None:
        return None
    rows = study.patterns[study.patterns[column]]
    return [str(Head(int(row.layer), int(row.head))) for row in rows.itertuples()]
