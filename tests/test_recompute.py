"""The script that recomputes claims from the tables of a folder, and what it finds."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

import introspect as ix
from benchmarks.recompute import faults, formulas
from benchmarks.recompute.__main__ import main
from benchmarks.recompute.atlas import of_atlas
from benchmarks.recompute.check import RECOMPUTE, WITHOUT_A_TABLE
from benchmarks.recompute.folder import Folder
from introspect.data import case_to_json, grammar_cases
from introspect.models import null_model
from introspect.models.circuits import repeated
from introspect.runs import causal_folder, heads_folder
from introspect.studies.coreference import Options
from introspect.studies.heads import relation_claims
from tests.reporting.ledger import random_relations

QUICK = Options(resamples=2_000, permutations=1_000, selections=400)


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formulas, "DRAWS", 100)
        yield


def one_back(text):
    return np.eye(len(text), k=-1, dtype=bool)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind of run."""
    root = tmp_path_factory.mktemp("claims")
    cases = list(grammar_cases(24))
    ix.probe("pronoun", cases, out=root / "probe", options=QUICK)
    ix.probe(null_model(ix.load("pronoun")), cases, out=root / "random", options=QUICK)
    model = ix.load("pronoun", lm_head=True)
    causal_folder(model, cases, root / "causal")
    heads_folder(ix.load("induction"), root / "heads", ["a b c a b c"] * 2)
    (root / "cases.jsonl").write_text("\n".join(map(case_to_json, cases)))
    corpus = [case.text for case in grammar_cases(60)]
    ix.atlas("pronoun", corpus, root / "atlas", cases=root / "cases.jsonl", threads=1)
    repeats = [each.text for each in repeated(30)]
    # A digit in the name of a rule is no figure.
    ix.atlas("induction", repeats, root / "writes", threads=1, rules={"back 1": one_back})
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", ["probe", "random", "causal", "heads", "atlas", "writes"])
def test_the_tables_give_the_numbers_of_the_claims(folders, name):
    wrong, left, count = faults(folders / name)
    assert wrong == []
    assert set(left) <= set(WITHOUT_A_TABLE)
    assert count >= 8
    if name not in ("atlas", "writes"):
        assert faults(folders / name / "report.html")[0] == []


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [
        ("probe", "no-beats", "estimate"), ("probe", "no-beats", "low"),
        ("probe", "baseline", "estimate"), ("probe", "shifts: both right", "estimate"),
        ("probe", "shifts", "estimate"), ("random", "detectable", "estimate"),
        ("random", "detectable: shifts", "estimate"),
        ("causal", "chosen: above 0: difference", "estimate"),
        ("causal", "mediates by attention weights", "low"), ("causal", "supports", "estimate"),
        ("causal", "supports", "high"), ("causal", "able", "low"), ("causal", "able", "n"),
        ("heads", "most induction", "estimate"), ("writes", "describes: all heads", "estimate"),
        ("atlas", "refers", "estimate"), ("atlas", "prefers: baseline", "estimate"),
        ("writes", "copies", "low"), ("writes", "copies by weights", "n"),
    ],
)  # fmt: skip
def test_a_number_that_is_not_in_the_tables_is_found(folders, tmp_path, name, kind, field):
    summary = json.loads((folders / name / "summary.json").read_text())
    claim = next(claim for claim in summary["claims"] if claim["kind"] == kind)
    claim[field] = 0.6 * claim[field]
    changed = tmp_path / name
    changed.mkdir()
    for path in (folders / name).iterdir():
        if path.is_file():
            (changed / path.name).write_bytes(path.read_bytes())
    (changed / "summary.json").write_text(json.dumps(summary))
    assert any(words.startswith(f"{kind}, ") for words in faults(changed)[0])


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])
def test_claims_on_relations_have_the_numbers_of_their_table(seed, tmp_path):
    """Of relations that a head follows, and of some that none does."""
    table, num_texts = random_relations(np.random.default_rng(seed))
    claims = [claim.to_json() for claim in relation_claims(table, num_texts)]
    table.to_csv(tmp_path / "relations.csv", index=False)
    write = (tmp_path / "summary.json").write_text
    write(json.dumps({"claims": claims, "texts": num_texts}))
    wrong, left, _ = faults(tmp_path)
    assert wrong == [] and not left
    for claim in claims:
        claim["estimate"] = claim["estimate"] and 0.5 * claim["estimate"]
    write(json.dumps({"claims": claims, "texts": num_texts}))
    assert sum("estimate" in words for words in faults(tmp_path)[0]) >= len(claims) - 1


def test_a_number_in_a_sentence_of_an_atlas_that_no_table_has_is_found(folders):
    folder = Folder(folders / "writes")
    claim = next(c for c in folder.claims if c["kind"] == "describes" and "even" in c["sentence"])
    assert of_atlas("describes")(folder, claim)["estimate"] == claim["estimate"]
    claim["sentence"] = claim["sentence"].replace("even attention: ", "even attention: 4")
    with pytest.raises(AssertionError, match="is printed, and no table has it"):
        of_atlas("describes")(folder, claim)


def test_another_verdict_is_a_difference_like_any_other(folders, tmp_path):
    shutil.copytree(folders / "writes", tmp_path / "x")
    path = tmp_path / "x" / "summary.json"
    summary = json.loads(path.read_text())
    for claim in summary["claims"]:
        if claim["kind"] == "copies by weights":
            claim.update(kind="no-copies by weights", p=0.5, n=claim["n"] + 1)
    path.write_text(json.dumps(summary))
    wrong = faults(tmp_path / "x")[0]
    assert any("no-copies by weights, L1H0: the verdict is another" in words for words in wrong)


def test_the_script_ends_with_1_where_a_table_gives_another_number(
    folders, tmp_path, monkeypatch, capsys
):
    for path in (folders / "causal").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for folder, status in ((folders / "causal", 0), (tmp_path, 1)):
        if status:
            effects = pd.read_parquet(tmp_path / "case_effects.parquet")
            effects["effect"] *= 1.1
            effects.to_parquet(tmp_path / "case_effects.parquet")
        monkeypatch.setattr(sys, "argv", ["recompute", str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == status
    assert "supports, L0H0: estimate is" in capsys.readouterr().out


def test_the_correlation_that_would_have_been_found_is_recomputed(tmp_path):
    """Occupations whose share of women has nothing to do with what heads choose."""
    random = np.random.default_rng(0)
    share = dict(zip(range(24), random.uniform(0, 100, 24), strict=True))
    lines = []
    for number, case in enumerate(grammar_cases(48)):
        known = {
            "occupation": f"occupation {number // 2}", "percent_female": share[number // 2],
            "gender": ("female", "male")[number % 2], "answer": "occupation",
        }  # fmt: skip
        lines.append(json.dumps(json.loads(case_to_json(case)) | known))
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    ix.probe("pronoun", tmp_path / "cases.jsonl", out=tmp_path / "out", options=QUICK)
    claims = json.loads((tmp_path / "out" / "summary.json").read_text())["claims"]
    (claim,) = (claim for claim in claims if claim["kind"] == "detectable: stereotype")
    found = RECOMPUTE["detectable: stereotype"](Folder(tmp_path / "out"), claim)
    assert found["n"] == claim["n"] == 24
    assert found["slack of estimate"] < 0.1
    assert claim["estimate"] == pytest.approx(found["estimate"], abs=found["slack of estimate"])
