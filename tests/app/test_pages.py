"""What the pages show, by Streamlit's own test runner."""

from __future__ import annotations

import re

import pytest

import introspect as ix
from introspect.app.entries import EXAMPLES
from introspect.errors import ModelError
from introspect.models.circuits import circuit_folder

TEXT = "The animal didn't cross the street because it was too tired."


def errors(page) -> list[str]:
    """The messages that a person sees, without the marks that keep them from being Markdown."""
    assert list(page.exception) == []
    return [said(error) for error in page.error]


def said(element) -> str:
    return re.sub(r"\\(.)", r"\1", element.value).replace("\u2060", "")


def frames(page) -> list[str]:
    return [frame.proto.srcdoc for frame in page.get("iframe")]


def press(page, label: str):
    (button,) = (each for each in page.button if each.label == label)
    return button.click().run()


# One text


def test_the_default_sentence_gives_l3h1_on_animal(app, record):
    page = app()
    assert errors(page) == []
    assert page.text_area(key="text").value == TEXT
    page.segmented_control(key="view").set_value("numbers").run()
    assert (
        page.selectbox(key="layer of minilm").value,
        page.selectbox(key="head of minilm").value,
    ) == (3, 1)
    table = page.dataframe[0].value
    assert table.loc["10 it", "2 animal"] == pytest.approx(0.68, abs=0.005)
    assert table.loc["10 it", "2 animal"] == float(record.attentions[3, 1, 10, 2])
    assert [float(v) for v in table.sum(axis=1)] == pytest.approx([1] * 16, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("view", ["heatmap", "head", "model", "layer", "steps", "neuron", "flow"])
def test_every_view_is_its_own_page(app, view):
    page = app()
    page.segmented_control(key="view").set_value(view).run()
    assert errors(page) == []
    (shown,) = frames(page)
    assert shown.startswith("<!doctype html>") and f'data-view="{view}"' in shown
    assert "Content-Security-Policy" in shown
    # Layer and head are chosen in the view, and nowhere else.
    assert {box.key for box in page.selectbox} == {"model"}


@pytest.mark.parametrize("view", ["steps", "neuron"])
def test_of_a_long_text_the_detailed_views_hold_the_layer_that_is_chosen(app, view):
    page = app()
    page.text_area(key="text").set_value("It rained and rained. " * 26).run()
    page.segmented_control(key="view").set_value(view).run()
    page.selectbox(key="layer of minilm").set_value(4).run()
    assert errors(page) == []
    (shown,) = frames(page)
    assert '"layers":[4]' in shown and len(shown) < 4_000_000
    assert any("shows layer 4 only" in caption.value for caption in page.caption)


def test_tokens_are_listed(app, record):
    table = app().dataframe[-1].value
    assert list(table["token"]) == list(record.tokens)
    assert list(table["special"]) == [True, *[False] * 14, True]


def test_by_word_the_pieces_are_one(app, record):
    page = app()
    page.segmented_control(key="view").set_value("numbers").run()
    page.checkbox(key="by word").check().run()
    table = page.dataframe[0].value
    assert "3 didn't" in table.index
    words = record.words()
    assert table.loc["8 it", "2 animal"] == float(words.attentions[3, 1, 8, 2])


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "minilm"])
def test_every_circuit_comes_with_its_own_example(app, name):
    page = app()
    page.selectbox(key="model").set_value(name).run()
    assert errors(page) == []
    assert page.text_area(key="text").value == EXAMPLES[name].text
    assert len(frames(page)) == 1


def test_a_text_of_ones_own_stays_when_another_model_is_chosen(app):
    page = app()
    page.text_area(key="text").set_value("The fox did not rest.").run()
    page.selectbox(key="model").set_value("pronoun").run()
    assert page.text_area(key="text").value == "The fox did not rest."


@pytest.mark.parametrize("name", ["minilm", "pronoun", "reversal"])
def test_an_example_is_one_click(app, name):
    page = app()
    page.text_area(key="text").set_value("The fox did not rest.").run()
    page.button(key=f"example {name} {EXAMPLES[name].other_text}").click().run()
    assert errors(page) == [] and len(frames(page)) == 1
    assert page.text_area(key="text").value == EXAMPLES[name].other_text
    assert page.selectbox(key="model").value == name


def test_an_address_says_what_is_shown(app):
    page = app(text="The fox did not rest.", model="pronoun", view="数值", language="中文")
    assert errors(page) == [] and page.title[0].value == "单段文本"
    assert page.text_area(key="text").value == "The fox did not rest."
    assert page.selectbox(key="model").value == "pronoun"
    assert not frames(page) and len(page.dataframe) == 2


def test_an_address_marks_the_words_of_a_case(app):
    page = app("pronoun.py", case="7~5~1", text=TEXT)
    assert errors(page) == []
    assert said(page.subheader[0]).endswith("to *street*: 0.67 of its attention.") or (
        "to *street*" in said(page.subheader[0])
    )
    page = app("pronoun.py", case="99~x~1", text=TEXT)
    assert errors(page) == [] and "to *animal*" in said(page.subheader[0])


@pytest.mark.parametrize(
    "address",
    [
        {"view": "nothing"},
        {"model": "nobody"},
        {"language": "Latin"},
        {"truncation": "perhaps"},
    ],
)
def test_an_address_that_says_nonsense_changes_nothing(app, address):
    page = app(**address)
    assert errors(page) == [] and len(frames(page)) == 1
    assert page.selectbox(key="model").value == "minilm"


def test_an_address_alone_loads_no_model_from_elsewhere(app):
    folder = str(circuit_folder("pronoun"))
    page = app(model="another …", name=folder, text="The fox did not rest.")
    (error,) = errors(page)
    assert "named by the address alone" in error and not frames(page)
    (load,) = (each for each in page.button if each.label == "Load this model")
    load.click().run()
    assert errors(page) == [] and len(frames(page)) == 1


def test_what_was_drawn_of_another_model_is_gone_while_one_loads(app, monkeypatch):
    page = app()
    seen = []

    def failing(name):
        seen.append(name)
        raise ModelError("Expected another model.")

    with monkeypatch.context() as patched:
        patched.setattr("introspect.app.form.model_named", failing)
        page.selectbox(key="model").set_value("pronoun").run()
    assert seen == ["pronoun"] and errors(page) == ["Expected another model."]
    assert not frames(page) and not page.dataframe and not page.info
    page.run()
    assert errors(page) == [] and len(frames(page)) == 1


def test_an_encoder_decoder_shows_each_kind_of_attention(app):
    page = app()
    page.selectbox(key="model").set_value("reversal").run()
    page.segmented_control(key="view").set_value("numbers").run()
    assert page.selectbox(key="kind").value == "cross"
    expected = ix.load("reversal").capture("a b c d e", target="e d c b a")
    table = page.dataframe[0].value
    assert table.to_numpy().tolist() == expected.attentions[1, 0].double().tolist()
    page.text_input(key="target").set_value("").run()
    assert errors(page) == [] and page.dataframe[0].value.shape[0] == len(expected.keys)


def test_two_texts_are_read_as_a_pair(app):
    page = app()
    page.text_input(key="pair").set_value("It slept.").run()
    assert errors(page) == []
    assert list(page.dataframe[-1].value["token"]).count("[SEP]") == 2


@pytest.mark.parametrize("text", ["", "   \n"])
def test_an_empty_text_gets_a_message_and_the_app_goes_on(app, text):
    page = app()
    page.text_area(key="text").set_value(text).run()
    assert errors(page) == ["Expected a text with words in it, got an empty one. Type a sentence."]
    page.text_area(key="text").set_value("It works again.").run()
    assert errors(page) == [] and len(frames(page)) == 1


def test_a_text_that_is_too_long_is_refused_or_cut_loudly(app):
    page = app()
    page.text_area(key="text").set_value("It rained. " * 300 + "Then came the end.").run()
    (error,) = errors(page)
    assert "at most 512 tokens" in error
    page.selectbox(key="model").set_value("pronoun").run()
    page.text_area(key="text").set_value("It rained. " * 20 + "Then came the end.").run()
    (error,) = errors(page)
    assert "at most 32 tokens" in error
    page.checkbox(key="truncation").check().run()
    assert errors(page) == []
    # Once: in the view, or above the table that has no place for it.
    assert "Then came the end." in frames(page)[0] and list(page.warning) == []
    page.segmented_control(key="view").set_value("numbers").run()
    assert any("Then came the end." in said(warning) for warning in page.warning)


def test_characters_that_the_vocabulary_lacks_are_named(app):
    page = app()
    page.text_area(key="text").set_value("那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上").run()
    assert "16 of the 21 characters" in frames(page)[0]


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://127.0.0.1:9/x.png) $x$ :smile: **b**",
    "\u202eabc \x00 def",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_data(app, text):
    page = app()
    page.text_area(key="text").set_value(text).run()
    assert errors(page) == []
    (shown,) = frames(page)
    assert "<script>alert" not in shown and "<img" not in shown
    page.switch_page("pronoun.py").run()
    assert errors(page) == []
    assert all("<" not in m.value for m in [*page.markdown, *page.subheader, *page.caption])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "Expected the hub id of a model"),
        ("no/such/folder/anywhere", "Expected a folder with a model"),
        ("nobody/has-this", "Expected to find the model 'nobody/has-this'"),
        ("![x](http://127.0.0.1:9/x.png)", "![x](http://127.0.0.1:9/x.png)"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_a_wrong_model_gets_a_message_and_the_app_goes_on(app, name, expected):
    page = app()
    page.selectbox(key="model").set_value("another …").run()
    page.text_input(key="name").set_value(name).run()
    (error,) = errors(page)
    assert expected in error
    (raw,) = (element.value for element in page.error)
    assert not re.search(r"(?<!\\)[<\[!]", raw)
    page.selectbox(key="model").set_value("minilm").run()
    assert errors(page) == [] and len(frames(page)) == 1


def test_a_folder_is_a_model_and_pickled_weights_are_refused(app, tmp_path):
    page = app()
    page.text_area(key="text").set_value("The fox did not rest.").run()
    page.selectbox(key="model").set_value("another …").run()
    page.text_input(key="name").set_value(str(circuit_folder("pronoun"))).run()
    assert errors(page) == [] and len(frames(page)) == 1
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    page.text_input(key="name").set_value(str(tmp_path)).run()
    assert "a pickle" in errors(page)[0] and not frames(page)


def test_a_fault_of_our_own_is_one_line_and_the_app_goes_on(app, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a planted <b>fault</b>")

    page = app()
    with monkeypatch.context() as patched:
        patched.setattr("introspect.app.form.ask", fail)
        page.run()
    assert errors(page) == [
        "Something went wrong that should not (RuntimeError: a planted <b>fault</b>). "
        "The app goes on."
    ]
    page.run()
    assert errors(page) == []


# Compare


def test_two_texts_and_two_models_are_compared(app):
    page = app("comparison.py")
    assert errors(page) == []
    assert page.text_area(key="other text minilm").value == TEXT.replace("tired", "wide")
    assert 'data-view="compare"' in frames(page)[0]
    page.text_area(key="other text minilm").set_value(TEXT).run()
    assert "Expected another text" in errors(page)[0]
    page.segmented_control(key="compare with").set_value("Another model").run()
    assert errors(page) == [] and "pronoun-gated" in frames(page)[0]
    page.text_input(key="other model").set_value("minilm").run()
    assert "Expected another model" in errors(page)[0]


# What layers predict, and what heads do


def test_the_lens_shows_what_each_layer_predicts(app):
    page = app("lens.py")
    assert any("no language-modeling head" in said(info) for info in page.info)
    page.selectbox(key="model").set_value("induction").run()
    assert errors(page) == []
    (shown,) = frames(page)
    assert 'data-view="lens"' in shown
    text = page.text_area(key="text").value
    page.selectbox(key=f"read at {text} None").set_value(2).run()
    assert errors(page) == [] and frames(page) != [shown]


def test_roles_of_heads_are_measured(app):
    page = app("roles.py")
    page.selectbox(key="model").set_value("induction").run()
    assert errors(page) == []
    (shown,) = frames(page)
    assert "induction head" in shown
    assert [area.key for area in page.text_area] == ["texts"]


# Playback, pictures, own texts


def test_a_text_is_played_with_the_likeliest_tokens(app):
    page = app("playback.py")
    assert [said(info)[:43] for info in page.info] == [
        "Only a text that is read from left to right"
    ]
    page.text_area(key="text").set_value("a b c d a b").run()
    page.selectbox(key="model").set_value("induction").run()
    assert errors(page) == []
    (shown,) = frames(page)
    assert 'data-view="playback"' in shown and '"begin":0' in shown
    page.number_input(key="generate").set_value(2).run()
    assert errors(page) == []
    (shown,) = frames(page)
    assert '"begin":6' in shown and '"likeliest":[[["' in shown
    assert "The model wrote 2 tokens" in shown and list(page.warning) == []
    page.button(key=f"example reversal {EXAMPLES['reversal'].text}").click().run()
    assert errors(page) == [] and len(frames(page)) == 1


def test_a_picture_is_read_by_a_model_that_was_typed(app, tmp_path):
    from PIL import Image

    from tests.models.vision.helpers import build, processor

    folder = tmp_path / "vit"
    build("vit").save_pretrained(folder)
    processor().save_pretrained(folder)
    page = app("picture.py", **{"picture model": str(folder)})
    assert "named by the address alone" in errors(page)[0]
    press(page, "Load this model")
    assert errors(page) == [] and "Choose a picture" in said(page.info[0])
    picture = tmp_path / "p.png"
    Image.new("RGB", (40, 30), (200, 30, 30)).save(picture)
    page.file_uploader(key="picture").upload("p.png", picture.read_bytes(), "image/png")
    page.run()
    assert errors(page) == []
    assert 'data-view="image"' in frames(page)[0]
    page.file_uploader(key="picture").upload("p.png", b"no picture", "image/png")
    page.run()
    assert "p.png" in errors(page)[0] and "introspect-app" not in errors(page)[0]


def test_roles_are_measured_on_own_texts_too(app):
    page = app("roles.py")
    page.text_area(key="texts").set_value("a b c a b c\n\nd e d e\n").run()
    page.selectbox(key="model").set_value("induction").run()
    assert errors(page) == []
    assert "Shapes on" in frames(page)[0]
    page.text_area(key="texts").set_value("a b\n" * 101).run()
    assert "Expected at most 100 texts here, got 101" in errors(page)[0]
