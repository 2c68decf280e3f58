"""Attention and tokens as people have them: read right, or refused with what to hand over."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.errors import RecordError
from introspect.functional import readable_heads, renormalized
from introspect.models import load_text
from introspect.records import AttentionRecord, TokenSequence, as_record
from tests import models_zoo
from tests.tokenizers_zoo import word_level

TOKENS = ["[CLS]", "the", "cats", "[SEP]"]
N = len(TOKENS)


def weights(*shape: int, seed: int = 0) -> torch.Tensor:
    """Rows that sum to 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).softmax(-1)


def made(attentions, tokens=TOKENS, **options) -> AttentionRecord:
    return AttentionRecord.from_tensors(attentions, tokens, **options)


# --- forms of the attention -------------------------------------------------------------------

WHOLE = weights(3, 2, N, N)

FORMS = {
    "tensor": WHOLE,
    "numpy": WHOLE.numpy(),
    "float64": WHOLE.double(),
    "numpy of float16": WHOLE.half().numpy(),
    "read backwards": np.ascontiguousarray(WHOLE.numpy()[::-1])[::-1],
    "nested lists": WHOLE.tolist(),
    "list of tensors": list(WHOLE),
    "tuple of numpy": tuple(WHOLE.numpy()),
    "batches of one": [layer[None] for layer in WHOLE],
    "numpy batches of one": [layer[None].numpy() for layer in WHOLE],
    "a batch before the layers": WHOLE[None],
    "a batch after the layers": WHOLE[:, None],
    "lists of lists": [layer.tolist() for layer in WHOLE],
    "an array of arrays": np.array([None, *WHOLE.numpy()], dtype=object)[1:].tolist(),
    "with a graph": WHOLE.clone().requires_grad_(),
    "sparse": WHOLE.to_sparse(),
    "an output": SimpleNamespace(attentions=tuple(WHOLE)),
    "a dictionary": {"attentions": tuple(WHOLE), "last_hidden_state": 1},
    "a model output": tf.modeling_outputs.BaseModelOutput(attentions=tuple(WHOLE[:, None])),
}


@pytest.mark.parametrize("given", FORMS.values(), ids=FORMS)
def test_every_usual_form_of_attention_is_read(given):
    record = made(given)
    assert record.layers == (0, 1, 2)
    torch.testing.assert_close(record.attentions, WHOLE, atol=1e-3, rtol=0)
    assert record.notices == ()


@pytest.mark.parametrize("given", [WHOLE[0], WHOLE[0].numpy(), WHOLE[0].tolist(), WHOLE[:1]])
def test_one_layer_is_layer_0(given):
    record = made(given)
    assert (record.layers, record.num_heads) == ((0,), 2)
    torch.testing.assert_close(record.attentions[0], WHOLE[0])


@pytest.mark.parametrize(
    ("places", "numbers"), [((0, 1, None), (0, 1)), ((None, 0, None, 1), (1, 3)), ((None, 2), (1,))]
)
def test_layers_without_attention_keep_the_numbers_of_the_others(places, numbers):
    record = made([None if place is None else WHOLE[place][None] for place in places])
    assert record.layers == numbers
    kept = [place for place in places if place is not None]
    assert torch.equal(record.attentions, WHOLE[kept])
    assert ix.head_view(record, layer=numbers[-1]).figure is not None


def test_lists_of_numbers_may_lack_a_layer_too():
    assert made([WHOLE[0].tolist(), None, WHOLE[1].tolist()]).layers == (0, 2)


def test_a_hybrid_model_s_own_output_has_its_numbers():
    model = tf.AutoModel.from_config(models_zoo.ALL["bert"](), attn_implementation="eager").eval()
    output = model(torch.tensor([[5, 6, 7, 8]]), output_attentions=True)
    record = made(output, list("abcd"))
    assert torch.equal(record.attentions, torch.cat(output.attentions))
    assert record.certificate.max_row_sum_error < 1e-6


ADVICE = r'attn_implementation="eager".*ix\.capture'
REFUSED = {
    "none": (None, ADVICE),
    "nothing of sdpa": ((), ADVICE),
    "only None": ([None, None], f"2 layers without any: .*{ADVICE}"),
    "an output without": (SimpleNamespace(attentions=None), f"without: .*{ADVICE}"),
    "an output with none": (tf.modeling_outputs.BaseModelOutput(attentions=()), ADVICE),
    "a string": ("attention", "got a str"),
    "a number": (0.5, "got a float"),
    "a matrix": (WHOLE[0, 0], r"got \(4, 4\).*attention\[None\]"),
    "a vector": (WHOLE[0, 0, 0].numpy(), r"got \(4,\)"),
    "matrices": (list(WHOLE[0]), r"\(4, 4\) in layer 0.*torch.stack"),
    "a batch": ([WHOLE[:2], WHOLE[:2]], r"batch of 2 texts or beams in layer 0.*capture_many"),
    "a batch of arrays": (WHOLE[:, None].repeat(1, 3, 1, 1, 1), "batch of 3 texts"),
    "layers of other heads": ([WHOLE[0], WHOLE[0, :1]], r"\(2, 4, 4\) in layer 0 and \(1, 4, 4\)"),
    "layers of other lengths": ([WHOLE[0], WHOLE[0, :, :3, :3]], "None for each of the others"),
    "the whole output": ((weights(1, 4, 8), tuple(WHOLE)), r"layer 1 as an array, got a tuple"),
    "ragged lists": ([[[[0.5, 0.5], [1.0]]]], "array of numbers"),
    "lists of words": ([[["a"]]], "list over layers|array"),
    "an array of words": (np.array([[["a"]]]), "array of numbers"),
    "no heads": (np.zeros((0, 4, 4)), r"at least one head and token, got \(0, 4, 4\)"),
    "no tokens": ([torch.zeros(1, 2, 0, 0)], "at least one head and token"),
    "an empty tensor of sdpa": ([torch.zeros(0)], r"at least one head.*\(0,\)"),
    "a table": (pd.DataFrame({"a": [1.0]}), r"got \(1, 1\)"),
    "complex numbers": (WHOLE.to(torch.complex64), "complex"),
    "no numbers at all": (WHOLE.to("meta"), "meta device"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_attention_is_refused_in_words(given, words):
    with pytest.raises(RecordError, match=words):
        made(given)


def test_what_is_not_square_is_refused_with_the_way_out():
    cross = weights(2, 2, 3, 4)
    with pytest.raises(RecordError, match="3 queries and 4 keys.*query_tokens="):
        made(cross)
    record = made(cross, query_tokens=["x", "y", "z"], kind="cross")
    assert record.queries.tokens == ("x", "y", "z")


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_tokens_is_refused(count):
    with pytest.raises(RecordError, match="4 queries and 4 keys.*special ones too"):
        made(WHOLE, ["a"] * count)


def test_an_unknown_kind_is_refused_before_anything_is_read():
    with pytest.raises(RecordError, match="self, encoder, decoder, cross, got 'both'"):
        made(None, kind="both")


# --- outputs of encoder-decoders --------------------------------------------------------------


@pytest.fixture(scope="module")
def translator():
    config = tf.BartConfig(
        vocab_size=64, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        max_position_embeddings=32, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(3)
    return tf.BartForConditionalGeneration(config).eval()


SOURCE = ["a", "b", "c", "d", "e"]


def test_kind_chooses_among_the_attentions_of_an_output(translator):
    inputs = {
        "input_ids": torch.tensor([[4, 5, 6, 7, 8]]),
        "decoder_input_ids": torch.tensor([[2, 9, 10]]),
    }
    output = translator(**inputs, output_attentions=True)
    encoder = made(output, SOURCE, kind="encoder")
    decoder = made(output, ["x", "y", "z"], kind="decoder")
    cross = made(output, SOURCE, query_tokens=["x", "y", "z"], kind="cross")
    assert torch.equal(encoder.attentions, torch.cat(output.encoder_attentions))
    assert torch.equal(decoder.attentions, torch.cat(output.decoder_attentions))
    assert torch.equal(cross.attentions, torch.cat(output.cross_attentions))
    assert (encoder.kind, decoder.kind, cross.kind) == ("encoder", "decoder", "cross")
    with pytest.raises(RecordError, match="encoder, decoder and cross attention.*kind='encoder'"):
        made(output, SOURCE)


def test_what_ix_capture_returns_is_an_output_too():
    model = models_zoo.minilm()
    inputs = model.tokenizer("It rained.", return_tensors="pt")
    captured = ix.capture(model.module, dict(inputs), layers=[1, 4])
    tokens = model.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    record = made(captured, tokens)
    assert record.layers == (1, 4)
    torch.testing.assert_close(
        record.attentions, model.capture("It rained.").only([1, 4]).attentions
    )


# --- generate ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def writer():
    config = tf.GPT2Config(
        vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=32, attn_implementation="eager"
    )
    torch.manual_seed(3)
    return tf.GPT2LMHeadModel(config).eval()


def written(model, ids, **options):
    return model.generate(
        torch.tensor([ids]), max_new_tokens=4, do_sample=False, output_attentions=True,
        return_dict_in_generate=True, pad_token_id=0, eos_token_id=None, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{}, {"use_cache": False}, {"cache_implementation": "static"}],
    ids=["cache", "no cache", "cache of a fixed size"],
)
def test_the_steps_of_generate_become_one_causal_pattern(writer, options):
    output = written(writer, [5, 6, 7], **options)
    whole = writer(output.sequences[:, :-1], output_attentions=True).attentions
    tokens = [f"t{i}" for i in range(7)]
    for given in (output.attentions, output):
        record = made(given, tokens[:-1])
        torch.testing.assert_close(record.attentions, torch.cat(whole), atol=1e-6, rtol=1e-5)
        assert record.notices == ()
        assert record.queries.generated_mask == (False,) * 3 + (True,) * 3
    record = made(output, tokens)
    assert record.tokens == tuple(tokens[:-1])
    assert "last token was generated" in record.notices[0]


def test_one_step_of_generate_is_its_prompt(writer):
    output = written(writer, [5, 6, 7])
    record = made(output.attentions[:1], ["a", "b", "c"])
    assert torch.equal(record.attentions, torch.cat(output.attentions[0]))


def test_steps_of_a_hybrid_keep_the_numbers_of_layers(writer):
    steps = [(None, *step) for step in written(writer, [5, 6, 7]).attentions]
    assert made(steps, [f"t{i}" for i in range(6)]).layers == (1, 2)


def test_the_steps_of_an_encoder_decoder_are_stitched_too(translator):
    output = written(translator, [4, 5, 6, 7, 8])
    written_ids = output.sequences[:, :-1]
    whole = translator(
        input_ids=torch.tensor([[4, 5, 6, 7, 8]]), decoder_input_ids=written_ids,
        output_attentions=True,
    )  # fmt: skip
    queries = [f"t{i}" for i in range(written_ids.shape[1])]
    decoder = made(output, queries, kind="decoder")
    cross = made(output, SOURCE, query_tokens=queries, kind="cross")
    encoder = made(output, SOURCE, kind="encoder")
    torch.testing.assert_close(decoder.attentions, torch.cat(whole.decoder_attentions))
    torch.testing.assert_close(cross.attentions, torch.cat(whole.cross_attentions))
    torch.testing.assert_close(encoder.attentions, torch.cat(whole.encoder_attentions))
    assert decoder.keys.generated_mask == (False,) + (True,) * (len(queries) - 1)
    assert cross.queries.generated_mask == decoder.keys.generated_mask
    assert not any(cross.keys.generated_mask + encoder.keys.generated_mask)
    longer = made(output, SOURCE, query_tokens=[*queries, "last"], kind="cross")
    assert longer.queries.tokens == tuple(queries)
    assert longer.tokens == tuple(SOURCE)


def test_steps_that_do_not_join_are_refused(writer):
    steps = written(writer, [5, 6, 7]).attentions
    with pytest.raises(RecordError, match="steps of generate that each add rows"):
        made(steps[:1] + steps[2:], list("abcde"))
    with pytest.raises(RecordError, match="as many layers in each step"):
        made([steps[0], steps[1][:1]], list("abcd"))
    beams = written(writer, [5, 6, 7], num_beams=2)
    with pytest.raises(RecordError, match="batch of 2 texts or beams"):
        made(beams.attentions, list("abcdef"))


# --- tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokens",
    [tuple(TOKENS), np.array(TOKENS), pd.Series(TOKENS), (token for token in TOKENS)],
    ids=["tuple", "numpy", "series", "generator"],
)
def test_tokens_come_in_any_sequence(tokens):
    record = made(WHOLE, tokens)
    assert record.tokens == tuple(TOKENS)
    assert all(type(token) is str for token in record.tokens)


def test_a_sequence_of_tokens_is_taken_with_all_it_knows():
    model = models_zoo.minilm()
    captured = model.capture("It rained.")
    record = made(captured.attentions, captured.keys)
    assert record.keys == captured.keys
    assert record.words().tokens == captured.words().tokens


IDS = "convert_ids_to_tokens"
NO_TOKENS = {
    "ids": ([101, 5, 6, 102], f"got 101 at place 0.*{IDS}"),
    "a tensor of ids": (torch.tensor([101, 5, 6, 102]), f"place 0.*{IDS}"),
    "numpy ids": (np.array([101, 5, 6, 102]), f"place 0.*{IDS}"),
    "bytes": ([b"a", b"b", b"c", b"d"], r"got b'a'.*decode\(\)"),
    "None inside": (["a", None, "c", "d"], "got None at place 1"),
    "a text": ("abcd", "got one text, 'abcd'"),
    "nothing": (None, "list of tokens, got None"),
    "a number": (4, "list of tokens, got 4"),
    "a single id": (torch.tensor(4), r"list of tokens, got tensor\(4\)"),
    "a set": ({"a", "b", "c", "d"}, "list of tokens, got {"),
    "a vocabulary": ({"a": 0, "b": 1, "c": 2, "d": 3}, "list of tokens, got {'a': 0"),
    "a tokenizer": (models_zoo.minilm().tokenizer, "list of tokens, got"),
}


@pytest.mark.parametrize(("tokens", "words"), NO_TOKENS.values(), ids=NO_TOKENS)
def test_what_is_no_tokens_is_refused_in_words(tokens, words):
    with pytest.raises(RecordError, match=words):
        made(WHOLE, tokens)


def test_what_a_tokenizer_returns_is_refused_with_its_parts():
    encoding = models_zoo.minilm().tokenizer("It rained.")
    with pytest.raises(RecordError, match=r"tokens\(\), and word_ids=encoding.word_ids\(\)"):
        made(WHOLE, encoding)


def test_a_sequence_of_ids_is_refused_too():
    with pytest.raises(RecordError, match=IDS):
        TokenSequence((1, 2))


@pytest.mark.parametrize(
    "special",
    [[1, 0, 0, 1], (True, False, False, True), torch.tensor([1, 0, 0, 1]), ["[CLS]", "[SEP]"],
     {"[CLS]", "[SEP]", "[PAD]"}, np.array([1, 0, 0, 1])],
    ids=["mask", "flags", "tensor", "labels", "all labels of a tokenizer", "numpy"],
)  # fmt: skip
def test_without_specials_drops_what_is_marked(special):
    record = made(WHOLE, special_tokens=special)
    mask = (True, False, False, True)
    assert record.keys.special_tokens_mask == mask
    assert record.keys.word_ids == (None, 1, 2, None)
    kept, _ = renormalized(record.attentions, mask, is_self=True)
    assert kept[..., [0, 3]].abs().max() == 0
    # By hand: row 1 leaves only token 2, for itself and the special ones are dropped.
    torch.testing.assert_close(kept[:, :, 1, 2], torch.ones(3, 2))


def test_pieces_become_words():
    tokens = ["[CLS]", "un", "##do", "Ġit", "[SEP]"]
    attention = weights(1, 1, 5, 5)
    record = made(attention, tokens, word_ids=[None, 0, 0, 1, None])
    assert record.keys.special_tokens_mask == (True, False, False, False, True)
    words = record.words()
    assert words.tokens == ("[CLS]", "undo", "it", "[SEP]")
    expected = attention[0, 0, 0, 1] + attention[0, 0, 0, 2]
    torch.testing.assert_close(words.attentions[0, 0, 0, 1], expected)


def test_the_words_of_a_pair_are_counted_from_0_twice():
    record = made(WHOLE, ["a", "b", "[SEP]", "c"], word_ids=[0, 1, None, 0])
    assert record.keys.word_ids == (0, 1, None, 2)
    assert record.keys.words == ("a", "b", "c")


def test_offsets_and_specials_of_a_real_tokenizer_are_taken():
    tokenizer = models_zoo.minilm().tokenizer
    encoding = tokenizer(
        "Undoing it.", return_offsets_mapping=True, return_special_tokens_mask=True
    )
    count = len(encoding["input_ids"])
    record = made(
        weights(1, 1, count, count),
        encoding.tokens(),
        word_ids=encoding.word_ids(),
        offsets=encoding["offset_mapping"],
        special_tokens=encoding["special_tokens_mask"],
    )
    own = models_zoo.minilm().capture("Undoing it.").keys
    assert record.keys.offsets == own.offsets
    assert record.keys.special_tokens_mask == own.special_tokens_mask
    assert record.words().tokens[1:-1] == ("undoing", "it", ".")


PARTS = {
    "a short mask": ({"special_tokens": [1, 0]}, "special_tokens.*4 tokens, got 2"),
    "no mask": ({"special_tokens": [2, 0, 0, 1]}, "1 or 0 for each token"),
    "places": ({"special_tokens": [0, 3, 0, 0]}, "1 or 0 for each token"),
    "mixed": ({"special_tokens": ["a", 0, None, 1]}, "1 or 0 for each token"),
    "strange labels": ({"special_tokens": ["<s>"]}, "among the tokens, got '<s>'"),
    "short words": ({"word_ids": [0, 1]}, "word_ids.*4 tokens, got 2"),
    "words by name": ({"word_ids": ["a", "b", "c", "d"]}, "whole numbers"),
    "short offsets": ({"offsets": [(0, 1)]}, "offsets.*4 tokens, got 1"),
    "offsets of one number": ({"offsets": [1, 2, 3, 4]}, "pairs"),
    "offsets backwards": ({"offsets": [(0, 1), (3, 2), (0, 0), (0, 0)]}, r"pairs.*\(3, 2\)"),
}


@pytest.mark.parametrize(("options", "words"), PARTS.values(), ids=PARTS)
def test_parts_that_do_not_fit_the_tokens_are_refused(options, words):
    with pytest.raises(RecordError, match=words):
        made(WHOLE, **options)


# --- weights that are no weights --------------------------------------------------------------


def broken(value: float, *heads: tuple[int, int]) -> torch.Tensor:
    attention = WHOLE.clone()
    for layer, head in heads:
        attention[layer, head, 1, 2] = value
    return attention


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named_on_the_record_and_the_page(value):
    record = made(broken(value, (0, 1), (2, 0)))
    (notice,) = record.notices
    assert notice.startswith("4 of 6 heads can be read. Of L0H1 and L2H0 the attention is not")
    assert readable_heads(record.attentions).tolist() == [[True, False], [True] * 2, [False, True]]
    assert "4 of 6 heads can be read" in ix.head_view(record).to_html()


def test_the_heads_that_cannot_be_read_have_the_model_s_numbers():
    attention = broken(float("nan"), (0, 1))
    record = made([None, None, *attention])
    assert "L2H1" in record.notices[0]


def test_a_record_without_one_readable_head_says_so():
    record = made(torch.full((2, 2, N, N), float("nan")))
    assert record.notices[0].startswith("None of the 4 heads can be read: their attention is not")


def test_float16_that_overflows_is_said():
    scores = torch.full((1, 1, 2, 2), 70_000.0).half()  # infinite
    record = made(scores.softmax(-1), ["a", "b"])
    assert "float16 overflows" in record.notices[0]


def test_negative_weights_are_said_though_their_rows_sum_to_1():
    record = ix.AttentionRecord.from_tensors([[[[-1.0, 2.0], [1.5, -0.5]]]], ["a", "b"])
    (notice,) = record.notices
    assert notice.startswith("2 of 4 weights are negative, down to −1.00:")
    assert ix.AttentionRecord.from_tensors([[[[0.0, 1.0], [0.5, 0.5]]]], ["a", "b"]).notices == ()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[0.5, 0.5], [0.2, 0.4]], "1 of 2 rows does not sum to 1 but to 0.600:"),
        ([[0.9, 1.0], [0.0, 0.5]], "2 of 2 rows do not sum to 1 but to between 0.500 and 1.90:"),
        ([[0.0, 0.0], [0.0, 0.0]], "2 of 2 rows do not sum to 1 but to 0:"),
        ([[0.4, 0.4], [1.0, 0.0]], "1 of 2 rows does not sum to 1 but to 0.800:"),
    ],
)
def test_rows_that_do_not_sum_to_1_are_said(rows, words):
    record = made([[rows]], ["a", "b"])
    assert words in record.notices[0]
    assert words in ix.model_view(record).to_html()


def test_rounding_is_no_fault():
    halves = WHOLE.to(torch.bfloat16)
    assert made(halves).notices == ()
    assert 0 < made(halves).certificate.max_row_sum_error < 0.02


def test_a_captured_model_that_overflows_says_so():
    module = models_zoo.build("bert")
    with torch.no_grad():
        module.get_input_embeddings().weight[7] = torch.nan
    tokenizer = word_level([f"w{i}" for i in range(20)])
    model = load_text((module, tokenizer))
    word = tokenizer.convert_ids_to_tokens(7)
    assert "can be read" in model.capture(f"{word} w1 w2").notices[0]
    assert model.capture("w9 w1 w2").notices == ()
    broken_one, whole = model.capture_many([f"{word} w1", "w9 w1 w2"])
    assert "None of the" in broken_one.notices[0]
    assert whole.notices == ()


# --- the text of given tokens ---------------------------------------------------------------------

PIECES = ["[CLS]", "undo", "##ing", "cafe", ".", "[SEP]"]
PLACES = [(0, 0), (0, 4), (4, 7), (8, 12), (12, 13), (0, 0)]
UNDOING = "Undoing café."


def in_text(text=UNDOING, **options):
    return made(weights(1, 1, 6, 6), PIECES, **{"offsets": PLACES, "text": text, **options})


def test_tokens_have_the_words_of_the_text_that_is_given():
    keys = in_text().keys
    assert (keys.texts, keys.words) == ((UNDOING,), ("Undoing", "café", "."))
    assert keys.word_ids == (None, 0, 0, 1, 2, None)
    assert keys.special_tokens_mask == (True, False, False, False, False, True)
    assert in_text(word_ids=[None, 0, 0, 1, 1, None]).keys.words == ("undoing", "cafe.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "Another text."}, "the token 'undo' is at .*, where the text has 'Anot'"),
        ({"text": "Undoing"}, "the token 'cafe' is at"),
        ({"offsets": None}, "return_offsets_mapping=True"),
        ({"text": " "}, "Expected `text`"),
        ({"text": 3}, "Expected `text`"),
    ],
)
def test_a_text_of_other_tokens_is_refused(options, message):
    with pytest.raises(RecordError, match=message):
        in_text(**options)


# --- a record, or what makes one --------------------------------------------------------------


def test_a_record_is_taken_as_it_is_and_tensors_with_their_tokens():
    record = made(WHOLE)
    assert as_record(record) is record
    assert torch.equal(as_record(list(WHOLE), TOKENS, kind="encoder").attentions, WHOLE)
    with pytest.raises(RecordError, match="has its own tokens"):
        as_record(record, TOKENS)
    for alone in (WHOLE, None, "minilm"):
        with pytest.raises(RecordError, match=r"tokens.*alone.*capture\(text\)"):
            as_record(alone)
