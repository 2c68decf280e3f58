"""Examples of what a head does: its strongest rows, and a sample of texts drawn by their hashes."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from introspect.studies.analyzer import Floats, Integers, State

Bytes = npt.NDArray[np.uint8]

#: The most examples of a head's strongest rows, unless asked otherwise.
NUM_EXAMPLES = 20
#: The number of texts in the sample: for the tenths of a head's largest weights and random rows.
NUM_SAMPLED = 128
#: The rows of each sampled text that are grouped into modes.
ROWS_SAMPLED = 4


def text_hash(text: str) -> int:
    """Return the number that stands for a text: 63 bits of its SHA-256.

    Example:
        >>> text_hash("a") == text_hash("a"), text_hash("a") == text_hash("b")
        (True, False)
    """
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]) >> 1


class Example(NamedTuple):
    """One row of a head in one text.

    Args:
        weight: the weight of the query on the key.
        number: the hash of the text.
        query: the place of the query.
        key: the place of the key.
        row: the row's weights at 8 bits.
    """

    weight: float
    number: int
    query: int
    key: int
    row: bytes

    @property
    def order(self) -> tuple[float, int]:
        """Return the sort key of examples: the largest weight first, then the hash of the text."""
        return -self.weight, self.number


@dataclass(frozen=True, order=True)
class TextName:
    """A text of the corpus and the id of its row; of several rows the first in order.

    Args:
        id: the id.
        text: the text.
    """

    id: str
    text: str


@dataclass(frozen=True, eq=False)
class Sampled:
    """The rows of all heads in one text of the sample; arrays are ``(num_layers, num_heads, …)``.

    Args:
        strongest: the query and the key of the largest weight, ``(…, 2)``; -1 without any.
        weight: that weight.
        strongest_row: the row, ``(…, length)``.
        drawn: the query of a row drawn by the hash, and the head's key for it, ``(…, 2)``.
        drawn_weight: the weight on that key.
        drawn_row: that row, ``(…, length)``.
        vectors: the shares of each rule in up to ``ROWS_SAMPLED`` rows, ``(…, rows, num_rules)``.
        queries: the queries of these rows, ``(rows,)``.
    """

    strongest: Integers
    weight: Floats
    strongest_row: Bytes
    drawn: Integers
    drawn_weight: Floats
    drawn_row: Bytes
    vectors: Bytes
    queries: Integers


@dataclass
class Examples:
    """The examples of all heads, over any number of texts.

    Args:
        most: how many of a head's strongest rows are kept.
        strongest: those of each head, by the number of its layer and its own, sorted.
        sample: the texts with the smallest hashes, by hash.
        texts: the texts of all these, by hash.
    """

    most: int = NUM_EXAMPLES
    strongest: dict[tuple[int, int], list[Example]] = field(default_factory=dict)
    sample: dict[int, Sampled] = field(default_factory=dict)
    texts: dict[int, TextName] = field(default_factory=dict)

    def floor(self, head: tuple[int, int]) -> tuple[float, int]:
        """Return the order of a head's last example; what comes after it is none."""
        held = self.strongest.get(head, [])
        return held[-1].order if len(held) >= self.most else (math.inf, 0)

    def is_sampled(self, number: int) -> bool:
        """Return whether a text would be in the sample, and is not yet."""
        if number in self.sample:
            return False
        return len(self.sample) < NUM_SAMPLED or number < max(self.sample)

    def add_strongest(self, head: tuple[int, int], example: Example) -> None:
        """Add an example of a head, if it is among its strongest."""
        self._put(head, [*self.strongest.get(head, ()), example])

    def name(self, number: int, text: TextName) -> None:
        """Name the text of examples; of several rows with this text, the first in order."""
        known = self.texts.get(number)
        self.texts[number] = text if known is None else min(known, text)

    def add_sampled(self, number: int, sampled: Sampled) -> None:
        """Add a text to the sample."""
        self.sample[number] = sampled

    def merge(self, other: Examples) -> None:
        """Add the examples of other texts."""
        for head, examples in other.strongest.items():
            self._put(head, [*self.strongest.get(head, ()), *examples])
        self.sample |= other.sample
        for number, text in other.texts.items():
            self.name(number, text)
        self.trim()

    def trim(self) -> None:
        """Forget the texts that no example is from any more."""
        self.sample = {n: self.sample[n] for n in heapq.nsmallest(NUM_SAMPLED, self.sample)}
        used = {example.number for held in self.strongest.values() for example in held}
        used |= self.sample.keys()
        self.texts = {number: self.texts[number] for number in sorted(used)}

    def _put(self, head: tuple[int, int], examples: Iterable[Example]) -> None:
        # One of each text: a copy of it has the same row.
        alone = {example.number: example for example in examples}
        held = heapq.nsmallest(self.most, alone.values(), key=lambda each: each.order)
        self.strongest[head] = held

    def state(self) -> State:
        """Return everything as arrays."""
        held = [(head, each) for head in sorted(self.strongest) for each in self.strongest[head]]
        numbers = sorted(self.texts)
        return {
            "example_heads": np.array([head for head, _ in held], np.int64).reshape(-1, 2),
            "example_places": np.array([(e.query, e.key) for _, e in held], np.int64).reshape(
                -1, 2
            ),
            "example_weights": np.array([e.weight for _, e in held], np.float64),
            "example_texts": np.array([e.number for _, e in held], np.int64),
            **_packed("example_rows", [e.row for _, e in held]),
            "text_numbers": np.array(numbers, np.int64),
            **_packed("text_ids", [_bytes(self.texts[n].id) for n in numbers]),
            **_packed("texts", [_bytes(self.texts[n].text) for n in numbers]),
            **_sample_state(self.sample),
        }

    @classmethod
    def from_state(cls, state: State, most: int) -> Examples:
        """Restore the examples that had this state."""
        found = cls(most)
        columns = (
            map(tuple, state["example_heads"].tolist()),
            state["example_weights"].tolist(),
            state["example_texts"].tolist(),
            state["example_places"].tolist(),
            _unpacked(state, "example_rows"),
        )
        for head, weight, number, (query, key), row in zip(*columns, strict=True):
            found.strongest.setdefault(head, []).append(Example(weight, number, query, key, row))
        ids, texts = _unpacked(state, "text_ids"), _unpacked(state, "texts")
        for number, name, text in zip(state["text_numbers"].tolist(), ids, texts, strict=True):
            found.texts[number] = TextName(_text(name), _text(text))
        found.sample = dict(_sample_from(state))
        return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _packed(name: str, parts: list[bytes]) -> State:
    """Return pieces of bytes as one array and the length of each."""
    return {
        name: np.frombuffer(b"".join(parts), np.uint8),
        f"{name}_lengths": np.array([len(part) for part in parts], np.int64),
    }


def _unpacked(state: State, name: str) -> list[bytes]:
    content = state[name].tobytes()
    ends = np.cumsum(state[f"{name}_lengths"]).tolist()
    starts = [0, *ends][: len(ends)]
    return [content[start:end] for start, end in zip(starts, ends, strict=True)]


_PARTS = (
    ("strongest", np.int64), ("weight", np.float64), ("strongest_row", np.uint8),
    ("drawn", np.int64), ("drawn_weight", np.float64), ("drawn_row", np.uint8),
    ("vectors", np.uint8), ("queries", np.int64),
)  # fmt: skip


def _sample_state(sample: dict[int, Sampled]) -> State:
    numbers = sorted(sample)
    state: State = {"sampled": np.array(numbers, np.int64)}
    for name, kind in _PARTS:
        arrays: list[npt.NDArray[Any]] = [getattr(sample[number], name) for number in numbers]
        flat = [array.astype(kind).ravel() for array in arrays]
        state[f"sampled_{name}"] = np.concatenate([np.zeros(0, kind), *flat])
        rank = max([array.ndim for array in arrays], default=1)
        shapes = np.array([array.shape for array in arrays], np.int64)
        state[f"sampled_{name}_shapes"] = shapes.reshape(len(arrays), rank)
    return state


def _sample_from(state: State) -> Iterator[tuple[int, Sampled]]:
    numbers = state["sampled"].tolist()
    columns = []
    for name, _ in _PARTS:
        shapes = state[f"sampled_{name}_shapes"]
        ends = np.cumsum(shapes.prod(-1))[:-1].tolist() if len(shapes) else []
        parts = np.split(state[f"sampled_{name}"], ends)
        columns.append(
            [part.reshape(shape) for part, shape in zip(parts, shapes.tolist(), strict=False)]
        )
    for number, *parts in zip(numbers, *columns, strict=True):
        yield number, Sampled(*parts)
