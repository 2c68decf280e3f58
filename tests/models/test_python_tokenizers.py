"""Tokenizers written in Python: the characters of their tokens, or tokens without characters."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import sys
import unicodedata
from pathlib import Path

import pytest
import torch
import transformers as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import introspect as ix
from introspect.errors import MentionError, ModelError, TextError
from introspect.models import encode
from introspect.runs.plan import tokenizer_digest
from introspect.studies.coreference import score_case

_TOOL = Path(__file__).resolve().parents[2] / "tools" / "architectures"
sys.path.insert(0, str(_TOOL))
import readers  # noqa: E402

sys.path.remove(str(_TOOL))

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
_HAS = {name for name in ("rjieba", "sacremoses") if importlib.util.find_spec(name)}
_NEEDS = {"CpmAntTokenizer": "rjieba"} | dict.fromkeys(
    ("BioGptTokenizer", "FSMTTokenizer", "FlaubertTokenizer", "XLMTokenizer"), "sacremoses"
)
#: Those that read a text alone, where what they are written with is installed.
NAMES = [
    name
    for name in readers.PYTHON_TOKENIZERS
    if name != "TapasTokenizer" and _NEEDS.get(name) in (None, *_HAS)
]
TEXT = "The animal didn't cross the street because it was too tired."
MIXED = (
    TEXT,
    "It’s “déjà vu” — a well-known  idea & more…",
    "中文 zq 😀 it [SEP] 1/2 ½ ﬁ ①",
    "  she said a\u0301b, \n\tend",
)


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory):
    """A tiny tokenizer of each class."""
    folder = tmp_path_factory.mktemp("python-tokenizers")
    made = {name: readers.python_tokenizer(name, folder / name) for name in NAMES}
    return Shown(made)


class Shown(dict):
    """A dictionary that Hypothesis need not write out."""

    def __repr__(self):
        return "tokenizers"


def folded(text):
    """A text without spaces, case, accents, control characters, and marks that look alike."""
    text = text.translate(str.maketrans("“”‘’`—–ー。、", "\"\"'''---.,"))
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(mark for mark in plain if unicodedata.category(mark)[0] not in "CZM")


def groups(tokens, pieces):
    """The pieces at each place of the text; those that share characters are together."""
    found = []
    for piece, span in zip(pieces, tokens, strict=True):
        if found and span[0] < found[-1][0][1]:
            (start, end), before = found[-1]
            found[-1] = (min(start, span[0]), max(end, span[1])), [*before, piece]
        else:
            found.append((span, [piece]))
    return found


def said(pieces, tokenizer):
    """What pieces say, by the marks of all vocabularies alike."""
    if isinstance(tokenizer, (tf.ByT5Tokenizer, tf.PerceiverTokenizer)):
        return (
            "".join(p if len(p) > 1 else "" for p in pieces)
            or bytes(map(ord, "".join(pieces))).decode()
        )
    text = "".join(re.sub(r"^##(?=[^#])|(?<=[^@])@@$|</w>$|▁", "", piece) for piece in pieces)
    text = re.sub(r"<SP>|<BR>|<TAB>", " ", text).replace("@-@", "-")
    spelled = re.sub(
        r"(?:<0x[0-9A-F]{2}>|<\|byte\d+\|>)+",
        lambda m: bytes(
            int(h, 16) if h else int(d) for h, d in re.findall(r"<0x(..)>|<\|byte(\d+)\|>", m[0])
        ).decode(),
        text,
    )
    return html.unescape(spelled)


def check_places(tokenizer, text):
    """Whether the tokens have characters; where they have, each has those that it says."""
    encoded = encode(tokenizer, text)
    if not encoded.tokens.texts:
        assert "is not known" in encoded.notices[0]
        return False
    own = [i for i, flag in enumerate(encoded.tokens.special_tokens_mask) if not flag]
    spans = [encoded.tokens.offsets[i] for i in own]
    pieces = tokenizer.tokenize(text)
    assert len(pieces) == len(own)
    assert spans == sorted(spans) or spans == sorted(spans, key=lambda span: span[0])
    open_ended = {tokenizer.unk_token, "<KIGOU>", "<U2000U2BFF>", "<|emoji1|>"}
    for (start, end), together in groups(spans, pieces):
        if not open_ended & set(together):
            assert folded(text[start:end]) == folded(said(together, tokenizer)), (start, end)
    covered = {place for start, end in spans for place in range(start, end)}
    assert all(place in covered or not folded(mark) for place, mark in enumerate(text))
    return True


@pytest.mark.parametrize("name", NAMES)
def test_each_token_has_the_characters_that_it_says(tokenizers, name):
    placed = [check_places(tokenizers[name], text) for text in MIXED]
    # One vocabulary has the name of a class of marks for the accent alone, which is left open.
    assert placed == [True, True, True, name != "GPTNeoXJapaneseTokenizer"]


PARTS = st.sampled_from(
    ["The", "it", "didn't", "zq", "é", "cafe\u0301", "中文", "ください", "😀", "ﬁn", "½", "-", ",",
     ".", "a-b", "“x”", "ẞ", "&", "[", "İ", "한", "\u200b", "#", "Qq", "1,000", "x_y"]
)  # fmt: skip
SPACES = st.sampled_from([" ", " ", "  ", "", "\n", "\u00a0", "\u3000"])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.tuples(PARTS, SPACES), min_size=1, max_size=8))
def test_a_random_text_has_true_characters_or_none(tokenizers, name, parts):
    text = "".join(part + space for part, space in parts)
    try:
        check_places(tokenizers[name], text)
    except TextError as error:
        assert "makes none" in str(error)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.tuples(PARTS, SPACES), min_size=1, max_size=8))
def test_wordpieces_are_where_a_fast_tokenizer_of_the_same_vocabulary_has_them(tokenizers, parts):
    text = "".join(part + space for part, space in parts)
    fast = tf.BertTokenizer(vocab={w: i for i, w in enumerate(readers.wordpieces())})
    given_ids = tokenizers["ProphetNetTokenizer"](text, add_special_tokens=False)["input_ids"]
    encoding = fast(text, add_special_tokens=False, return_offsets_mapping=True)
    if not given_ids or tokenizers["ProphetNetTokenizer"].tokenize(text) != encoding.tokens():
        return
    tokens = encode(tokenizers["ProphetNetTokenizer"], text).tokens
    if tokens.texts:
        ours = tokens.offsets[: len(given_ids)]
        for (start, end), (first, last) in zip(ours, encoding["offset_mapping"], strict=True):
            # An accent that is dropped is still a part of a word that is unknown.
            assert start == first and last <= end and not folded(text[last:end])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.tuples(PARTS, SPACES), min_size=1, max_size=8))
def test_sentencepieces_are_where_their_library_has_them(tokenizers, parts):
    text = "".join(part + space for part, space in parts)
    tokenizer = tokenizers["BertGenerationTokenizer"]
    whole = tokenizer.sp_model.encode(text, out_type="proto")
    # The library gives a character that it divides to one of its pieces.
    is_divided = unicodedata.normalize("NFKC", text.replace("\u00a0", " ")) != text
    if is_divided or not any(piece.surface.strip() for piece in whole.pieces):
        return
    tokens = encode(tokenizer, text).tokens
    assert tokens.texts
    for piece, (start, end) in zip(whole.pieces, tokens.offsets, strict=True):
        if piece.piece == "▁":  # it has the space before a word, and none before the first
            continue
        # The library counts bytes, the spaces before a word too.
        before, last = (len(text.encode()[:at].decode()) for at in (piece.begin, piece.end))
        first = before + len(piece.surface) - len(piece.surface.lstrip())
        # Control characters that the library drops belong to no piece here.
        assert first <= start < end <= last
        assert not folded(text[first:start] + text[end:last])


def test_special_tokens_and_both_texts_of_a_pair_are_told_apart(tokenizers):
    tokens = encode(tokenizers["RoCBertTokenizer"], "the animal", "it was").tokens
    assert tokens.tokens == ("[CLS]", "the", "animal", "[SEP]", "it", "was", "[SEP]")
    assert tokens.sequence_ids == (None, 0, 0, None, 1, 1, None)
    assert tokens.offsets[1:3] == ((0, 3), (4, 10)) and tokens.offsets[4:6] == ((0, 2), (3, 6))
    cut = encode(tokenizers["ByT5Tokenizer"], "the 中x", "it was", limit=9, truncation=True).tokens
    assert len(cut) == 9 and set(cut.sequence_ids) == {0, 1, None}


def test_bytes_of_a_character_are_labeled_by_it(tokenizers):
    tokens = encode(tokenizers["ByT5Tokenizer"], "a 中").tokens
    assert tokens.tokens == ("a", " ", "中¹⁄₃", "中²⁄₃", "中³⁄₃", "</s>")
    assert tokens.words == ("a", "中")


@pytest.mark.skipif("sacremoses" not in _HAS, reason="needs sacremoses")
def test_what_is_read_is_named_by_the_vocabulary_of_what_is_read(tokenizers):
    tokenizer = tokenizers["FSMTTokenizer"]
    assert encode(tokenizer, "the it").tokens.tokens[:2] == ("the</w>", "it</w>")
    with pytest.raises(TextError, match="vocabulary of the target.*would be read as"):
        encode(tokenizer, "the it", as_target=True)


# --- models -------------------------------------------------------------------------------------


def saved(folder, module, tokenizer):
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def small(**options):
    sides = ("encoder", "decoder")
    sizes = {f"{side}_{what}": 2 for side in sides for what in ("layers", "attention_heads")}
    sizes |= {f"{side}_ffn_dim": 16 for side in sides}
    return {"d_model": 16, "max_position_embeddings": 128, **sizes, **options}


def test_a_marian_folder_loads_with_its_sinusoids(tokenizers, tmp_path):
    tokenizer = tokenizers["MarianTokenizer"]
    pad = tokenizer.pad_token_id
    config = tf.MarianConfig(
        **small(), vocab_size=len(tokenizer), pad_token_id=pad, eos_token_id=0,
        decoder_start_token_id=pad, forced_eos_token_id=0,
    )  # fmt: skip
    module = tf.MarianMTModel(config).eval()
    folder = saved(tmp_path, module, tokenizer)
    model = ix.load(folder)
    for side in ("encoder", "decoder"):
        ours = getattr(model.module, side).embed_positions.weight
        assert torch.equal(ours, getattr(module.model, side).embed_positions.weight)
    record = model.capture("The animal", target="un chat")
    assert record.kind == "cross"
    assert record.keys.words == ("The", "animal") and record.queries.words == ("un", "chat")
    written = ix.load(folder, lm_head=True).capture("The animal", generate=3)
    assert len(written.queries) == 3


def test_an_encoder_decoder_of_two_models_loads(tmp_path):
    tokenizer = tf.BertTokenizer(vocab={w: i for i, w in enumerate(readers.wordpieces())})
    sizes = {
        "vocab_size": len(tokenizer), "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 16,
    }  # fmt: skip
    decoder = tf.BertConfig(**sizes, is_decoder=True, add_cross_attention=True)
    module = tf.EncoderDecoderModel(
        encoder=tf.BertModel(tf.BertConfig(**sizes)), decoder=tf.BertLMHeadModel(decoder)
    )
    module.config.decoder_start_token_id = tokenizer.cls_token_id
    model = ix.load(saved(tmp_path, module, tokenizer))
    assert model.kinds == ("encoder", "decoder", "cross")
    assert model.capture("the animal").keys.words == ("the", "animal")
    record = model.capture("the animal", target="it was")
    assert record.attentions.shape == (2, 2, 5, 4) and record.queries.words == ("it", "was")


def test_a_tokenizer_that_reads_no_text_alone_is_refused_when_it_is_loaded(tmp_path):
    tokenizer = readers.python_tokenizer("TapasTokenizer", tmp_path)
    config = tf.TapasConfig(
        vocab_size=200, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8,
    )  # fmt: skip
    with pytest.raises(ModelError, match="reads a text alone, but TapasTokenizer does not.*table"):
        ix.load((tf.TapasModel(config), tokenizer))


# --- tokens without characters ------------------------------------------------------------------


class Odd(tf.ByT5Tokenizer):
    """Its pieces do not give the text: each byte is another one."""

    def _tokenize(self, text):
        return [chr(byte ^ 1) for byte in text.encode()]


class OddWords(Odd):
    """Its pieces do not give the text either, but each word has its own."""

    def _tokenize(self, text):
        return [chr(byte ^ 1) for word in text.split() for byte in word.encode()]


def odd_model(tokenizer):
    torch.manual_seed(0)
    config = tf.GPT2Config(vocab_size=400, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    return ix.load((tf.GPT2LMHeadModel(config).eval(), tokenizer))


def test_a_text_without_characters_is_captured_by_its_tokens():
    model = odd_model(Odd())
    record = model.capture("The cat")
    assert record.keys.texts == () and set(record.keys.offsets) == {(0, 0)}
    assert record.keys.tokens == (*"Uid!b`u", "</s>") and record.keys.words == (*"Uid!b`u",)
    assert any("Odd does not say it" in note for note in record.notices)
    assert [len(each.keys) for each in model.capture_many(["The cat", "it"])] == [8, 3]
    written = model.capture("The cat", generate=3)
    assert len(written.queries) == 9 and "wrote 3 tokens" in written.notices[-1]
    assert ix.head_view(record) is not None and ix.report(model, "The cat") is not None
    assert ix.edges_between(model, "The cat", "U", 1) == [(0, 1)]
    assert len(ix.detect_heads(model)) == 4


def test_a_text_without_characters_says_how_much_of_it_was_cut_off():
    notices = odd_model(Odd()).capture("The cat " * 10, truncation=True).notices
    assert any("Its last 17 tokens were truncated" in note for note in notices)
    # A special token in the text is not one that was cut.
    assert not any("truncated" in note for note in odd_model(Odd()).capture("a </s> b").notices)


def test_what_was_cut_of_which_side_or_text_is_not_made_up():
    left = Odd()
    left.truncation_side = "left"
    (cut,) = (n for n in odd_model(left).capture("a" * 80, truncation=True).notices if "trun" in n)
    assert "Its first" in cut
    pair = odd_model(Odd()).capture("a" * 40, "b" * 40, truncation=True).notices
    assert any(" reads. " in note and "Its" not in note and "truncated" in note for note in pair)


def test_the_words_of_a_text_without_characters_are_those_with_the_same_pieces():
    tokens = odd_model(OddWords()).tokens("The cat it")
    assert tokens.words == ("The", "cat", "it")
    assert tokens.word_ids == (0, 0, 0, 1, 1, 1, 2, 2, None)


def test_cases_are_scored_by_words_where_the_characters_are_not_known():
    model = odd_model(OddWords())
    words = ["The", "cat", "ate", "it", "."]
    case = ix.CorefCase.from_tokens(words, pronoun=(3, 4), antecedents=[(0, 2)])
    forward, _ = score_case(model.capture(case.text), case)
    record = model.capture(case.text)
    pieces = [record.keys.word_ids.index(word) for word in range(5)]
    rows = record.attentions[:, :, pieces[3] : pieces[4]]
    # The mention is two words, so its weight is the mean of theirs; rows are averaged over pieces.
    weights = torch.stack([rows[..., :3].sum(-1), rows[..., 3:6].sum(-1)]).mean(0).mean(-1)
    assert torch.allclose(forward.weights[0].float(), weights.float(), atol=1e-6)
    assert ix.score(model, case) is not None


def test_cases_are_refused_with_the_reason_where_a_mention_is_no_word():
    model = odd_model(OddWords())
    part = ix.CorefCase.from_words("The cat's ate it", pronoun="it", antecedent="cat")
    with pytest.raises(MentionError, match="characters of each token.*not known.*from_tokens"):
        ix.score(model, part)
    bytes_alone = ix.CorefCase.from_words("The cat ate it", pronoun="it", antecedent="cat")
    with pytest.raises(MentionError, match="characters of each token.*not known"):
        ix.score(odd_model(Odd()), bytes_alone)
    tokens = odd_model(Odd()).capture("The cat").keys
    case = ix.CorefCase.from_tokens(tokens.words, pronoun=(5, 7), antecedents=[(0, 3)])
    assert score_case(odd_model(Odd()).capture("The cat"), case)


def test_a_probe_knows_a_python_tokenizer_again(tokenizers, tmp_path):
    tokenizer = tokenizers["ProphetNetTokenizer"]
    tokenizer.save_pretrained(tmp_path)
    again = tf.ProphetNetTokenizer.from_pretrained(tmp_path)
    assert tokenizer_digest(again) == tokenizer_digest(again)
    other = tf.ProphetNetTokenizer.from_pretrained(tmp_path, do_lower_case=False)
    assert tokenizer_digest(other) != tokenizer_digest(again)
    file = tmp_path / "tokenizer_config.json"
    assert json.loads(file.read_text(encoding="utf-8"))["tokenizer_class"] == "ProphetNetTokenizer"


def test_a_pair_that_is_truncated_says_so_once_and_in_our_words(tokenizers, caplog, capfd):
    with caplog.at_level("WARNING"):
        cut = encode(tokenizers["ByT5Tokenizer"], "the cat", "it was", limit=9, truncation=True)
    assert len(cut.tokens.tokens) == 9
    assert caplog.messages == [] and "overflowing" not in capfd.readouterr().err
    assert any("truncated" in note or "reads" in note for note in cut.notices)


def test_whether_a_tokenizer_divides_into_bytes_is_asked_once(monkeypatch):
    tokenizer, asked = tf.ByT5Tokenizer(), []
    own = tokenizer.tokenize
    monkeypatch.setattr(
        tokenizer, "tokenize", lambda text, **more: asked.append(text) or own(text, **more)
    )
    for text in ("one", "two", "three"):
        encode(tokenizer, text)
    assert asked.count("中") == 1
