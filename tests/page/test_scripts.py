"""The page's scripts: joined in the order of their imports, each in a scope of its own."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files

import pytest

from introspect.page.bundle import bundle, join_modules


def test_imports_come_first_and_become_names():
    joined = join_modules(
        {
            "page": 'import { twice } from "./sums.js";\nconsole.log(twice(2));\n',
            "sums": "export function twice(n) {\n  return 2 * n;\n}\n",
        },
        "page",
    )
    assert joined.index("function twice") < joined.index("console.log")
    assert 'const { twice } = modules["sums"];' in joined
    assert "import" not in joined and "export" not in joined


def test_files_do_not_share_names(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing: it runs the joined script")
    joined = join_modules(
        {
            "page": 'import { a } from "./a.js";\nfunction own() {\n  return "page";\n}\n'
            "console.log(own(), a());\n",
            "a": 'function own() {\n  return "a";\n}\nexport function a() {\n  return own();\n}\n',
        },
        "page",
    )
    script = tmp_path / "joined.js"
    script.write_text(joined)
    result = subprocess.run([node, script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "page a"


def test_circle_is_refused():
    sources = {"page": 'import { a } from "./a.js";\n', "a": 'import { b } from "./page.js";\n'}
    with pytest.raises(ValueError, match="circle"):
        join_modules(sources, "page")


def test_missing_file_is_named():
    with pytest.raises(ValueError, match="'gone', imported by page"):
        join_modules({"page": 'import { a } from "./gone.js";\n'}, "page")


@pytest.mark.parametrize(
    "line",
    [
        'import x from "./x.js";',
        'import { x as y } from "./x.js";',
        "export default 1;",
        "export { a };",
    ],
)
def test_other_forms_are_refused(line):
    with pytest.raises(ValueError, match="named imports and exports"):
        join_modules({"page": f"{line}\n"}, "page")


def test_a_page_carries_the_scripts_of_its_own_views_alone():
    steps, both = bundle(frozenset({"steps"})), bundle(frozenset({"steps", "compare"}))
    assert "mountStepsView" in steps and "mountCompareView" not in steps
    assert "mountStepsView" in both and "mountCompareView" in both
    assert len(steps) < len(both) < len(bundle())
    assert 'start({ "steps": mountStepsView });' in steps
    with pytest.raises(ValueError, match="none for \\['gone'\\]"):
        bundle(frozenset({"gone"}))


def test_the_page_script_holds_nothing_that_ends_it():
    assert "</script" not in bundle()
    assert "<!--" not in bundle()


def test_no_script_writes_html_from_data():
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert dangerous not in bundle()


def test_no_text_of_a_script_goes_over_several_lines():
    """A page carries its scripts without indents, which would change such a text."""
    folder = files("introspect.page") / "assets"
    scripts = [entry for entry in folder.iterdir() if entry.name.endswith(".js")]
    lines = [line for entry in scripts for line in entry.read_text("utf-8").splitlines()]
    assert [line for line in lines if line.count("`") % 2] == []
    assert "\n " not in bundle()
