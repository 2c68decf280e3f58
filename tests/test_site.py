"""The site: built with warnings as errors, and read without a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed (the extra docs)")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed (the extra docs)")

ROOT = Path(__file__).resolve().parent.parent
SHOWN = """\
site_name: test
INHERIT: {root}/mkdocs.yml
docs_dir: pages
site_dir: built
nav: [index.md]
hooks: [{root}/tools/site_hooks.py]
"""
MODULE = '''\
"""A module."""


def area(width: float) -> float:
    r"""The area of a square.

    .. math:: A =
        w^2

    It grows as :math:`w^2` does.

    Args:
        {argument}

    Returns:
        The area.

    Example:
        >>> area(3)
        9
    """
    return width * width
'''


def build(config: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        [*command, "--site-dir", str(out)],
        cwd=config.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    done = build(ROOT / "mkdocs.yml", out)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def small_site(folder: Path, *, page: str = "", argument: str = "width: of it.") -> Path:
    """A site of one page and one function, with the settings of the project's own."""
    (folder / "pages").mkdir()
    text = f"# Home\n\n{page}\n\n::: squares.area\n"
    (folder / "pages" / "index.md").write_text(text, encoding="utf-8")
    (folder / "squares.py").write_text(MODULE.format(argument=argument), encoding="utf-8")
    (folder / "mkdocs.yml").write_text(SHOWN.format(root=ROOT), encoding="utf-8")
    return folder / "mkdocs.yml"


@pytest.mark.slow
def test_a_small_site_is_built_with_formula_and_example(tmp_path):
    done = build(small_site(tmp_path), tmp_path / "built")
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "built" / "index.html").read_text(encoding="utf-8")
    assert page.count("<msup><mi>w</mi><mn>2</mn></msup>") == 2
    assert page.count('display="block"') == 1
    assert "math::" not in page and ":math:" not in page
    example = page.partition("Example")[2]
    assert re.search(r'<pre.*class="gp">&gt;&gt;&gt; </span>.*</pre>', example, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"page": "[nowhere](nowhere.md)"}, "nowhere.md"),
        ({"page": "[nowhere](#nowhere)"}, "#nowhere"),
        ({"argument": "height: of it."}, "height"),
        ({"argument": "no colon at all"}, "name: description"),
        ({"page": "::: squares.volume"}, "volume"),
    ],
    ids=["page", "anchor", "unknown argument", "broken section", "missing name"],
)
def test_a_mistake_fails_the_build(tmp_path, change, complaint):
    done = build(small_site(tmp_path, **change), tmp_path / "built")
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.slow
def test_no_page_asks_for_anything_outside(site):
    """Nothing that a browser fetches by itself; links that a person follows may lead anywhere."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for mark in ('src="http', 'src="//', "fonts.g", 'rel="stylesheet" href="http'):
            assert mark not in text, f"{page.name}: {mark}"


@pytest.mark.slow
@pytest.mark.parametrize("word", ["conllu", "csv", "excel", "colab", "ablate"])
def test_the_search_finds_a_word_also_within_a_name(site, word):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    separator = re.compile(index["config"]["separator"])
    found = {
        entry["location"].partition("#")[0]
        for entry in index["docs"]
        if word in separator.split(f"{entry['title']} {entry['text']}".lower())
    }
    assert any(place.startswith("howto/") for place in found), found


@pytest.mark.slow
def test_the_reference_has_every_method_that_a_user_calls_and_no_inner_one(site):
    pages = (site / "reference").glob("*.html")
    names = {
        name
        for page in pages
        for name in re.findall(r'id="(introspect[^"]*)"', page.read_text(encoding="utf-8"))
    }
    assert {f"introspect.View.{name}" for name in ("save", "show", "to_svg", "to_html")} <= names
    assert {"introspect.AttentionRecord.save", "introspect.Report.save"} <= names
    views = {name for name in names if re.match(r"introspect\.\w*View\.", name)}
    inner = {name for name in views if re.search(r"\.(small_print|add_instrument|sections)$", name)}
    assert inner == set()


@pytest.mark.slow
def test_functions_are_shown_as_functions_also_beside_a_module_of_their_name(site):
    shown = dict[str, str]()
    heading = re.compile(
        r'doc-symbol-(\w+)"></code>\s*<span class="doc doc-object-name[^"]*">(introspect[\w.]*)<'
    )
    for page in (site / "reference").glob("*.html"):
        shown |= {name: kind for kind, name in heading.findall(page.read_text(encoding="utf-8"))}
    assert len(shown) > 200
    assert {name for name, kind in shown.items() if kind == "module"} == set()
    assert shown["introspect.score"] == shown["introspect.capture"] == "function"


@pytest.mark.slow
@pytest.mark.browser
def test_pages_are_read_and_searched_as_files(site, browser):
    for width, scheme in ((1280, "light"), (800, "dark")):
        view = {"width": width, "height": 900}
        context = browser.new_context(viewport=view, color_scheme=scheme, offline=True)
        page = context.new_page()
        page.set_default_timeout(10_000)
        asked: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("pageerror", lambda error, faults=faults: faults.append(str(error)))
        page.on("console", lambda line, faults=faults: faults.append(line.text))
        for name in ("index", "reference/primer", "explanation/attention", "architectures"):
            page.goto((site / f"{name}.html").as_uri())
            page.wait_for_selector("h1")
            overhang = "document.documentElement.scrollWidth - innerWidth"
            assert page.evaluate(overhang) <= 0, f"{name} is wider than {width} pixels"
        page.keyboard.press("f")
        page.keyboard.type("certificate")
        page.wait_for_selector(".md-search-result__item")
        page.locator(".md-search-result__link").first.click()
        page.wait_for_url("**/*.html?h=*")
        context.close()
        assert faults == []
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
