"""Collect what attention modules compute, sorted by kind and numbered by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from introspect.changes import Changes
from introspect.errors import CaptureError, SelectionError
from introspect.hooks.interface import AttentionCall
from introspect.hooks.layer_index import Numbering
from introspect.hooks.products import AttentionProducts
from introspect.hooks.running import Sign
from introspect.hooks.watchers import Parts, RowsNotRecomputableError
from introspect.records import CAPTURE_PARTS

#: The names under which a model returns each kind of attention itself.
OWN_OUTPUTS = {
    "self": ("attentions",),
    "encoder": ("encoder_attentions",),
    "decoder": ("decoder_attentions",),
    "cross": ("cross_attentions",),
}

# Rounding in half precision may raise a weight above 1 by this much.
_ABOVE_ONE = 1e-2

# Parts whose second dimension is not the heads.
_NOT_BY_HEAD = ("visible", *(part.name for part in CAPTURE_PARTS if not part.is_by_head))


class AllSeen(BaseException):
    """Everything requested has been seen, so the rest of the model need not run.

    This is not an ``Exception``, so that no handler inside a model mistakes it for a failure.
    """


#: Receives the parts of a layer in place of the observation, which then keeps none of them.
Receive = Callable[[str, int, Parts], None]


class Observation:
    """Collects the attention of one run, sorted by kind and numbered by layer."""

    def __init__(
        self,
        module: nn.Module,
        wanted: Sequence[int] | None,
        heads: Sequence[int] | None,
        dtype: torch.dtype | None,
        *,
        may_stop: bool = True,
        receive: Receive | None = None,
        kind: str | None = None,
        is_of_words: bool = False,
    ) -> None:
        #: The layers of each tower, by the class of its configuration, of self-attention.
        self.towers: dict[str, list[int]] = {}
        self.parts: dict[str, dict[str, list[torch.Tensor]]] = {}
        self.layers: dict[str, list[int]] = {}
        #: The paths of the modules that compute each layer, where its model is no transformers one.
        self.modules: dict[str, list[str]] = {}
        #: The functions of torch that a module of one's own has called.
        self.functions: Mapping[str, None] = {}
        #: What a reader of the certificate is to know besides.
        self.note = ""
        #: The numbers of heads of queries and of keys, where its model is no transformers one.
        self.own_heads: dict[tuple[str, int], tuple[int, int]] = {}
        #: By what each is told from the others.
        self.own_signs: dict[tuple[str, int], Sign] = {}
        #: The steps of each attention, where such a model computes it by products.
        self.own_products: dict[tuple[str, int], AttentionProducts] = {}
        self._heads = None if heads is None else list(heads)
        self._dtype = dtype
        self._may_stop = may_stop
        self._receive = receive
        self._wanted = None if wanted is None else set(wanted)
        self._module = module
        self._numbering = Numbering(module)
        towers = self._numbering.towers
        # By `self` the words are meant, whose tower has that name where it is the only one.
        self._kind = towers.main if towers is not None and kind == "self" else kind
        is_chosen = wanted is not None or heads is not None
        self._is_of_words = is_of_words or (towers is not None and kind is None and is_chosen)
        # A layer that reads several pictures, one after the other, until the next one begins.
        self._held: tuple[str, int, list[Parts]] | None = None
        #: How many pictures or windows lie in one sequence, by kind.
        self._pieces: dict[str, int] = {}
        # The size of the batch of each kind.
        self._batches: dict[str, int] = {}
        self._first_note = ""
        self._is_watched = True

    def attach(self, changes: Changes) -> None:
        """Record which modules receive another sequence, as long as the changes last."""
        self._numbering.attach(changes)

    def has_rows(self, module: nn.Module) -> bool:
        """Return whether selected rows are positions of this module's queries."""
        return self._numbering.has_rows(module)

    @property
    def reader(self) -> nn.Module:
        """The part that reads the words, once for each token that is written."""
        towers = self._numbering.towers
        return self._module if towers is None else towers.reader

    def is_main(self, kind: str) -> bool:
        """Return whether a kind is of the words, or of the only text."""
        return self._numbering.is_main(kind)

    @property
    def has_towers(self) -> bool:
        """Return whether several towers attend, each with a kind of its own."""
        return self._numbering.towers is not None

    @property
    def towers_of_words(self) -> list[str]:
        """The names of the towers that read words, where there are several towers."""
        towers = self._numbering.towers
        return [] if towers is None else [n for n in towers.names if n.startswith("text")]

    def mark(self, kind: str, numbers: Sequence[int]) -> None:
        """Note layers that the model has returned itself, of towers that nobody watched."""
        self._seen[kind] = list(numbers)
        self._is_watched = False

    @property
    def main_kind(self) -> str | None:
        """The kind of the words' own attention, where other towers stand beside; else ``None``."""
        towers = self._numbering.towers
        return None if towers is None else towers.main

    @property
    def has_seen_nothing(self) -> bool:
        """Return whether no attention has been seen."""
        return not self._seen

    @property
    def missing_kinds(self) -> list[str]:
        """Kinds of attention that an encoder-decoder has and that have not been seen."""
        has_both = self._numbering.is_encoder_decoder and not self._numbering.is_encoder_alone
        kinds = ("encoder", "decoder", "cross") if has_both else ()
        return [kind for kind in kinds if kind not in self._seen]

    def turn(self) -> dict[str, list[tuple[int, torch.Tensor]]]:
        """Return the attention seen since the last turn, as layers and weights by kind; reset."""
        self._flush()
        by_kind = {
            kind: list(zip(self.layers[kind], weights, strict=True))
            for kind, weights in self.parts.get("attentions", {}).items()
        }
        if self._numbering.towers is not None and not self._first_note:
            self._first_note = self._note_of_towers()  # pictures are read once, in the first turn
        self.parts, self.layers = {}, {}
        self._numbering.begin()
        return by_kind

    def see(self, call: AttentionCall, parts: Parts) -> None:
        """Take what a module has just computed, and stop the run if nothing more is needed."""
        had_all = self._has_all()
        place = self._numbering.place(call)
        kind = place.kind
        if call.own is not None:
            heads = int(call.queries.shape[1]), int(call.keys.shape[1])
            self.own_heads[kind, place.layer] = heads
            self.own_signs[kind, place.layer] = call.own.sign
        if place.is_piece:
            if self._held is not None:
                self._held[2].append(parts)
            return
        if place.is_again:
            self._extend(kind, parts)
            return
        self._flush()
        if had_all:
            raise AllSeen
        if kind == "self":
            self._note_tower(call.module, place.layer)
        self._batches[kind] = int(call.queries.shape[0])
        if self._numbering.is_packed(call.module):
            # Laid side by side, patterns are none of those that the graph of a run holds.
            is_in_graph = any(part.requires_grad for part in parts.values())
            self._held = None if is_in_graph else (kind, place.layer, [parts])
            return
        self.keep(kind, place.layer, parts, None if call.own is None else call.module)
        # A layer's values may arrive in two calls (see _extend); its attention does not.
        if self._has_all() and not {"values", "head_outputs"} & set(parts):
            raise AllSeen

    def _flush(self) -> None:
        """Keep the layer whose pictures have all been read."""
        if self._held is not None:
            kind, layer, pieces = self._held
            self._held = None
            self._pieces[kind] = max(len(pieces), self._pieces.get(kind, 1))
            if self.is_kept(kind, layer):
                self.keep(kind, layer, pieces[0] if len(pieces) == 1 else joined(pieces))

    def _note_tower(self, module: nn.Module, layer: int) -> None:
        """Note the tower that a layer is of: numbers of layers are the model's in one tower only.

        Raises:
            CaptureError: layers were requested of a model of several towers.
        """
        tower = type(getattr(module, "config", None)).__name__
        self.towers.setdefault(tower, []).append(layer)
        if len(self.towers) > 1 and self._wanted is not None:
            raise CaptureError(
                f"Expected layers of one tower in `layers`, but these inputs run through "
                f"{len(self.towers)} ({', '.join(self.towers)}), each with a layer 0. Leave "
                "`layers` out, and choose among all of them."
            )

    @property
    def tower_note(self) -> str:
        """Return the layers of each tower, where there are several, and those not seen."""
        if self._numbering.towers is not None:
            return self._first_note or self._note_of_towers()
        if len(self.towers) < 2:
            return ""
        named = [f"{_ranges(sorted(layers))} of {name}" for name, layers in self.towers.items()]
        return f"layers are numbered in the order in which they ran: {', '.join(named)}"

    def _note_of_towers(self) -> str:
        seen = [
            f"{kind} {_ranges(sorted(layers))}{self._pictures(kind)}"
            for kind, layers in self._seen.items()
        ]
        note = f"layers are numbered within each tower: {', '.join(seen)}"
        idle = [name for name in self.unseen_towers if not self._numbering.runs.get(name)]
        hidden = [name for name in self.unseen_towers if name not in idle]
        if not self._is_watched and idle + hidden:
            return f"{note}; not seen: {', '.join(self.unseen_towers)}"
        if idle:
            note += f"; not seen, as these inputs do not run it: {', '.join(idle)}"
        if hidden:
            note += f"; not seen, as it computes attention by itself: {', '.join(hidden)}"
        return note

    def _pictures(self, kind: str) -> str:
        if (pieces := self._pieces.get(kind, 1)) > 1:
            return f" ({pieces} pictures or windows in one sequence)"
        batch = self._batches.get(kind, 1)
        is_other = batch > 1 and batch != self._batches.get(self.main_kind or "", batch)
        return f" (a batch of {batch} pictures, tiles or windows)" if is_other else ""

    @property
    def unseen_towers(self) -> list[str]:
        """The towers none of whose attention has been seen."""
        towers = self._numbering.towers
        names = [] if towers is None else towers.names
        return [
            name
            for name in names
            if not any(
                kind == name or kind.startswith((f"{name}-to-", f"{name}#")) for kind in self._seen
            )
        ]

    def may_have_run(self, tower: str) -> bool:
        """Return whether a tower may have run: that of the words always does."""
        return tower == self.main_kind or bool(self._numbering.runs.get(tower))

    def is_meant_tower(self, tower: str) -> bool:
        """Return whether a tower's own attention, or that to another, is asked for."""
        return self._is_meant(tower) or (self._kind or "").startswith((f"{tower}-to-", f"{tower}#"))

    def place_of(self, module: nn.Module) -> tuple[str, int]:
        """Return the kind and the number of a layer whose attention came from its own output."""
        kind = self._numbering.kind(module)
        return kind, self._numbering.count(module, kind)

    def run_again(self) -> None:
        """Count the runs of each tower anew, for another run of the model."""
        self._numbering.runs = {}

    def modules_of(self, names: Sequence[str]) -> list[nn.Module]:
        """Return the modules of some towers."""
        towers = self._numbering.towers
        if towers is None:
            return []
        owners = {module: towers.owners.get(module) for module in towers.reader.modules()}
        owners |= towers.owners
        return [module for module, owner in owners.items() if (owner or towers.main) in names]

    def _has_all(self) -> bool:
        """Return whether the run may stop; never where several kinds may be meant."""
        kind = self._kind or "self"
        if self._wanted is None or self._numbering.is_encoder_decoder or not self._may_stop:
            return False
        return self._wanted <= set(self._seen.get(kind, ()))

    def is_kept(self, kind: str, number: int) -> bool:
        """Return whether a layer was asked for."""
        return self._is_meant(kind) and (self._wanted is None or number in self._wanted)

    def take(self, kind: str, number: int, parts: Parts) -> None:
        """Keep the parts of a layer that bypassed the interface, if the layer was requested."""
        self._seen.setdefault(kind, []).append(number)
        self.keep(kind, number, parts)

    def number(self, module: nn.Module, kind: str) -> int:
        """Return the number of a layer that is seen without a call of its own, and count it."""
        return self._numbering.count(module, kind)

    def keep(self, kind: str, number: int, parts: Parts, module: nn.Module | None = None) -> None:
        """Keep the parts of a layer that has been counted, if the layer was asked for.

        Args:
            kind: the kind of attention.
            number: the layer's number.
            parts: what it computes.
            module: what computes it, where its path is to be kept too.
        """
        if not self.is_kept(kind, number):
            return
        self.layers.setdefault(kind, []).append(number)
        if module is not None:
            path = next(name for name, part in self._module.named_modules() if part is module)
            self.modules.setdefault(kind, []).append(path)
        if self._receive is not None:
            self._receive(kind, number, parts)
            return
        for name, tensor in parts.items():
            kept = self.kept(name, tensor)
            self.parts.setdefault(name, {}).setdefault(kind, []).append(kept)

    def kept(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a part with only the requested heads, in the requested type."""
        chosen = self._chosen_heads(name, tensor)
        is_kept = self._dtype is None or chosen.dtype == torch.bool
        return chosen if is_kept else chosen.to(self._dtype)

    def _chosen_heads(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Select the requested heads; parts that heads share or form together stay whole."""
        if self._heads is None or name in _NOT_BY_HEAD:
            return tensor
        count = tensor.shape[1]
        if not all(0 <= head < count for head in self._heads):
            raise SelectionError(f"Expected `heads` in 0–{count - 1}, got {self._heads}.")
        return tensor[:, self._heads]

    def _extend(self, kind: str, parts: Parts) -> None:
        """Add further values that one layer weights with the same attention (DiffLlama)."""
        if not self.is_kept(kind, self._seen[kind][-1]):
            return
        for name in ("values", "head_outputs"):
            if name in parts:
                layers = self.parts[name][kind]
                added = self._chosen_heads(name, parts[name]).to(layers[-1].dtype)
                layers[-1] = torch.cat([layers[-1], added], dim=-1)

    def check_has_rows(self) -> None:
        """Raise an error if rows are asked for of a kind whose queries are no words.

        Raises:
            SelectionError: they are the patches of a picture, or what an encoder reads.
        """
        if self._kind == "encoder" or (self._kind and not self._numbering.is_main(self._kind)):
            raise SelectionError(
                f"Expected `rows` of the words that the model reads last, got kind={self._kind!r}, "
                "whose queries are others. Leave `rows` out, and choose of the whole pattern."
            )

    def check_rows(self) -> None:
        """Raise an error if no row was computed beside: the model computes attention by itself.

        Raises:
            RowsNotRecomputableError: rows are to be taken from the whole patterns.
        """
        if not any(map(self._is_meant, self._seen)):
            raise RowsNotRecomputableError("its attention is not computed through the interface")

    def check(self, module: nn.Module) -> None:
        """Raise an error if no attention was seen, or a requested layer was not."""
        name = type(module).__name__
        self._flush()
        if not self._seen:
            raise CaptureError(
                f"Expected {name} to compute attention through transformers' attention interface, "
                "or to return it, but it does neither: some architectures have no attention "
                "weights. Choose another model."
            )
        if self._kind is not None and self._kind not in self._seen:
            raise self._no_such_kind(name)
        kinds = [kind for kind in self._seen if self._is_meant(kind)]
        seen = sorted({number for kind in kinds for number in self._seen[kind]})
        missing = sorted((self._wanted or set()) - set(seen))
        if missing:
            of = f" of {self._kind or self.main_kind}" if self._numbering.towers else ""
            raise SelectionError(
                f"Expected `layers`{of} among {_ranges(seen)} for {name}, got {missing}. "
                "Layers are numbered from 0."
            )

    def _is_meant(self, kind: str) -> bool:
        if self._kind is not None:
            return kind == self._kind
        return not self._is_of_words or self._numbering.is_main(kind)

    def _no_such_kind(self, name: str) -> SelectionError:
        idle = [each for each in self.unseen_towers if not self._numbering.runs.get(each)]
        more = f" The inputs do not run its {', '.join(idle)} tower." if idle else ""
        return SelectionError(
            f"Expected `kind` among {', '.join(self._seen)} for {name} and these inputs, got "
            f"{self._kind!r}.{more} Choose one of those, or leave it out."
        )

    @property
    def _seen(self) -> dict[str, list[int]]:
        return self._numbering.seen


def _ranges(numbers: Sequence[int]) -> str:
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}–{numbers[-1]}"
    return ", ".join(map(str, numbers))


def joined(pieces: Sequence[Parts]) -> Parts:
    """Return one layer's parts over several pictures that lie in one sequence.

    A query sees the keys of its own picture, or window, and no other: their weights are 0.

    Args:
        pieces: the parts of each, in their order.
    """
    whole = {
        name: torch.cat([piece[name] for piece in pieces], dim=2)
        for name in pieces[0]
        if name not in ("attentions", "scores", "visible")
    }
    patterns = [name for name in ("attentions", "scores") if name in pieces[0]]
    for name in patterns:
        outside = 0.0 if name == "attentions" else float("-inf")
        whole[name] = _diagonal([piece[name] for piece in pieces], outside)
    if patterns:
        seen = [torch.ones_like(piece[patterns[0]][:, :1], dtype=torch.bool) for piece in pieces]
        whole["visible"] = _diagonal(seen, 0)
    return whole


def _diagonal(blocks: Sequence[torch.Tensor], outside: float) -> torch.Tensor:
    """Lay ``(batch, num_heads, rows, columns)`` along the diagonal of one pattern."""
    rows = sum(block.shape[2] for block in blocks)
    columns = sum(block.shape[3] for block in blocks)
    whole = blocks[0].new_full((*blocks[0].shape[:2], rows, columns), outside)
    row = column = 0
    for block in blocks:
        whole[:, :, row : row + block.shape[2], column : column + block.shape[3]] = block
        row, column = row + block.shape[2], column + block.shape[3]
    return whole


def are_weights(own: torch.Tensor) -> bool:
    """Return whether ``own`` can be attention: a few models return scores under that name."""
    return bool((own >= 0).all() and (own <= 1 + _ABOVE_ONE).all())
