"""Hostile sizes: time and memory that grow no faster than the input, or a limit in one line."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import regex

import introspect
import introspect as ix
from introspect.data import InputSet, read_texts
from introspect.data.json_rows import MOST_NESTED
from introspect.data.jsonl import object_from_json
from introspect.data.published import read_clusters, read_corefud
from introspect.errors import MentionError
from introspect.functional import MentionWords
from introspect.io import RowError
from introspect.studies.analyzer import Texts
from introspect.studies.coreference.batch import CaseBatch
from introspect.text.mentions import MOST_CANDIDATES
from tests.views.samples import record_of

ROOT = Path(introspect.__file__).parent
#: A pattern that looks at each character a few times needs milliseconds; one that looks at all of
#: them for each, seconds.
LENGTH = 12_000
SECONDS = 0.7
USES = "match|search|fullmatch|finditer|sub|split"
RUNS = [*" a1.'([#:_", "\u0301", "\u200d", "中", "(a", ": "]
BEGINNINGS = ["", "(", "[", "1 a", "# text = ", "# begin document ", "# newdoc id = ", "the "]


def patterns() -> Iterator[tuple[str, Any]]:
    """Each way in which a compiled pattern of the package is used, by its name."""
    for module in pkgutil.walk_packages(introspect.__path__, "introspect."):
        is_of_app = ".app" in module.name
        if module.name.endswith("__main__") or (is_of_app and not find_spec("streamlit")):
            continue
        loaded = importlib.import_module(module.name)
        source = Path(str(loaded.__file__)).read_text(encoding="utf-8")
        for name, value in vars(loaded).items():
            if isinstance(value, re.Pattern | regex.Pattern):
                for use in set(re.findall(rf"\b{name}\.({USES})\(", source)):
                    yield f"{module.name}.{name}.{use}", value


def applied(pattern: Any, use: str, words: str) -> None:
    text: Any = words if isinstance(pattern.pattern, str) else words.encode()
    if use == "sub":
        pattern.sub(text[:0], text)
    elif use == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, use)(text)


def test_no_pattern_takes_longer_than_its_text_is_long():
    known = dict(patterns())
    assert len(known) > 40
    slow = []
    for name, pattern in known.items():
        for run in RUNS:
            began = time.thread_time()
            for beginning in BEGINNINGS:
                text = beginning + run * (LENGTH // len(run)) + "\0"
                applied(pattern, name.rpartition(".")[2], text)
            if time.thread_time() - began > SECONDS:
                slow.append((name, run))
    assert slow == []


@pytest.mark.parametrize("ending", ["txt", "csv", "tsv"])
def test_a_line_of_spaces_costs_no_more_than_its_length(ending, tmp_path):
    file = tmp_path / f"a.{ending}"
    file.write_text(f"The cat{' ' * 100_000}sat.\nThe dog ran away.\n", encoding="utf-8")
    began = time.thread_time()
    assert len(read_texts(InputSet(file))) == 2
    assert time.thread_time() - began < 2


def test_a_case_has_so_many_candidates_and_no_more():
    words = [f"w{number}" for number in range(9_000)]
    text = f"{' '.join(words)} it"
    with pytest.raises(MentionError, match=r"at most 1,000 candidates.*got 8,999.*farthest"):
        ix.CorefCase.from_words(text, pronoun="it", distractors=words[1:])
    most = ix.CorefCase.from_words(text, pronoun="it", distractors=words[:MOST_CANDIDATES])
    assert len(most.candidates) == MOST_CANDIDATES
    spans = [ix.Candidate((0, 2))] * (MOST_CANDIDATES + 1)
    with pytest.raises(MentionError, match="at most 1,000 candidates"):
        ix.CorefCase(text, (len(text) - 2, len(text)), tuple(spans))


def test_words_of_overlapping_candidates_stand_once():
    """The attention between words grows with the square of their number."""
    record = record_of(" ".join(f"w{number}" for number in range(100)) + " it")
    text = record.keys.texts[0]
    long = [ix.Candidate((0, len(text) - 3 - number), number == 0) for number in range(200)]
    case = ix.CorefCase(text, (len(text) - 2, len(text)), tuple(long), id="long")
    batch = CaseBatch.of(Texts((record.keys,), (case,)))
    assert isinstance(batch.words, MentionWords)
    assert len(batch.words.words[0]) <= len(record.keys)
    assert sum(len(places) for places in batch.places[0]) > 10_000


def clusters_of(number: int) -> dict[str, Any]:
    """A document of so many clusters, of a noun and the pronoun after it, in one sentence."""
    words = [word for place in range(number) for word in (f"dog{place}", "saw", "it", ".")]
    clusters = [[[at, at], [at + 2, at + 2]] for at in range(0, len(words), 4)]
    return {"doc_key": "d", "sentences": [words], "clusters": clusters}


def test_every_case_of_a_document_holds_its_text_which_is_bounded(tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps(clusters_of(500)) + "\n", encoding="utf-8")
    assert all(isinstance(case, ix.CorefCase) for case in read_clusters(file))
    file.write_text(json.dumps(clusters_of(2_000)) + "\n", encoding="utf-8")
    left_out = list(read_clusters(file))
    assert len(left_out) == 2_000
    assert {each.kind for each in left_out} == {"long_sentence"}
    assert "has 8,000 words, more than 2,000" in left_out[0].reason


def test_mentions_in_a_text_are_bounded(tmp_path):
    file = tmp_path / "d.jsonl"
    ends = [[at % 290, at % 290 + at // 290 % 9] for at in range(6_000)]
    document = {"doc_key": "d", "sentences": [["w"] * 300 + ["it", "."]], "clusters": [ends]}
    document["clusters"].append([[300, 300]])
    file.write_text(json.dumps(document) + "\n", encoding="utf-8")
    (left_out,) = read_clusters(file)
    assert left_out.kind == "many_mentions" and "6,000 mentions" in left_out.reason


def test_mentions_within_mentions_cost_no_more_than_their_number(tmp_path):
    """Of all mentions in a document, each begins before and ends after the next one."""
    file, number = tmp_path / "d.conllu", 6_000
    opened = [f"(e{place}-x" for place in range(number // 2)]
    brackets = [*opened, *(f"e{number // 2 - 1 - place})" for place in range(number // 2))]
    lines = [
        f"{at}\tw\tw\tX\t_\t_\t_\t_\t_\tEntity={bracket}"
        for at, bracket in enumerate(brackets, start=1)
    ]
    lines += [f"{number + 1}\tit\tit\tPRON\t_\t_\t_\t_\t_\tEntity=(last-x)", ""]
    file.write_text("\n".join(["# global.Entity = eid-etype", *lines, ""]), encoding="utf-8")
    began = time.thread_time()
    (left_out,) = read_corefud(file)
    assert left_out.kind == "long_sentence" and time.thread_time() - began < 2


def nested(depth: int, kind: str) -> str:
    opening, closing = {"list": ("[", "]"), "object": ('{"a":', "}")}[kind]
    return f'{{"text": "A cat.", "more": {opening * depth}1{closing * depth}}}'


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("depth", [MOST_NESTED + 1, 5_000, 200_000])
def test_deep_json_is_refused_in_one_line(kind, depth):
    with pytest.raises(RowError, match="in at most 100 others") as refused:
        object_from_json(nested(depth, kind))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["list", "object"])
def test_json_that_is_not_too_deep_is_read(kind):
    assert object_from_json(nested(MOST_NESTED, kind))["text"] == "A cat."


def test_a_repeated_key_is_found_among_many():
    keys = ", ".join(f'"k{number}": 1' for number in range(50_000))
    began = time.thread_time()
    with pytest.raises(RowError, match="'last' several times"):
        object_from_json(f'{{{keys}, "last": 1, "last": 2}}')
    assert time.thread_time() - began < 2
    assert json.loads(f"{{{keys}}}")
