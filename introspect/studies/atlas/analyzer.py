"""What every head does on a corpus, added up batch by batch within a bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from introspect.data import Sentence
from introspect.errors import InputError
from introspect.functional import visible_offsets
from introspect.records import TokenSequence
from introspect.studies.analyzer import (
    LayerByLayer,
    State,
    Texts,
    check_one_model,
)
from introspect.studies.atlas.entries import ENTRIES, EntryCounts
from introspect.studies.atlas.examples import (
    NUM_EXAMPLES,
    ROWS_SAMPLED,
    Example,
    Examples,
    Sampled,
    TextName,
    text_hash,
)
from introspect.studies.atlas.row_figures import (
    BINS,
    MEASURES,
    MeasureSums,
    Rows,
    RuleSums,
    TextMasks,
    measured_rows,
    quantized,
)
from introspect.studies.atlas.rule_text import RuleText
from introspect.studies.atlas.rules import RULES, Rule
from introspect.studies.atlas.tags import Tags

#: The blocks that texts are divided into by their hashes: half of them find, half of them check.
BLOCKS = 64
#: A row counts as a use of its query and its key if its largest weight is at least this.
STRONG = 0.3


class _Sums(NamedTuple):
    """Totals by block, layer and head.

    Args:
        covered: ``(BLOCKS, num_layers, num_heads, num_rules)``, as in ``RuleSums``.
        weight: the same shape.
        even: the same shape.
        hits: ``(2, num_layers, num_heads, num_rules)``: of the finding and the checking half.
        n: the same shape.
        total: ``(BLOCKS, num_layers, num_heads)``, as in ``RuleSums``.
        sums: ``(num_layers, num_heads, num_measures)``, as in ``MeasureSums``.
        measured: the same shape: the number of rows.
        histogram: ``(num_layers, num_heads, num_measures, BINS)``.
    """

    covered: Any
    weight: Any
    even: Any
    hits: Any
    n: Any
    total: Any
    sums: Any
    measured: Any
    histogram: Any


class _Seen(NamedTuple):
    """What one layer gives of one text."""

    rules: RuleSums
    measures: MeasureSums
    keys: Any
    queries: Any
    examples: list[tuple[int, Example]]
    sampled: tuple[Any, ...] | None


@dataclass
class _Text:
    """A text of the batch, prepared for all layers."""

    tokens: TokenSequence
    number: int
    name: TextName
    text: RuleText
    is_sampled: bool
    masks: TextMasks | None = None
    visible: torch.Tensor | None = None
    apart: Any = False

    @property
    def length(self) -> int:
        return len(self.tokens)

    def masks_of(self, visible: torch.Tensor, rules: dict[str, Rule]) -> TextMasks:
        """Return the masks of the text; most models have one mask for all layers."""
        if self.masks is None or not torch.equal(self.visible, visible):  # type: ignore[arg-type]
            self.masks, self.visible = TextMasks.of(self.text, rules, visible), visible
            self.apart = self.apart | self.masks.apart
        return self.masks


@dataclass
class AtlasAnalyzer(LayerByLayer[list[_Seen]]):
    """What every head does on any number of texts: rules, distributions, entries and examples.

    One pass over all texts, any division into batches, and any merge of parts in any order give the
    same to the last bit. Memory does not grow with the number of texts, but for the vocabulary
    entries that occur.

    Args:
        examples: how many of a head's strongest rows are kept.
        rules: further rules beside those of the package, by name.
        pos: parts of speech of texts that come without.
    """

    examples: int = NUM_EXAMPLES
    rules: Mapping[str, Rule] = field(default_factory=dict)
    pos: Tags = field(default_factory=Tags)
    takes_masks: bool = True
    _layers: tuple[int, ...] = ()
    _sums: _Sums | None = None
    _num_texts: int = 0
    _num_rows: int = 0
    _visible: torch.Tensor | None = None
    _place: int = 0

    def __post_init__(self) -> None:
        self.all_rules: dict[str, Rule] = {**RULES, **self.rules}
        self.kept = Examples(self.examples)
        self.keys, self.queries, self.entries = EntryCounts(), EntryCounts(), EntryCounts()
        self._apart = np.zeros((len(self.all_rules),) * 2, dtype=bool)
        self._begun_texts: list[_Text] = []

    def begin(self, texts: Texts) -> None:
        """Start a batch, and discard any unfinished one."""
        super().begin(texts)
        self._begun_texts = []
        ids = texts.ids or ("",) * len(texts)
        for tokens, item, name in zip(texts.sequences, texts.items, ids, strict=True):
            shown = tokens.texts[0] if tokens.texts else " ".join(tokens.tokens)
            number = text_hash(shown)
            self._begun_texts.append(
                _Text(
                    tokens,
                    number,
                    TextName(name, shown),
                    RuleText.read(tokens, item, self._tree_of(item, shown)),
                    self.kept.is_sampled(number),
                )
            )

    def _tree_of(self, item: Any, text: str) -> Sentence | None:
        return None if isinstance(item, Sentence) else self.pos.of_text(text)

    def see(
        self, layer: int, attentions: torch.Tensor, visible: torch.Tensor | None = None
    ) -> None:
        """Process one layer of the batch.

        Args:
            layer: its number in the model.
            attentions: ``(batch, num_heads, length, length)``.
            visible: ``(batch or 1, 1, length, length)``, bool: the keys that the mask lets each
                query see; by default the band in which any head gives weight.
        """
        self._visible, self._place = visible, len(self._reduced or {})
        super().see(layer, attentions)

    def _reduce(self, texts: Texts, attentions: torch.Tensor) -> list[_Seen]:
        visible = self._seen_by(texts, attentions)
        return [
            self._measure(text, attentions[i, :, : text.length, : text.length], visible[i])
            for i, text in enumerate(self._begun_texts)
        ]

    def _seen_by(self, texts: Texts, attentions: torch.Tensor) -> list[torch.Tensor]:
        if self._visible is not None:
            masks = self._visible[:, 0].cpu().expand(len(texts), -1, -1)
            return [mask[:n, :n] for mask, n in zip(masks, texts.lengths, strict=True)]
        lowest, highest = visible_offsets(attentions, texts.lengths)
        found = []
        for low, high, length in zip(lowest, highest, texts.lengths, strict=True):
            between = torch.arange(length) - torch.arange(length)[:, None]
            found.append((low <= between) & (between <= high))
        return found

    def _measure(self, text: _Text, pattern: torch.Tensor, visible: torch.Tensor) -> _Seen:
        masks = text.masks_of(visible, self.all_rules)
        rows = measured_rows(pattern, masks)
        ids = text.text.ids
        keys = rows.best.numpy()
        strong = (rows.best >= 0) & (rows.largest >= STRONG)
        heads = np.arange(len(keys))[:, None] * ENTRIES
        is_known = strong.numpy() & (ids[keys] >= 0)
        queries = np.broadcast_to(ids[masks.rows.numpy()], keys.shape)
        return _Seen(
            rows.rules,
            rows.measures,
            (heads + ids[keys])[is_known],
            (heads + queries)[strong.numpy() & (queries >= 0)],
            list(self._strongest(text, pattern, masks, rows, self._place)),
            _sampled(text, pattern, masks, rows) if text.is_sampled else None,
        )

    def _strongest(
        self,
        text: _Text,
        pattern: torch.Tensor,
        masks: TextMasks,
        rows: Rows,
        place: int,
    ) -> Any:
        """Yield the examples of heads for which this text has one of the strongest rows."""
        if not len(masks.rows):
            return
        values, at = rows.outside.max(-1)
        for head, (value, row) in enumerate(zip(values.tolist(), at.tolist(), strict=True)):
            if value > 0 and (-value, text.number) <= self.kept.floor((place, head)):
                query, key = int(masks.rows[row]), int(rows.outside_key[head, row])
                content = quantized(pattern[head, query]).tobytes()
                yield head, Example(value, text.number, query, key, content)

    def _add(self, texts: Texts, reduced: Mapping[int, list[_Seen]]) -> None:
        layers = tuple(reduced)
        by_layer = list(reduced.values())
        num_heads = by_layer[0][0].rules.n.shape[0]
        self._fit(layers, num_heads)
        assert self._sums is not None
        for place, seen in enumerate(by_layer):
            first = place * num_heads * ENTRIES
            self.keys.add(np.concatenate([each.keys for each in seen]) + first)
            self.queries.add(np.concatenate([each.queries for each in seen]) + first)
        for number, text in enumerate(self._begun_texts):
            self._add_text(text, [seen[number] for seen in by_layer])
        self.kept.trim()
        self._begun_texts = []

    def _add_text(self, text: _Text, seen: Sequence[_Seen]) -> None:
        block = text.number % BLOCKS
        half = int(is_checking(block))
        assert self._sums is not None
        assert text.masks is not None
        rows = text.masks.rows.numpy()
        ids = text.text.ids[rows]
        self.entries.add(ids[ids >= 0])
        self._num_texts += 1
        self._num_rows += len(rows)
        self._apart |= text.apart
        is_named = False
        for place, each in enumerate(seen):
            for name in ("covered", "weight", "even", "total"):
                getattr(self._sums, name)[block, place] += getattr(each.rules, name)
            for name in ("hits", "n"):
                getattr(self._sums, name)[half, place] += getattr(each.rules, name)
            self._sums.sums[place] += each.measures.sums
            self._sums.measured[place] += each.measures.n
            self._sums.histogram[place] += each.measures.histogram
            for head, example in each.examples:
                self.kept.add_strongest((place, head), example)
                is_named = True
        if text.is_sampled and len(rows):
            parts = zip(*(each.sampled for each in seen if each.sampled), strict=True)
            arrays: list[Any] = [np.stack(part) for part in parts]
            # The rows are those of the text, alike in all layers.
            arrays[-1] = arrays[-1][0]
            self.kept.add_sampled(text.number, Sampled(*arrays))
            is_named = True
        if is_named:
            self.kept.name(text.number, text.name)

    def _fit(self, layers: tuple[int, ...], num_heads: int) -> None:
        """Make the totals, or check that they are of the same model."""
        if self._sums is None:
            self._layers = layers
            self._sums = _empty(len(layers), num_heads, len(self.all_rules))
        known = self._layers, self._sums.covered.shape[2]
        check_one_model(known, (layers, num_heads))

    def merge(self, other: AtlasAnalyzer) -> None:
        """Take over what another analyzer has collected from other texts.

        Raises:
            InputError: the two are of different models, or have different rules.
        """
        if list(self.all_rules) != list(other.all_rules):
            raise InputError(
                f"Expected analyzers of the same rules to merge, got {', '.join(self.all_rules)} "
                f"and {', '.join(other.all_rules)}."
            )
        self.kept.merge(other.kept)
        for mine, others in zip(self._counts(), other._counts(), strict=True):
            mine.merge(others)
        self._num_texts += other._num_texts
        self._num_rows += other._num_rows
        self._apart |= other._apart
        if other._sums is None:
            return
        self._fit(other._layers, other._sums.covered.shape[2])
        assert self._sums is not None
        self._sums = _Sums(*(a + b for a, b in zip(self._sums, other._sums, strict=True)))

    def _counts(self) -> tuple[EntryCounts, ...]:
        return self.keys, self.queries, self.entries

    def state(self) -> State:
        """Return all collected data and the options as arrays."""
        sums = self._sums or _empty(0, 0, len(self.all_rules))
        counts = zip(("keys", "queries", "entries"), self._counts(), strict=True)
        state: State = {
            "examples": np.array(self.examples),
            "rules": np.array(list(self.all_rules), dtype=np.str_),
            "layers": np.array(self._layers, np.int64),
            "num_texts": np.array(self._num_texts),
            "num_rows": np.array(self._num_rows),
            "apart": self._apart,
            **sums._asdict(),
            **self.kept.state(),
        }
        for name, count in counts:
            state[f"{name}_codes"], state[f"{name}_counts"] = count.settled()
        return state

    @classmethod
    def from_state(cls, state: State, rules: Mapping[str, Rule] | None = None) -> Self:
        """Restore the analyzer that had this state.

        Args:
            state: the state.
            rules: the further rules that it had; without them only their names are known.
        """
        own = {
            str(name): (rules or {}).get(str(name)) or _named(str(name))
            for name in state["rules"]
            if str(name) not in RULES
        }
        found = cls(examples=int(state["examples"]), rules=own)
        found._layers = tuple(state["layers"].tolist())
        found._num_texts, found._num_rows = int(state["num_texts"]), int(state["num_rows"])
        found._apart = np.array(state["apart"], dtype=bool)
        if found._layers:
            found._sums = _Sums(*(np.array(state[name]) for name in _Sums._fields))
        found.kept = Examples.from_state(state, found.examples)
        for name, count in zip(("keys", "queries", "entries"), found._counts(), strict=True):
            count.add(state[f"{name}_codes"], state[f"{name}_counts"])
        return found

    def compute(self) -> AtlasSums:
        """Return everything that was collected.

        Raises:
            InputError: there are no texts.
        """
        if self._sums is None:
            raise InputError("Expected at least one text for an atlas, got none.")
        return AtlasSums(
            layers=self._layers,
            rules=dict(self.all_rules),
            num_texts=self._num_texts,
            num_rows=self._num_rows,
            apart=self._apart,
            sums=self._sums,
            kept=self.kept,
            keys=self.keys,
            queries=self.queries,
            entries=self.entries,
        )


@dataclass(frozen=True, eq=False)
class AtlasSums:
    """What an atlas is made from.

    Args:
        layers: the layers, by the model's own numbers.
        rules: the rules, by name.
        num_texts: the number of texts.
        num_rows: the number of rows, of tokens that are not special.
        apart: which two rules ask for other keys somewhere, ``(num_rules, num_rules)``.
        sums: the totals by block, layer, head, rule and measure.
        kept: the examples.
        keys: how often an entry gets a weight of at least ``STRONG``, by head.
        queries: how often an entry gives a weight of at least ``STRONG``, by head.
        entries: how often an entry occurs.
    """

    layers: tuple[int, ...]
    rules: dict[str, Rule]
    num_texts: int
    num_rows: int
    apart: Any
    sums: _Sums
    kept: Examples
    keys: EntryCounts
    queries: EntryCounts
    entries: EntryCounts

    @property
    def num_heads(self) -> int:
        """The number of heads of a layer."""
        return int(self.sums.covered.shape[2])

    def same_as(self, rule: str) -> tuple[str, ...]:
        """Return the other rules that ask for the same keys in every row of these texts."""
        names = list(self.rules)
        is_apart = self.apart[names.index(rule)]
        return tuple(n for n, no in zip(names, is_apart, strict=True) if n != rule and not no)


def is_checking(block: int | Any) -> Any:
    """Return whether texts of a block are of the half that checks."""
    return block % 2 == 1


def _named(name: str) -> Rule:
    """Return a rule of which only the name is known."""

    def unknown(text: RuleText) -> Any:
        raise InputError(f"Expected the rule {name!r} to be given again to read further texts.")

    return Rule(unknown, f"by the rule {name}", name)


def _empty(layers: int, heads: int, rules: int) -> _Sums:
    shape = (layers, heads, rules)
    return _Sums(
        np.zeros((BLOCKS, *shape)),
        np.zeros((BLOCKS, *shape)),
        np.zeros((BLOCKS, *shape)),
        np.zeros((2, *shape)),
        np.zeros((2, *shape), np.int64),
        np.zeros((BLOCKS, layers, heads)),
        np.zeros((layers, heads, len(MEASURES))),
        np.zeros((layers, heads, len(MEASURES)), np.int64),
        np.zeros((layers, heads, len(MEASURES), BINS), np.int64),
    )


def _sampled(
    text: _Text, pattern: torch.Tensor, masks: TextMasks, rows: Rows
) -> tuple[Any, ...] | None:
    """Return what a text of the sample gives of one layer, in the order of ``Sampled``."""
    if not len(masks.rows):
        return None
    heads = torch.arange(len(pattern))
    values, at = rows.outside.max(-1)
    queries = masks.rows[at]
    keys = rows.outside_key[heads, at].where(values > 0, torch.tensor(-1))
    drawn = text.number // BLOCKS % len(masks.rows)
    drawn_query = masks.rows[drawn]
    best, largest = rows.best[:, drawn], rows.largest[:, drawn]
    chosen = drawn_rows(text.number, len(masks.rows))
    return (
        torch.stack([queries, keys], -1).numpy(),
        values.clamp(min=0).double().numpy(),
        quantized(pattern[heads, queries.to(pattern.device)]),
        torch.stack([drawn_query.expand(len(heads)), best], -1).numpy(),
        largest.clamp(min=0).double().numpy(),
        quantized(pattern[:, drawn_query]),
        quantized(rows.vectors[chosen].transpose(0, 1)),
        masks.rows[chosen].numpy(),
    )


def drawn_rows(number: int, count: int) -> list[int]:
    """Return up to ``ROWS_SAMPLED`` rows of a text, drawn by its hash, in order.

    Example:
        >>> drawn_rows(12345, 3)
        [0, 1, 2]
    """
    random = np.random.default_rng(number)
    return sorted(random.permutation(count)[:ROWS_SAMPLED].tolist())
