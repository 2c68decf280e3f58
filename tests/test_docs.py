"""What the pages say is so: their Python runs, their commands exist, every public name is there."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest

import introspect
from introspect import cli

ROOT = Path(__file__).resolve().parent.parent
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
PAGES = [ENGLISH, CHINESE, *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]

# A block with what may stand on the line before it, and what it prints, where that is said.
PYTHON = re.compile(
    r"(?:^<!-- (?P<mark>not run|first): (?P<note>[^\n]+) -->\n)?"
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<printed>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")

# Every public name of these is on a page of the reference.
PUBLIC = (
    "introspect",
    *("introspect.primer", "introspect.data", "introspect.data.published", "introspect.runs"),
    *(
        "introspect.interventions",
        "introspect.studies.causal",
        "introspect.studies.heads",
        "introspect.studies.lens",
    ),
)

# What these hand out to other folders alone: no reader of the reference needs it.
INTERNAL = {
    "introspect.data": "Cases Content PRONOUNS as_cases check_unchanged is_file_of_cases "
    "state_of_inputs",
    "introspect.runs": "CAUSAL_KIND HEADS_KIND HeadOptions WorkerOptions "
    "atlas_lines causal_folder heads_folder is_page",
    "introspect.interventions": "Ablations HeadsByLayer NEEDS_REFERENCE checked_kind "
    "heads_by_layer module_of names_of_heads patched run_parts",
    "introspect.studies.causal": "LEVEL MEDIATED MEDIATORS SMALLEST SMALLEST_RATIO VERDICTS "
    "Verdict claims_of credit_of headline_claims heads_with load_to_ask mediation_claims "
    "set_claims single_claims way_of_predicting",
    "introspect.studies.heads": "ATTENDS_TO POSITIONAL RARE_WORD SCORES best_number heads_listed "
    "known_role_claims ordered_relations roles_of",
    "introspect.studies.lens": "HeadWriting OvCircuits copied head_writing lens_claims "
    "readings_after run_noted share_below",
}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def pages_with(fence: str) -> list[str]:
    return [page for page in PAGES if f"```{fence}\n" in text_of(page)]


# --- Python ----------------------------------------------------------------------------------

#: Pages whose code takes seconds.
LONG = (
    "docs/howto/collections.md", "docs/howto/large-sets.md", "docs/explanation/attention.md",
    "docs/causal.md",
)  # fmt: skip


# BertViz leaves its scripts open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page in LONG else [])
        for page in pages_with("python")
        if page != CHINESE
    ],
)
def test_the_python_of_a_page_runs_and_prints_what_is_said(page, tmp_path, monkeypatch):
    """The blocks of a page are one program; a block of text after one is what it prints.

    The Chinese README has the code of the English one, which another test sees to.
    """
    if page.endswith("coming-from.md"):
        pytest.importorskip("bertviz", reason="bertviz is not installed (the extra bertviz)")
    if page.endswith("chinese.md"):
        pytest.importorskip("jieba", reason="jieba is not installed (the extra chinese)")
    monkeypatch.chdir(tmp_path)
    blocks = list(PYTHON.finditer(text_of(page)))
    assert len(blocks) == text_of(page).count("```python\n")
    names: dict[str, object] = {"__name__": page}
    for block in blocks:
        code = compile(block["code"], page, "exec")
        if block["mark"] == "not run":
            continue
        if block["mark"] == "first":
            exec(block["note"], names)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        if block["printed"] is not None or page.startswith("docs"):
            assert printed.getvalue() == (block["printed"] or "")


def test_few_blocks_are_not_run():
    blocks = [block for page in PAGES for block in PYTHON.finditer(text_of(page))]
    assert sum(block["mark"] == "not run" for block in blocks) <= 0.1 * len(blocks)


# --- commands --------------------------------------------------------------------------------


def commands_of(page: str) -> list[str]:
    """The commands of a page, each on a line, without what is said of them."""
    blocks = "".join(CONSOLE.findall(text_of(page))).replace("\\\n", " ")
    lines = [line for line in blocks.splitlines() if line.startswith("$ ")]
    return [" ".join(shlex.split(line[2:], comments=True)) for line in lines]


@cache
def help_of(*command: str) -> str:
    """What a command says of itself."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", ["introspect", *command, "--help"])
        patch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code in (0, None), f"there is no command: introspect {' '.join(command)}"
    return printed.getvalue()


@pytest.mark.parametrize("page", pages_with("console"))
def test_the_commands_of_a_page_exist_with_their_options(page):
    for command in commands_of(page):
        name, *words = command.split()
        if name != "introspect":
            assert name in ("make", "pip", "python"), command
            continue
        named = help_of(words[0])
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", named), f"{command}: no {option}"


def test_the_page_of_commands_is_what_they_say(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    cli_page = importlib.import_module("cli_page")
    assert text_of("docs/reference/cli.md") == cli_page.page(), (
        "renew it: python tools/cli_page.py --write"
    )


# --- the two READMEs -------------------------------------------------------------------------


def test_both_readmes_have_the_same_commands_and_code():
    def code_of(page: str) -> list[str]:
        blocks = PYTHON.finditer(text_of(page))
        lines = "".join(block["code"] for block in blocks).splitlines()
        return [line.partition("  #")[0] for line in lines]

    assert commands_of(CHINESE) == commands_of(ENGLISH)
    assert code_of(CHINESE) == code_of(ENGLISH)


def test_both_readmes_have_the_same_numbers():
    def numbers(page: str) -> set[str]:
        return set(NUMBER.findall(text_of(page)))

    def table_numbers(page: str) -> list[list[str]]:
        return [NUMBER.findall(line) for line in text_of(page).splitlines() if line[:1] == "|"]

    assert numbers(CHINESE) == numbers(ENGLISH)
    assert table_numbers(CHINESE) == table_numbers(ENGLISH)


def test_the_readmes_link_each_other():
    assert f"]({CHINESE})" in text_of(ENGLISH) and f"]({ENGLISH})" in text_of(CHINESE)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE, "CONTRIBUTING.md"])
def test_links_of_pages_outside_the_site_lead_somewhere(page):
    links = LINK.findall(text_of(page))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


# --- the reference ---------------------------------------------------------------------------


def referenced() -> list[str]:
    pages = (ROOT / "docs" / "reference").glob("*.md")
    return [name for p in pages for name in re.findall(r"^::: (\S+)", p.read_text("utf-8"), re.M)]


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_on_a_page_of_the_reference(package):
    names = set(importlib.import_module(package).__all__)
    if package != "introspect":
        names -= set(introspect.__all__)  # those are on a page under their short name
    names -= set(INTERNAL.get(package, "").split())
    missing = {f"{package}.{name}" for name in names}
    missing -= set(referenced())
    assert not missing, f"add ::: lines to a page in docs/reference: {sorted(missing)}"


@pytest.mark.parametrize("package", INTERNAL)
def test_every_internal_name_is_handed_out_and_on_no_page(package):
    names = set(INTERNAL[package].split())
    assert names <= set(importlib.import_module(package).__all__)
    assert not {f"{package}.{name}" for name in names} & set(referenced())


def test_no_name_is_on_two_pages():
    names = referenced()
    assert sorted(names) == sorted(set(names))


def test_the_terms_of_a_report_have_every_name_that_a_finding_prints():
    """Names of baselines, of relations of heads and of ways of ablation, as sentences have them."""
    from introspect.interventions.ablation import METHODS
    from introspect.studies.causal.head_claims import _DEPENDS, _KINDS_OF_PAIRS
    from introspect.studies.coreference.choice_claims import _BASELINES

    page = (ROOT / "docs/explanation/terms.md").read_text(encoding="utf-8")
    terms = [row.split("|")[1] for row in page.splitlines() if row.startswith("| ")]
    # "The candidate with the most word pieces" shares its row with that of the fewest words.
    told = {part.strip() for row in terms for part in row.split(",")}
    baselines = {
        name.removeprefix("the candidate ") if "most word" in name else name
        for name in _BASELINES.values()
    }
    assert not (baselines | {*_KINDS_OF_PAIRS, _DEPENDS}) - told
    assert all(f"`{method}`" in page for method in METHODS)
