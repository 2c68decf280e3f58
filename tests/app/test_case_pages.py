"""The pages of a pronoun and of a set of cases, by Streamlit's own test runner."""

from __future__ import annotations

import json
import re

import pytest

import introspect as ix
from introspect.app.entries import EXAMPLES
from introspect.app.uploads import SAMPLE

from .test_pages import errors, frames, press, said


def test_every_head_is_scored_as_the_library_does(app, record):
    page = app("pronoun.py")
    assert errors(page) == []
    assert (
        said(page.subheader[0])
        == "L3H1 points from *it* to *animal*: 0.68 of its attention; the other words give it 0.11."
    )
    table = page.dataframe[0].value
    assert len(table) == 72
    first = table.iloc[0]
    assert first["head"] == "L3H1"
    assert first["antecedent"] == pytest.approx(float(record.attentions[3, 1, 10, 2]), abs=1e-7)
    assert first["distractor"] == pytest.approx(float(record.attentions[3, 1, 10, 8]), abs=1e-7)
    caveats = " ".join(said(caption) for caption in page.caption)
    assert "One sentence is an example, not evidence" in caveats
    assert "not why the model decides" in caveats
    assert 'data-view="coreference"' in frames(page)[0]
    page.segmented_control(key="direction").set_value("candidate_to_pronoun").run()
    back = page.dataframe[0].value.set_index("head")
    assert back.loc["L3H1", "antecedent"] == pytest.approx(
        float(record.attentions[3, 1, 2, 10]), abs=1e-7
    )


def said_label(label: str) -> str:
    return re.sub(r"\\(.)", r"\1", label)


def mark(page, role: str, *words: int):
    """Click words of the text, each in a role."""
    text = page.text_area(key="text").value
    page.segmented_control(key="role").set_value(role).run()
    for word in words:
        page.button(key=f"word {word} {text}").click().run()
    return page


def buttons_of_words(page) -> list:
    return [button for button in page.button if str(button.key).startswith("word ")]


def test_words_are_clicked_and_numbered_where_there_are_several(app):
    text = "It rained, it stopped, and it rained."
    page = app("pronoun.py")
    page.text_area(key="text").set_value(text).run()
    assert [said(info) for info in page.info] == [
        "Choose the pronoun and at least one candidate to score every head."
    ]
    assert [said_label(button.label) for button in buttons_of_words(page)] == [
        "It", "rained#1", "it#1", "stopped", "and", "it#2", "rained#2",
    ]  # fmt: skip
    mark(page, "pronoun", 5)
    mark(page, "antecedent", 0)
    assert errors(page) == [] and len(page.dataframe[0].value) == 72
    assert page.query_params["case"] == "5~0~"
    # A word has one role: the last that it was given.
    mark(page, "distractor", 0)
    assert errors(page) == [] and page.query_params["case"] == "5~~0"
    assert page.button(key=f"word 0 {text}").label == ":orange-background[It]"
    assert page.button(key=f"word 5 {text}").help == "Pronoun"
    # A second click takes it away.
    mark(page, "distractor", 0)
    assert page.query_params["case"] == "5~~"


def test_a_word_that_is_clicked_while_the_page_is_drawn_has_the_role_chosen_before(app):
    page = app("pronoun.py")
    text = page.text_area(key="text").value
    # Both reach the page at once, as when it is still being drawn; so do two words.
    page.segmented_control(key="role").set_value("distractor")
    page.button(key=f"word 0 {text}").click()
    page.button(key=f"word 4 {text}").click().run()
    assert errors(page) == [] and page.query_params["case"] == "7~1~0.4.5"


def test_a_long_text_keeps_its_words_in_a_box(app):
    page = app("pronoun.py")
    page.text_area(key="text").set_value("It rained and rained. " * 26).run()
    assert errors(page) == []
    assert len(buttons_of_words(page)) == 104


def test_a_model_that_reads_from_left_to_right_says_what_cannot_be_seen(app):
    page = app("pronoun.py")
    page.text_area(key="text").set_value("a b c d").run()
    page.selectbox(key="model").set_value("induction").run()
    mark(page, "pronoun", 3)
    mark(page, "antecedent", 0)
    assert errors(page) == [] and len(page.dataframe[0].value) > 0
    page.segmented_control(key="direction").set_value("candidate_to_pronoun").run()
    assert not page.dataframe
    assert any("No head can attend in this direction" in said(info) for info in page.info)


def upload(page, name: str, content: bytes):
    page.file_uploader(key="cases").upload(name, content, "text/plain")
    page.run()
    return press(page, "Probe")


def test_the_example_is_probed_with_one_click(app):
    page = press(app("sets.py"), "Try the example")
    assert errors(page) == [] and len(page.dataframe) == 2
    assert len(frames(page)) == 1


def test_a_small_file_gets_a_causal_study(app):
    page = app("sets.py")
    page.selectbox(key="model").set_value("pronoun").run()
    cases = "text,pronoun,antecedent,distractor\n" + "".join(
        f"{EXAMPLES['pronoun'].text if gold == 'fox' else EXAMPLES['pronoun'].other_text},"
        f"it,{gold},{other}\n"
        for gold, other in (("fox", "river"), ("river", "fox"))
    )
    page.file_uploader(key="cases").upload("cases.csv", cases.encode(), "text/plain")
    page.run()
    page = press(page, "Causal study")
    assert errors(page) == []
    (shown,) = frames(page)
    assert 'data-view="causal"' in shown and "cases.csv" in shown
    many = cases + "\n".join(cases.splitlines()[1:] * 120)
    page.file_uploader(key="cases").clear().run()
    page.file_uploader(key="cases").upload("cases.csv", many.encode(), "text/plain")
    page.run()
    assert "at most 200 cases" in errors(press(page, "Causal study"))[0]


def test_a_small_file_is_probed(app):
    page = upload(app("sets.py"), "cases.csv", SAMPLE.encode() + b"No pronoun.,it,a,b,9\n")
    assert errors(page) == []
    rejects, heads, baselines = (table.value for table in page.dataframe)
    assert list(rejects["where"]) == ["line 6"]
    assert len(heads) == 2 * 72 and set(heads["n"]) == {4}
    row = heads[(heads.layer == 3) & (heads["head"] == 1)].iloc[0]
    cases = [
        ix.CorefCase.from_words(text, pronoun=pronoun, antecedent=gold, distractors=[other])
        for text, pronoun, gold, other, _ in (
            line.split(",") for line in SAMPLE.strip().splitlines()[1:]
        )
    ]
    expected = ix.score("minilm", cases).heads.set_index(["layer", "head", "direction"])
    assert row["accuracy"] == expected.loc[(3, 1, row["direction"]), "accuracy"]
    assert "nearest_preceding" in set(baselines["baseline"])
    labels = [button.label for button in page.get("download_button")]
    assert "Download the report" in labels


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("broken.jsonl", b"{not json\n", "1 row was rejected. The first: line 1: Expected JSON"),
        (
            "latin.jsonl",
            b'{"text": "\xe9"}\n',
            "1 row was rejected. The first: line 1: Expected UTF-8",
        ),
        ("empty.jsonl", b"", "got an empty file"),
        ("large.jsonl", b"x" * (2 << 20) + b"x", "at most 2 MB"),
        (
            "plain.jsonl",
            json.dumps({"text": "It rained."}).encode(),
            "Expected the columns text, pronoun",
        ),
    ],
)
def test_a_broken_upload_gets_a_message_and_the_app_goes_on(app, name, content, expected):
    page = upload(app("sets.py"), name, content)
    (error,) = errors(page)
    assert expected in error
    page.file_uploader(key="cases").clear().run()
    page = upload(page, "cases.csv", SAMPLE.encode())
    assert errors(page) == [] and len(page.dataframe) == 2


def test_what_a_page_shows_is_there_again_after_another(app):
    text = "The fox did not cross the river because it was too wide."
    page = app()
    page.text_area(key="text").set_value(text).run()
    page.selectbox(key="model").set_value("pronoun-gated").run()
    page.segmented_control(key="view").set_value("numbers").run()
    page.selectbox(key="head of pronoun-gated").set_value(2).run()
    page.switch_page("sets.py").run()
    upload(page, "cases.csv", SAMPLE.encode())
    probed = len(page.dataframe)
    page.switch_page("pronoun.py").run()
    assert page.text_area(key="text").value == text
    page.segmented_control(key="direction").set_value("candidate_to_pronoun").run()
    page.switch_page("sentence.py").run()
    assert page.text_area(key="text").value == text
    assert page.selectbox(key="model").value == "pronoun-gated"
    assert page.segmented_control(key="view").value == "numbers"
    assert page.selectbox(key="head of pronoun-gated").value == 2
    page.switch_page("pronoun.py").run()
    assert page.segmented_control(key="direction").value == "candidate_to_pronoun"
    page.switch_page("sets.py").run()
    assert len(page.dataframe) == probed > 0
