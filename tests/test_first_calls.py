"""First calls: what is plain works, and the rest is refused with the right call.

One test calls every public function with odd objects in place of its first arguments.
"""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import pipeline

import introspect as ix
from introspect.calls import checked_call, kind_of_thing
from introspect.data import as_cases, grammar_cases, input_set, is_file_of_cases, write_jsonl
from introspect.errors import CallError, InputError, SelectionError
from introspect.models import listed_texts

TEXT = "The fox did not cross the river because it was too wide."
CASE = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="river", distractors="fox")


@pytest.fixture(scope="module")
def model():
    return ix.load("pronoun", lm_head=True)


@pytest.fixture(scope="module")
def record(model):
    return model.capture(TEXT)


@pytest.fixture(scope="module")
def cases():
    return list(grammar_cases(6))


@pytest.fixture(scope="module")
def case_file(cases, tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("cases") / "cases.jsonl", cases)


@pytest.fixture(scope="module")
def case_table():
    return pd.DataFrame(
        [
            {"text": TEXT, "pronoun": "it", "antecedent": "river", "distractor": "fox"},
            {
                "text": TEXT.replace("wide", "tired"),
                "pronoun": "it",
                "antecedent": "fox",
                "distractor": "river",
            },
        ]
    )


# --- Every public function, with odd objects --------------------------------------------------

NAMES = [
    name
    for name in ix.__all__
    if inspect.isfunction(getattr(ix, name)) or inspect.isclass(getattr(ix, name))
]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(ix, name))]
# What a function needs beside the odd object, where the odd one is not enough by itself.
REST = {
    "probe": lambda to: {"inputs": [TEXT], "out": to / "run"},
    "direct_logit_attribution": lambda to: {"token": "it"},
}
# Loading by name asks the hub; `detect_heads` and `head_study` have no argument but the model.
QUICK = {"num_sequences": 2}


@pytest.fixture(scope="module")
def odd_objects(model, record, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    module, tokenizer = model.module, model.tokenizer
    return {
        "None": None,
        "a string": "no such thing",
        "an empty string": "",
        "a path": folder,
        "no path": folder / "none.jsonl",
        "a number": 3,
        "a fraction": 0.5,
        "true": True,
        "bytes": b"abc",
        "numpy": np.zeros((2, 3)),
        "a tensor": torch.zeros(2, 2, 3, 3),
        "a DataFrame": pd.DataFrame({"a": [1]}),
        "a Series": pd.Series(["a b"]),
        "a dictionary": {"text": TEXT},
        "a function": len,
        "a class": dict,
        "an object": SimpleNamespace(),
        "a tokenizer": tokenizer,
        "a pipeline": pipeline("feature-extraction", model=module, tokenizer=tokenizer),
        "a bare module": module,
        "a wrapped module": torch.nn.DataParallel(module),
        "another module": torch.nn.Linear(2, 2),
        "a record": record,
        "a case": CASE,
        "nothing": [],
        "a list of None": [None],
        "a list of numbers": [1, 2],
        "a list of modules": [module],
        "a list of tokenizers": [tokenizer],
        "a list of paths": [folder / "none.jsonl"],
        "a list of DataFrames": [pd.DataFrame({"a": [1]})],
        "a pair": (module, tokenizer),
        "an odd pair": (tokenizer, module),
    }


def needed_of(function) -> list[str]:
    """The names of the positional arguments that a function cannot do without."""
    parameters = inspect.signature(function).parameters.values()
    return [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def calls_of(name, odd, folder):
    """Every way in which a function is called with an odd object."""
    function = getattr(ix, name)
    needed = needed_of(function)
    rest = REST.get(name, lambda to: {})(folder)
    more = {k: v for k, v in QUICK.items() if k in inspect.signature(function).parameters}
    yield (odd,), more
    yield (odd,) * max(len(needed), 2), more
    if rest:
        yield (odd,), {**rest, **more}


def outcomes_of(name, odd, folder):
    for args, kwargs in calls_of(name, odd, folder):
        try:
            getattr(ix, name)(*args, **kwargs)
        except ix.IntrospectError as error:
            assert str(error)
        except Exception as error:
            yield f"{type(error).__name__}: {error}"[:200]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_odd_object_gives_a_result_or_is_refused_in_words(
    name, odd_objects, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    raw = [
        (what, outcome)
        for what, odd in odd_objects.items()
        for outcome in outcomes_of(name, odd, tmp_path)
    ]
    assert not raw


PAIR = ix.AttentionRecord.from_tensors([[[0.5, 0.5], [0.5, 0.5]]], ["a", "b"])
METHODS = {
    "Model.capture": lambda model: model.capture,
    "Model.capture_many": lambda model: lambda given: list(model.capture_many(given)),
    "Model.encoded": lambda model: model.encoded,
    "Model.tokens": lambda model: model.tokens,
    "Model.run_plan": lambda model: model.run_plan,
    "AttentionRecord.from_tensors": lambda _: ix.AttentionRecord.from_tensors,
    "AttentionRecord.from_tensors of tokens": lambda _: (
        lambda given: ix.AttentionRecord.from_tensors(given, ["a", "b", "c"])
    ),
    "AttentionRecord.load": lambda _: ix.AttentionRecord.load,
    "CorefCase.from_words": lambda _: ix.CorefCase.from_words,
    "CorefCase.from_words of a pronoun": lambda _: (
        lambda given: ix.CorefCase.from_words(given, pronoun="it")
    ),
    "CorefCase.from_tokens": lambda _: (
        lambda given: ix.CorefCase.from_tokens(given, pronoun=(0, 1))
    ),
    "pair_table of a query": lambda _: lambda given: ix.pair_table(PAIR, given, "a"),
    "pair_table of a key": lambda _: lambda given: ix.pair_table(PAIR, "b", given),
    "head_view of a token": lambda model: lambda given: ix.head_view(model.capture(TEXT), given),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METHODS)
def test_a_method_refuses_an_odd_object_in_words_too(name, model, odd_objects):
    raw = []
    for what, odd in odd_objects.items():
        try:
            METHODS[name](model)(odd)
        except ix.IntrospectError as error:
            assert str(error)
        except Exception as error:
            raw.append((what, f"{type(error).__name__}: {error}"[:200]))
    assert not raw


MADE = (
    "AttentionRecord", "AudioModel", "AudioView", "Candidate", "CorefCase", "Edit", "Intervention",
    "Model", "SavedAttention",
    "TokenSequence", "VisionModel", "CausalStudy", "CausalView", "CompareView", "CoreferenceStudy",
    "CoreferenceView", "EvolutionView", "Head", "HeadStudy", "HeadView", "HeatmapView", "ImageView",
    "LayerView", "LensStudy", "LensView", "LogitView", "ModelView", "NeuronView", "ProbeRun",
    "Report", "StepsView",
)  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_a_class_that_users_make_objects_of_refuses_an_odd_object_in_words(name, odd_objects):
    raw = []
    for what, odd in odd_objects.items():
        for given in ((), (odd,), (odd, odd)):
            try:
                getattr(ix, name)(*given)
            except ix.IntrospectError as error:
                assert str(error)
            except Exception as error:
                raw.append((what, f"{type(error).__name__}: {error}"[:200]))
    assert not raw


OPTIONS = {
    "head_view": ("layer", "head", "heads", "token", "threshold", "weights", "combine"),
    "heatmap_view": ("layer", "head", "scale", "weights"),
    "layer_view": ("token", "head", "side", "weights"),
    "flow_view": ("token", "weights", "threshold", "every", "lens", "layer", "head"),
    "playback_view": ("prompt", "layer", "head", "lens"),
    "model_view": ("table", "framed", "weights"),
    "coreference_view": ("case", "head", "direction"),
    "compare_view": ("b", "layer", "head", "token", "labels", "alignment"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPTIONS)
def test_an_odd_option_of_a_view_is_refused_in_words(name, record, odd_objects):
    raw = []
    for option in OPTIONS[name]:
        for what, odd in odd_objects.items():
            given = {"case": CASE} if name == "coreference_view" else {}
            given |= {"b": record} if name == "compare_view" else {}
            try:
                getattr(ix, name)(record, **{**given, option: odd})
            except ix.IntrospectError as error:
                assert str(error)
            except Exception as error:
                raw.append((option, what, f"{type(error).__name__}: {error}"[:200]))
    assert not raw


# --- What is plain works ------------------------------------------------------------------------


def layers_of(record):
    """The attention as transformers gives it and BertViz takes it."""
    return tuple(layer[None] for layer in record.attentions)


@pytest.mark.parametrize("view", [ix.head_view, ix.model_view, ix.heatmap_view, ix.layer_view])
def test_a_view_takes_the_call_of_bertviz(view, record):
    attention, tokens = layers_of(record), list(record.tokens)
    for shown in (
        view(attention, tokens),
        view(attention=attention, tokens=tokens),
        view(attention, tokens, sentence_b_start=5),
    ):
        assert torch.equal(shown.record.attentions, record.attentions)
        assert shown.record.tokens == record.tokens
    assert shown.record.keys.sequence_ids == (0,) * 5 + (1,) * (len(tokens) - 5)


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda r: ix.head_view(TEXT), r"ix.head_view\(model.capture\(text\)\)"),
        (lambda r: ix.head_view(layers_of(r)), "with its tokens"),
        (lambda r: ix.head_view(r, list(r.tokens)), "has its own tokens"),
        (lambda r: ix.head_view(r, sentence_b_start=3), "it knows its texts"),
        (lambda r: ix.head_view(layers_of(r), list(r.tokens), 99), "`sentence_b_start` from 1"),
        (lambda r: ix.head_view(r, encoder_attention=1), "make one of each"),
        (lambda r: ix.head_view(r, html_action="return"), "view.to_html"),
        (lambda r: ix.model_view(r, include_layers=[1]), "record.only"),
        (lambda r: ix.head_view(r, layers=3), "perhaps `layer` is meant"),
        (lambda r: ix.compare_view(r, TEXT), "ix.compare_view"),
        (lambda r: ix.rollout(r.attentions), "Make one with model.capture"),
        (lambda r: ix.causal_report(r), "ix.causal_study"),
        (lambda r: ix.score("pronoun"), r"ix.score\(model, cases, …\)"),
        (lambda r: ix.ablate("pronoun", "L1H0"), r"with ix.ablate\(model, 'L3H1'\)"),
        (lambda r: ix.scale("pronoun", "L1H0", 2), "Load it once"),
        (lambda r: ix.capture("pronoun", TEXT), "ix.load"),
    ],
)
def test_a_wrong_call_is_answered_with_the_right_one(call, advice, record):
    with pytest.raises(ix.IntrospectError, match=advice):
        call(record)


def test_heads_and_tokens_go_by_name(record):
    assert ix.head_view(record, token="it").tokens == (
        {"side": "query", "index": record.tokens.index("it")},
    )
    for heads in (["L1H1"], "L1H1", ix.Head(1, 1), [ix.Head(1, 1)], [(1, 1)]):
        view = ix.head_view(record, heads=heads)
        assert (view.layer, view.heads) == (1, (1,))
    view = ix.heatmap_view(record, head=ix.Head(1, 2))
    assert (view.layer, view.head) == (1, 2)


def test_cases_are_taken_as_a_list_a_file_a_table_and_a_set_of_inputs(
    model, cases, case_file, case_table
):
    whole = ix.score(model, cases).cases
    for given in (str(case_file), case_file, input_set([case_file]), iter(cases)):
        pd.testing.assert_frame_equal(ix.score(model, given).cases, whole)
    of_table = ix.score("pronoun", case_table)
    assert of_table.cases["id"].nunique() == len(case_table)
    assert ix.score("pronoun", CASE).cases["id"].nunique() == 1


def test_rows_given_as_dictionaries_are_read_as_rows(case_table):
    assert as_cases(case_table)[0].phrase(as_cases(case_table)[0].pronoun) == "it"
    rows = case_table.to_dict("records")
    assert [case.text for case in as_cases(rows)] == list(case_table["text"])


def test_no_row_is_left_out_in_silence(case_table):
    case_table.loc[1, "pronoun"] = "unicorn"
    with pytest.raises(InputError, match=r"in every row.*in row 2.*unicorn"):
        as_cases(case_table)


@pytest.mark.parametrize("odd", [None, 3, TEXT, {"text": TEXT}, [TEXT], [1], b"x"])
def test_what_is_no_case_is_refused_by_all_that_take_cases(odd, model):
    for function in (ix.score, ix.causal_effects, ix.causal_study, ix.mediation):
        with pytest.raises(ix.IntrospectError):
            function(model, odd)


def test_a_model_goes_by_its_name(model, cases):
    options = {"share": None, "minimal_pairs": False}
    by_name = ix.causal_study("pronoun", cases, **options)
    pd.testing.assert_frame_equal(by_name.heads, ix.causal_study(model, cases, **options).heads)
    pd.testing.assert_frame_equal(
        ix.causal_effects("pronoun", cases, "L1H0"), ix.causal_effects(model, cases, ["L1H0"])
    )
    moved = ix.before_after("pronoun", TEXT, "L1H0", at="it").predictions
    pd.testing.assert_frame_equal(moved, ix.before_after(model, TEXT, "L1H0", at="it").predictions)
    assert ix.edges_between("pronoun", TEXT, "fox", "river") == ix.edges_between(
        model, TEXT, "fox", "river"
    )
    assert ix.head_study("induction", "a b c a b", num_sequences=2).record is not None
    assert ix.lens_study("induction", "a b c d a b").at.last[0] == "c"


def test_a_change_of_another_model_is_refused_beside_a_name(model):
    with pytest.raises(SelectionError, match="Load it once"):
        ix.before_after("pronoun", TEXT, ix.ablate(model, "L1H0"))


def test_a_report_is_on_a_file_of_cases_and_on_a_text(case_file, cases):
    study = ix.coreference_study("pronoun", case_file)
    assert [text.subject.text for text in study.texts] == [case.text for case in cases]
    assert ix.coreference_study("pronoun", str(case_file)).scores is not None
    assert ix.coreference_study("pronoun", "The fox").texts[0].case is None


@pytest.mark.parametrize(
    ("given", "is_file"),
    [
        ("cases.jsonl", True), ("runs/a.csv.gz", True), (Path("x"), True), ("The cat.", False),
        ("cat", False), ("See a.csv", False), ("3.5", False), (None, False), (CASE, False),
    ],
)  # fmt: skip
def test_a_text_is_told_from_the_name_of_a_file(given, is_file):
    assert is_file_of_cases(given) is is_file


def test_one_text_is_a_list_of_one(model, tmp_path):
    one = ix.head_patterns(model, TEXT)
    pd.testing.assert_frame_equal(one, ix.head_patterns(model, [TEXT]))
    (tmp_path / "texts.txt").write_text(TEXT, encoding="utf-8")
    for odd in (str(tmp_path / "texts.txt"), tmp_path, pd.DataFrame({"text": [TEXT]}), None, 3):
        with pytest.raises(ix.IntrospectError, match="list of texts"):
            listed_texts(odd)
    assert listed_texts(pd.Series([TEXT])) == listed_texts(np.array([TEXT])) == [TEXT]


def test_a_bare_string_is_a_list_of_one(model, tmp_path):
    assert [c.antecedent for c in CASE.candidates] == [True, False]
    assert "values" in model.capture(TEXT, include="values").parts
    made = ix.probe(model, [TEXT], tmp_path / "run", analyzers="roles")
    assert "roles" in made.analyzers
    (alone,) = model.capture_many(TEXT)
    assert alone.keys.tokens == model.capture(TEXT).keys.tokens


def test_a_class_says_how_its_objects_are_made():
    with pytest.raises(CallError, match=r"`record` of ix.HeadView as AttentionRecord, got an int"):
        ix.HeadView(3, 0, (0,))
    with pytest.raises(CallError, match=r"'L3H1', 1. The call is ix.Head\(layer, head\)"):
        ix.Head("L3H1", 1)
    assert (
        ix.Head(np.int64(3), 1)
        == ix.Head.parse("L3H1")
        == pickle.loads(pickle.dumps(ix.Head(3, 1)))
    )


def test_words_are_given_as_words(model, record):
    words = TEXT.replace(".", " .").split()
    by_words = model.capture(words=words)
    assert by_words.keys.words == tuple(words)
    assert torch.equal(by_words.attentions, model.capture(words).attentions)
    assert model.capture(words=["The fox", "sat"]).keys.words == ("The fox", "sat")


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda m, r: m.capture([TEXT, "The cat sat."]), r"model.capture_many\(texts\)"),
        (lambda m, r: m.capture(["[CLS]", "The", "fox", "[SEP]"]), "keys.texts"),
        (lambda m, r: m.capture(["un", "##able"]), "keys.texts"),
        (lambda m, r: m.capture([" The", " fox"]), "words="),
        (lambda m, r: m.capture(), "a text or `words`"),
        (lambda m, r: m.capture(TEXT, words=["a"]), "got both"),
        (lambda m, r: m.capture(words=TEXT), "a list of words"),
        (lambda m, r: m.capture(words=[1]), "a list of words"),
        (lambda m, r: m.capture(words=[]), "a list of words"),
        (lambda m, r: ix.capture(m, TEXT), r"\.capture\(text\)"),
        (lambda m, r: ix.capture(m, [TEXT]), r"\.capture\(text\)"),
    ],
)
def test_a_wrong_capture_is_answered_with_the_right_one(call, advice, model, record):
    minilm = ix.load("minilm") if "CLS" in advice or "keys.texts" in advice else model
    with pytest.raises(ix.IntrospectError, match=advice):
        call(minilm, record)


# --- The guard itself ---------------------------------------------------------------------------


@checked_call
def doubled(number: int, names: list[str] | None = None) -> int:
    if names == ["fault"]:
        raise KeyError("a fault of ours")
    return 2 * number.__index__()


def test_a_fault_of_the_package_stays_what_it_is():
    with pytest.raises(KeyError, match="a fault of ours"):
        doubled(2, ["fault"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: doubled("a"), "Expected `number` of ix.doubled as int, got a str"),
        (lambda: doubled(), r"Expected the call ix.doubled\(number, …\)"),
        (lambda: doubled(1, nubmer=2), "perhaps `number` is meant"),
        (lambda: doubled(1, zzz=2), "it takes `number`, `names`"),
    ],
)
def test_a_wrong_argument_is_named(call, words):
    with pytest.raises(CallError, match=words) as refused:
        call()
    assert isinstance(refused.value, TypeError)


def test_a_right_call_is_left_alone():
    assert doubled(np.int64(2)) == 4
    assert kind_of_thing([1, "a"]) == "a list of int and str"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"antecedent": ["fox"]}, "antecedent"),
        ({"pronoun": (8, 10)}, "pronoun"),
        ({"text": 5}, "text"),
    ],
)
def test_a_method_of_a_class_names_the_argument_that_is_none_of_its_kind(options, name):
    given = {"text": "The fox saw it.", "pronoun": "it", "antecedent": "fox", **options}
    with pytest.raises(
        ix.IntrospectError, match=f"Expected `{name}` of ix.CorefCase.from_words as"
    ):
        ix.CorefCase.from_words(given.pop("text"), **given)
