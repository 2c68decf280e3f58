"""Data sets of the Hugging Face package: saved ones, and what is asked of the hub."""

from __future__ import annotations

import builtins
import hashlib
import sys
from types import SimpleNamespace

import huggingface_hub
import pytest

from introspect.data import InputSet, find_inputs, fingerprint, read_sentences
from introspect.data.huggingface import short_name
from introspect.errors import InputError, MissingExtraError
from tests.data.sentence_helpers import split, texts

TEXTS = [f"sentence {i}" for i in range(300)]


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    found = pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")
    monkeypatch.setattr(found.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(found.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    found.disable_progress_bars()
    yield found
    found.enable_progress_bars()


def saved(datasets, folder, *splits):
    tables = {
        name: datasets.Dataset.from_dict({"label": list(range(300)), "text": TEXTS})
        for name in splits or ("one",)
    }
    whole = datasets.DatasetDict(tables) if splits else tables["one"]
    whole.save_to_disk(folder)
    return folder


def test_a_saved_data_set_is_a_folder_to_read(datasets, tmp_path):
    folder = saved(datasets, tmp_path / "news")
    found = list(read_sentences(folder))
    assert [(s.id, s.text, s.line) for s in found] == [
        (f"news:{row}", text, row) for row, text in enumerate(TEXTS, 1)
    ]
    assert InputSet(folder).content == "sentences"


def test_a_split_is_named(datasets, tmp_path):
    folder = saved(datasets, tmp_path / "news", "train", "test")
    (first, *_) = read_sentences(f"hf:{folder}:test")
    assert first.id == "news:test:1"
    with pytest.raises(InputError, match="splits train, test of .*, got none"):
        list(read_sentences(folder))
    with pytest.raises(InputError, match="got dev"):
        list(read_sentences(f"hf:{folder}:dev"))


def test_the_only_split_needs_no_name(datasets, tmp_path):
    assert texts(read_sentences(saved(datasets, tmp_path / "news", "train"))) == TEXTS


def test_columns_are_chosen_as_everywhere(datasets, tmp_path):
    folder = saved(datasets, tmp_path / "news")
    with pytest.raises(InputError, match="found: label, text"):
        list(read_sentences(folder, column="nonsense"))
    with pytest.raises(InputError, match="Expected texts in the column 'label'"):
        list(read_sentences(folder, column="label"))


def test_faults_are_named_and_the_rest_goes_on(datasets, tmp_path):
    datasets.Dataset.from_dict({"text": ["one", None, "", "four"]}).save_to_disk(tmp_path / "d")
    sentences, rejects = split(read_sentences(tmp_path / "d"))
    assert [s.text for s in sentences] == ["one", "four"]
    assert [(r.line, r.kind) for r in rejects] == [(2, "type"), (3, "empty")]


def test_only_a_few_rows_are_read_ahead(datasets, tmp_path, monkeypatch):
    folder = saved(datasets, tmp_path / "news")
    taken = []
    original = datasets.Dataset.iter

    def counted(self, batch_size, **options):
        for batch in original(self, batch_size, **options):
            taken.append(len(batch["text"]))
            yield batch

    monkeypatch.setattr(datasets.Dataset, "iter", counted)
    next(read_sentences(folder))
    assert taken == [128, 128]  # what tells the columns apart, and the rows themselves


def test_its_fingerprint_is_that_of_its_rows(datasets, tmp_path):
    folder = saved(datasets, tmp_path / "news")
    (file,) = folder.glob("*.arrow")
    assert fingerprint(find_inputs(folder)) == [
        {
            "name": f"news/{file.name}",
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
    ]


def test_what_was_fetched_once_is_read_without_a_network(datasets, tmp_path, monkeypatch):
    """A cache as the package leaves it, under the name of a data set of the hub."""
    place = tmp_path / "cache/org___news/default/0.0.0/abc"
    place.mkdir(parents=True)
    built = datasets.Dataset.from_dict({"text": TEXTS})
    writer = datasets.arrow_writer.ArrowWriter(path=str(place / "news-train.arrow"))
    for row in built:
        writer.write(row)
    writer.finalize()
    info = datasets.DatasetInfo(
        features=built.features,
        builder_name="parquet",
        dataset_name="news",
        config_name="default",
        version="0.0.0",
        splits=datasets.splits.SplitDict.from_split_dict([{"name": "train", "num_examples": 300}]),
    )
    info.write_to_directory(str(place))
    found = list(read_sentences("hf:org/news:train"))
    assert [s.text for s in found] == TEXTS
    assert found[0].id == "hf:org/news:train:1"


def test_what_is_nowhere_is_said(datasets):
    with pytest.raises(InputError, match=r"Expected a data set at 'hf:nobody/nothing'.*network"):
        list(read_sentences("hf:nobody/nothing"))


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("hf:org/name:train", ("org/name", None, "train")),
        ("hf:org/name:en:train", ("org/name", "en", "train")),
        ("hf:org/name:train[:10]", ("org/name", None, "train[:10]")),
        ("hf:name:en:train[10:20]", ("name", "en", "train[10:20]")),
    ],
)
def test_the_hub_is_asked_for_name_config_and_split(datasets, monkeypatch, given, asked):
    calls = []

    def load(name, config, *, split):
        calls.append((name, config, split))
        return datasets.Dataset.from_dict({"text": ["one"]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    (sentence,) = read_sentences(given)
    assert calls == [asked]
    assert (sentence.id, sentence.source) == (f"{given}:1", given)


@pytest.mark.parametrize("given", ["hf:", "hf::train", "hf:a:b:c:d"])
def test_what_names_no_data_set_is_refused(given):
    with pytest.raises(InputError, match="hf:NAME:SPLIT"):
        read_sentences(given)


def test_a_name_has_no_folders_of_this_machine(tmp_path):
    (tmp_path / "news").mkdir()
    assert short_name(f"hf:{tmp_path}/news:train") == "news:train"
    assert find_inputs(f"hf:{tmp_path}/news")[0].name == "news"


def test_folders_of_one_name_cannot_be_told_apart(tmp_path):
    for place in "ab":
        (tmp_path / place / "news").mkdir(parents=True)
    with pytest.raises(InputError, match="'news:train' twice"):
        read_sentences([f"hf:{tmp_path}/{place}/news:train" for place in "ab"])


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **options):
        if name == "datasets":
            raise ImportError(name)
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'pip install "datasets>='):
        list(read_sentences("hf:org/name"))


def test_a_release_that_could_run_code_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(__version__="3.6.0"))
    with pytest.raises(InputError, match="datasets 4 or newer"):
        list(read_sentences("hf:org/name"))
