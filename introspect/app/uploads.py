"""Uploaded files: checked, written to an empty folder, probed, and read back.

An upload is only read as text, line by line. Only letters and digits of its name are used, so
that reports can name it but it cannot form a path.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import pandas as pd

from introspect.data import InputSet, Reject, as_cases, reject_from_json
from introspect.errors import InputError
from introspect.io import is_packed, write_atomically
from introspect.models import Model
from introspect.reporting import causal_report
from introspect.runs import probe
from introspect.studies.causal import causal_study
from introspect.text import counted, decimal, whole

#: The largest upload accepted, in bytes and in lines; larger files belong on the command line,
#: where a run can be stopped and resumed.
MOST_BYTES = 2 << 20
MOST_ROWS = 2_000
#: The most cases of a causal study, which asks the model once for each head and case.
MOST_STUDIED = 200
ENDINGS = ("jsonl", "json", "csv", "tsv", "xlsx")

#: A sample to download, as a template for the user's own file.
SAMPLE = """text,pronoun,antecedent,distractor,group
The animal didn't cross the street because it was too tired.,it,animal,street,1
The animal didn't cross the street because it was too wide.,it,street,animal,1
The dog chased the cat because it was angry.,it,dog,cat,2
The cup broke the plate because it was heavy.,it,cup,plate,3
"""

#: The largest picture accepted, in bytes, and what it may be.
MOST_PICTURE_BYTES = 10 << 20
PICTURES = ("png", "jpg", "jpeg", "webp", "bmp", "gif")

# Small enough that the progress bar moves.
_SHARD_ROWS = 64

#: A callback that receives the share done, from 0 to 1, and a description of the current step.
Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Upload:
    """An uploaded file.

    Args:
        name: its name on the user's machine.
        content: its bytes.
    """

    name: str
    content: bytes


@dataclass(frozen=True, eq=False)
class Probed:
    """Results of the probe of an upload.

    Args:
        name: the name of the upload.
        model: the model that was probed.
        finding: the headline, or the reason that there is none if no row has a result.
        is_finished: whether there are results.
        figures: names and values of the key figures.
        heads: the table of heads.
        baselines: answers that need no head, on the same cases.
        rejects: a row for each line without a result: its place, the reason, and its content.
        report: the report page.
    """

    name: str
    model: str
    finding: str
    is_finished: bool
    figures: list[tuple[str, str]] = field(default_factory=list)
    heads: pd.DataFrame = field(default_factory=pd.DataFrame)
    baselines: pd.DataFrame = field(default_factory=pd.DataFrame)
    rejects: pd.DataFrame = field(default_factory=pd.DataFrame)
    report: str = ""


@dataclass(frozen=True)
class Studied:
    """Results of the causal study of an upload.

    Args:
        name: the name of the upload.
        model: the model that was asked.
        finding: the headline.
        report: the report page.
    """

    name: str
    model: str
    finding: str
    report: str


def probe_upload(model: Model, upload: Upload, tell: Tell) -> Probed:
    """Probe the cases of an uploaded file.

    Args:
        model: the model.
        upload: cases as ``jsonl``, or a table (``csv``, ``tsv``, ``xlsx``) with the columns text,
            pronoun, antecedent and distractor.
        tell: a callback that receives the progress.

    Raises:
        InputError: the file is empty, too large, of another format, or without any cases.
    """
    with _written(upload) as given:
        return _probed(model, upload, given, tell)


def study_upload(model: Model, upload: Upload, tell: Tell) -> Studied:
    """Ablate each head in turn on the cases of an uploaded file.

    Args:
        model: the model, with its LM head if it has one.
        upload: cases, as ``probe_upload`` takes them, but fewer.
        tell: a callback that receives the progress.

    Raises:
        InputError: the file is none of cases, or has too many.
    """
    with _written(upload) as given:
        cases = list(islice(as_cases(given), MOST_STUDIED + 1))
        if len(cases) > MOST_STUDIED:
            raise InputError(
                f"Expected at most {whole(MOST_STUDIED)} cases for a causal study here, got more: "
                "every head is ablated on each. Larger sets are for the command line: introspect "
                "causal FILE --out DIR."
            )
        study = causal_study(model, cases, progress=partial(_tell_share, tell))
        made = causal_report(study, name=upload.name, command="introspect app")
        return Studied(upload.name, model.name, made.finding, made.html)


@contextmanager
def written_picture(upload: Upload) -> Iterator[Path]:
    """Write a picture to a folder of its own, which is removed at the end.

    Raises:
        InputError: it has another ending, is too large, or something inside was refused.
    """
    ending = Path(upload.name).suffix.lower().removeprefix(".")
    if ending not in PICTURES:
        raise InputError(
            f"Expected a picture that ends in .{', .'.join(PICTURES)}, got {upload.name!r}."
        )
    if len(upload.content) > MOST_PICTURE_BYTES:
        raise InputError(
            f"Expected a picture of at most {MOST_PICTURE_BYTES >> 20} MB, got "
            f"{decimal(len(upload.content) / 2**20, 1)} MB. Make it smaller first."
        )
    with _in_a_folder(upload, ending) as path:
        yield path


@contextmanager
def _written(upload: Upload) -> Iterator[Path]:
    """Write an upload to a folder of its own, which is removed at the end.

    Raises:
        InputError: the upload is refused, or something inside was: then its name is told, not
            its temporary path, which the user does not know.
    """
    with _in_a_folder(upload, _checked_ending(upload)) as given:
        yield given


@contextmanager
def _in_a_folder(upload: Upload, ending: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="introspect-app-") as name:
        given = Path(name) / "given" / f"{_safe_stem(upload.name)}.{ending}"
        given.parent.mkdir()
        write_atomically(given, upload.content)
        try:
            yield given
        except InputError as error:
            raise InputError(str(error).replace(str(given), upload.name)) from error


def _safe_stem(name: str) -> str:
    return re.sub(r"\W+", "-", Path(name).stem).strip("-")[:60] or "upload"


def _checked_ending(upload: Upload) -> str:
    ending = Path(upload.name).suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        raise InputError(
            f"Expected a file that ends in .{', .'.join(ENDINGS)}, got {upload.name!r}. Save cases "
            "as JSON lines, or as a table with the columns text, pronoun, antecedent, distractor."
        )
    if not upload.content.strip():
        raise InputError(f"Expected cases in {upload.name!r}, got an empty file.")
    if is_packed(upload.content):
        raise InputError(
            f"Expected a plain text file, but {upload.name!r} is compressed. Unpack it first, or "
            "probe it with: introspect probe."
        )
    is_workbook = ending == "xlsx"
    rows = upload.content.count(b"\n") + (not upload.content.endswith(b"\n"))
    rows = 0 if is_workbook else rows
    if is_workbook:
        _check_unpacked(upload)
    if len(upload.content) > MOST_BYTES or rows > MOST_ROWS:
        raise InputError(
            f"Expected at most {MOST_BYTES >> 20} MB and {whole(MOST_ROWS)} lines, got "
            f"{decimal(len(upload.content) / 2**20, 1)} MB and {counted(rows, 'line')}. "
            "Larger sets are for the command line: introspect probe FILE --out DIR."
        )
    return ending


# A workbook is packed: so much it may hold, unpacked.
_MOST_UNPACKED = 20 * MOST_BYTES


def _check_unpacked(upload: Upload) -> None:
    """Raise unless an upload is a workbook of a size that can be read at once."""
    try:
        with zipfile.ZipFile(io.BytesIO(upload.content)) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise InputError(
            f"Expected an Excel workbook in {upload.name!r}, but it is none. Save the table as "
            "CSV UTF-8."
        ) from error
    if size > _MOST_UNPACKED:
        raise InputError(
            f"Expected a workbook of at most {_MOST_UNPACKED >> 20} MB unpacked, got "
            f"{decimal(size / 2**20, 1)} MB. Larger sets are for the command line: introspect "
            "probe FILE --out DIR."
        )


def _check_rows(inputs: InputSet) -> None:
    """Raise if a workbook has more rows than an upload may have."""
    readers = [layout.reader for layout in inputs.layouts if layout.reader is not None]
    rows = sum(1 for reader in readers for _ in reader.rows())
    if rows > MOST_ROWS:
        raise InputError(
            f"Expected at most {whole(MOST_ROWS)} rows, got {counted(rows, 'row')}. Larger sets "
            "are for the command line: introspect probe FILE --out DIR."
        )


def _probed(model: Model, upload: Upload, given: Path, tell: Tell) -> Probed:
    inputs = InputSet(given, wanted="cases")
    if given.suffix == ".xlsx":
        _check_rows(inputs)
    out = given.parent.parent / "out"
    try:
        run = probe(
            model,
            inputs,
            out,
            analyzers=["coreference"],
            shard_rows=_SHARD_ROWS,
            progress=partial(_tell_share, tell),
        )
    except InputError:
        rejects = _read_rejects(out / "rejects.jsonl")
        if not rejects:
            raise
        return _nothing(model, upload, rejects)
    assert run.scores is not None
    return Probed(
        name=upload.name,
        model=model.name,
        finding=run.finding,
        is_finished=True,
        figures=run.lines(),
        heads=run.scores.heads,
        baselines=run.scores.baselines,
        rejects=_reject_table(_read_rejects(out / "rejects.jsonl")),
        report="" if run.report is None else run.report.read_text(encoding="utf-8"),
    )


def _nothing(model: Model, upload: Upload, rejects: list[Reject]) -> Probed:
    return Probed(
        name=upload.name,
        model=model.name,
        finding=(
            f"Expected at least one case that can be scored in {upload.name!r}, got none. "
            f"Rows rejected, for the reasons below: {whole(len(rejects))}."
        ),
        is_finished=False,
        rejects=_reject_table(rejects),
    )


def _read_rejects(path: Path | None) -> list[Reject]:
    if path is None or not path.is_file():
        return []
    return [reject_from_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _reject_table(rejects: list[Reject]) -> pd.DataFrame:
    rows = [
        {"where": f"line {reject.line}", "why": reject.reason, "row": reject.row}
        for reject in rejects
    ]
    return pd.DataFrame(rows, columns=["where", "why", "row"])


def _tell_share(tell: Tell, stage: str, done: int, total: int | None) -> None:
    """Tell the share of a probe that is done: its rows, and then what is made of them."""
    if total is None:
        tell(1.0, stage.capitalize())
    elif not done:
        tell(0.0, "Reading")
    else:
        tell(min(done / total, 1.0), f"{whole(done)} of {counted(total, 'row')}")
