"""What the pages show, by Streamlit's own test runner."""

from __future__ import annotations

import json
import re

import pytest

import introspect as ix
from introspect.app.entries import EXAMPLES
from introspect.app.uploads import SAMPLE
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


@pytest.fixture(scope="module")
def record():
    return ix.load("minilm").capture(TEXT)


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


def said_label(label: str) -> str:
    return re.sub(r"\\(.)", r"\1", label)


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


# A pronoun


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


# A set of cases


def upload(page, name: str, content: bytes):
    page.file_uploader(key="cases").upload(name, content, "text/plain")
    page.run()
    return press(page, "Probe")


def press(page, label: str):
    (button,) = (each for each in page.button if each.label == label)
    return button.click().run()


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
