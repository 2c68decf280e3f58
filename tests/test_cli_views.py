"""Views from the command line: what each shows first, what it refuses, sound and playback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import introspect as ix

from .models.audio.helpers import sound, whisper, written
from .test_cli import CASE, TEXT, assert_refused, introspect

__all__ = ["introspect"]  # a fixture


@pytest.mark.parametrize("kind", ["head", "model", "layer", "neuron", "steps", "heatmap", "flow"])
def test_view_writes_one_page(introspect, tmp_path, kind):
    out = tmp_path / "view.html"
    outcome = introspect("view", kind, TEXT, "--out", out)
    assert outcome.code == 0, outcome.err
    assert f'data-view="{kind}"' in out.read_text(encoding="utf-8")


def test_view_and_compare_write_a_picture_where_the_name_says_so(introspect, tmp_path):
    out, both = tmp_path / "view.svg", tmp_path / "both.svg"
    arguments = ("--head", "L3H1", "--token", "it", "--out", out)
    assert introspect("view", "head", TEXT, *arguments).out == f"{out}\n"
    record = ix.load("minilm").capture(TEXT)
    assert out.read_text(encoding="utf-8") == ix.head_view(record, head="L3H1", token="it").to_svg()
    other = TEXT.replace("tired", "wide")
    assert introspect("compare", TEXT, other, "--out", both).code == 0
    assert both.read_text(encoding="utf-8").startswith("<svg ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["view", "head", TEXT],
        ["compare", TEXT, TEXT.replace("tired", "wide")],
        ["ablate", TEXT, "--heads", "L3H1"],
    ],
)
def test_a_view_is_not_written_under_another_name(introspect, tmp_path, arguments):
    outcome = introspect(*arguments, "--out", tmp_path / "x.jpg")
    assert_refused(outcome, "ends in .html, .svg, .png or .pdf, got 'x.jpg'", "'x.svg'")
    assert list(tmp_path.iterdir()) == []


def test_view_pins_a_token(introspect, tmp_path):
    out = tmp_path / "view.html"
    arguments = ("--head", "L3H1", "--token", "it", "--out", out)
    assert introspect("view", "head", TEXT, *arguments).code == 0
    named = out.read_bytes()
    place = ix.load("minilm").tokens(TEXT).tokens.index("it")
    assert introspect("view", "head", TEXT, *arguments[:3], place, *arguments[4:]).code == 0
    assert out.read_bytes() == named


@pytest.mark.filterwarnings("default::FutureWarning")
def test_layer_and_head_apart_still_work_and_the_new_form_is_said(introspect, tmp_path):
    new, old = tmp_path / "new.html", tmp_path / "old.html"
    for kind in ("head", "steps"):
        assert introspect("view", kind, TEXT, "--head", "L3H1", "--out", new).err == ""
        outcome = introspect("view", kind, TEXT, "--layer", 3, "--head", 1, "--out", old)
        assert outcome.err.startswith("introspect: notice: --layer 3 --head 1 is now --head L3H1")
        assert outcome.code == 0 and old.read_bytes() == new.read_bytes()
    other = TEXT.replace("tired", "wide")
    outcome = introspect("compare", TEXT, other, "--layer", 3, "--head", 1, "--out", old)
    assert outcome.code == 0 and "--layer 3 --head 1 is now --head L3H1" in outcome.err
    assert introspect("compare", TEXT, other, "--head", "L3H1", "--out", new).err == ""
    assert old.read_bytes() == new.read_bytes()


def test_heads_and_tokens_that_are_not_there_are_answered_with_those_that_are(introspect, tmp_path):
    out = ("--out", tmp_path / "v.html")
    outcome = introspect("view", "head", TEXT, "--head", "L9H1", *out)
    assert_refused(outcome, "Expected a head of L0H0–L5H11, got L9H1.")
    twice = "It rained because it was late, and it stopped."
    outcome = introspect("view", "layer", twice, "--token", "it", *out)
    assert_refused(outcome, "the text has 2", "it#1 to it#2")
    outcome = introspect("view", "layer", twice, "--token", "raind", *out)
    assert_refused(outcome, "nearest: 'rained'")
    assert introspect("view", "layer", twice, "--token", "it#2", "--head", 1, *out).code == 0
    assert_refused(introspect("view", "layer", twice, "--head", "L3H99", *out), "L3H99")


def test_layer_out_of_range_says_the_range(introspect, tmp_path):
    arguments = ("--layer", 6, "--out", tmp_path / "v.html")
    assert_refused(introspect("view", "head", TEXT, *arguments), "0–5", "6")


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        ("heatmap", ("--head", "L0H1", "--head", "L0H2"), "one --head"),
        ("coreference", (), "Expected --pronoun and --antecedent"),
        ("heatmap", ("--pronoun", "it", "--antecedent", "animal"), "no --pronoun"),
        ("head", ("--checkpoint", "minilm"), "no --checkpoint"),
        ("evolution", (), "Expected a --checkpoint"),
        ("image", (), "a model that reads pictures"),
        ("image", ("--generate", 3), "no --generate"),
        ("audio", (), "a model that reads sound"),
        ("audio", ("--weights", "norm"), "no --weights"),
        ("head", ("--kind", "cross"), "kind"),
        ("head", ("--target", "x"), "target"),
        ("flow", ("--weights", "norm"), "what share of a token is from where"),
        ("playback", (), "tokens attend to later ones"),
    ],
)
def test_views_refuse_what_they_would_ignore(introspect, tmp_path, kind, arguments, said):
    out = ("--out", tmp_path / "v.html")
    assert_refused(introspect("view", kind, TEXT, *arguments, *out), said)


def test_the_view_of_a_sound(introspect, tmp_path):
    model, samples = whisper(), sound()
    model.module.save_pretrained(tmp_path / "whisper")
    model.processor.save_pretrained(tmp_path / "whisper")
    file = written(tmp_path / "a.wav", samples)
    own = ("view", "audio", file, "--model", tmp_path / "whisper", "--out", tmp_path / "v.html")
    outcome = introspect(*own, "--target", "a cat", "--token", "cat", "--head", "L2H1")
    assert outcome.code == 0, outcome.err
    assert "75 of its 100 frames are padding" in outcome.err
    page = (tmp_path / "v.html").read_text(encoding="utf-8")
    assert 'data-view="audio"' in page
    (tmp_path / "v.html").unlink()
    assert introspect(*own, "--generate", 3).code == 0
    assert (tmp_path / "v.html").exists()
    assert_refused(introspect(*own, "--generate", 3, "--target", "a"), "no --target beside")
    assert_refused(introspect(*own, "--target", "a", "--token", "dog"), "dog")
    slow = written(tmp_path / "slow.wav", samples, rate=8_000)
    assert_refused(introspect("view", "audio", slow, *own[3:]), "got 8,000 Hz", "ffmpeg")


def first_chosen(path: Path) -> dict[str, object]:
    """What the sentence of a page begins with."""
    page = path.read_text(encoding="utf-8")
    block = page.split('<script type="application/json" id="page-data">')[1].split("</script>")[0]
    (made,) = [each for each in json.loads(block)["sections"] if each["script"] == "instrument"]
    return made["state"]["first"]


def test_what_cannot_be_selected_is_highlighted(introspect, tmp_path):
    out = tmp_path / "v.html"
    arguments = ("--head", "L0H1", "--head", "L2H3", "--token", "it", "--out", out)
    assert introspect("view", "model", TEXT, *arguments).code == 0
    assert '"framed":[[0,1],[2,3]]' in out.read_text(encoding="utf-8")
    assert first_chosen(out)["query"] == 10
    assert introspect("view", "model", TEXT, "--layer", 2, "--out", out).code == 0
    assert '"framed":[[2,0],[2,1],' in out.read_text(encoding="utf-8")
    assert introspect("view", "heatmap", TEXT, "--token", "it", "--out", out).code == 0
    assert first_chosen(out)["query"] == 10


@pytest.mark.parametrize(
    ("kind", "arguments", "chosen"),
    [
        ("coreference", (*CASE, "--layer", 2), {"row": 2, "query": 10, "key": 2}),
        ("coreference", (*CASE, "--token", "street"), {"query": 8, "key": 2}),
        ("layer", ("--layer", 2), {"row": 2}),
        ("layer", ("--head", "L2H3", "--token", "it"), {"row": 2, "head": 3, "query": 10}),
        ("layer", ("--layer", 4, "--head", 5), {"row": 4, "head": 5}),
        ("heatmap", ("--layer", 4, "--token", "it"), {"row": 4, "query": 10}),
        ("flow", ("--head", "L2H3", "--token", "it"), {"row": 2, "head": 3, "query": 10}),
        ("steps", ("--layer", 4), {"row": 4}),
    ],
)
def test_token_layer_and_head_are_chosen_first_in_every_view(
    introspect, tmp_path, kind, arguments, chosen
):
    out = tmp_path / "v.html"
    outcome = introspect("view", kind, TEXT, *arguments, "--out", out)
    assert outcome.code == 0, outcome.err
    first = first_chosen(out)
    assert {name: first[name] for name in chosen} == chosen


@pytest.mark.parametrize("kind", ["model", "layer", "coreference", "heatmap", "flow"])
def test_a_layer_that_is_not_there_is_refused_as_a_layer(introspect, tmp_path, kind):
    case = CASE if kind == "coreference" else ()
    out = ("--out", tmp_path / "v.html")
    assert_refused(introspect("view", kind, TEXT, *case, "--layer", 9, *out), "`layer` in 0–5")


def section_state(path: Path) -> dict[str, object]:
    """What the view of a page is given."""
    page = path.read_text(encoding="utf-8")
    block = page.split('<script type="application/json" id="page-data">')[1].split("</script>")[0]
    return next(s for s in json.loads(block)["sections"] if s["script"] != "instrument")["state"]


def test_playback_has_the_likeliest_tokens_as_from_python(introspect, tmp_path):
    out, text = tmp_path / "v.html", "a b c d a b"
    options = ("--model", "induction", "--out", out)
    outcome = introspect("view", "playback", text, *options, "--generate", 2, "--token", "c#2")
    assert outcome.code == 0, outcome.err
    model = ix.load("induction", lm_head=True)
    record = model.capture(text, generate=2)
    lens = ix.logit_lens(model, record.queries.texts[0])
    view = ix.playback_view(record, prompt=text, lens=lens)
    (ours,) = view.sections()
    assert section_state(out)["likeliest"] == ours.state["likeliest"]
    assert [words[0][0] for words in section_state(out)["likeliest"]][-2:] == ["c", "d"]
    assert first_chosen(out)["query"] == 7
    # Of a text that is only read, too; and of what a decoder is given.
    assert introspect("view", "playback", text, *options).code == 0
    assert [len(words) for words in section_state(out)["likeliest"]] == [5] * 7
    options = ("--model", "reversal", "--target", "c b a", "--kind", "decoder", "--out", out)
    assert introspect("view", "playback", "a b c", *options).code == 0
    assert [words[0][0] for words in section_state(out)["likeliest"]][:3] == ["c", "b", "a"]


def test_a_playback_without_an_lm_head_says_why_it_has_no_likeliest_tokens(
    introspect, tmp_path, monkeypatch
):
    monkeypatch.setattr("introspect.cli.pages.load_if_asked", lambda name, **_: ix.load(name))
    out = tmp_path / "v.html"
    outcome = introspect("view", "playback", "a b c", "--model", "induction", "--out", out)
    assert outcome.code == 0
    assert "likeliest next tokens are not shown. Expected a model with an LM head" in outcome.err
    assert section_state(out)["likeliest"] == []


def test_every_checkpoint_writes_its_own_text(introspect, tmp_path):
    options = ("--model", "induction", "--checkpoint", "induction", "--generate", 2)
    out = tmp_path / "v.html"
    outcome = introspect("view", "evolution", "a b c d a b", *options, "--out", out)
    assert outcome.code == 0, outcome.err


def test_view_knows_coreference_generation_and_times(introspect, tmp_path):
    out = tmp_path / "v.html"
    outcome = introspect("view", "coreference", TEXT, *CASE, "--head", "L5H11", "--out", out)
    assert outcome.code == 0, outcome.err
    assert {name: first_chosen(out)[name] for name in ("row", "head", "query", "key")} == {
        "row": 5, "head": 11, "query": 10, "key": 2
    }  # fmt: skip
    text = "a b c d a b"
    options = ("--model", "induction", "--generate", 2, "--out", out)
    outcome = introspect("view", "head", text, *options)
    assert outcome.code == 0, outcome.err
    outcome = introspect("view", "playback", text, *options)
    assert outcome.code == 0, outcome.err
    assert f'"begin":{len(text.split())}' in out.read_text(encoding="utf-8")
    outcome = introspect("view", "evolution", TEXT, "--checkpoint", "minilm", "--out", out)
    assert outcome.code == 0, outcome.err
    assert 'data-view="evolution"' in out.read_text(encoding="utf-8")


def test_views_can_begin_with_other_weights(introspect, tmp_path):
    out = tmp_path / "view.html"
    for view, weights in (
        ("head", "norm"),
        ("heatmap", "alti"),
        ("model", "rollout"),
        ("flow", "alti"),
    ):
        outcome = introspect("view", view, TEXT, "--weights", weights, "--out", out)
        assert outcome.code == 0, outcome.err
        assert f'"weights":"{weights}"' in out.read_text()
    refused = introspect("view", "steps", TEXT, "--weights", "norm", "--out", out)
    assert_refused(refused, "it shows raw weights")
    refused = introspect("view", "head", TEXT, "--weights", "nonsense", "--out", out)
    assert_refused(refused, "raw, renormalized, norm, residual_norm", "nonsense")
    refused = introspect("view", "layer", TEXT, "--weights", "relevance", "--out", out)
    assert_refused(refused, "a number to differentiate", "include=('gradients',)")
