"""Cases beside an atlas: the probe's own numbers, and what pronouns have to do with the rest."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import introspect as ix
from introspect.data import case_to_json, grammar_cases, own_cases
from introspect.errors import InputError, OutputError, SelectionError
from introspect.models import load_text
from introspect.studies.atlas import Atlas, Mentions, RuleText
from introspect.text import CorefCase
from tests.runs import sets
from tests.runs.test_atlas import contents

CORPUS = [case.text for case in grammar_cases(60)]
CALL = {"shard_rows": 16, "threads": 1, "examples": 3}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    path.write_text("".join(f"{case_to_json(case)}\n" for case in grammar_cases(80)[40:]))
    return path


@pytest.fixture(scope="module")
def made(cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas") / "out"
    return ix.atlas("pronoun", CORPUS, folder, cases=cases, **CALL)


def test_figures_on_the_cases_are_the_probe_s(made, cases, tmp_path):
    probe = ix.probe("pronoun", cases, tmp_path / "probe", threads=1, shard_rows=16)
    table = made.coreference.set_index(["layer", "head"])
    assert len(table) == len(made.heads)
    for row in probe.scores.heads.itertuples():
        before = "" if row.direction == "pronoun_to_candidate" else "reverse_"
        for name in ("n", "accuracy", "ci_low", "ci_high", "p_adjusted"):
            own = table.loc[(row.layer, row.head), f"{before}{name}"]
            assert own == getattr(row, name) or (np.isnan(own) and np.isnan(getattr(row, name)))
    choice = probe.scores.choice
    chosen = [(head.layer, head.head) for head, *_ in choice.frequencies]
    assert set(table.index[table["chosen"] > 0]) == set(chosen)
    assert made.summary["cases"]["finding"] == probe.finding
    # The best one is named as what it is: the mean of heads is no mean of their accuracies.
    best = probe.scores.baselines.set_index("baseline")["accuracy"]
    assert best.idxmax() == "mean_of_heads"
    said = f"; the best baseline, attention averaged over all heads: {100 * best.max():.1f}%."
    assert said in (made.path / "heads" / "L1H0.html").read_text()


def test_shares_are_what_the_pronoun_gives(made):
    model = load_text("pronoun")
    gold, other = [], []
    for case in grammar_cases(80)[40:]:
        record = model.capture(case.text)
        shares = {True: [], False: []}
        for candidate in case.candidates:
            shares[candidate.antecedent].append(share_of(record, case, candidate.span))
        gold.append(max(shares[True]))
        other.append(max(shares[False]))
    row = made.head("L1H0").coreference.iloc[0]
    assert row["antecedent_share"] == pytest.approx(np.mean(gold), abs=1e-5)
    assert row["distractor_share"] == pytest.approx(np.mean(other), abs=1e-5)


def share_of(record, case, span) -> float:
    (query,) = [i for i, at in enumerate(record.queries.offsets) if at == tuple(case.pronoun)]
    keys = [i for i, (s, e) in enumerate(record.keys.offsets) if s < span[1] and span[0] < e]
    return float(record.attentions[1, 0, query, keys].sum())


def test_the_head_that_resolves_is_told_apart_on_the_corpus(made):
    """L1H0 of the shipped circuit looks from the pronoun to the noun; a slow loop says how much."""
    table = made.coreference.set_index(["layer", "head"])
    row = table.loc[(1, 0)]
    assert row["chosen"] > 0
    assert row["coverage"] > 0.5 > row["coverage_even"]
    assert row["coverage_ci_low"] > row["coverage_even"]
    assert row["part_ci_low"] < row["part"] < row["part_ci_high"]
    rules = made.rules[(made.rules["rule"] == "reference") & (made.rules["half"] == "checking")]
    own = rules[(rules["layer"] == 1) & (rules["head"] == 0)].iloc[0]
    assert own["coverage"] == row["coverage"]
    assert own["n"] == row["n_pronoun_rows"]
    # It is measured beside the rules, and is nobody's own.
    assert "reference" not in set(made.heads["best_rule"].dropna()) | set(made.modes["rule"])


def test_the_pages_say_it(made):
    page = (made.path / "heads" / "L1H0.html").read_text()
    row = made.head("L1H0").coreference.iloc[0]
    for part in (
        f"{100 * row['part']:.1f}% of the attention of *L1H0* outside special tokens",
        "prefers the antecedent in",
        "divisions into folds" if row["chosen"] < 1 else "every division into folds",
    ):
        assert part in page, part
    index = (made.path / "index.html").read_text()
    assert "The cases name <em>L1H0</em>." in index
    kinds = {claim["kind"] for claim in made.summary["claims"] if claim["subject"] == "L1H0"}
    assert {"prefers", "gives", "chosen", "refers", "refers: even attention"} <= kinds


def test_the_part_is_that_of_a_slow_loop(cases, tmp_path):
    """With one head and texts without special tokens, from the patterns themselves."""
    made = ix.atlas("pronoun", CORPUS[:24], tmp_path / "out", cases=cases, **CALL)
    mentions = Mentions.of(grammar_cases(80)[40:])
    model = load_text("pronoun")
    both = np.zeros((2, 2))
    for text in dict.fromkeys(CORPUS[:24]):
        record = model.capture(text)
        read = RuleText.read(record.keys)
        weights = record.attentions[1, 0].double().numpy()
        counted = weights * ~read.is_special[None, :] * ~read.is_special[:, None]
        asked = mentions(read)
        # A pronoun's row needs another key to choose.
        rows = asked.any(-1) & (np.arange(len(read)) > 0)
        both[half(text)] += (counted * asked)[rows].sum(), counted.sum()
    row = made.head("L1H0").coreference.iloc[0]
    count = pd.Series(CORPUS[:24]).value_counts()
    if (count == 1).all():
        assert row["part"] == pytest.approx(both[1, 0] / both[1, 1], abs=1e-5)


def half(text: str) -> int:
    from introspect.studies.atlas.analyzer import BLOCKS
    from introspect.studies.atlas.examples import text_hash

    return text_hash(text) % BLOCKS % 2


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(made, cases, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(made.path, again)
    manifest = again / "shards" / "cases" / "manifest.jsonl"
    lines = manifest.read_text().splitlines()
    assert len(lines) > 2
    manifest.write_text(lines[0] + "\n" + lines[1][:20])
    for path in (*again.glob("*.parquet"), *again.glob("heads/*")):
        path.unlink()
    ix.atlas("pronoun", CORPUS, again, cases=cases, **CALL)
    assert contents(again) == contents(made.path)


def test_other_cases_are_refused(made, cases, tmp_path):
    other = tmp_path / cases.name
    other.write_text(cases.read_text().splitlines()[0] + "\n")
    with pytest.raises(OutputError, match=r"has changed: cases: cases.jsonl \(\w+\) → cases.jsonl"):
        ix.atlas("pronoun", CORPUS, made.path, cases=other, **CALL)
    with pytest.raises(OutputError, match="has changed: cases: .* → None"):
        ix.atlas("pronoun", CORPUS, made.path, **CALL)


def test_overwriting_takes_the_shards_of_cases_away(made, cases, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(made.path, again)
    plain = ix.atlas("pronoun", CORPUS[:8], again, overwrite=True, **CALL)
    assert not (again / "shards" / "cases").exists()
    assert not (again / "coreference.parquet").exists()
    assert plain.coreference.empty
    assert "Coreference" not in (again / "heads" / "L1H0.html").read_text().split("<script")[0]


def test_what_is_no_case_is_refused_and_nothing_is_left(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(SelectionError, match="cases with a pronoun"):
        ix.atlas("pronoun", CORPUS, out, cases=CORPUS, **CALL)
    with pytest.raises(InputError, match="nowhere"):
        ix.atlas("pronoun", CORPUS, out, cases=tmp_path / "nowhere.jsonl", **CALL)
    assert not out.exists()


def test_cases_without_a_choice_or_a_pronoun_in_the_corpus_are_said(tmp_path):
    case = own_cases("en")[0]
    only = CorefCase(case.text, case.pronoun, tuple(case.antecedents))
    with pytest.raises(InputError, match="antecedent and another candidate"):
        ix.atlas(sets.model(), CORPUS[:6], tmp_path / "none", cases=[only], **CALL)
    made = ix.atlas(sets.model(), ["Cats sleep."] * 3, tmp_path / "few", cases=[case], **CALL)
    assert (made.coreference["n_pronoun_rows"] == 0).all()
    assert made.coreference["part"].isna().all()
    page = (made.path / "heads" / "L0H0.html").read_text()
    assert "no row of the checking half starts at one" in page
    assert Atlas.open(made.path).head(0, 0).coreference["n"].item() == 1


def test_tags_decide_where_there_are_some():
    mentions = Mentions(frozenset({"he"}), frozenset())
    words = ["Runs", "Bob", "sees", "him"]
    tagged = RuleText.of(words, tags=["VERB", "PROPN", "VERB", "PRON"])
    assert np.argwhere(mentions(tagged)).tolist() == [[3, 1]]
    assert not mentions(RuleText.of(words)).any()


def test_the_pronouns_are_those_of_the_language_of_the_cases():
    english = Mentions.of(grammar_cases(4))
    assert {"it", "they", "herself"} <= english.pronouns
    assert "on" not in english.pronouns
    chinese = Mentions.of(own_cases("zh"))
    assert {"它", "他们"} <= chinese.pronouns
