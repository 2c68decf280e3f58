"""The commands that take heads out: what they leave, what they say, and what bad input gets."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers

import introspect as ix
from introspect.data import case_to_json, grammar_cases
from introspect.errors import InputError, OutputError
from introspect.io import locked, results_of, write_atomically, write_run
from introspect.page import read_summary
from introspect.runs import causal as causal_run
from introspect.studies.causal import load_to_ask
from introspect.studies.causal.followed import FOLLOWING
from introspect.studies.causal.mediation import PATCHING
from introspect.studies.causal.smallest import SEARCHING

from .test_cli import assert_refused, introspect

__all__ = ["introspect"]  # a fixture

FILES = [
    "baselines.csv", "case_effects.parquet", "cases.parquet", "direct.csv", "effects.csv",
    "effects.parquet", "held_out.csv", "mediation.csv", "methods.csv", "pairs.csv",
    "rejects.jsonl", "report.html", "run.json", "smallest.csv", "summary.json",
]  # fmt: skip
TEXT = "The fox did not cross the river because it was too wide."
ODD = {
    4: '{"text": "broken"}',
    7: '{"id": "one", "text": "The fox ran because it was wide.", "pronoun": [20, 22], '
    '"candidates": [{"span": [4, 7], "antecedent": true}]}',
    10: '{"id": "unknown", "text": "The zzqx did not cross the river because it was too wide.", '
    '"pronoun": [41, 43], "candidates": [{"span": [4, 8], "antecedent": false}, '
    '{"span": [27, 32], "antecedent": true}]}',
}


def write_cases(folder, number=20, odd=None):
    lines = [case_to_json(case) for case in grammar_cases(number, "en", seed=1000)]
    for place, line in (odd or {}).items():
        lines.insert(place - 1, line)
    return write_atomically(folder / "cases.jsonl", "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def study():
    model = ix.load("pronoun", lm_head=True)
    return ix.causal_study(model, grammar_cases(20, "en", seed=1000))


def test_causal_leaves_the_tables_of_the_study(introspect, tmp_path, study):
    out = tmp_path / "run"
    outcome = introspect("causal", write_cases(tmp_path), "--out", out, "--model", "pronoun")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [ix.causal_report(study).finding, str(out / "report.html")]
    begun = [line for line in outcome.err.splitlines() if " in " not in line]
    assert begun == [
        "introspect: reading cases from cases.jsonl; first text: “The crow did not cross the "
        "island because it was too sleepy.”",
        "introspect: ablating each head: 0 of 8",
        "introspect: scoring attention",
        f"introspect: {FOLLOWING}",
        f"introspect: {SEARCHING}: 0 of 17",
        # Two heads in two batches of 20 cases, of either case; by outputs and by weights.
        f"introspect: {PATCHING}: 0 of 4",
        "introspect: writing the report",
    ]
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.jsonl", "run"]
    page = (Path(__file__).parent.parent / "docs/causal.md").read_text(encoding="utf-8")
    told = page[page.index("The folder has") :].split("\n\n")[0]
    files = {"effects.csv", "effects.parquet"}  # "`effects` (CSV and Parquet)"
    assert [name for name in FILES if f"`{name}`" not in told and name not in files] == []
    for found in (pd.read_csv(out / "effects.csv"), pd.read_parquet(out / "effects.parquet")):
        pd.testing.assert_frame_equal(found, study.heads, check_dtype=False)
    cases = pd.read_parquet(out / "case_effects.parquet")
    pd.testing.assert_frame_equal(cases, study.effects.cases)
    mediated = pd.read_csv(out / "mediation.csv")
    pd.testing.assert_frame_equal(mediated, study.mediation.heads)
    assert pd.read_csv(out / "smallest.csv")["layer"].tolist() == [0, 1]
    assert (out / "rejects.jsonl").read_text() == ""
    # The Parquet says how it was measured, and so can be drawn.
    ix.causal_view(pd.read_parquet(out / "effects.parquet"))


def test_causal_says_in_its_summary_what_the_study_found(introspect, tmp_path, study):
    out = tmp_path / "run"
    introspect("causal", write_cases(tmp_path), "--out", out, "--model", "pronoun")
    summary = json.loads((out / "summary.json").read_text())
    assert [f"L{r['layer']}H{r['head']}" for r in summary["heads_that_support"]] == ["L0H0", "L1H0"]
    assert summary["heads_that_attend"] == ["L1H0"]
    assert summary["chosen_by_attention"]["heads"] == ["L1H0", "L1H0"]
    assert summary["chosen_by_attention"]["effect"] == pytest.approx(study.chosen.effect)
    assert summary["accuracy"]["value"] == 1.0 and 0.5 < summary["accuracy"]["ci_low"] < 0.75
    assert (summary["n"], summary["num_groups"], summary["rejected"]) == (20, 10, 0)
    assert summary["is_surrogate"] is False and summary["unit"] == "nats"
    assert summary["smallest"]["heads"] == ["L0H0", "L1H0"]
    assert summary["smallest"]["faithfulness"] > 0.99
    assert summary["followed"]["heads"] == ["L0H0", "L1H0"]
    kinds = [claim["kind"] for claim in summary["claims"] if ": " not in claim["kind"]]
    assert kinds[:4] == ["able", "supports", "supports", "attends"]
    assert len(summary["minimal_pairs"]["heads"]) == 2
    assert summary["provenance"]["Command"].startswith("introspect causal ")
    run = json.loads((out / "run.json").read_text())
    assert run["plan"]["method"] == "zero" and run["plan"]["model"] == "pronoun"
    page = read_summary((out / "report.html").read_text(encoding="utf-8"))
    assert page["finding"] == summary["finding"] and page["kind"] == "report"


def test_causal_rejects_rows_by_their_lines(introspect, tmp_path):
    out = tmp_path / "run"
    file = write_cases(tmp_path, odd=ODD)
    outcome = introspect("causal", file, "--out", out, "--model", "pronoun", "--no-smallest",
                         "--no-minimal-pairs")  # fmt: skip
    assert outcome.code == 3
    assert outcome.err.splitlines()[-1] == (
        f"introspect: notice: 3 rows rejected, see {out / 'rejects.jsonl'}"
    )
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert [one["line"] for one in rejects] == [4, 7, 10]
    reasons = " ".join(one["reason"] for one in rejects)
    for part in ("pronoun, candidates", "antecedent and a distractor", "nothing for 'zzqx'"):
        assert part in reasons
    assert "zzqx" in rejects[2]["row"]
    assert not (out / "smallest.csv").exists() and not (out / "mediation.csv").exists()
    assert "3 rows were left out." in (out / "report.html").read_text(encoding="utf-8")


def test_causal_takes_heads_method_limit_and_texts(introspect, tmp_path):
    out, texts = tmp_path / "run", tmp_path / "texts.txt"
    cases = list(grammar_cases(12, "en", seed=5))
    texts.write_text("\n".join(case.text for case in cases))
    outcome = introspect(
        "causal", write_cases(tmp_path), "--out", out, "--model", "pronoun", "--heads", "L1H0,L0",
        "--method", "mean", "--reference", texts, "--limit", 10, "--no-smallest",
        "--no-minimal-pairs",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    found = pd.read_csv(out / "effects.csv")
    assert found[["layer", "head"]].to_numpy().tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]]
    assert (found["n"] == 10).all()
    expected = ix.causal_effects(
        ix.load("pronoun", lm_head=True), list(grammar_cases(20, "en", seed=1000))[:10],
        ["L1H0", "L0"], method="mean", reference=[case.text for case in cases],
    )  # fmt: skip
    assert found["effect"].tolist() == pytest.approx(expected["effect"].tolist())
    assert "Only the first 10 cases of the file were asked." in outcome.err


@pytest.mark.slow
def test_causal_says_surrogate_of_a_model_without_a_head(introspect, tmp_path):
    out = tmp_path / "run"
    outcome = introspect("causal", write_cases(tmp_path, 10), "--out", out, "--heads", "L5H0",
                         "--no-smallest", "--no-minimal-pairs")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("Measured by a surrogate, not by the model’s own answer.")
    assert "notice: Effects are on a surrogate, not the model’s answer" in outcome.err
    assert json.loads((out / "summary.json").read_text())["is_surrogate"] is True


def test_a_model_comes_with_the_head_it_has():
    assert load_to_ask("pronoun").module.get_output_embeddings() is not None
    assert type(load_to_ask("minilm").module).__name__ == "BertModel"
    plain = load_to_ask("pronoun", "surrogate")
    assert type(plain.module).__name__ == type(ix.load("pronoun").module).__name__
    with pytest.raises(ix.IntrospectError, match="nowhere"):
        load_to_ask("./nowhere")


@pytest.mark.parametrize("architecture", ["BertForSequenceClassification", None])
def test_a_model_with_another_head_comes_without(tmp_path, architecture):
    pronoun = ix.load("pronoun")
    config = transformers.BertConfig(
        vocab_size=len(pronoun.tokenizer), hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=16,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    pronoun.tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    saved = json.loads(file.read_text()) | {"architectures": architecture and [architecture]}
    file.write_text(json.dumps(saved))
    model = load_to_ask(str(tmp_path))
    assert type(model.module).__name__ == "BertModel"
    table = ix.causal_effects(model, grammar_cases(6), "L0H1")
    assert table.attrs["is_surrogate"] and abs(table["effect"][0]) > 0


def test_causal_replaces_its_own_run_only_when_told(introspect, tmp_path):
    out, file = tmp_path / "run", write_cases(tmp_path, 10)
    common = ("causal", file, "--out", out, "--model", "pronoun", "--no-smallest",
              "--no-minimal-pairs", "--heads", "L1H0")  # fmt: skip
    out.mkdir()  # an empty folder will do
    assert introspect(*common).code == 0
    (out / "effects.csv").write_text("mine")
    assert_refused(introspect(*common), "holds an earlier run", "--overwrite")
    assert (out / "effects.csv").read_text() == "mine"
    assert introspect(*common, "--overwrite").code == 0
    assert (out / "effects.csv").read_text() != "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.jsonl", "run"]


def test_causal_touches_no_folder_of_others(introspect, tmp_path):
    file = write_cases(tmp_path, 10)
    probe = tmp_path / "probe"
    probe.mkdir()
    (probe / "run.json").write_text('{"plan": {"rows": 1}}')
    for out in (tmp_path, probe):
        for more in ((), ("--overwrite",)):
            outcome = introspect("causal", file, "--out", out, "--model", "pronoun", *more)
            assert_refused(outcome, "which is not of a causal run")
    assert (probe / "run.json").exists()
    assert_refused(introspect("causal", file, "--out", file), "is a file")
    assert_refused(introspect("causal", file, "--out", file / "below"), "is a file")


def test_missing_folders_are_made_and_what_killed_runs_began_is_removed(introspect, tmp_path):
    file = write_cases(tmp_path, 12)
    out = tmp_path / "runs" / "a[1]"
    begun = out / ".introspect-aaaa.part"
    begun.mkdir(parents=True)
    arguments = ("--model", "pronoun", "--heads", "L1", "--no-smallest", "--no-minimal-pairs")
    with locked(out):
        outcome = introspect("causal", file, "--out", out, *arguments)
        assert_refused(outcome, "one is at work in", "Wait for it")
    assert begun.exists()
    assert introspect("causal", file, "--out", out, *arguments).code == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(
        {*FILES} - {"mediation.csv", "smallest.csv"}
    )
    assert [path.name for path in out.parent.iterdir()] == ["a[1]"]


def test_the_causal_view_reads_what_the_command_wrote(introspect, tmp_path, study):
    out = tmp_path / "run"
    arguments = ("--model", "pronoun", "--no-smallest", "--no-minimal-pairs")
    assert introspect("causal", write_cases(tmp_path), "--out", out, *arguments).code == 0
    expected = ix.causal_view(study)
    for saved in (out, str(out), out / "effects.csv", out / "effects.parquet"):
        view = ix.causal_view(saved)
        pd.testing.assert_frame_equal(view.table, expected.table)
        assert view.table.attrs == expected.table.attrs
        assert (view.title, view.subtitle, view.notices) == (
            expected.title, expected.subtitle, expected.notices,
        )  # fmt: skip
    alone = tmp_path / "effects.csv"
    alone.write_bytes((out / "effects.csv").read_bytes())
    for path in (alone, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="the folder of `introspect causal`.*cannot be read"):
            ix.causal_view(path)
    (out / "summary.json").write_text('{"metric": "target"}')
    with pytest.raises(InputError, match="'metric_words' is missing"):
        ix.causal_view(out)


def test_overwrite_removes_only_what_the_run_wrote(introspect, tmp_path):
    file, out = write_cases(tmp_path, 12), tmp_path / "run"
    arguments = ("causal", file, "--out", out, "--model", "pronoun", "--heads", "L1",
                 "--no-smallest", "--no-minimal-pairs")  # fmt: skip
    assert introspect(*arguments).code == 0
    files = json.loads((out / "run.json").read_text())["files"]
    assert files == sorted(path.name for path in out.iterdir())
    (out / "notes.txt").write_text("mine")
    assert_refused(introspect(*arguments, "--overwrite"), "holds 'notes.txt'")
    assert (out / "notes.txt").read_text() == "mine"
    (out / "notes.txt").rename(out / ".DS_Store")  # what a file manager leaves is in nobody's way
    assert introspect(*arguments, "--overwrite").code == 0


def test_nothing_half_written_is_left(introspect, tmp_path, monkeypatch):
    def broken(*_arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr(causal_run, "as_json", broken)
    out, file = tmp_path / "run", write_cases(tmp_path, 10)
    outcome = introspect("causal", file, "--out", out, "--model", "pronoun", "--no-smallest",
                         "--no-minimal-pairs", "--heads", "L1H0")  # fmt: skip
    assert outcome.code == 2 and "the disk is full" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["cases.jsonl"]


@pytest.mark.parametrize("stop", [OSError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("when", ["writing", "putting in place"])
def test_an_earlier_run_stays_if_the_new_one_fails(tmp_path, monkeypatch, stop, when):
    folder = tmp_path / "run"
    folder.mkdir()
    write_run(folder, {"kind": "causal"}, ["old"], command=None, version="0.2.0")
    (folder / "old").write_text("old")
    rename = Path.rename

    def failing(self, target):
        if self.suffix == ".part":
            raise stop
        return rename(self, target)

    if when != "writing":
        monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises((OutputError, KeyboardInterrupt)), results_of(folder) as place:
        (place / "new").write_text("new")
        if when == "writing":
            raise stop
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["old", "run", "run.json"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--heads", "L9H1"), ("a head of L0H0–L1H3, got L9H1",)),
        (("--heads", "L1H7"), ("a head of L1H0–L1H3, got L1H7",)),
        (("--heads", "one"), ("such as L3H1", "'one'")),
        (("--method", "none"), ("zero, mean, uniform, resample", "'none'")),
        (("--metric", "none"), ("pseudo-likelihood", "'none'")),
        (("--method", "mean", "--reference", "EMPTY"), ("a text on each line",)),
        (
            ("--method", "mean", "--reference", "MISSING"),
            ("a file to read", "there is none"),
        ),
        (("--reference", "EMPTY"), ("a text on each line", "empty.txt")),
        (("--limit", "0"), ("at least 1 case",)),
        (("--model", "./nowhere"), ("nowhere",)),
    ],
)
def test_bad_arguments_of_causal_are_named_in_a_line(introspect, tmp_path, arguments, expected):
    (tmp_path / "empty.txt").write_text("\n  \n")
    places = {"EMPTY": tmp_path / "empty.txt", "MISSING": tmp_path / "missing.txt"}
    given = [places.get(each, each) for each in arguments]
    file = write_cases(tmp_path, 10)
    outcome = introspect("causal", file, "--out", tmp_path / "run", "--model", "pronoun", *given)
    assert_refused(outcome, *expected)
    assert not (tmp_path / "run").exists()


def test_causal_of_a_file_without_cases_is_refused(introspect, tmp_path):
    file = write_atomically(tmp_path / "cases.jsonl", "{}\n")
    outcome = introspect("causal", file, "--out", tmp_path / "run", "--model", "pronoun")
    assert_refused(
        outcome, "at least one row with a result", "The first: line 1: Expected an object"
    )
    file = write_atomically(tmp_path / "cases.jsonl", ODD[10] + "\n")
    outcome = introspect("causal", file, "--out", tmp_path / "run", "--model", "pronoun")
    assert_refused(outcome, "at least one case that can be asked", "zzqx")


# --- ablate -----------------------------------------------------------------------------------


def test_ablate_compares_before_and_after(introspect, tmp_path, open_page):
    out = tmp_path / "ablate.html"
    outcome = introspect("ablate", TEXT, "--heads", "L0H0", "--model", "pronoun", "--out", out)
    assert (outcome.code, outcome.out.strip(), outcome.err) == (0, str(out), "")
    page = open_page(out)
    text = page.inner_text('[data-view="compare"]')
    assert "unchanged" in text and "L0H0 ablated (zero)" in text
    model = ix.load("pronoun")
    before = model.capture(TEXT)
    with ix.ablate(model, "L0H0"):
        after = model.capture(TEXT)
    largest = ix.compare_view(before, after).changes()["total_variation"].max()
    assert largest > 0.5
    assert f"{largest:.2f}" in page.locator('[data-view="compare"]').inner_text()


def test_ablate_cuts_single_words_off(introspect, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(ix, "compare_view", lambda a, b, labels: shown.append((a, b, labels)) or
                        real(a, b, labels=labels))  # fmt: skip
    outcome = introspect("ablate", TEXT, "--edge", "it:river", "--heads", "L1H0", "--model",
                         "pronoun", "--out", tmp_path / "x.html")  # fmt: skip
    assert outcome.code == 0, outcome.err
    before, after, labels = shown[0]
    assert labels == ("unchanged", "it:river cut")
    query, key = before.keys.tokens.index("it"), before.keys.tokens.index("river")
    assert before.attentions[1, 0, query, key] > 0.9 and after.attentions[1, 0, query, key] == 0
    torch.testing.assert_close(before.attentions[1, 1:], after.attentions[1, 1:])


real = ix.compare_view


def test_ablate_says_where_no_attention_changes(introspect, tmp_path):
    out = tmp_path / "x.html"
    outcome = introspect("ablate", TEXT, "--heads", "L1H0", "--model", "pronoun", "--out", out)
    assert outcome.code == 0 and "notice: no attention changes" in outcome.err
    outcome = introspect("ablate", TEXT, "--heads", "L1H0", "--method", "uniform", "--model",
                         "pronoun", "--out", out)  # fmt: skip
    assert outcome.code == 0 and outcome.err == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ("--heads or --edge",)),
        (("--heads", "L9H1"), ("a head of L0H0–L1H3, got L9H1",)),
        (("--heads", "L1H0", "--method", "mean"), ("texts in `reference`",)),
        (("--edge", "it"), ("it:animal", "'it'")),
        (("--edge", "it:zebra"), ("zebra",)),
        (("--edge", "it:river", "--method", "mean"), ("without --method",)),
    ],
)
def test_bad_arguments_of_ablate_are_named_in_a_line(introspect, tmp_path, arguments, expected):
    out = tmp_path / "x.html"
    outcome = introspect("ablate", TEXT, "--model", "pronoun", "--out", out, *arguments)
    assert_refused(outcome, *expected)
    assert not out.exists()
