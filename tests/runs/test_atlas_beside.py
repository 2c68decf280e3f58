"""An atlas beside reports: each head that one names has its sentence and a link to its page."""

from __future__ import annotations

import html
import re
import sys
from urllib.parse import unquote

import pytest

import introspect as ix
from introspect import cli
from introspect.data import grammar_cases, own_cases, write_jsonl
from introspect.errors import SelectionError
from introspect.models.circuits import repeated
from tests.runs import sets

HEADING = "What else these heads do"
NUM_CASES = 24


@pytest.fixture(scope="module")
def of_pronouns(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pronouns") / "my atlas"
    return ix.atlas("pronoun", grammar_cases(40), folder, threads=1)


@pytest.fixture(scope="module")
def of_induction(tmp_path_factory):
    folder = tmp_path_factory.mktemp("induction") / "atlas"
    texts = [each.text for each in repeated(20)]
    return ix.atlas("induction", texts, folder, heads=["L0H0"], threads=1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    write_jsonl(path, grammar_cases(NUM_CASES))
    return path


def check(page, atlas):
    """Check that each sentence of the atlas's chapter is its head's, and each link leads there."""
    _, _, chapter = page.read_text(encoding="utf-8").partition(HEADING)
    items = re.findall(r"<li>(?:<a href=\"([^\"]*)\">)?(L\d+H\d+)(?:</a>)?: (.*?)</li>", chapter)
    assert items
    for link, head, sentence in items:
        assert html.unescape(sentence) == atlas.head(head).sentence
        target = atlas.path / "heads" / f"{head}.html"
        assert bool(link) == target.exists()
        if link:
            assert (page.parent / unquote(link)).resolve() == target.resolve()
    return [head for _, head, _ in items]


def test_a_report_says_what_else_its_heads_do(of_pronouns, tmp_path):
    case = grammar_cases(2)[0]
    made = ix.report("pronoun", case, atlas=of_pronouns.beside(tmp_path))
    assert "L1H0" in check(made.save(tmp_path / "report.html"), of_pronouns)
    assert HEADING not in ix.report("pronoun", case).html


def test_so_do_the_reports_of_a_probe(of_pronouns, tmp_path):
    texts = [case.text for case in grammar_cases(NUM_CASES)]
    out = tmp_path / "texts"
    analyzers = ["roles", "patterns"]
    ix.probe("pronoun", texts, out, analyzers=analyzers, atlas=of_pronouns, **sets.CALL)
    assert check(out / "report.html", of_pronouns)
    assert check(out / "patterns.html", of_pronouns)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["introspect", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code or 0


def test_the_commands_on_cases_take_an_atlas(of_pronouns, file, tmp_path, monkeypatch):
    given = ["--model", "pronoun", "--atlas", of_pronouns.path]
    quick = ["--no-smallest", "--no-minimal-pairs", "--limit", "12"]
    assert run(monkeypatch, "causal", file, "--out", tmp_path / "causal", *quick, *given) == 0
    assert check(tmp_path / "causal" / "report.html", of_pronouns)
    sets.leave_out_the_long(monkeypatch.setattr)
    assert run(monkeypatch, "probe", file, "--out", tmp_path / "probe", *given) == 0
    assert "L1H0" in check(tmp_path / "probe" / "report.html", of_pronouns)


@pytest.mark.parametrize(
    "command", [["heads", "--sequences", "4"], ["lens", "a b c d a b"], ["report", "a b c d a b"]]
)
def test_the_commands_that_write_a_page_take_an_atlas(command, of_induction, tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    given = ["--model", "induction", "--out", page, "--atlas", of_induction.path]
    assert run(monkeypatch, *command, *given) == 0
    if command[0] == "report":
        assert "No head is named in this report." in page.read_text()
    else:
        assert check(page, of_induction)


@pytest.mark.parametrize("command", ["probe", "causal"])
def test_an_atlas_of_another_model_is_refused_first(
    command, of_induction, file, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    given = ["--model", "pronoun", "--out", out, "--atlas", of_induction.path]
    assert run(monkeypatch, command, file, *given) == 2
    assert "an atlas of pronoun, got one of induction" in capsys.readouterr().err
    assert not out.exists()
    with pytest.raises(SelectionError, match="atlas of pronoun"):
        ix.report("pronoun", grammar_cases(2)[0], atlas=of_induction)


def test_no_report_takes_the_place_of_a_page_of_the_atlas(of_induction, monkeypatch, capsys):
    index = of_induction.path / "index.html"
    before = index.read_bytes()
    given = ["--model", "induction", "--out", index, "--atlas", of_induction.path]
    assert run(monkeypatch, "report", "a b a", *given) == 2
    assert "index.html" in capsys.readouterr().err
    assert index.read_bytes() == before


def test_a_head_that_the_atlas_lacks_is_said(tmp_path):
    texts = [case.text for case in own_cases("en")]
    model = sets.model()
    atlas = ix.atlas(model, texts[:12], tmp_path / "atlas", layers=[0], threads=1)
    made = ix.probe(model, texts, tmp_path / "probe", analyzers=["roles"], atlas=atlas, **sets.CALL)
    page = made.report.read_text()
    assert re.search(r"<li>L[12]H\d: not in this atlas, which is of some layers\.</li>", page)
