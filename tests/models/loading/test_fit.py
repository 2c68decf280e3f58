"""Checkpoints that a model does not use as a whole, and tokenizers of another model."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

import introspect as ix
from introspect.errors import IntrospectError, ModelError, TextError
from introspect.models import load
from introspect.models.fit import unused_weights
from tests import models_zoo
from tests.models.loading.helpers import change_json, tiny, tokenizer
from tests.tokenizers_zoo import word_level
from tests.writers_zoo import writer

TEXT = "the cat sat"


def add_weights(folder: Path, **added: torch.Tensor) -> None:
    state = load_file(folder / "model.safetensors")
    save_file({**state, **added}, folder / "model.safetensors", metadata={"format": "pt"})


def add_relative_keys(folder: Path) -> None:
    """A BERT as earlier versions of transformers saved it with relative keys."""
    name = "encoder.layer.{}.attention.self.distance_embedding.weight"
    add_weights(folder, **{name.format(layer): torch.randn(79, 8) for layer in range(3)})
    change_json(folder / "config.json", position_embedding_type="relative_key")


def fewer_layers(folder: Path) -> None:
    change_json(folder / "config.json", num_hidden_layers=2)


def gated_layers(folder: Path) -> None:
    """What an architecture of the same name with other blocks has beside BERT's."""
    add_weights(folder, **{"encoder.layer.0.gate.weight": torch.ones(32, 32)})


def rotary_positions(folder: Path) -> None:
    """A checkpoint of rotated queries, which BERT's code would not rotate."""
    add_weights(folder, **{"encoder.layer.0.attention.self.rotary.inv_freq": torch.ones(4)})


def a_top_of_its_own(folder: Path) -> None:
    add_weights(folder, rel_embeddings=torch.ones(79, 8))


FAULTS = {
    "relative keys": (add_relative_keys, "distance_embedding"),
    "fewer layers": (fewer_layers, r"encoder\.layer\.2"),
    "rotary positions": (rotary_positions, r"rotary\.inv_freq"),
    "a gate": (gated_layers, r"encoder\.layer\.0\.gate"),
    "a bias beside the layers": (a_top_of_its_own, "rel_embeddings"),
}


@pytest.mark.parametrize(("spoil", "named"), FAULTS.values(), ids=FAULTS)
def test_weights_that_the_model_does_not_use_are_refused_by_name(folder, spoil, named):
    spoil(folder)
    with pytest.raises(ModelError, match=f"not used: .*{named}.*strict=False.*--no-strict"):
        load(folder)


@pytest.mark.parametrize(("spoil", "named"), FAULTS.values(), ids=FAULTS)
def test_not_strict_goes_on_and_the_certificate_says_so(folder, spoil, named):
    spoil(folder)
    model = load(folder, strict=False)
    for record in (model.capture(TEXT, certify=True), *model.capture_many([TEXT])):
        assert named.replace("\\", "") in record.certificate.unused
    assert "not used" in ix.report(model, [TEXT]).html


@pytest.mark.parametrize("lm_head", [False, True])
def test_fewer_layers_are_found_below_a_prefix(tmp_path, lm_head):
    model = writer("llama")
    model.module.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    load(tmp_path, lm_head=lm_head)
    add_weights(tmp_path, **{"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})
    load(tmp_path, lm_head=lm_head)  # it computes them itself
    change_json(tmp_path / "config.json", num_hidden_layers=1, layer_types=None)
    with pytest.raises(ModelError, match=r"not used: model\.layers\.1"):
        load(tmp_path, lm_head=lm_head)


def test_a_head_that_the_class_has_not_is_refused_where_its_answers_are_read(tmp_path):
    model = writer("llama")
    model.module.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    add_weights(tmp_path, **{"lm_head.bias": torch.ones(4)})
    load(tmp_path)
    with pytest.raises(ModelError, match=r"lm_head\.bias"):
        load(tmp_path, lm_head=True)


# --- what a checkpoint may have beside --------------------------------------------------------

BESIDE = {
    "old buffers": ["embeddings.position_ids", "embeddings.token_type_ids"],
    "heads of other classes": ["classifier.weight", "cls.predictions.bias", "qa_outputs.bias"],
    "all of them below a prefix": ["cls.seq_relationship.bias", "my_head.0.weight"],
}


@pytest.mark.parametrize("names", BESIDE.values(), ids=BESIDE)
def test_what_no_attention_depends_on_may_be_there(folder, names):
    if "my_head.0.weight" in names:
        state = {f"bert.{name}": each for name, each in tiny().state_dict().items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    add_weights(folder, **{name: torch.ones(2) for name in names})
    assert load(folder).unused == ""


def saved_by(name: str, head: str) -> tf.PreTrainedModel:
    config = models_zoo.config(name) if hasattr(models_zoo, "config") else None
    config = config or models_zoo.build(name).config
    return getattr(tf, head)(config)


HEADS = {
    "bert": ("BertForPreTraining", "BertForTokenClassification", "BertForMaskedLM"),
    "roberta": ("RobertaForMaskedLM", "RobertaForSequenceClassification"),
    "electra": ("ElectraForPreTraining", "ElectraForMaskedLM"),
    "albert": ("AlbertForPreTraining",),
    "distilbert": ("DistilBertForQuestionAnswering", "DistilBertForMaskedLM"),
    "gpt2": ("GPT2LMHeadModel", "GPT2ForTokenClassification"),
    "gpt_neox": ("GPTNeoXForCausalLM",),
    "llama": ("LlamaForCausalLM", "LlamaForSequenceClassification"),
    "bart": ("BartForConditionalGeneration", "BartForSequenceClassification"),
    "t5": ("T5ForConditionalGeneration", "T5ForQuestionAnswering"),
}


@pytest.mark.parametrize(
    "head", [each for heads in HEADS.values() for each in heads], ids=lambda head: head
)
def test_a_checkpoint_with_any_head_loads_without_one(tmp_path, head):
    name = next(name for name, heads in HEADS.items() if head in heads)
    saved_by(name, head).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    assert load(tmp_path).unused == ""


def test_what_a_quantized_weight_is_stored_with_may_be_there():
    module = tiny()
    names = ["encoder.layer.0.output.dense.weight.absmax", "encoder.layer.0.output.dense.SCB"]
    assert unused_weights(module, names) == sorted(names)
    module.config.quantization_config = {"quant_method": "bitsandbytes"}
    try:
        assert unused_weights(module, names) == []
        assert unused_weights(module, ["encoder.layer.7.output.dense.SCB"]) != []
    finally:
        del module.config.quantization_config


# --- positions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["relative_key", "relative_key_query", "alibi"])
@pytest.mark.parametrize("name", ["bert", "roberta", "electra"])
def test_positions_that_the_code_does_not_have_are_refused_in_a_pair_too(name, scheme):
    module = models_zoo.build(name)
    module.config.position_embedding_type = scheme
    with pytest.raises(ModelError, match=f"position_embedding_type='{scheme}'.*ignores"):
        load((module, tokenizer()))
    record = load((module, tokenizer()), strict=False).capture(TEXT, certify=True)
    assert f"position_embedding_type='{scheme}'" in record.certificate.unused
    inputs = dict(tokenizer()(TEXT, return_tensors="pt"))
    assert scheme in ix.capture(module, inputs).certificate.unused


def test_positions_that_the_code_has_are_no_news():
    config = tf.EsmConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=48, pad_token_id=1, position_embedding_type="rotary",
    )  # fmt: skip
    assert load((tf.EsmModel(config).eval(), tokenizer())).capture(TEXT).certificate.unused == ""


# --- tokenizers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("as_pair", [False, True])
def test_a_vocabulary_larger_than_the_embedding_is_refused(folder, as_pair):
    large = word_level([f"word{number}" for number in range(100)])
    large.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"embedding for each of the 10\d entries.*got 64"):
        load((tiny(), large) if as_pair else folder)


def test_a_word_without_an_embedding_is_refused_by_name(folder):
    words = tokenizer()
    words.add_tokens([f"new{number}" for number in range(70)])
    model = load((tiny(), words))
    assert len(model.capture(TEXT).keys) > 0
    for read in (model.capture, lambda text: next(model.capture_many([text]))):
        with pytest.raises(TextError, match=r"'new69' with id \d+.*resize_token_embeddings"):
            read("the cat new69")
    outcomes = model.encoded([TEXT, "new69"])
    assert [isinstance(each, TextError) for each in outcomes] == [False, True]


@pytest.mark.parametrize("shift", [1_000, 10**6])
def test_a_tokenizer_whose_ids_are_of_another_model_is_refused(folder, shift):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {word: number + shift for word, number in vocabulary.items()}
    path.write_text(json.dumps(content))
    with pytest.raises(IntrospectError):
        load(folder).capture(TEXT)


# --- whatever else fails --------------------------------------------------------------------------


def spoiled_config(folder: Path) -> None:
    change_json(folder / "config.json", hidden_size="wide")


def a_negative_size(folder: Path) -> None:
    change_json(folder / "config.json", num_hidden_layers=-1, num_attention_heads=0)


def deep_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def a_list_for_a_config(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def panicking_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"] = [{"id": -1, "content": 7}]
    path.write_text(json.dumps(content))


def truncated_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])


def a_huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 16)


def an_index_of_nothing(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": 3}')


def an_index_of_what_is_gone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "part-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


WAYS_TO_FAIL = (
    spoiled_config, a_negative_size, deep_config, a_list_for_a_config, panicking_tokenizer,
    truncated_weights, a_huge_header, an_index_of_nothing, an_index_of_what_is_gone,
)  # fmt: skip


@pytest.mark.parametrize("spoil", WAYS_TO_FAIL, ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_loaded_is_one_line_of_ours(folder, spoil):
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert "tiny-bert" in str(caught.value)


def test_a_panic_of_a_library_is_ours_and_a_stop_by_the_user_is_not(folder, monkeypatch):
    class Panic(BaseException):
        """As Rust's panics arrive: no Exception."""

    def raising(error):
        def from_pretrained(*_, **__):
            raise error

        return from_pretrained

    monkeypatch.setattr(tf.AutoTokenizer, "from_pretrained", raising(Panic("index out of bounds")))
    with pytest.raises(ModelError, match="index out of bounds"):
        load(folder)
    monkeypatch.setattr(tf.AutoTokenizer, "from_pretrained", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_may_not_be_read_is_named(folder, name, monkeypatch):
    opens = Path.open

    def refusing(path, *args, **kwargs):
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return opens(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(ModelError, match=rf"(Permission denied|PermissionError).*|.*{name}"):
        load(folder)


def test_a_model_that_fits_is_loaded_without_a_word(folder, caplog):
    with caplog.at_level(logging.WARNING):
        assert load(folder).unused == ""
    assert not caplog.records
