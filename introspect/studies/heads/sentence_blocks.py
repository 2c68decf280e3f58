"""Credits of relations by block of sentences, for intervals and tests that keep sentences whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from introspect.studies.analyzer import Floats, Integers, State

#: With more sentences than this, those whose hashes begin alike form a block: an interval needs no
#: more parts than these, and memory stays the same whatever the number of sentences.
MOST_BLOCKS = 256

# Bits of a hash: two sentences have the same by chance in one of four billion pairs.
_BITS = 32

#: A relation and a direction.
Key = tuple[str, str]


class BlockSums(NamedTuple):
    """What the sentences of a block add to one relation in one direction.

    Args:
        credits: ``(num_layers, num_heads)``.
        n: the same shape: the number of pairs of words that count.
        even: ``(num_layers,)``, the credit of even attention.
        even_n: the same shape: the number of its pairs.
        at_offset: the number of pairs at each offset, ``(num_layers,)`` each.
    """

    credits: Floats
    n: Integers
    even: Floats
    even_n: Integers
    at_offset: dict[int, Integers]

    def plus(self, other: BlockSums) -> BlockSums:
        """Return the sums of both."""
        offsets = dict(self.at_offset)
        for offset, count in other.at_offset.items():
            offsets[offset] = offsets.get(offset, 0) + count
        return BlockSums(
            self.credits + other.credits,
            self.n + other.n,
            self.even + other.even,
            self.even_n + other.even_n,
            offsets,
        )


def hash_of(text: str) -> int:
    """Return the number by which a sentence is assigned to a block; copies share one."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: _BITS // 8], "big")


@dataclass
class SentenceBlocks:
    """Sums by block of sentences: a sentence each, up to ``MOST_BLOCKS`` of them.

    A block is the first ``bits`` bits of the hash of a sentence. Bits are given up only as the
    number of blocks requires, so the same sentences form the same blocks, in whatever order and
    parts they come.

    Args:
        bits: the bits that are kept of each hash.
        blocks: the sums of each block, by relation and direction.
    """

    bits: int = _BITS
    blocks: dict[int, dict[Key, BlockSums]] = field(default_factory=dict)

    def add(self, number: int, key: Key, sums: BlockSums) -> None:
        """Add sums to the block with this number of ``bits`` bits."""
        block = self.blocks.setdefault(number, {})
        block[key] = block[key].plus(sums) if key in block else sums

    def add_sentence(self, text: str, sums: dict[Key, BlockSums]) -> None:
        """Add one sentence, to the block of its hash."""
        for key, of_key in sums.items():
            self.add(hash_of(text) >> (_BITS - self.bits), key, of_key)
        self._shrink()

    def merge(self, other: SentenceBlocks) -> None:
        """Add the blocks of other sentences."""
        self._keep(min(self.bits, other.bits))
        for number, block in other.blocks.items():
            for key, sums in block.items():
                self.add(number >> (other.bits - self.bits), key, sums)
        self._shrink()

    def _shrink(self) -> None:
        while len(self.blocks) > MOST_BLOCKS:
            self._keep(self.bits - 1)

    def _keep(self, bits: int) -> None:
        """Join the blocks whose first bits are the same."""
        shift, self.bits = self.bits - bits, bits
        if not shift:
            return
        blocks, self.blocks = self.blocks, {}
        for number, block in blocks.items():
            for key, sums in block.items():
                self.add(number >> shift, key, sums)

    def state(self, shape: tuple[int, int]) -> State:
        """Return all sums as arrays; ``shape`` is the numbers of layers and heads."""
        rows = [
            (number, key, self.blocks[number][key])
            for number in sorted(self.blocks)
            for key in sorted(self.blocks[number])
        ]
        places = [
            (index, offset, sums.at_offset[offset])
            for index, (_, _, sums) in enumerate(rows)
            for offset in sorted(sums.at_offset)
        ]
        layers = (len(rows), shape[0])
        return {
            "block_bits": np.array(self.bits),
            "block_numbers": np.array([number for number, *_ in rows], dtype=np.int64),
            "block_relations": np.array([key[0] for _, key, _ in rows], dtype=np.str_),
            "block_directions": np.array([key[1] for _, key, _ in rows], dtype=np.str_),
            "block_credits": np.array([s.credits for *_, s in rows]).reshape(len(rows), *shape),
            "block_n": np.array([s.n for *_, s in rows], np.int64).reshape(len(rows), *shape),
            "block_even": np.array([s.even for *_, s in rows], np.float64).reshape(layers),
            "block_even_n": np.array([s.even_n for *_, s in rows], np.int64).reshape(layers),
            "block_offset_rows": np.array([index for index, *_ in places], dtype=np.int64),
            "block_offsets": np.array([offset for _, offset, _ in places], dtype=np.int64),
            "block_offset_counts": np.array([n for *_, n in places], np.int64).reshape(
                (len(places), shape[0])
            ),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore the sums that had this state."""
        found = cls(bits=int(state["block_bits"]))
        offsets: list[dict[int, Integers]] = [{} for _ in state["block_numbers"]]
        places = (state[f"block_{name}"] for name in ("offset_rows", "offsets", "offset_counts"))
        for index, offset, counts in zip(*places, strict=True):
            offsets[index][int(offset)] = np.array(counts, dtype=np.int64)
        names = ("numbers", "relations", "directions", "credits", "n", "even", "even_n")
        rows = (state[f"block_{name}"] for name in names)
        for at_offset, number, relation, direction, *sums in zip(offsets, *rows, strict=True):
            credits, n, even, even_n = (np.array(values) for values in sums)
            of_key = BlockSums(credits, n, even, even_n, at_offset)
            found.add(int(number), (str(relation), str(direction)), of_key)
        return found
