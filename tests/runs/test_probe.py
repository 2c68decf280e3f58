"""A file of cases becomes a folder: whole, true, the same each time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertModel

import introspect as ix
from introspect.data import case_to_json, own_cases, read_cases, write_jsonl
from introspect.errors import InputError, OutputError, SelectionError
from introspect.io import read_run
from introspect.reporting.set_words import finding_of_choice
from introspect.studies.coreference import score_case
from introspect.text import CorefCase, percent_interval
from tests import models_zoo
from tests.closeness import assert_same_table
from tests.runs import sets
from tests.tokenizers_zoo import word_level

FEW = ix.Options(resamples=200, permutations=200, selections=20)


@pytest.fixture(scope="module")
def minilm():
    return models_zoo.minilm()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Our own cases, and rows that give no score."""
    path = tmp_path_factory.mktemp("cases") / "own.jsonl"
    cases = own_cases("en")
    lines = [case_to_json(case) for case in cases]
    chinese = own_cases("zh")[0]
    long = replace(cases[0], text=cases[0].text + " on and on" * 300, id="long")
    lines[3:3] = ["{", case_to_json(chinese), case_to_json(long), case_to_json(cases[0])]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(minilm, file, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "x"
    return ix.probe(minilm, file, out, options=FEW, null_model=True, command="introspect probe …")


def test_the_folder_holds_what_was_promised(run):
    assert sorted(path.name for path in run.folder.iterdir()) == sorted(sets.FILES)
    assert list(run.folder.parent.iterdir()) == [run.folder]
    heads = pd.read_parquet(run.folder / "heads.parquet")
    assert len(heads) == 2 * 72
    pd.testing.assert_frame_equal(
        heads.astype({"layer": int, "head": int}), run.scores.heads, check_dtype=False
    )
    assert len(pd.read_csv(run.folder / "heads.csv")) == len(heads)
    cases = pd.read_parquet(run.folder / "cases.parquet")
    assert cases["id"].nunique() == 32


def test_scores_are_those_of_score(run, minilm):
    alone = ix.score(minilm, own_cases("en"), options=FEW)
    assert_same_table(run.scores.heads, alone.heads)


def test_rejects_are_named_by_line_and_reason(run):
    rows = [json.loads(line) for line in (run.folder / "rejects.jsonl").read_text().splitlines()]
    assert [row["line"] for row in rows] == [4, 5, 6, 7]
    assert all(row["source"].endswith("own.jsonl") for row in rows)
    reasons = " | ".join(row["reason"] for row in rows)
    for part in ("Expected JSON", "reads it as unknown", "512", "an earlier case has"):
        assert part in reasons, reasons


def test_summary_has_the_held_out_figure_beside_every_baseline(run):
    summary = json.loads((run.folder / "summary.json").read_text(encoding="utf-8"))
    choice = run.scores.choice
    assert summary["held_out"]["accuracy"] == choice.accuracy
    assert summary["rejected"] == 4 and summary["n"] == 32
    names = {row["baseline"] for row in summary["baselines"]}
    assert names == {
        "random", "nearest_preceding", "first_mentioned", "fewest_words", "most_pieces",
        "word_association", "most_attended", "mean_of_heads",
        "fixed_offset", "random_weights",
    }  # fmt: skip
    assert {row["baseline"] for row in summary["against"]} == names
    assert summary["provenance"]["Command"] == "introspect probe …"
    plan = read_run(run.folder)["plan"]
    assert plan["threads"] == 1
    assert [len(file["sha256"]) for file in plan["input"]] == [64]


def test_differences_are_of_the_same_cases(run):
    """By an independent loop over the cases."""
    held_out = run.scores.held_out
    against = run.scores.against.set_index("baseline")["difference"]
    credits = [row.credit - 0.5 for row in held_out.itertuples() if row.credit == row.credit]
    assert against["random"] == pytest.approx(sum(credits) / len(credits), abs=1e-12)


@pytest.mark.slow
def test_same_input_same_tables(run, minilm, file, tmp_path):
    again = ix.probe(minilm, file, tmp_path / "y", options=FEW, null_model=True)
    for name in ("heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "rejects.jsonl"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_a_finished_probe_is_kept_unless_asked(run, minilm, file, tmp_path):
    with pytest.raises(OutputError, match=r"null_model: True → False.*--overwrite"):
        ix.probe(minilm, file, run.folder, options=FEW)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'mine.txt'"):
        ix.probe(minilm, file, tmp_path, options=FEW, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_few_groups_claim_nothing(minilm, tmp_path):
    path = write_jsonl(tmp_path / "c.jsonl", own_cases("en")[:3])
    found = ix.probe(minilm, path, tmp_path / "x", options=FEW)
    assert "nothing is claimed of any head" in found.finding
    assert "nothing is claimed" in (tmp_path / "x" / "report.html").read_text(encoding="utf-8")


def test_nothing_to_score_says_why(minilm, tmp_path):
    path = write_jsonl(tmp_path / "zh.jsonl", own_cases("zh"))
    with pytest.raises(InputError, match=r"46 rows were rejected, see.*The first: line 1.*unknown"):
        ix.probe(minilm, path, tmp_path / "x")
    assert len((tmp_path / "x" / "rejects.jsonl").read_text("utf-8").splitlines()) == 46


def test_unknown_engine_is_refused(minilm, file, tmp_path):
    with pytest.raises(SelectionError, match="engine"):
        ix.probe(minilm, file, tmp_path / "x", engine="spark")


@pytest.fixture(scope="module")
def chinese_model():
    """A small model that reads every character of our Chinese cases."""
    cases = own_cases("zh")
    tokenizer = word_level(sorted({c for case in cases for c in case.text}))
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
    )
    return BertModel(config).eval(), tokenizer


@pytest.fixture(scope="module")
def chinese(chinese_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zh")
    path = write_jsonl(folder / "zh.jsonl", own_cases("zh"))
    return ix.probe(chinese_model, path, folder / "x", options=FEW)


def test_chinese_cases_are_scored_where_the_characters_are_known(chinese):
    assert chinese.rejects == ()
    assert chinese.scores.cases["id"].nunique() == 46
    assert "No evidence that a head resolves" in chinese.finding


@pytest.mark.slow
def test_chinese_words_are_scored_as_words(chinese_model, tmp_path):
    pytest.importorskip("jieba", reason="jieba (extra chinese) is missing")
    path = write_jsonl(tmp_path / "zh.jsonl", own_cases("zh"))
    divided = ix.probe(chinese_model, path, tmp_path / "x", options=FEW, segment="jieba")
    plain = ix.probe(chinese_model, path, tmp_path / "y", options=FEW)
    ours, theirs = (run.scores.cases["antecedent_weight"] for run in (divided, plain))
    # A word gets what its characters get together, not their mean.
    assert ours.mean() > 1.2 * theirs.mean()
    assert read_run(tmp_path / "x")["plan"]["segment"] == "jieba"
    with pytest.raises(SelectionError, match="jieba or nothing"):
        ix.probe(chinese_model, path, tmp_path / "z", segment="other")


@pytest.mark.slow
@pytest.mark.browser
def test_chinese_report_shows_characters(chinese, open_page):
    page = open_page(chinese.folder / "report.html")
    tokens = page.locator('[data-view="head"]:visible [data-side="query"]').all_inner_texts()
    assert "它" in tokens or "他" in tokens or "她" in tokens
    wrong = page.locator('.choice[data-of="cases"] .choice-list button')
    assert wrong.count() == 8


@pytest.mark.browser
def test_what_a_reader_does_with_the_report_of_a_set(run, open_page):
    page = open_page(run.folder / "report.html")
    assert page.inner_text(".finding") == run.finding
    forest = page.locator('[data-view="forest"]')
    assert forest.locator(".mark").first.get_attribute("aria-label").startswith("held-out choice: ")
    assert "random weights" in forest.locator(".drawn-canvas").inner_html()
    # Each row has its numbers beside it.
    beside = forest.locator(".annotation-text").all_text_contents()
    assert len(beside) == forest.locator(".mark").count()
    assert beside[0].startswith(f"{100 * run.scores.choice.accuracy:.1f}% (95% CI ")
    scores = page.locator('[data-view="score-map"]')
    choice = run.scores.choice
    name = f"L{choice.head.layer}H{choice.head.head}"
    assert scores.locator(".reading").inner_text().startswith(f"{name}: right in ")
    # Points at another head, in the other direction, and reads its number.
    scores.locator('select[name="direction"]').select_option("candidate_to_pronoun")
    scores.locator('[data-layer="4"][data-head="2"]').focus()
    heads = run.scores.heads
    row = heads[
        (heads["layer"] == 4)
        & (heads["head"] == 2)
        & (heads["direction"] == "candidate_to_pronoun")
    ].iloc[0]
    assert f"right in {100 * row['accuracy']:.1f}% of 32 cases" in scores.inner_text()
    # Chooses a pair, and holds its two texts side by side.
    pairs = page.locator('.choice[data-of="pairs"]')
    pairs.locator(".choice-list button").nth(2).click()
    pairs.locator('[data-view="compare"]:visible table').wait_for()
    # Chooses a wrong case and sees its views.
    wrong = page.locator('.choice[data-of="cases"]')
    wrong.locator(".choice-list button").nth(1).click()
    wrong.locator('article.item:visible [data-view="coreference"] .reading').wait_for()
    assert wrong.locator("article.item:visible").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_every_case_of_a_set_is_found_and_read_in_its_report(run, open_page):
    page = open_page(run.folder / "report.html")
    cases = page.locator('[data-view="cases"]')
    table, reading = cases.locator(".long-table table"), cases.locator(".case-shown .reading")
    scored = pd.read_parquet(run.folder / "cases.parquet")
    names = list(dict.fromkeys(scored["id"]))
    assert table.get_attribute("aria-rowcount") == str(len(names) + 1)
    # The last one is reached by the keyboard, and its numbers are those of the table in the folder.
    cases.locator("tr.case-line button").first.focus()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.textContent") == names[-1]
    choice = run.scores.choice
    own = scored[
        (scored["layer"] == choice.head.layer)
        & (scored["head"] == choice.head.head)
        & (scored["direction"] == choice.direction)
    ].set_index("id")
    assert f" {own.loc[names[-1], 'antecedent_weight']:.3f}" in reading.inner_text()
    # By words, and by what a head gets wrong.
    cases.locator('input[name="find-cases"]').fill("knife rope")
    assert cases.locator("output").inner_text() == f"2 of {len(names)}"
    cases.locator('input[name="find-cases"]').fill("")
    cases.locator('select[name="case-verdict"]').select_option("wrong")
    assert cases.locator("output").inner_text() == f"{(own['credit'] == 0).sum()} of {len(names)}"
    # A head that is chosen in the strip is that of the list; the last case stays chosen.
    page.locator('[data-element="strip"] [data-layer="3"][data-head="1"]').first.click()
    assert reading.inner_text().startswith("L3H1: ")
    assert cases.locator("tr.case-line[aria-current]").count() <= 1
    # What is shown whole further down is found from here.
    cases.locator('select[name="case-verdict"]').select_option("")
    first = page.locator('.choice[data-of="cases"] .choice-list .name').nth(3).inner_text()
    cases.locator('input[name="find-cases"]').fill(first)
    cases.locator("tr.case-line").first.click()
    cases.get_by_role("button", name="All its words and heads").click()
    page.locator('article.item:visible [data-view="coreference"] .reading').wait_for()
    # On paper nothing scrolls: the list is there from its beginning.
    cases.locator('input[name="find-cases"]').fill("")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert cases.locator("tr.case-line button").all_inner_texts() == names[:30]
    assert "2 more are in the page itself." in cases.inner_text()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_report_of_a_set_breaks_no_rule_of_accessibility(run, open_page, theme, rules_broken):
    page = open_page(run.folder / "report.html", path_hash=f"#page.theme={theme}")
    assert rules_broken(page) == []


@pytest.fixture(scope="module")
def by_norm(minilm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("norm")
    path = write_jsonl(folder / "own.jsonl", own_cases("en"))
    return ix.probe(minilm, path, folder / "x", options=FEW, weights="norm")


@pytest.mark.slow
def test_norms_are_scored_with_raw_weights_beside_them(by_norm, run):
    heads = pd.read_parquet(by_norm.folder / "heads.parquet")
    raw = run.scores.heads
    pd.testing.assert_series_equal(heads["raw_accuracy"], raw["accuracy"], check_names=False)
    assert (heads["accuracy"] != heads["raw_accuracy"]).any()
    assert "raw_accuracy" not in raw
    assert read_run(by_norm.folder)["plan"]["weights"] == "norm"
    # Products scored as if they were attention: the same accuracies by another way.
    credits = []
    for case in own_cases("en"):
        record = minilm_record(case.text)
        products = replace(record, attentions=ix.norms(record), parts={})
        credits.append(score_case(products, case)[0].credit)
    expected = torch.stack(credits).mean(0).flatten()
    forward = heads[heads["direction"] == "pronoun_to_candidate"]["accuracy"]
    assert forward.tolist() == pytest.approx(expected.tolist(), abs=1e-9)


def minilm_record(text: str):
    return models_zoo.minilm().capture(text, include=("value_norms",))


@pytest.mark.browser
def test_the_report_by_norms_says_so_and_shows_raw_beside(by_norm, open_page):
    page = open_page(by_norm.folder / "report.html")
    words = page.inner_text("main")
    assert "Norm-weighted attention was scored" in words
    marks = page.locator('[data-view="forest"] .mark[data-mark^="L"]')
    first = marks.first.get_attribute("aria-label")
    best = by_norm.scores.heads.sort_values("accuracy", ascending=False, kind="stable").iloc[0]
    assert f"raw {100 * best['raw_accuracy']:.1f}%" in first
    assert "by raw weights in" in page.inner_text('[data-view="score-map"]')
    assert "by raw weights" in page.inner_text("table.data:visible >> nth=0")


def test_unknown_weights_are_refused_before_any_work(minilm, file, tmp_path):
    with pytest.raises(SelectionError, match="raw, renormalized, norm"):
        ix.probe(minilm, file, tmp_path / "x", weights="nonsense")
    assert not (tmp_path / "x").exists()


# Real collections: what must never be claimed of them


def collection(kind: str, *names: str):
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / kind
    files = [folder / name for name in names]
    if not all(file.is_file() for file in files):
        pytest.skip(f"the {kind} collection is not beside the project")
    return [one for one in read_cases(kind, files) if isinstance(one, CorefCase)]


def finding(model, cases):
    scores = ix.score(model, cases, options=replace(FEW, selections=1_000))
    return scores, finding_of_choice(scores)


@pytest.mark.slow
def test_schemas_of_winograd_are_no_evidence(minilm):
    cases = collection("xwino", "en.tsv")
    scores, found = finding(minilm, cases)
    assert len(scores.held_out) == len(cases) == 273
    assert found.plain.startswith("No evidence that a head resolves these cases")


def test_winobias_type_2_never_stands_without_the_nearest_candidate(minilm):
    names = [f"{kind}_stereotyped_type2.txt.dev" for kind in ("pro", "anti")]
    cases = [case for case in collection("winobias", *names) if case.is_forced_choice][::6]
    scores, found = finding(minilm, cases)
    nearest = scores.baselines.set_index("baseline")["accuracy"]["nearest_preceding"]
    assert nearest >= 0.995
    assert scores.choice is not None and scores.choice.accuracy > 0.9
    assert found.plain.startswith(
        "Not shown to beat the nearest candidate, nor the best fixed distance: "
    )


def test_a_person_sees_the_held_out_figure_beside_the_baselines(run):
    shown = dict(run.lines())
    choice = run.scores.choice
    held_out = percent_interval(choice.accuracy, choice.ci_low, choice.ci_high)
    assert shown["Held out"] == held_out
    assert shown["Texts"].startswith("32, ") and shown["Rejected"] == "4"
    assert shown["nearest_preceding"].startswith("50.0% (95% CI ")


def test_random_weights_are_drawn_several_times(run):
    drawn = run.scores.random_weights
    assert len(drawn) == 5
    row = run.scores.baselines.set_index("baseline").loc["random_weights"]
    assert row["accuracy"] == pytest.approx(sum(drawn) / 5)
    assert any("drawn 5 times" in note for note in run.scores.notes)
    summary = json.loads((run.folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["random_weights"] == list(drawn)
