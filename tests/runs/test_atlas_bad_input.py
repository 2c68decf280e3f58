"""What an atlas cannot read is refused or said: nothing crashes, and nothing of others is lost."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect import cli
from introspect.errors import InputError, OutputError, SelectionError
from introspect.models import load_text
from tests.runs import sets

TEXTS = [case.text for case in sets.cases()][:6]
CALL = {"threads": 1, "examples": 2}
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}


def language_model(kind, config, **options):
    size = len(sets.tokenizer())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = kind(config(vocab_size=size, pad_token_id=0, **options))
    return load_text((module.eval(), sets.tokenizer()))


def command(*arguments, monkeypatch, capsys) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["introspect", "atlas", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("", (), "got none"),
        ("\n  \n", (), "got none"),
        ("a b c\n", ("--cases", "nowhere.jsonl"), "nowhere.jsonl"),
        ("a b c\n", ("--cases", "texts.txt"), "cases with a pronoun"),
        ("a b c\n", ("--kind", "cross"), "induction has self"),
        ("a b c\n", ("--heads", "L7H0"), "L7H0"),
        ("a b c\n", ("--layers", "7"), "from 0 to 1"),
    ],
)
def test_the_command_refuses_in_one_line_and_leaves_nothing(
    content, options, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text(content)
    code, error = command(
        "texts.txt", "--out", "out", "--model", "induction", *options,
        monkeypatch=monkeypatch, capsys=capsys,
    )  # fmt: skip
    lines = [line for line in error.splitlines() if line.startswith("introspect: error")]
    assert code == 2
    assert len(lines) == 1
    assert said in lines[0], lines
    assert not (tmp_path / "out").exists()


def test_another_s_folder_and_a_corpus_that_changes_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("a b c\n")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("mine")
    shared = {"monkeypatch": monkeypatch, "capsys": capsys}
    given = ("texts.txt", "--model", "induction", "--out")
    code, error = command(*given, "theirs", "--overwrite", **shared)
    assert (code, "thesis.txt" in error) == (2, True)
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["thesis.txt"]
    ix.atlas("induction", tmp_path / "texts.txt", tmp_path / "out", **CALL)
    (tmp_path / "texts.txt").write_text("a b d\n")
    with pytest.raises(OutputError, match=r"has changed: input: texts.txt \(\w+\) → texts.txt"):
        ix.atlas("induction", tmp_path / "texts.txt", tmp_path / "out", **CALL)


def test_another_model_is_said_in_one_short_line(tmp_path):
    ix.atlas("induction", ["a b c"], tmp_path / "out", **CALL)
    with pytest.raises(OutputError) as refused:
        ix.atlas("shortcut", ["a b c"], tmp_path / "out", **CALL)
    said = str(refused.value)
    assert "this has changed: model: " in said
    assert said.count("→") == 1
    assert len(said.replace(str(tmp_path), "")) < 250


@pytest.mark.parametrize("texts", [["cat", "dog", "The"], ["The"], ["The The", "The The"]])
@pytest.mark.parametrize("kind", ["reads", "writes"])
def test_texts_without_a_choice_are_said(texts, kind, tmp_path):
    model = (
        sets.model()
        if kind == "reads"
        else language_model(tf.LlamaForCausalLM, tf.LlamaConfig, num_hidden_layers=2, **SIZES)
    )
    made = ix.atlas(model, texts, tmp_path / "out", **CALL)
    assert made.heads["best_rule"].isna().all()
    assert made.heads["sentence"].str.contains("too few|Nothing can be said").all()


def test_one_head_is_compared_with_no_other(tmp_path):
    options = {**SIZES, "num_attention_heads": 1, "num_hidden_layers": 1}
    model = language_model(tf.BertModel, tf.BertConfig, **options)
    made = ix.atlas(model, [case.text for case in sets.cases()], tmp_path / "out", **CALL)
    assert len(made.heads) == 1
    assert "all heads" not in made.heads["sentence"].item()
    assert made.similar.empty


def test_an_encoder_decoder_is_read_by_its_encoder_alone(tmp_path):
    for kind in ("cross", "decoder"):
        with pytest.raises(SelectionError, match=f"`kind` as encoder, got '{kind}': its queries"):
            ix.atlas("reversal", ["a b c"], tmp_path / "out", kind=kind, **CALL)
    assert not (tmp_path / "out").exists()
    made = ix.atlas("reversal", ["a b c"], tmp_path / "out", kind="encoder", **CALL)
    assert made.writes.empty
    assert len(made.heads) > 0


def test_layers_without_attention_keep_their_numbers(tmp_path):
    kinds = ["conv", "full_attention", "conv", "full_attention"]
    options = {**SIZES, "num_key_value_heads": 2, "num_hidden_layers": 4, "layer_types": kinds}
    model = language_model(tf.Lfm2ForCausalLM, tf.Lfm2Config, **options)
    made = ix.atlas(model, TEXTS, tmp_path / "out", **CALL)
    for table in (made.heads, made.copying, made.writes):
        assert sorted(set(table["layer"])) == [1, 3]


def test_behind_a_norm_of_all_heads_no_value_copies_by_itself(tmp_path):
    options = {**SIZES, "num_key_value_heads": 2, "num_hidden_layers": 2, "head_dim": 8}
    model = language_model(tf.Gemma2ForCausalLM, tf.Gemma2Config, **options)
    made = ix.atlas(model, TEXTS, tmp_path / "out", **CALL)
    assert made.copying["copying"].isna().all()
    assert made.copying["to_key"].notna().all()
    assert len(made.writes) == 10 * len(made.heads)


def test_a_model_without_special_tokens_has_no_rule_about_them(tmp_path):
    model = language_model(tf.GPT2LMHeadModel, tf.GPT2Config, n_embd=32, n_layer=1, n_head=2)
    plain = tf.PreTrainedTokenizerFast(
        tokenizer_object=sets.tokenizer().backend_tokenizer, unk_token="[UNK]", pad_token="[PAD]"
    )
    plain.backend_tokenizer.post_processor = None
    made = ix.atlas((model.module, plain), TEXTS, tmp_path / "out", **CALL)
    assert (made.heads["special"] == 0).all() or made.heads["special"].isna().all()
    assert "special" not in set(made.rules["rule"])


def outside(text):
    return np.ones((len(text) + 1, len(text)), bool)


def broken(text):
    raise KeyError("x")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (outside, r"bool of shape \((\d+), \1\).*got bool"),
        (broken, "raised KeyError"),
        (lambda text: np.eye(len(text)), "got float64"),
        (lambda text: None, "got object"),
    ],
)
def test_a_rule_that_fails_is_named_with_what_it_gave(rule, said, tmp_path):
    with pytest.raises(InputError, match=said) as refused:
        ix.atlas(sets.model(), TEXTS, tmp_path / "out", rules={"mine": rule}, **CALL)
    assert "'mine'" in str(refused.value)
