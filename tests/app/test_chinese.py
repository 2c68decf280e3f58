"""The app in Chinese: every word that it says has a translation, and its places are kept."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import get_args

import introspect as ix
import introspect.app
from introspect.app.chinese import CHINESE, LANGUAGES
from introspect.app.chinese_of_notices import NOTICES, notice_in
from introspect.app.chinese_of_pages import PAGE_WORDS
from introspect.views import ViewName, parts_of_view, view_by_name

from .. import models_zoo
from ..views.image.helpers import view_of as view_of_picture
from ..views.samples import record_of

FOLDER = Path(introspect.app.__file__).parent
PAGES = (
    ("pronoun.py", "代词"),
    ("removal.py", "消融注意力头"),
    ("comparison.py", "比较"),
    ("lens.py", "Logit 透镜"),
    ("playback.py", "回放"),
    ("picture.py", "图片"),
    ("roles.py", "头的角色"),
    ("atlas.py", "图谱"),
    ("sets.py", "案例集"),
)


# Labels that the sources have in parts.
PUT_TOGETHER = re.compile(
    "(entropy|to (special|itself|previous|next)), (highest|lowest) first|Heads by .+|"
    "norm with residual|Blue heads help .+"
)


def said() -> set[str]:
    """The texts that the sources of the app say, or mark to be said."""
    found = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("say", "word"):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
    return found


def test_what_the_app_says_has_chinese_and_nothing_else_has():
    assert said() == set(CHINESE)


def test_places_for_values_and_code_are_the_same_in_both():
    for english, chinese in CHINESE.items():
        for pattern in (r"\{\w+\}", r"`[^`]+`", r"\*\*"):
            assert sorted(re.findall(pattern, english)) == sorted(re.findall(pattern, chinese))
        assert re.search("[\u4e00-\u9fff]", chinese), chinese


def test_every_page_is_there_in_chinese_and_back(app):
    page = app()
    page.segmented_control(key="language").set_value(LANGUAGES[1]).run()
    assert page.title[0].value == "单段文本"
    assert page.text_area(key="text").label == "文本"
    for file, title in PAGES:
        page.switch_page(file).run()
        assert list(page.error) == [] and list(page.exception) == []
        assert page.title[0].value == title
    page.switch_page("pronoun.py").run()
    assert page.dataframe[0].value.iloc[0]["head"] == "L3H1"
    page.segmented_control(key="language").set_value(LANGUAGES[0]).run()
    assert page.title[0].value == "A pronoun"
    word = f"word 7 {page.text_area(key='text').value}"
    assert page.button(key=word).label == ":primary-background[it]"


def test_views_are_told_their_chinese(app):
    page = app()
    assert '"Heads by"' not in page.get("iframe")[0].proto.srcdoc.split('id="app-words">')[1]
    page.segmented_control(key="language").set_value(LANGUAGES[1]).run()
    (told,) = re.findall(r'id="app-words">(.*?)</script>', page.get("iframe")[0].proto.srcdoc, re.S)
    assert json.loads(told) == {**PAGE_WORDS, **NOTICES}


def test_notices_are_chinese_and_findings_are_said_to_be_english(app):
    page = app()
    page.segmented_control(key="language").set_value(LANGUAGES[1]).run()
    page.switch_page("pronoun.py").run()
    assert "结论及其局限为英文。" in [caption.value for caption in page.caption]
    page.segmented_control(key="language").set_value(LANGUAGES[0]).run()
    assert not any("English" in caption.value for caption in page.caption)


def test_what_a_record_says_first_is_found_in_chinese():
    model = models_zoo.minilm()
    notices = [
        *model.capture("word " * 600, truncation=True).notices,
        *model.capture("The 𓀀 saw a 𓀁 by the river in the old town.").notices,
        *model.capture("𓀀𓀁𓀀𓀁").notices,
        *ix.load("reversal", lm_head=True).capture("a b", generate=2).notices,
    ]
    assert len(notices) >= 4
    for notice in notices:
        assert re.search("[\u4e00-\u9fff]{6}", notice_in(notice, LANGUAGES[1])), notice
        assert notice_in(notice, LANGUAGES[0]) == notice


def test_what_is_translated_in_views_is_what_they_say():
    """Each fixed part of a label or sentence is in the scripts or the views."""
    root = FOLDER.parent
    sources = [
        *root.glob("page/assets/*.js"),
        *root.glob("views/*.py"),
        root / "reporting/atlas.py",
    ]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    joined = re.sub(r'"\s*\n\s*"', "", text)
    for english, chinese in PAGE_WORDS.items():
        assert english.count("{}") == chinese.count("{}")
        for part in re.split(r"\{\}|[“”]", english):
            words = part.strip(" .:;,→")
            # A sentence with places is put together in pieces that are shorter still.
            is_put_together = "{}" in english or PUT_TOGETHER.fullmatch(english)
            pieces = re.findall(r"[\w%.]+\w", words) if is_put_together else [words]
            assert words in joined or all(map(joined.__contains__, pieces)), (english, words)


def views_of_the_app():
    """Views of the kinds that the app shows, of small records."""
    record = record_of("Ann saw Bo")
    model = ix.load("induction")
    yield ix.playback_view(model.capture("a b a"))
    for name in get_args(ViewName):
        yield view_by_name(name, model.capture("a b a", include=parts_of_view(name)))
    yield ix.compare_view(record, record_of("Ann saw Al"))
    case = ix.CorefCase.from_words("Ann saw Bo", pronoun="Bo", antecedent="Ann")
    yield ix.coreference_view(record, case)
    yield view_of_picture()


def has_chinese(english: str) -> bool:
    """Whether the script in the frame finds a translation, whole or sentence by sentence."""
    patterns = [re.escape(known).replace(r"\{\}", ".+?") for known in PAGE_WORDS]
    is_known = re.compile("|".join(patterns)).fullmatch
    return bool(is_known(english)) or all(map(is_known, re.split(r"(?<=\.) (?=[A-Z])", english)))


def test_the_title_and_the_lead_of_each_view_have_chinese():
    for view in views_of_the_app():
        for section in view.sections():
            if not section.hidden:
                assert has_chinese(section.title), section.title
                assert has_chinese(section.lead), section.lead


def test_so_have_those_of_an_atlas():
    source = (FOLDER.parent / "reporting" / "atlas.py").read_text(encoding="utf-8")
    assert {"All heads", "What {head} does"} <= set(re.findall(r'"([^"]*)"', source))
    for said in ("All heads", "What L3H1 does", "In minilm, on 400 texts of gap.jsonl."):
        assert has_chinese(said), said
