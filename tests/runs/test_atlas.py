"""An atlas: its folder, the same bytes however it was made, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest

import introspect as ix
from introspect import cli
from introspect.data import own_cases
from introspect.errors import InputError, OutputError, SelectionError
from introspect.studies.atlas import Atlas
from tests.runs import sets

TEXTS = [case.text for case in own_cases("en")]
#: What may differ: how long it took.
NOT_COMPARED = {"summary.json"}
CALL = {"shard_rows": 8, "threads": 1, "examples": 4}


def contents(folder) -> dict[str, bytes]:
    """Everything that a run leaves, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in NOT_COMPARED and "shards" not in path.parts
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas") / "out"
    return ix.atlas(sets.model(), TEXTS, folder, **CALL)


def test_the_folder_has_tables_and_a_page_for_each_head(made):
    names = set(contents(made.path))
    tables = {"heads", "rules", "examples", "tokens", "similar", "modes", "maps", "texts"}
    assert {f"{name}.parquet" for name in tables} <= names
    assert {"heads.csv", "rules.csv", "index.html", "run.json", "rejects.jsonl"} <= names
    heads = [f"heads/L{row.layer}H{row.head}.html" for row in made.heads.itertuples()]
    assert set(heads) == {name for name in names if name.startswith("heads/")}
    assert len(made.heads) == 3 * 4
    assert made.finding == json.loads((made.path / "summary.json").read_text())["finding"]


def test_a_stopped_run_ends_with_the_same_bytes(made, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(made.path, again)
    manifest = again / "shards" / "manifest.jsonl"
    lines = manifest.read_text().splitlines()
    assert len(lines) > 2
    # What a kill leaves after its first shard: half a line of the manifest, and no results.
    manifest.write_text(lines[0] + "\n" + lines[1][:20])
    for path in again.glob("*.parquet"):
        path.unlink()
    shutil.rmtree(again / "heads")
    ix.atlas(sets.model(), TEXTS, again, **CALL)
    assert contents(again) == contents(made.path)


def test_threads_do_not_matter(made, tmp_path):
    other = ix.atlas(sets.model(), TEXTS, tmp_path / "two", **{**CALL, "threads": 2})
    assert contents(other.path) == contents(made.path)


def test_examples_hold_what_the_model_gives(made):
    model = sets.model()
    texts = made.texts.set_index("text_id")
    for row in made.examples[made.examples["set"] == "strongest"].iloc[::7].itertuples():
        record = model.capture(texts.loc[row.text_id, "text"])
        weights = record.attentions[row.layer, row.head, row.query_index].double().numpy()
        assert record.keys.tokens[row.query_index] == row.query
        assert record.keys.tokens[row.key_index] == row.key
        assert abs(weights[row.key_index] - row.weight) < 1e-5
        assert np.abs(np.array(row.row) / 255 - weights).max() < 0.003


def test_it_is_opened_and_asked_about_a_head_and_a_token(made):
    opened = Atlas.open(made.path)
    card = opened.head(1, 2)
    assert card.sentence == opened.head("L1H2").sentence
    assert set(card.rules["layer"]) == {1}
    word = made.examples["query"].iloc[0]
    found = opened.search(word.upper(), min_weight=0.05)
    assert set(found["query"]) == {word}
    assert found["weight"].is_monotonic_decreasing
    assert not found.duplicated(["layer", "head", "text_id", "query_index"]).any()
    assert made.examples.duplicated(["layer", "head", "text_id", "query_index"]).any()
    assert opened.search(word, key="nowhere").empty
    assert "L1H2" in repr(card)
    with pytest.raises(SelectionError, match="L9H0"):
        opened.head("L9H0")
    with pytest.raises(SelectionError, match="from 0 to 1"):
        opened.search("it", min_weight=30)
    with pytest.raises(OutputError, match="folder of an atlas"):
        Atlas.open(made.path.parent)


def test_own_rules_are_found_and_fail_in_words(tmp_path):
    def second(text):
        found = np.zeros((len(text), len(text)), dtype=bool)
        found[:, 1:2] = True
        return found

    out = tmp_path / "own"
    made = ix.atlas(sets.model(), TEXTS[:24], out, rules={"second": second}, **CALL)
    assert "second" in set(made.rules["rule"])
    with pytest.raises(OutputError, match="rules"):
        ix.atlas(sets.model(), TEXTS[:24], out, **CALL)
    with pytest.raises(InputError, match="rule 'bad'"):
        ix.atlas(sets.model(), TEXTS, tmp_path / "bad", rules={"bad": lambda text: [1]}, **CALL)
    with pytest.raises(SelectionError, match="name of its own"):
        ix.atlas(sets.model(), TEXTS, tmp_path / "bad", rules={"previous": second}, **CALL)


class Last:
    """A rule that is an object."""

    def __call__(self, text):
        return np.eye(len(text), k=-1, dtype=bool)


def nth(text, distance):
    return np.eye(len(text), k=-distance, dtype=bool)


@pytest.mark.parametrize(
    "rules", [lambda: {"mine": Last()}, lambda: {"mine": partial(nth, distance=2)}]
)
def test_a_rule_is_known_again_by_its_source(rules, tmp_path):
    for _ in range(2):
        ix.atlas(sets.model(), TEXTS[:8], tmp_path / "out", rules=rules(), **CALL)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"heads": "L9H0"}, "L9H0"),
        ({"heads": ""}, "got none"),
        ({"layers": [0], "heads": ["L1H0"]}, "L1H0"),
        ({"layers": [9]}, "from 0 to 2, got 9"),
    ],
)
def test_heads_and_layers_are_checked_before_anything_is_read(wrong, said, tmp_path):
    with pytest.raises(SelectionError, match=said):
        ix.atlas(sets.model(), TEXTS, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_a_rule_without_a_row_is_said(tmp_path):
    never = {"never": lambda text: np.zeros((len(text), len(text)), dtype=bool)}
    made = ix.atlas(sets.model(), TEXTS[:8], tmp_path / "out", rules=never, **CALL)
    page = (made.path / "index.html").read_text()
    assert re.search(r"no row of these texts has a choice: [^.]*\brule never\.", page)


def test_what_cannot_be_read_is_refused_and_nothing_is_left(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError):
        ix.atlas(sets.model(), [], out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    with pytest.raises(OutputError, match=r"index\.html"):
        ix.atlas(sets.model(), TEXTS, tmp_path / "mine", overwrite=True)
    assert not out.exists()
    assert (tmp_path / "mine" / "index.html").read_text() == "mine"


def test_one_text_and_one_head_are_said_to_be_few(tmp_path):
    made = ix.atlas(sets.model(), TEXTS[:1], tmp_path / "one", layers=[0], **CALL)
    assert made.heads["best_rule"].isna().all()
    assert made.heads["sentence"].str.contains("too few|Nothing can be said").all()


def test_a_probe_is_no_atlas(made, tmp_path):
    with pytest.raises(SelectionError, match="introspect atlas"):
        ix.probe(sets.model(), TEXTS, tmp_path / "probe", analyzers=["atlas"])
    with pytest.raises(OutputError, match="not of a probe run"):
        ix.probe(sets.model(), TEXTS, made.path, overwrite=True)


def test_pages_of_some_heads(made, tmp_path):
    out = tmp_path / "some"
    shutil.copytree(made.path, out)
    again = ix.atlas(sets.model(), TEXTS, out, heads=["L0H1", (2, 3)], **CALL)
    assert {path.name for path in (out / "heads").iterdir()} == {"L0H1.html", "L2H3.html"}
    pd.testing.assert_frame_equal(again.heads, made.heads)
    with pytest.raises(SelectionError, match="L7H0"):
        ix.atlas(sets.model(), TEXTS, out, heads="L7H0", **CALL)


def test_the_command_writes_a_site(tmp_path, monkeypatch, capsys):
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(TEXTS[:24]) + "\n")
    out = tmp_path / "atlas"
    arguments = ["atlas", str(source), "--out", str(out), "--model", "induction"]
    monkeypatch.setattr(sys, "argv", ["introspect", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert not exit_.value.code
    printed = capsys.readouterr().out
    assert str(out / "index.html") in printed
    assert (out / "heads" / "L0H0.html").exists()
