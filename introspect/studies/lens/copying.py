"""Whether heads copy by their weights alone: what an OV circuit makes of each entry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from introspect.errors import CaptureError
from introspect.studies.lens.logits import Readout, readout_of
from introspect.studies.lens.states import Run, State, norm_of_heads
from introspect.studies.lens.value_maps import form_of, value_map


@dataclass(frozen=True, eq=False)
class OvCircuits:
    r"""The OV circuits of a model between vocabulary entries, :math:`W_E W_V^h W_O^h W_U`.

    The gains and centerings of the norms on the way are part of it; their scales, which differ from
    token to token, and all biases are not. Where the logits are not read from the last state by a
    norm and a linear layer (BERT), an entry is read by its own embedding instead of :math:`W_U`.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".

    Args:
        run: any run of the model, which shows its weights.
        entries: the ids of the entries, ``(num_entries,)``.
    """

    run: Run
    entries: torch.Tensor

    @cached_property
    def embedded(self) -> torch.Tensor:
        """``(num_entries, size)``, float64: each entry as it begins the residual stream.

        Raises:
            CaptureError: the embeddings are not vectors of the size of the stream.
        """
        first = self.run.layers[0].given
        assert first is not None, "layers are chained by what they are given"
        module = self.run.model.module.get_input_embeddings()  # type: ignore[operator]
        with torch.no_grad():
            found = module(self.entries.to(self.run.inputs["input_ids"].device)).double()
        if found.shape != (len(self.entries), first.shape[-1]):
            raise CaptureError(
                f"Expected embeddings of {self.run.model.name} of the size of its states, "
                f"{first.shape[-1]}, got {tuple(found.shape[1:])}."
            )
        norm = next(filter(None, (_norm_to(state, first) for state in self.run.states)), None)
        return found if norm is None else _normed(found, *norm)

    @cached_property
    def _readout(self) -> Readout | None:
        try:
            return readout_of(self.run, len(self.run.tokens) - 1)
        except CaptureError:
            return None

    @property
    def is_to_unembedding(self) -> bool:
        """Return whether what is written is read by the unembedding, not by the embeddings."""
        return self._readout is not None

    @cached_property
    def _reading(self) -> torch.Tensor:
        """``(num_entries, size)``: the direction that raises each entry."""
        readout = self._readout
        if readout is None:
            return self.embedded
        first = int(self.entries[0])
        # What is taken from all entries alike changes no order.
        rows = torch.stack([readout.direction(int(each), first) for each in self.entries])
        read = readout.scale * readout.gain * rows
        return _centered(read) if readout.is_centered else read

    def scores(self, number: int) -> torch.Tensor:
        """Return what each entry adds to each other, ``(num_heads, num_entries, num_entries)``.

        Args:
            number: the number of a layer.

        Raises:
            CaptureError: its values are not a linear map of its state, or what its heads bring goes
                through more than a norm.
        """
        (kind,) = self.run.kinds
        values = value_map(self.run, kind, number)
        brought = self.run.projections[kind, number].by_head.double()
        read = self._behind_norm(kind, number)
        shared = len(brought) // len(values)
        given = (self.embedded @ values).repeat_interleave(shared, dim=0)
        return given @ (brought @ read.T)

    def _behind_norm(self, kind: str, number: int) -> torch.Tensor:
        """Return the directions of entries, before the norm of what heads bring if there is one."""
        projection = self.run.projections[kind, number]
        place = self.run.captured.layers[kind].index(number)
        outputs = self.run.captured.head_outputs[kind][place][0].double()
        total = (outputs @ projection.by_head.double()).sum(0)
        total = total if projection.bias is None else total + projection.bias.double()
        norm = norm_of_heads(self.run, number, total)
        found = None if norm is None else form_of(norm)
        if found is None:
            return self._reading
        gain, is_centered = found
        read = self._reading * gain
        return _centered(read) if is_centered else read


def copied(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each entry which share of the others it adds less to than to itself.

    Args:
        scores: ``(..., num_entries, num_entries)``, at least two entries.

    Returns:
        The share, ``(..., num_entries)``, where equal ones count half: 0.5 by chance; and whether
        it adds more to itself than to any other.

    Example:
        >>> copied(torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
        (tensor([1.0000, 0.2500, 0.0000], dtype=torch.float64), tensor([ True, False, False]))
    """
    own = scores.diagonal(dim1=-2, dim2=-1)[..., None]
    return share_below(scores, own), (scores >= own).sum(-1) == 1


def share_below(scores: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return which share of the other scores is below one of them, equal ones counted half.

    Args:
        scores: ``(..., num_entries)``, at least two entries.
        own: ``(..., 1)``, one of them.

    Example:
        >>> share_below(torch.tensor([3.0, 1.0, 1.0, 0.0]), torch.tensor([1.0])).item()
        0.5
    """
    less = (scores < own).sum(-1) + ((scores == own).sum(-1) - 1).double() / 2
    return less / (scores.shape[-1] - 1)


def _norm_to(state: State, first: torch.Tensor) -> tuple[torch.Tensor, bool] | None:
    """Return the form of a norm that gives the first layer its state, as that of embeddings."""
    if state.given is None or state.given.shape != first.shape:
        return None
    is_it = torch.equal(state.result, first) and not torch.equal(state.given, first)
    return form_of(state) if is_it else None


def _centered(states: torch.Tensor) -> torch.Tensor:
    return states - states.mean(-1, keepdim=True)


def _normed(states: torch.Tensor, gain: torch.Tensor, is_centered: bool) -> torch.Tensor:
    return (_centered(states) if is_centered else states) * gain
