"""Which part of a module computes what torch is asked for, and by which weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from introspect.errors import CaptureError


class Running:
    """Finds the parts of a module whose code is running.

    Args:
        module: the module.
    """

    def __init__(self, module: nn.Module) -> None:
        self._parts = set(module.modules())

    def modules(self) -> list[nn.Module]:
        """Return the module's parts whose code is running in this thread, the innermost first."""
        found: list[nn.Module] = []
        frame = sys._getframe(1)
        while frame is not None:
            owner = frame.f_locals.get("self") if "self" in frame.f_code.co_varnames else None
            if isinstance(owner, nn.Module) and owner in self._parts and owner not in found[-1:]:
                found.append(owner)
            frame = frame.f_back  # type: ignore[assignment]
        return found


def owner_of(within: Sequence[nn.Module]) -> nn.Module | None:
    """Return the part that computes something, not one that is a step of its code.

    Args:
        within: the parts whose code is running, the innermost first.
    """
    steps = nn.Softmax | nn.Dropout | nn.Linear
    return next((each for each in within if not isinstance(each, steps)), None)


class Sign(NamedTuple):
    """By what a step of a run is told from others.

    Args:
        sort: what is computed: a product or a softmax.
        module: the path of the part that computes it.
        weight: the name of the weight that was used last before it, since the step before.
    """

    sort: str
    module: str
    weight: str = ""


class Signs:
    """Tells the steps of a run apart, so that those of another run can be held to them.

    Args:
        module: the module that runs.
        by_weights: whether the weight that was used last tells them apart too. Code of one's own
            may attend several times in one function. Of a transformers model the parts are enough,
            and an adapter may be switched off.
    """

    def __init__(self, module: nn.Module, *, by_weights: bool) -> None:
        self._module = module
        self._by_weights = by_weights
        self._running = Running(module)
        self.begin()

    def begin(self) -> None:
        """Begin at the start of a run."""
        # Names, not the modules: what is kept of a model must not keep the model.
        self._paths = {part: path for path, part in self._module.named_modules()}
        named = self._module.named_parameters() if self._by_weights else ()
        self._names = {id(weight): name for name, weight in named}
        self._last = ""

    def use(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Note the weight that a function of torch was given, if there is one."""
        # To ask for a weight's type is not to use it, and others may ask too.
        if self._names and getattr(function, "__name__", "") != "__get__":
            # By what it is, since to ask each operand for its class costs more than to look it up.
            for each in (*args, *kwargs.values()):
                self._last = self._names.get(id(each), self._last)

    def sign(self, sort: str, within: Sequence[nn.Module] | None = None) -> Sign:
        """Return the sign of a step that has just been computed.

        Args:
            sort: what is computed.
            within: the parts whose code is running, where that is known already.
        """
        owner = owner_of(self._running.modules() if within is None else within)
        last, self._last = self._last, ""
        return Sign(sort, "" if owner is None else self._paths.get(owner, ""), last)


def out_of_order(
    model: str, expected: Sign | None = None, sign: Sign | None = None
) -> CaptureError:
    """Return the error of a run whose layers are not those that were counted in another.

    Args:
        model: the model's name.
        expected: the sign of what was computed in the other run at this place, if anything was.
        sign: the sign of what is computed.
    """
    seen = ""
    if sign is not None and (expected is None or sign.module != expected.module):
        place = "after its last step" if expected is None else f"where {_named(expected)} ran"
        seen = f": {_named(sign)} runs {place}"
    return CaptureError(
        f"Expected {model} to compute attention in the same order in every run, but in this one it "
        f"takes other steps than in the run that numbered its layers{seen}. An intervention would "
        "change another attention than the one meant. Run the whole model, and its parts in the "
        "same order, each as often."
    )


def _named(sign: Sign) -> str:
    return sign.module or "the model's own code"
