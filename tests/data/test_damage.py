"""Files that cannot be read, are truncated or damaged, and streams read as they come."""

from __future__ import annotations

import io
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from introspect.data import read_sentences
from introspect.errors import InputError
from introspect.io import lines as shared
from introspect.io import read_lines
from tests.data.sentence_helpers import (
    CODECS,
    FILES,
    WRITERS,
    Counted,
    as_parquet,
    as_stdin,
    as_txt,
    packed,
    split,
    written,
)


@pytest.mark.parametrize(
    ("name", "content", "kind", "line", "reason"),
    [
        ("a.txt", b"one\n\nthree\n", "empty", 2, "an empty one"),
        ("a.txt", b"one\n \t\nthree\n", "empty", 2, "an empty one"),
        ("a.txt", b"one\ncaf\xe9\nthree\n", "encoding", 2, "byte 0xE9 at character 3"),
        ("a.txt", b"one\na\0b\nthree\n", "nul", 2, "a NUL at character 1"),
        ("a.csv", b"text\none\n\nthree\n", "empty", 3, "an empty one"),
        ("a.csv", b"text,n\none,1\n,2\nthree,3\n", "empty", 3, "an empty one"),
        ("a.csv", b"text,n\none,1\ntwo\nthree,3\n", "columns", 3, "Expected 2 columns, got 1"),
        ("a.tsv", b"text\tn\none\t1\n\nthree\t3\n", "empty", 3, "an empty one"),
        ("a.jsonl", b'{"text":"one"}\n{"text":\n{"text":"three"}\n', "json", 2, "Expected JSON"),
        ("a.jsonl", b'{"text":"one"}\n\n{"text":"three"}\n', "empty", 2, "an empty line"),
        ("a.jsonl", b'{"text":"one"}\n["two"]\n{"text":"three"}\n', "type", 2, "an object"),
        ("a.jsonl", b'{"text":"one"}\n{"t":"x"}\n{"text":"three"}\n', "missing_key", 2, "'text'"),
        ("a.jsonl", b'{"text":"one"}\n{}\n{"text":"three"}\n', "missing_key", 2, "with keys"),
        ("a.jsonl", b'{"text":"one"}\n{"text":null}\n{"text":"three"}', "type", 2, "got nothing"),
        ("a.jsonl", b'{"text":"one"}\n{"text":5}\n{"text":"three"}', "type", 2, "the number 5"),
        ("a.jsonl", b'{"text":"one"}\n{"text":"\\u0000"}\n{"text":"three"}', "nul", 2, "NUL"),
        (
            "a.jsonl",
            b'{"text":"one"}\n{"text":"\\ud800"}\n{"text":"three"}',
            "character",
            2,
            "half",
        ),
        ("a.parquet", as_parquet(["one", None, "three"]), "type", 2, "got nothing"),
        ("a.parquet", as_parquet(["one", " ", "three"]), "empty", 2, "an empty one"),
        ("a.parquet", as_parquet(["one", "a\0b", "three"]), "nul", 2, "NUL at character 1"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    tmp_path, name, content, kind, line, reason
):
    path = written(tmp_path, name, content)
    sentences, (reject,) = split(read_sentences(path))
    assert [sentence.text for sentence in sentences] == ["one", "three"]
    assert (reject.source, reject.line, reject.kind) == (str(path), line, kind)
    assert reason in reject.reason


@pytest.mark.parametrize(
    ("format", "ending"),
    [
        pytest.param(*file, marks=[pytest.mark.slow] if file[0] == "parquet" else [])
        for file in FILES
        if file[0] in ("txt", "jsonl", "parquet")
    ],
)
def test_a_text_of_ten_megabytes_is_rejected_without_being_kept(tmp_path, format, ending):
    content = WRITERS[format](["one", "x" * (shared.LONGEST_LINE + 1), "three"])
    content = packed(content, CODECS[ending]) if ending else content
    path = written(tmp_path, f"a.{format}{ending}", content)
    sentences, (reject,) = split(read_sentences(path))
    assert [sentence.text for sentence in sentences] == ["one", "three"]
    assert (reject.line, reject.kind) == (2, "too_long")
    assert len(reject.row) <= shared.ROW_LENGTH + 1


def test_ten_megabytes_count_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("introspect.data.sentences.LONGEST_LINE", 10)
    path = written(tmp_path, "a.parquet", as_parquet(["ééééé", "éééééé", "x" * 10, "x" * 11]))
    sentences, rejects = split(read_sentences(path))
    assert [s.line for s in sentences] == [1, 3]
    assert [(r.line, r.kind) for r in rejects] == [(2, "too_long"), (4, "too_long")]


def test_parquet_that_is_not_utf_8_is_named_and_the_rest_goes_on(tmp_path):
    values = pa.array([b"one", b"caf\xe9", b"three"]).view(pa.string())
    pq.write_table(pa.table({"text": values}), tmp_path / "a.parquet")
    sentences, (reject,) = split(read_sentences(tmp_path / "a.parquet"))
    assert [sentence.text for sentence in sentences] == ["one", "three"]
    assert (reject.line, reject.kind, reject.row) == (2, "encoding", "caf\ufffd")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.txt.gz", "a.txt.zst"])
def test_an_empty_file_is_one_reject(tmp_path, name):
    path = written(tmp_path, name, b"")
    (reject,) = read_sentences(path)
    assert (reject.line, reject.kind) == (0, "empty")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b"text\n"), ("a.txt.gz", packed(b"", "gzip")), ("a.parquet", as_parquet([]))],
)
def test_a_file_without_sentences_is_one_reject(tmp_path, name, content):
    (reject,) = read_sentences(written(tmp_path, name, content))
    assert (reject.line, reject.kind) == (0, "empty")


# Numbers in words that do not repeat, so that each packs into more than a few bytes.
MANY = [f"sentence {i} is {i * i * 7919 % 1_000_003}" for i in range(40_000)]


@pytest.mark.parametrize(("ending", "codec"), CODECS.items())
@pytest.mark.parametrize("format", ["txt", "csv", "tsv", "jsonl"])
def test_of_a_file_cut_off_all_whole_lines_are_read(tmp_path, format, ending, codec):
    content = packed(WRITERS[format](MANY), codec)
    path = written(tmp_path, f"a.{format}{ending}", content[: len(content) // 2])
    sentences, (reject,) = split(read_sentences(path))
    assert [s.text for s in sentences] == MANY[: len(sentences)]
    assert 100 < len(sentences) < len(MANY)
    assert (reject.line, reject.kind) == (sentences[-1].line + 1, "damaged")
    assert "truncated or damaged" in reject.reason and codec in reject.reason


def test_a_cut_loses_no_byte_that_could_be_read(tmp_path):
    import zlib

    content = packed(as_txt(MANY), "gzip")[:-1000]
    whole = zlib.decompressobj(31).decompress(content)
    path = written(tmp_path, "a.txt.gz", content)
    sentences, (reject,) = split(read_sentences(path))
    assert len(sentences) == whole.count(b"\n")
    assert reject.row == whole.decode().splitlines()[-1]


@pytest.mark.parametrize(("ending", "codec"), CODECS.items())
def test_bytes_that_changed_are_found(tmp_path, ending, codec):
    content = bytearray(packed(as_txt(MANY), codec))
    content[len(content) // 2] ^= 0xFF
    path = written(tmp_path, f"a.txt{ending}", bytes(content))
    *_, last = read_sentences(path)
    assert last.kind == "damaged"


def test_what_is_not_compressed_at_all_is_damaged(tmp_path):
    (reject,) = read_sentences(written(tmp_path, "a.txt.gz", b"plain\n"))
    assert (reject.line, reject.kind) == (1, "damaged")


def test_a_cut_within_the_names_of_columns_is_damage_too(tmp_path):
    whole = packed(as_txt(["a" * 5000 + ",text", "x,one"]), "gzip")
    (reject,) = read_sentences(written(tmp_path, "a.csv.gz", whole[: len(whole) // 2]))
    assert (reject.line, reject.kind) == (1, "damaged")


def test_damaged_parquet_is_a_reject_and_the_next_file_is_read(tmp_path):
    content = as_parquet(MANY)
    written(tmp_path, "a.parquet", content[:-100])
    written(tmp_path, "b.parquet", as_parquet(["fine"]))
    sentences, (reject,) = split(read_sentences(tmp_path))
    assert (reject.line, reject.kind) == (0, "damaged")
    assert [sentence.text for sentence in sentences] == ["fine"]


def test_parquet_damaged_in_the_middle_is_read_up_to_there(tmp_path):
    target = io.BytesIO()
    table = pa.table({"text": MANY})
    pq.write_table(table, target, row_group_size=1000, use_dictionary=False)
    content = bytearray(target.getvalue())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path = written(tmp_path, "a.parquet", bytes(content))
    sentences, (reject,) = split(read_sentences(path))
    assert [s.text for s in sentences] == MANY[: len(sentences)]
    assert 1000 < len(sentences) < len(MANY)
    assert (reject.line, reject.kind) == (len(sentences) + 1, "damaged")


def test_a_disk_that_fails_while_reading_is_an_error():
    with pytest.raises(InputError, match="Expected .*'/proc/self/mem'"):
        list(read_sentences("/proc/self/mem", format="txt"))


# --- streaming --------------------------------------------------------------------------------

# Each line has a digest in it, so that compression does not make it vanish.
BLOCK = b"".join(sha256(b"%d" % i).hexdigest().encode() + b"\n" for i in range(1000))


@pytest.mark.parametrize("codec", [None, *CODECS.values()])
def test_standard_input_is_read_no_further_than_a_buffer(monkeypatch, codec):
    def blocks():
        for i in range(3000):
            yield BLOCK if codec is None else packed(b"%d\n" % i + BLOCK, codec)

    stream = Counted(blocks())
    as_stdin(monkeypatch, stream)
    sentences = read_lines("-")
    next(sentences)
    ahead = stream.taken
    assert ahead <= 1 << 18
    for _ in range(50_000):
        next(sentences)
    size = len(BLOCK if codec is None else packed(b"0\n" + BLOCK, codec))
    assert stream.taken <= ahead + 51 * size + (1 << 18) < 3000 * size


@pytest.mark.slow
def test_a_line_without_end_is_not_kept(monkeypatch):
    """300 MB in one line: less than a sixth of it is ever held."""
    import tracemalloc

    def blocks():
        for _ in range(300):
            yield b"x" * 1_000_000
        yield b"\nlast\n"

    as_stdin(monkeypatch, Counted(blocks()))
    tracemalloc.start()
    try:
        sentences, (reject,) = split(read_sentences("-", format="txt"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (reject.kind, sentences[0].text) == ("too_long", "last")
    assert peak < 50_000_000


def test_parquet_is_read_by_a_few_rows(tmp_path, monkeypatch):
    path = written(tmp_path, "a.parquet", as_parquet(MANY))
    batches = []
    original = pq.ParquetFile.iter_batches

    def counted(self, *args, **options):
        for batch in original(self, *args, **options):
            batches.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    sentences = read_sentences(path)
    next(sentences)
    assert batches == [128, 128]  # what tells the columns apart, and the rows themselves
    for _ in range(1000):
        next(sentences)
    assert sum(batches) <= 1001 + 2 * 128
