"""The commands on a model's insides: what they leave, what they say, and what bad input gets."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import introspect as ix
from introspect.page import read_summary
from introspect.studies.heads.known_roles import READING

from .test_cli import assert_refused, introspect

__all__ = ["introspect"]  # a fixture

FEW = ("--sequences", 5)
SMALL = ("--sequences", 4, "--prefix", "0-4", "--period", "4-8")
INDUCTION = "L0H0 is a previous-token head; L1H0, L1H1, L1H2 and L1H3 are induction heads."
TEXTS = "The cat saw the road because it was too shy.\n\nA fox ran over the long road.\n"


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text(TEXTS)
    return path


# --- heads ----------------------------------------------------------------------------------------


def test_heads_leaves_tables_a_summary_and_a_report(introspect, tmp_path):
    out = tmp_path / "runs" / "heads"
    outcome = introspect("heads", "--model", "induction", "--out", out, *FEW, "--seed", 3)
    assert outcome.code == 0, outcome.err
    begun, ended = outcome.err.splitlines()
    assert begun == f"introspect: {READING}: 0 of 5"
    assert ended.startswith(f"introspect: {READING}: 5 of 5 done in ")
    assert outcome.out.splitlines() == [INDUCTION, str(out / "report.html")]
    assert sorted(path.name for path in out.iterdir()) == [
        "heads.csv", "heads.parquet", "report.html", "run.json", "summary.json",
    ]  # fmt: skip
    expected = ix.detect_heads("induction", num_sequences=5, seed=3)
    pd.testing.assert_frame_equal(pd.read_csv(out / "heads.csv"), expected)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "heads.parquet"), expected)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["finding"] == INDUCTION
    assert summary["roles"] == {
        "previous-token": ["L0H0"],
        "duplicate-token": [],
        "induction": ["L1H0", "L1H1", "L1H2", "L1H3"],
    }
    assert summary["threshold"] == 0.4 and summary["num_sequences"] == 5
    best = expected.loc[expected["induction"].idxmax()]
    strongest = summary["strongest"]["induction"]
    assert strongest["head"] == f"L{best['layer']}H{best['head']}"
    assert strongest["value"] == pytest.approx(best["induction"])
    assert strongest["ci_low"] == pytest.approx(best["induction_ci_low"])
    assert summary["positional"] is None and summary["texts"] == 0
    assert summary["provenance"]["Command"].startswith("introspect heads --model induction")
    run = json.loads((out / "run.json").read_text())
    assert run["plan"]["kind"] == "heads" and run["plan"]["options"]["seed"] == 3
    page = read_summary((out / "report.html").read_text(encoding="utf-8"))
    assert page["finding"] == INDUCTION and page["kind"] == "report"


def test_heads_says_plainly_that_there_is_none_and_writes_a_page_alone(introspect, tmp_path):
    out = tmp_path / "heads.html"
    outcome = introspect("heads", "--model", "shortcut", "--out", out, *FEW)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(
        "No head of 8 has a known role: none is sure to give more than 40%"
    )
    assert outcome.out.splitlines()[1] == str(out)
    assert [path.name for path in tmp_path.iterdir()] == ["heads.html"]
    assert introspect("heads", "--model", "shortcut", "--out", out, *FEW).code == 0  # over it


def test_a_threshold_of_ones_own_is_stated(introspect, tmp_path):
    out = tmp_path / "heads.html"
    outcome = introspect("heads", "--model", "induction", "--out", out, *FEW, "--threshold", 0.9)
    assert outcome.code == 0, outcome.err
    expected = ix.detect_heads("induction", num_sequences=5, threshold=0.9)
    named = expected[expected["role"] != "none"]
    assert 0 < len(named) < 5
    for row in named.itertuples():
        assert f"L{row.layer}H{row.head}" in outcome.out
    assert "interval is above 90%" in out.read_text(encoding="utf-8")


def test_heads_takes_texts(introspect, tmp_path, texts):
    out = tmp_path / "run"
    outcome = introspect("heads", "--model", "pronoun", "--out", out, "--texts", texts, *SMALL)
    assert outcome.code == 0, outcome.err
    lines = [line for line in TEXTS.splitlines() if line]
    model = ix.load("pronoun", lm_head=True)
    importance = pd.read_csv(out / "importance.csv")
    pd.testing.assert_frame_equal(
        importance, ix.head_importance(model, lines), check_dtype=False, check_exact=False
    )
    patterns = ix.head_patterns(model, lines)
    found = pd.read_csv(out / "patterns.csv", keep_default_na=False, na_values=[""])
    for column in ("layer", "head", "position_share", "pattern"):
        assert found[column].tolist() == pytest.approx(patterns[column].tolist(), nan_ok=True)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["texts"] == 2 and summary["loss"].startswith("cross-entropy")
    assert summary["positional"] == [
        f"L{row.layer}H{row.head}" for row in patterns[patterns["is_positional"]].itertuples()
    ]
    assert "Shapes on texts.txt (2)" in (out / "report.html").read_text(encoding="utf-8")


def test_of_a_model_without_a_head_importance_is_left_out_and_said(introspect, tmp_path, texts):
    out = tmp_path / "run"
    outcome = introspect("heads", "--out", out, "--texts", texts, *SMALL)
    assert outcome.code == 0, outcome.err
    assert not (out / "importance.csv").exists() and (out / "patterns.csv").exists()
    (note,) = json.loads((out / "summary.json").read_text())["notes"]
    assert note.endswith("has no language-model head, so no loss.")


def test_heads_replaces_its_own_run_only_when_told(introspect, tmp_path):
    out = tmp_path / "run"
    common = ("heads", "--model", "shortcut", "--out", out, *FEW)
    assert introspect(*common).code == 0
    (out / "heads.csv").write_text("mine")
    assert_refused(introspect(*common), "holds an earlier run", "--overwrite")
    assert (out / "heads.csv").read_text() == "mine"
    assert introspect(*common, "--overwrite").code == 0
    assert (out / "heads.csv").read_text() != "mine"
    (out / "run.json").write_text('{"plan": {"kind": "causal"}}')
    assert_refused(introspect(*common, "--overwrite"), "which is not of a heads run")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "./nowhere"), ("nowhere",)),
        (("--texts", "MISSING"), ("Expected a file to read at", "there is none")),
        (("--texts", "EMPTY"), ("a text on each line", "empty.txt")),
        (("--threshold", "2"), ("`threshold` from 0 to 1", "2")),
        (("--sequences", "1"), ("at least two sequences",)),
        (("--prefix", "few"), ("--prefix as fewest and most", "'few'")),
        (("--period", "8-"), ("--period as fewest and most", "'8-'")),
        (("--period", "100"), ("at most 64 tokens", "smaller")),
        (("--kind", "decoder"), ("`kind` from self", "'decoder'")),
        (("--out", "FILE"), ("is a file",)),
        (("--out", "NOWHERE"), ("does not exist",)),
    ],
)
def test_bad_arguments_of_heads_are_named_in_a_line(introspect, tmp_path, arguments, expected):
    (tmp_path / "empty.txt").write_text("\n  \n")
    places = {
        "EMPTY": tmp_path / "empty.txt",
        "MISSING": tmp_path / "missing.txt",
        "FILE": tmp_path / "empty.txt",
        "NOWHERE": tmp_path / "nowhere" / "x.html",
    }
    given = [places.get(each, each) for each in arguments]
    outcome = introspect("heads", "--out", tmp_path / "run", "--model", "induction", *given)
    assert_refused(outcome, *expected)
    assert not (tmp_path / "run").exists()


# --- lens -----------------------------------------------------------------------------------------


def test_lens_writes_one_page(introspect, tmp_path):
    out = tmp_path / "lens.html"
    outcome = introspect("lens", "a b c d a b", "--model", "induction", "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    finding, path = outcome.out.splitlines()
    assert path == str(out)
    assert finding.startswith("At “b” (token 6) the model predicts c, with a probability of 99.")
    page = out.read_text(encoding="utf-8")
    assert 'data-view="lens"' in page and 'data-view="logits"' in page
    assert read_summary(page)["command"].startswith("introspect lens 'a b c d a b'")


def test_lens_takes_tokens_and_a_place(introspect, tmp_path):
    out = tmp_path / "lens.html"
    outcome = introspect(
        "lens", "a b c d a b", "--model", "induction", "--token", "c", "--against", "d",
        "--position", -1, "--top", 2, "--out", out,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    model = ix.load("induction", lm_head=True)
    table = ix.direct_logit_attribution(model, "a b c d a b", token="c", against="d")
    expected = f"The logit of “c” less that of “d” is {table.attrs['logit']:.2f}"
    assert expected in out.read_text(encoding="utf-8")


def test_lens_of_a_masked_model_says_what_a_reader_must_know(introspect, tmp_path):
    out = tmp_path / "lens.html"
    text = "The fox did not cross the [MASK] because it was too wide."
    outcome = introspect("lens", text, "--model", "pronoun", "--out", out)
    assert outcome.code == 0, outcome.err
    assert "notice: The layers of this model normalize" in outcome.err
    assert outcome.out.startswith("At “[MASK]” (token 7)")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "minilm"), ("language-model head", "saved without one", "induction")),
        (("--model", "./nowhere"), ("nowhere",)),
        (("--token", "a b"), ("one piece", "'a b'")),
        (("--position", "40"), ("`position` from -7 to 6", "40")),
        (("--top", "0"), ("`top` from 1",)),
        (("--out", "NOWHERE"), ("does not exist",)),
    ],
)
def test_bad_arguments_of_lens_are_named_in_a_line(introspect, tmp_path, arguments, expected):
    given = [tmp_path / "no" / "x.html" if each == "NOWHERE" else each for each in arguments]
    outcome = introspect(
        "lens", "a b c d a b", "--out", tmp_path / "x.html", "--model", "induction", *given
    )
    assert_refused(outcome, *expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_has_no_lens(introspect, tmp_path, text):
    outcome = introspect("lens", text, "--model", "induction", "--out", tmp_path / "x.html")
    assert_refused(outcome, "empty")


def test_a_text_must_be_given(introspect):
    assert_refused(introspect("lens"), "Missing argument 'text'", "introspect lens --help")
