"""From a text to a record: known values, limits, notices, kinds, and texts that are refused."""

from __future__ import annotations

import threading
import time

import pytest
import torch
import transformers as tf

from introspect.errors import CaptureError, ModelError, RecordError, SelectionError, TextError
from introspect.models import Model
from introspect.models.encoding import length_limit
from introspect.records import AttentionRecord
from tests import models_zoo as zoo
from tests.synthetic import TEXT
from tests.tokenizers_zoo import word_level

CHINESE = "那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上"
WORDS = ["the", "cat", "sat", "on", "mat", "and", "dog", "ran", "it", "was", "die", "Katze"]


def tokenizer(**special: str):
    words = word_level(WORDS)
    for name, token in special.items():
        setattr(words, name, token)
    return words


def tiny(name: str = "bert", **special: str) -> Model:
    return Model(zoo.build(name), tokenizer(**special), name=f"tiny-{name}")


def translator(name: str) -> Model:
    return tiny(name, eos_token="[SEP]")


def weight(record, head: tuple[int, int], source: str, target: str) -> float:
    layer, number = head
    row, column = (record.tokens.index(token) for token in (source, target))
    return record.attentions[layer, number, row, column].item()


# --- known values -----------------------------------------------------------------------------


@pytest.mark.parametrize(("head", "expected"), [((3, 1), 0.68), ((5, 11), 0.67)])
def test_two_heads_of_minilm_look_from_it_to_animal(minilm, head, expected):
    record = minilm.capture(TEXT)
    assert weight(record, head, "it", "animal") == pytest.approx(expected, abs=0.005)


def test_with_wide_for_tired_the_head_turns_to_the_street(minilm):
    record = minilm.capture(TEXT.replace("tired", "wide"))
    assert weight(record, (3, 1), "it", "animal") == pytest.approx(0.28, abs=0.005)
    assert weight(record, (3, 1), "it", "street") == pytest.approx(0.12, abs=0.005)


def test_the_shape_of_a_minilm_record(minilm):
    record = minilm.capture(TEXT)
    assert record.attentions.shape == (6, 12, 16, 16)
    assert record.attentions.dtype == torch.float32
    assert record.layers == (0, 1, 2, 3, 4, 5)
    assert record.kind == "self"
    assert record.notices == ()
    assert record.queries == record.keys


def test_the_words_of_the_demo_sentence(minilm):
    record = minilm.capture(TEXT).words()
    assert record.tokens == (
        "[CLS]", "The", "animal", "didn't", "cross", "the", "street", "because", "it", "was",
        "too", "tired", ".", "[SEP]",
    )  # fmt: skip
    sums = record.attentions.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-5, rtol=0)


def test_the_certificate_of_a_record_names_the_model(minilm):
    certificate = minilm.capture(TEXT).certificate
    assert certificate.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert certificate.revision
    assert certificate.tokenizer == type(minilm.tokenizer).__name__


def test_a_record_is_certified_on_demand(minilm):
    assert minilm.capture(TEXT).certificate.max_difference_from_eager is None
    certificate = minilm.capture(TEXT, certify=True).certificate
    assert certificate.max_difference_from_eager <= 1e-6
    assert certificate.max_output_difference <= 1e-5


@pytest.mark.parametrize("name", [*zoo.ENCODERS, *zoo.DECODERS])
def test_a_record_equals_an_eager_run_of_the_tokens_it_names(name):
    model = tiny(name)
    record = model.capture("the cat sat on the mat")
    with torch.no_grad():
        own = zoo.eager_twin(model.module)(
            input_ids=torch.tensor([record.keys.token_ids]), output_attentions=True
        ).attentions
    torch.testing.assert_close(record.attentions, torch.stack(own)[:, 0], atol=1e-6, rtol=0)


# --- texts that are refused -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u2003"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(TextError, match="empty one"):
        tiny().capture(text)


def test_an_empty_second_text_is_refused():
    with pytest.raises(TextError, match="empty one"):
        tiny().capture("the cat", "")


@pytest.mark.parametrize("text", [None, 3, b"the cat", ["the cat", 3]])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(TextError, match="Expected a text"):
        tiny().capture(text)


def test_half_a_surrogate_pair_is_refused_with_its_place():
    with pytest.raises(TextError, match="character 4 is half of a surrogate pair"):
        tiny().capture("the \ud83d cat")


def test_a_text_of_which_no_token_is_made_is_refused(minilm):
    with pytest.raises(TextError, match="makes none"):
        minilm.capture("\x00\x01")


# --- length -----------------------------------------------------------------------------------


def test_too_long_a_text_is_refused_with_both_lengths_and_the_way_out():
    # 41 words and two special tokens, where 40 positions are.
    with pytest.raises(TextError, match=r"at most 40 tokens, got 43.*--truncate"):
        tiny().capture("the cat " * 20 + "sat")


def test_a_text_of_just_the_limit_is_read_whole():
    record = tiny().capture(" ".join(["cat"] * 38))
    assert len(record.keys) == 40
    assert record.notices == ()


def test_a_cut_text_says_what_was_cut():
    text = "the cat " * 19 + "it was the dog"
    record = tiny().capture(text, truncation=True)
    assert len(record.keys) == 40
    (notice,) = record.notices
    assert "Its last 14 characters were cut off" in notice
    assert "“it was the dog”" in notice


def test_a_long_cut_is_shortened_and_still_counted():
    text = "the cat " * 19 + "it was the dog " * 100
    (notice,) = tiny().capture(text, truncation=True).notices
    assert f"Its last {15 * 100 - 1} characters" in notice
    assert " … " in notice
    assert notice.endswith("it was the dog”")
    assert len(notice) < 1000


def test_truncation_of_a_short_text_cuts_nothing():
    assert tiny().capture("the cat sat", truncation=True).notices == ()


def test_one_cut_does_not_cut_the_next_text():
    model = tiny()
    model.capture("the cat " * 30, truncation=True)
    with pytest.raises(TextError, match="at most 40"):
        model.capture("the cat " * 30)


def test_a_cut_in_one_thread_does_not_cut_in_another(monkeypatch):
    # The tokenizer keeps its setting in one place; a pause after each change of it lets the other
    # thread in, as an unlucky moment would.
    model, faults = tiny(), []
    change = type(model.tokenizer).set_truncation_and_padding

    def change_and_pause(*arguments: object, **options: object) -> None:
        change(*arguments, **options)
        time.sleep(0.002)

    monkeypatch.setattr(type(model.tokenizer), "set_truncation_and_padding", change_and_pause)
    long = "the cat " * 30
    barrier = threading.Barrier(2, timeout=30)

    def cut() -> None:
        for _ in range(25):
            barrier.wait()
            if len(model.tokens(long, truncation=True)) != 40:
                faults.append("not cut")

    def refuse() -> None:
        for _ in range(25):
            barrier.wait()
            try:
                model.tokens(long)
                faults.append("cut")
            except TextError:
                pass

    threads = [threading.Thread(target=job) for job in (cut, refuse)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_roberta_reads_two_tokens_less_than_it_has_positions():
    model = tiny("roberta")
    assert model.module.config.max_position_embeddings == 40
    assert length_limit(model.module, model.tokenizer) == 38
    assert len(model.capture(" ".join(["cat"] * 36)).keys) == 38
    with pytest.raises(TextError, match="at most 38 tokens, got 39"):
        model.capture(" ".join(["cat"] * 37))


def test_one_token_more_would_have_failed_in_the_model():
    # The limit above is RoBERTa's own and not caution.
    module = zoo.build("roberta")
    with torch.no_grad(), pytest.raises((IndexError, RuntimeError), match="out of"):
        module(input_ids=torch.full((1, 39), 5))


@pytest.mark.parametrize("name", [n for n in zoo.ALL if n not in ("roberta", "t5")])
def test_the_limit_is_the_number_of_positions(name):
    assert length_limit(zoo.build(name), tokenizer()) == 40


def test_a_model_without_positions_has_the_tokenizers_limit():
    words = tokenizer()
    assert length_limit(zoo.build("t5"), words) == 512
    words.model_max_length = int(1e30)
    assert length_limit(zoo.build("t5"), words) is None


# --- what the model does not know -------------------------------------------------------------


def test_a_text_the_model_mostly_does_not_know_says_so_loudly(minilm):
    (notice,) = minilm.capture(CHINESE).notices
    assert notice.startswith("Most of this text is unknown to the model")
    assert "16 of the 21 characters as [UNK]" in notice


def test_a_text_the_model_partly_does_not_know_says_so(minilm):
    (notice,) = minilm.capture("The animal saw a 🐈 in the street.").notices
    assert notice.startswith("Part of this text is unknown to the model")
    assert "reads 1 of the 26 characters" in notice


def test_unknown_tokens_are_marked_in_the_record(minilm):
    keys = minilm.capture(CHINESE).keys
    assert sum(keys.unknown_mask) == 16
    assert keys.tokens.count("[UNK]") == 16
    assert "".join(keys.words) == CHINESE


# --- pairs ------------------------------------------------------------------------------------


def test_a_pair_is_read_as_two_segments(minilm):
    record = minilm.capture("The cat sat.", "It was happy.")
    inputs = minilm.tokenizer("The cat sat.", "It was happy.", return_tensors="pt")
    assert inputs["token_type_ids"].sum() > 0
    with torch.no_grad():
        own = zoo.eager_twin(minilm.module)(**inputs, output_attentions=True).attentions
    torch.testing.assert_close(record.attentions, torch.stack(own)[:, 0], atol=1e-6, rtol=0)
    assert record.keys.texts == ("The cat sat.", "It was happy.")
    assert record.keys.sequence_ids == (None, 0, 0, 0, 0, None, 1, 1, 1, 1, None)


def test_segments_change_what_a_pair_attends_to(minilm):
    pair = minilm.capture("The cat sat.", "It was happy.")
    ids = torch.tensor([pair.keys.token_ids])
    with torch.no_grad():
        own = zoo.eager_twin(minilm.module)(input_ids=ids, output_attentions=True).attentions
    assert (pair.attentions - torch.stack(own)[:, 0]).abs().max() > 0.01


# --- layers -----------------------------------------------------------------------------------


def test_chosen_layers_keep_their_numbers():
    model = tiny()
    whole, some = model.capture("the cat"), model.capture("the cat", layers=[2, 1])
    assert some.layers == (1, 2)
    assert torch.equal(some.attentions, whole.attentions[1:])


@pytest.mark.parametrize("layers", [[3], [-1], [0, 99]])
def test_a_layer_that_is_not_there_is_refused(layers):
    with pytest.raises(SelectionError, match="0–2"):
        tiny().capture("the cat", layers=layers)


def test_an_unknown_part_is_refused():
    with pytest.raises(SelectionError, match="Expected `include`"):
        tiny().capture("the cat", include=("query",))


# --- encoder-decoders -------------------------------------------------------------------------

DEPTH = {"t5": {"encoder": 2, "decoder": 3}, "bart": {"encoder": 3, "decoder": 2}}
SOURCE, TARGET = "the cat sat on the mat", "die Katze"


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_the_default_kind_is_the_encoder_and_with_a_target_cross(name):
    model = translator(name)
    assert model.capture(SOURCE).kind == "encoder"
    assert model.capture(SOURCE, target=TARGET).kind == "cross"


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_each_kind_equals_an_eager_run_and_has_its_own_tokens(name, kind):
    model = translator(name)
    record = model.capture(SOURCE, target=TARGET, kind=kind)
    read = model.capture(SOURCE).keys
    written = model.capture(SOURCE, target=TARGET, kind="decoder").keys
    assert record.queries == (read if kind == "encoder" else written)
    assert record.keys == (written if kind == "decoder" else read)
    with torch.no_grad():
        own = zoo.eager_twin(model.module)(
            input_ids=torch.tensor([read.token_ids]),
            decoder_input_ids=torch.tensor([written.token_ids]),
            use_cache=False,
            output_attentions=True,
        )[zoo.OUTPUT_NAMES[kind]]
    depth = DEPTH[name]["encoder" if kind == "encoder" else "decoder"]
    assert record.layers == tuple(range(depth))
    torch.testing.assert_close(record.attentions, torch.stack(own)[:, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "start"), [("t5", "[PAD]"), ("bart", "[SEP]")])
def test_a_decoder_reads_its_start_token_and_not_the_end(name, start):
    written = translator(name).capture(SOURCE, target=TARGET, kind="decoder").keys
    assert written.tokens == (start, "[CLS]", "die", "Katze")
    assert written.special_tokens_mask == (True, True, False, False)
    assert written.texts == (TARGET,)
    assert written.words == ("die", "Katze")


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_the_encoder_is_the_same_with_and_without_a_target(name):
    model = translator(name)
    alone = model.capture(SOURCE)
    beside = model.capture(SOURCE, target=TARGET, kind="encoder")
    torch.testing.assert_close(alone.attentions, beside.attentions, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_what_needs_a_target_says_so(kind):
    with pytest.raises(SelectionError, match=f"Expected a target for {kind} attention"):
        translator("t5").capture(SOURCE, kind=kind)


def test_plain_self_attention_of_an_encoder_decoder_is_not_guessed():
    with pytest.raises(SelectionError, match="three kinds"):
        translator("t5").capture(SOURCE, kind="self")


@pytest.mark.parametrize("options", [{"target": TARGET}, {"kind": "encoder"}, {"kind": "cross"}])
def test_a_model_of_one_kind_refuses_the_others(options):
    with pytest.raises(SelectionError, match="self-attention only"):
        tiny().capture(SOURCE, **options)


def test_an_unknown_kind_is_refused():
    with pytest.raises(SelectionError, match="self, encoder, decoder, cross"):
        tiny().capture(SOURCE, kind="other")


def test_a_layer_that_only_the_decoder_has_is_refused_for_the_encoder():
    with pytest.raises(SelectionError, match="layers"):
        translator("t5").capture(SOURCE, target=TARGET, kind="encoder", layers=[2])


@pytest.mark.parametrize("target", ["", "  "])
def test_an_empty_target_is_refused(target):
    with pytest.raises(TextError, match="empty one"):
        translator("t5").capture(SOURCE, target=target)


def test_a_model_without_a_start_token_is_refused():
    model = translator("t5")
    model.module.config.decoder_start_token_id = None
    with pytest.raises(ModelError, match="decoder_start_token_id"):
        model.capture(SOURCE, target=TARGET)


def test_a_notice_of_the_target_reaches_the_record():
    record = translator("t5").capture(SOURCE, target="die Maus", kind="cross")
    assert any("4 of the 7 characters" in notice for notice in record.notices)


def test_a_target_with_its_start_token_fits_the_positions_or_is_refused():
    # BART has 40 positions; 38 words, [CLS], [SEP] fit the limit, the start token takes [SEP]'s.
    record = translator("bart").capture(SOURCE, target=" ".join(["Katze"] * 38), kind="decoder")
    assert len(record.keys) == 40


# --- models that stay what they are -----------------------------------------------------------


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(ModelError, match="fast tokenizer"):
        Model(zoo.build("bert"), tf.ByT5Tokenizer())


@pytest.mark.parametrize("text", ["", "the cat " * 40])
def test_a_refused_text_leaves_the_model_as_it_was(text):
    model = tiny()
    before = zoo.State.of(model.module)
    with pytest.raises(TextError):
        model.capture(text)
    assert zoo.State.of(model.module) == before


def test_a_model_with_a_head_is_captured_too():
    config = zoo.ENCODERS["bert"]()
    module = tf.BertForMaskedLM(config).eval()
    record = Model(module, tokenizer()).capture("the cat sat", certify=True)
    assert record.attentions.shape == (3, 4, 5, 5)
    assert record.certificate.max_difference_from_eager <= 1e-6
    assert record.certificate.max_output_difference <= 1e-5


# --- further parts ----------------------------------------------------------------------------


def test_further_parts_are_in_the_record_and_fit_its_attention(tmp_path):
    parts = ("scores", "queries", "keys", "values", "head_outputs")
    record = tiny().capture("the cat sat", include=parts)
    assert tuple(record.parts) == parts
    torch.testing.assert_close(record.parts["scores"].softmax(-1), record.attentions)
    torch.testing.assert_close(
        record.attentions @ record.parts["values"], record.parts["head_outputs"]
    )
    again = AttentionRecord.load(record.save(tmp_path / "record"))
    assert all(torch.equal(again.parts[name], record.parts[name]) for name in parts)
    assert not record.words().parts


def test_a_part_of_the_wrong_size_is_refused():
    record = tiny().capture("the cat sat")
    with pytest.raises(RecordError, match="the part 'scores' as"):
        AttentionRecord(
            attentions=record.attentions,
            queries=record.queries,
            keys=record.keys,
            parts={"scores": torch.zeros(99, 1, 1, 1)},
        )


def test_attention_within_windows_is_refused_with_what_to_do():
    config = tf.LongformerConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        attention_window=[4, 4],
        max_position_embeddings=40,
    )
    model = Model(tf.LongformerModel(config).eval(), tiny().tokenizer)
    with pytest.raises(CaptureError, match=r"windows or blocks.*introspect\.capture"):
        model.capture("the cat sat on the mat")


# --- chosen rows ------------------------------------------------------------------------------


def test_rows_are_those_tokens_as_queries_over_all_keys(minilm):
    whole = minilm.capture(TEXT)
    index = whole.tokens.index("it")
    record = minilm.capture(TEXT, rows=[index, 2])
    assert record.queries.tokens == ("it", whole.tokens[2])
    assert record.keys == whole.keys
    expected = whole.attentions[:, :, [index, 2]]
    torch.testing.assert_close(record.attentions, expected, atol=1e-5, rtol=0)
    assert "selected rows" in record.certificate.route


def test_rows_beyond_the_text_are_refused_with_the_range(minilm):
    with pytest.raises(SelectionError, match=r"0–15"):
        minilm.capture(TEXT, rows=[99])
