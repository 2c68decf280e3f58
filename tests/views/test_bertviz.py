"""A record in BertViz: the same tokens and numbers, and what BertViz would get wrong."""

from __future__ import annotations

import html.parser
import json
import sys

import pytest
import torch

from introspect.errors import InputError, MissingExtraError, SelectionError
from introspect.records import AttentionRecord, TokenSequence
from introspect.records.tokens import assign_words
from introspect.views.bertviz import head_view, model_view

from ..views.samples import bare_record, record_of

# BertViz does not close the files of its scripts.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

VIEWS = (head_view, model_view)


@pytest.fixture(autouse=True)
def bertviz(request: pytest.FixtureRequest):
    if "without_bertviz" not in request.fixturenames:
        pytest.importorskip("bertviz", reason="bertviz is not installed (the extra bertviz)")


@pytest.fixture
def without_bertviz(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "bertviz", None)


class Scripts(html.parser.HTMLParser):
    """The scripts that a browser would find, and the tags."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self._open = False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._open = tag == "script"
        if self._open:
            self.texts.append("")

    def handle_data(self, data):
        if self._open:
            self.texts[-1] += data

    def handle_endtag(self, tag):
        self._open = False


def params(view, record, **options):
    """What BertViz gives to its own script."""
    source = view(record, as_html=True, **options).data
    script = Scripts(source).texts[-1]
    start = script.index("const params = ") + len("const params = ")
    return json.JSONDecoder().raw_decode(script, start)[0]


def only_pattern(found):
    (pattern,) = found["attention"]
    return pattern


def assert_same(pattern, record: AttentionRecord) -> None:
    shown = torch.tensor(pattern["attn"], dtype=torch.float64)
    assert shown.shape == record.attentions.shape
    torch.testing.assert_close(shown, record.attentions.double(), rtol=0, atol=1e-6)
    assert pattern["left_text"] == list(record.queries.tokens)
    assert pattern["right_text"] == list(record.keys.tokens)


def pair_record() -> AttentionRecord:
    tokens = TokenSequence(
        tokens=("[CLS]", "a", "b", "[SEP]", "c", "[SEP]"),
        special_tokens_mask=(True, False, False, True, False, True),
        sequence_ids=(None, 0, 0, None, 1, None),
    )
    weights = torch.rand(2, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    return AttentionRecord(attentions=weights / weights.sum(-1, True), queries=tokens, keys=tokens)


def cut_into_pieces() -> AttentionRecord:
    word_ids, words = assign_words("unseen cat", [(0, 2), (2, 6), (7, 10)])
    tokens = TokenSequence(
        tokens=("un", "##seen", "cat"),
        offsets=((0, 2), (2, 6), (7, 10)),
        word_ids=tuple(word_ids),
        words=tuple("unseen cat"[s:e] for s, e in words),
        texts=("unseen cat",),
    )
    weights = torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(2)).softmax(-1)
    return AttentionRecord(attentions=weights, queries=tokens, keys=tokens)


@pytest.mark.parametrize("view", VIEWS)
def test_the_numbers_and_tokens_are_the_records(view):
    record = record_of(layers=3, heads=4)
    assert_same(only_pattern(params(view, record)), record)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("kind", "name"), [("encoder", "Encoder"), ("decoder", "Decoder"), ("cross", "Cross")]
)
def test_the_kinds_of_an_encoder_decoder(view, kind, name):
    weights = torch.rand(2, 3, 4, 4).softmax(-1)
    record = AttentionRecord.from_tensors(weights, ["a", "b", "c", "d"], kind=kind)
    pattern = only_pattern(params(view, record))
    assert pattern["name"] == name
    assert_same(pattern, record)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", ["self", "decoder", "cross"])
def test_fewer_queries_than_keys(view, kind):
    weights = torch.rand(2, 3, 1, 4).softmax(-1)
    record = AttentionRecord.from_tensors(weights, list("abcd"), query_tokens=["c"], kind=kind)
    assert_same(only_pattern(params(view, record)), record)


@pytest.mark.parametrize("view", VIEWS)
def test_as_many_queries_as_keys_but_others(view):
    record = AttentionRecord.from_tensors(
        torch.rand(1, 1, 2, 2), ["a", "b"], query_tokens=["b", "a"]
    )
    assert_same(only_pattern(params(view, record)), record)


@pytest.mark.parametrize("view", VIEWS)
def test_a_pair_of_texts_is_split_where_the_second_begins(view):
    record = pair_record()
    both, *_, to_second, _ = params(view, record)["attention"]
    assert_same(both, record)
    assert to_second["name"] == "Sentence A -> Sentence B"
    assert to_second["left_text"] == ["[CLS]", "a", "b", "[SEP]"]
    assert to_second["right_text"] == ["c", "[SEP]"]
    shown = torch.tensor(to_second["attn"])
    torch.testing.assert_close(shown, record.attentions[:, :, :4, 4:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("view", VIEWS)
def test_words(view):
    record = cut_into_pieces().words()
    pattern = only_pattern(params(view, record))
    assert pattern["left_text"] == ["unseen", "cat"]
    assert_same(pattern, record)


@pytest.mark.parametrize("view", VIEWS)
def test_layers_keep_the_models_own_numbers(view):
    record = record_of(layers=2)
    hybrid = AttentionRecord(
        attentions=record.attentions, queries=record.queries, keys=record.keys, layers=(4, 9)
    )
    found = params(view, hybrid)
    assert found["include_layers"] == [4, 9]
    assert_same(only_pattern(found), hybrid)


def test_layer_and_heads_shown_first():
    found = params(head_view, record_of(), layer=1, heads=[2, 0])
    assert (found["layer"], found["heads"]) == (1, [0, 2])


@pytest.mark.parametrize("view", VIEWS)
def test_tokens_are_neither_run_nor_rewritten(view):
    tokens = ["</script><script>alert(1)</script>", "<!--<script>", "Ġa", "▁b", "c</w>", "中"]
    record = bare_record(tokens)
    page = Scripts(view(record, as_html=True).data)
    assert page.tags == Scripts(view(bare_record(["a"]), as_html=True).data).tags
    assert_same(only_pattern(params(view, record)), record)


@pytest.mark.parametrize("view", VIEWS)
def test_invisible_characters_are_shown_as_in_our_views(view):
    assert only_pattern(params(view, bare_record(["\n", " "])))["left_text"] == ["↵", "␣"]


@pytest.mark.parametrize("view", VIEWS)
def test_in_a_notebook_it_shows_itself(view, monkeypatch):
    import bertviz

    asked = []
    monkeypatch.setattr(bertviz, view.__name__, lambda **options: asked.append(options))
    assert view(record_of()) is None
    assert asked[0]["html_action"] == "view"


@pytest.mark.parametrize("view", VIEWS)
def test_missing_weights_are_refused(view):
    pattern = torch.tensor([[[[0.5, float("nan")], [0.5, 0.5]]]])
    record = AttentionRecord.from_tensors(pattern, ["a", "b"])
    with pytest.raises(InputError, match="missing"):
        view(record, as_html=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layer": 2}, "Expected `layer` in 0–1, got 2"),
        ({"heads": [3]}, "Expected `heads` in 0–2, got 3"),
        ({"heads": []}, "Expected at least one of the `heads`"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_range(options, expected):
    with pytest.raises(SelectionError, match=expected):
        head_view(record_of(), as_html=True, **options)


@pytest.mark.parametrize("view", VIEWS)
def test_without_bertviz_the_error_says_how_to_get_it(view, without_bertviz):
    expected = r'pip install "bertviz>='
    with pytest.raises(MissingExtraError, match=expected):
        view(record_of())
