"""What hostile inputs cost: time and memory of each input whose size is bounded.

    python -m benchmarks.bounds

Each input is read, or refused, in a process of its own, once as large as named and once half as
large: a cost that grows no faster than the input at most doubles, and a refusal costs next to
nothing. Printed are the seconds of one processor, the memory on top of what the process had before,
and the result: what was made of the input, or the first words of the refusal.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import introspect as ix
from introspect.data import read_texts
from introspect.data.jsonl import object_from_json
from introspect.data.published import read_clusters, read_conll2012, read_corefud
from introspect.errors import IntrospectError
from introspect.text import counted

#: Runs an input of a size in a folder; returns what was made of it.
Run = Callable[[int, Path], str]


def long_candidates(number: int, folder: Path) -> str:
    """Score a case whose candidates are almost the whole text."""
    text = f"{' '.join(f'the dog {place % 10}' for place in range(100))} it"
    ends = [len(text) - 3 - place for place in range(number)]
    candidates = tuple(ix.Candidate((0, end), place == 0) for place, end in enumerate(ends))
    case = ix.CorefCase(text, (len(text) - 2, len(text)), candidates, id="long")
    return counted(len(ix.score("minilm", [case]).cases), "row")


def distractors(number: int, folder: Path) -> str:
    """Make a case of so many distractors."""
    words = [f"w{place}" for place in range(number)]
    case = ix.CorefCase.from_words(f"{' '.join(words)} it", pronoun="it", distractors=words)
    return counted(len(case.candidates), "candidate")


def spaces(number: int, folder: Path) -> str:
    """Read a line with so many spaces in it."""
    file = folder / "a.txt"
    file.write_text(f"The cat{' ' * number}sat.\n", encoding="utf-8")
    return counted(len(read_texts(file)), "text")


def deep_json(number: int, folder: Path) -> str:
    """Read JSON that is nested so deep."""
    object_from_json(f'{{"text": "A cat.", "more": {"[" * number}1{"]" * number}}}')
    return "read"


def many_keys(number: int, folder: Path) -> str:
    """Read an object of so many keys."""
    keys = ", ".join(f'"k{place}": 1' for place in range(number))
    return counted(len(object_from_json(f"{{{keys}}}")), "key")


def clusters(number: int, folder: Path) -> str:
    """Read a document of so many clusters of a noun and a pronoun, in sentences."""
    return _clusters(number, folder, in_sentences=True)


def clusters_in_a_sentence(number: int, folder: Path) -> str:
    """Read a document of so many clusters in one sentence, which every case would hold."""
    return _clusters(number, folder, in_sentences=False)


def _clusters(number: int, folder: Path, *, in_sentences: bool) -> str:
    sentences = [[f"dog{place}", "saw", "it", "."] for place in range(number)]
    document = {
        "sentences": sentences
        if in_sentences
        else [[word for sentence in sentences for word in sentence]],
        "clusters": [[[at, at], [at + 2, at + 2]] for at in range(0, 4 * number, 4)],
    }
    file = folder / "d.jsonl"
    file.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return _outcomes(read_clusters(file))


def mentions(number: int, folder: Path) -> str:
    """Read a document with so many mentions in a text of 300 words."""
    ends = [[at % 290, at % 290 + at // 290 % 9] for at in range(number)]
    document = {"sentences": [["w"] * 300 + ["it", "."]], "clusters": [ends, [[300, 300]]]}
    file = folder / "d.jsonl"
    file.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return _outcomes(read_clusters(file))


def nested_mentions(number: int, folder: Path) -> str:
    """Read trees in which each of so many mentions holds the next."""
    half = number // 2
    brackets = [*(f"(e{at}-x" for at in range(half)), *(f"e{half - 1 - at})" for at in range(half))]
    lines = [f"{at + 1}\tw\tw\tX\t_\t_\t_\t_\t_\tEntity={b}" for at, b in enumerate(brackets)]
    file = folder / "d.conllu"
    file.write_text("\n".join(["# global.Entity = eid-etype", *lines, "", ""]), encoding="utf-8")
    return _outcomes(read_corefud(file))


def conll_documents(number: int, folder: Path) -> str:
    """Read a document of CoNLL-2012 with so many clusters."""
    lines = ["#begin document (d); part 000"]
    for place in range(number):
        words = [("dog", f"({place})"), ("saw", "-"), ("it", f"({place})"), (".", "-")]
        lines += [f"d 0 {at} {word} - * - - - A * {cell}" for at, (word, cell) in enumerate(words)]
        lines.append("")
    file = folder / "d.conll"
    file.write_text("\n".join([*lines, "#end document", ""]), encoding="utf-8")
    return _outcomes(read_conll2012(file))


def _outcomes(outcomes: Iterable[object]) -> str:
    kinds: dict[str, int] = {}
    for outcome in outcomes:
        kind = str(getattr(outcome, "kind", "case"))
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{number:,} × {kind}" for kind, number in kinds.items())


#: What is measured, and the larger of its two sizes.
INPUTS: dict[str, tuple[Run, int]] = {
    "long candidates of a case": (long_candidates, 200),
    "distractors of a case": (distractors, 9_000),
    "spaces in a line": (spaces, 100_000),
    "levels of JSON": (deep_json, 200_000),
    "keys of an object": (many_keys, 50_000),
    "clusters of a document": (clusters, 4_000),
    "clusters in one sentence": (clusters_in_a_sentence, 4_000),
    "mentions in one text": (mentions, 40_000),
    "mentions within mentions": (nested_mentions, 8_000),
    "clusters in CoNLL-2012": (conll_documents, 4_000),
}


def _measured(
    run: Run, size: int, answer: multiprocessing.SimpleQueue[tuple[float, float, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _result(run, 2, Path(folder))  # loads what it needs, such as a model
        before, began = _peak(), time.process_time()
        result = _result(run, size, Path(folder))
        answer.put((time.process_time() - began, _peak() - before, result))


def _result(run: Run, size: int, folder: Path) -> str:
    try:
        return run(size, folder)
    except IntrospectError as error:
        return f"refused: {error}"


def _peak() -> float:
    """Return the most memory that this process has had, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measured(run: Run, size: int) -> tuple[float, float, str]:
    """Run an input in a process of its own; return its seconds, its MB and its result."""
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.SimpleQueue[tuple[float, float, str]] = context.SimpleQueue()
    process = context.Process(target=_measured, args=(run, size, answer))
    process.start()
    result = answer.get()
    process.join()
    return result


def main() -> None:
    """Print a row for each input and size."""
    print(f"{'input':28}{'size':>9}{'seconds':>9}{'MB':>7}  result")
    for name, (run, most) in INPUTS.items():
        for size in (most // 2, most):
            seconds, memory, result = measured(run, size)
            print(f"{name:28}{size:9,}{seconds:9.2f}{memory:7.0f}  {result[:70]}", flush=True)


if __name__ == "__main__":
    main()
