"""The engine of many processes: one model per actor, shards as tasks, on one or more machines.

Every actor writes its shards to the folder itself, which on a cluster is on shared storage. A lost
actor is replaced, and its shard runs again.
"""

from __future__ import annotations

import importlib
import importlib.util
import ipaddress
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes
from introspect.errors import CaptureError, MissingExtraError, ModelError
from introspect.models import Model
from introspect.runs.rows import Shard
from introspect.runs.shard import write_result
from introspect.runs.store import ShardEntry, ShardStore
from introspect.runs.worker import Places, Worker, WorkerOptions
from introspect.text import shortened

#: The first version known to ask for a token by itself: its clusters take no work from strangers.
OLDEST_RAY = (2, 60)
# One shard runs in each actor and one waits there, so that no actor is ever idle.
_WAITING = 2
_MOST_LOSSES = 3
# What is in a model of these packages is not made by its configuration.
_OF_OTHERS = ("peft.", "bitsandbytes.")


@dataclass(frozen=True)
class RayOptions:
    """Options for the actors.

    Args:
        actors: the number of actors; by default as many as fit on the CPUs or GPUs.
        address: the address of a cluster; by default one is started on this machine.
    """

    actors: int | None = None
    address: str | None = None


def run_ray(
    worker: Worker, shards: Iterator[Shard], store: ShardStore, where: RayOptions
) -> Iterator[ShardEntry]:
    """Run shards on actors, and yield their entries in the order in which they finish.

    Args:
        worker: the worker, whose model is sent to every actor with its weights, so that all have
            the same model.
        shards: the shards that have to run.
        store: the store to write them to.
        where: options for the actors.

    Raises:
        MissingExtraError: ray is not installed.
        CaptureError: several actors were lost on one shard.
        IntrospectError: a shard cannot be run or written; finished shards are kept.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "ray", "The engine ray")
    import ray

    began = not ray.is_initialized()
    if began:
        begin_cluster(ray, where.address)
    try:
        yield from _Pool(ray, worker, store, where).run(shards)
    finally:
        if began:
            ray.shutdown()


def begin_cluster(ray: Any, address: str | None = None, **options: Any) -> None:
    """Join the cluster at an address, or start one that no other machine can reach.

    Ray's own default is to listen on every network of the machine. A cluster runs whatever it is
    sent, so versions that do not ask for a token are refused.

    Args:
        ray: the package.
        address: the address of a cluster; by default one is started on this machine, whatever
            ``RAY_ADDRESS`` says.
        options: further options of ``ray.init``.

    Raises:
        MissingExtraError: this version of ray takes work without a token.
        CaptureError: the cluster that was started can be reached from elsewhere.
    """
    if _version(ray) < OLDEST_RAY:
        needed = ".".join(map(str, OLDEST_RAY))
        raise MissingExtraError(
            f"ray>={needed}",
            "ray",
            "The engine ray",
            f"Ray {ray.__version__} takes work from anyone who reaches it, without a token",
        )
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    with _sigterm_kept(), _on_loopback(is_wanted=address is None):
        try:
            ray.init(address=address or "local", **quiet, **options)
        except Exception as error:  # of many kinds: no such cluster, a busy machine, a full disk
            ray.shutdown()
            raise _not_started(address, error) from error
        ip = ray.util.get_node_ip_address()
    if address is None and not ipaddress.ip_address(ip).is_loopback:
        ray.shutdown()
        raise CaptureError(
            f"Expected Ray to listen on this machine alone, but it listens on {ip}. Take "
            "engine='serial', or start a cluster of your own and give its address."
        )


def _not_started(address: str | None, error: Exception) -> CaptureError:
    said = shortened(str(error).strip().rstrip(".") or type(error).__name__, 200)
    if address is not None:
        return CaptureError(
            f"Expected a Ray cluster at {address!r}, but it cannot be joined: {said}. Check the "
            "address, or leave it out for a cluster on this machine."
        )
    return CaptureError(
        f"Expected Ray to start on this machine, but it did not: {said}. Try again when the "
        "machine is less busy, or take engine='serial' (--engine serial)."
    )


def _version(ray: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in ray.__version__.split(".")[:2])


@contextmanager
def _on_loopback(*, is_wanted: bool) -> Iterator[None]:
    """Let Ray listen on loopback alone, as it does on systems on which it has no clusters."""
    constants: Any = importlib.import_module("ray._private.ray_constants")
    name = constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before, setting = os.environ.get(name), constants.ENABLE_RAY_CLUSTER
    with Changes() as changes:
        if is_wanted:
            changes.note(partial(_set_variable, name, before))
            changes.note(partial(setattr, constants, "ENABLE_RAY_CLUSTER", setting))
            # The variable is for the processes that Ray starts, the constant for this one.
            os.environ[name], constants.ENABLE_RAY_CLUSTER = "0", False
        yield


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep what the process does on SIGTERM, for which Ray has an exit of its own."""
    before = signal.getsignal(signal.SIGTERM)
    with Changes() as changes:
        if threading.current_thread() is threading.main_thread():
            changes.note(partial(signal.signal, signal.SIGTERM, before))
        yield


@dataclass(frozen=True, eq=False)
class _Parcel:
    """A model as it is sent to another process: the parts to rebuild its module from.

    The module itself, once it has run, carries hooks of transformers that cannot be sent.
    """

    kind: type[nn.Module]
    config: Any
    state: dict[str, torch.Tensor]
    dtype: torch.dtype
    device: str
    tokenizer: Any
    name: str
    revision: str | None
    unused: str

    @classmethod
    def of(cls, model: Model) -> _Parcel:
        module: Any = model.module
        if not hasattr(module, "config"):
            raise ModelError(
                f"Expected a model of transformers, which its configuration can build again in a "
                f"worker, got {type(module).__name__}. Take engine='serial'."
            )
        for part in module.modules():
            if hasattr(part, "_hf_hook") or type(part).__module__.startswith(_OF_OTHERS):
                raise ModelError(
                    f"Expected a model that its configuration and its weights make, to send it to "
                    f"workers, but {type(part).__name__} in {model.name} is adapted, quantized or "
                    "kept elsewhere. Take engine='serial'."
                )
        parameter = next(module.parameters())
        state = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
        return cls(
            type(module), module.config, state, parameter.dtype, parameter.device.type,
            model.tokenizer, model.name, model.revision, model.unused,
        )  # fmt: skip

    def opened(self) -> Model:
        """Rebuild the model."""
        module = self.kind(self.config)
        module.load_state_dict(self.state)
        module.to(device=self.device, dtype=self.dtype)
        return Model(module.eval(), self.tokenizer, self.name, self.revision, unused=self.unused)


class _Actor:
    """A worker in its own process."""

    def __init__(self, parcel: _Parcel, options: WorkerOptions, places: Places) -> None:
        # One thread, as in the plan: sums of floats depend on it.
        torch.set_num_threads(1)
        self._worker = Worker(parcel.opened(), options, places)

    def run(self, shard: Shard, store: ShardStore) -> ShardEntry:
        """Run a shard and write its file."""
        return write_result(self._worker, self._worker.prepare(shard), store)


def _absolute(places: Places) -> Places:
    """Make the paths absolute, for processes with another working directory."""
    attention, cache = places.attention, places.cache
    return Places(
        attention=None if attention is None else attention.absolute(),
        cache=None if cache is None else replace(cache, path=str(Path(cache.path).absolute())),
    )


class _Pool:
    """The actors and the shards assigned to each."""

    def __init__(self, ray: Any, worker: Worker, store: ShardStore, where: RayOptions) -> None:
        model = worker.model
        self._ray = ray
        # A new store without the known entries, and with a path valid in another directory.
        self._store = ShardStore(store.folder.absolute())
        is_gpu = next(model.module.parameters()).is_cuda
        resources = ray.cluster_resources()
        fits = resources.get("GPU", 1) if is_gpu else resources.get("CPU", 1)
        self._count = where.actors or max(1, int(fits))
        # With few CPUs, whole CPUs for the actors would leave none for Ray itself.
        share = (
            {"num_gpus": 1} if is_gpu else {"num_cpus": min(1, resources["CPU"] / self._count) / 2}
        )
        self._class = ray.remote(**share)(_Actor)
        self._arguments = (ray.put(_Parcel.of(model)), worker.options, _absolute(worker.places))
        self._actors: dict[int, Any] = {}
        self._tasks: dict[Any, tuple[int, Shard]] = {}
        self._losses: dict[int, int] = {}

    def run(self, shards: Iterator[Shard]) -> Iterator[ShardEntry]:
        """Run all shards, and yield each entry when its shard is done."""
        for number in range(self._count):
            self._actors[number] = self._class.remote(*self._arguments)
        for number in [n for _ in range(_WAITING) for n in range(self._count)]:
            self._give(number, shards)
        while self._tasks:
            (ready,), _ = self._ray.wait(list(self._tasks), num_returns=1)
            number, _ = self._tasks[ready]
            errors = self._ray.exceptions
            try:
                entry: ShardEntry = self._ray.get(ready)
            except (errors.RayActorError, errors.OutOfMemoryError) as lost:
                self._renew(number, lost)
                continue
            except errors.RayTaskError as failed:
                raise failed.cause from failed
            del self._tasks[ready]
            self._give(number, shards)
            yield entry

    def _give(self, number: int, shards: Iterator[Shard]) -> None:
        if (shard := next(shards, None)) is not None:
            self._send(number, shard)

    def _send(self, number: int, shard: Shard) -> None:
        self._tasks[self._actors[number].run.remote(shard, self._store)] = (number, shard)

    def _renew(self, number: int, lost: Exception) -> None:
        """Replace a lost actor, and send the new one its running and its waiting shards.

        Raises:
            CaptureError: the running shard was lost too often.
        """
        tasks = [task for task, (of, _) in self._tasks.items() if of == number]
        shards = [self._tasks.pop(task)[1] for task in tasks]
        ran = shards[0].index
        self._losses[ran] = self._losses.get(ran, 0) + 1
        if self._losses[ran] > _MOST_LOSSES:
            raise CaptureError(
                f"Expected shard {ran} to run, but the process that ran it was lost "
                f"{_MOST_LOSSES + 1} times, for want of memory perhaps. Give smaller batches "
                "(--batch-size), or fewer actors. What is done is kept."
            ) from lost
        self._actors[number] = self._class.remote(*self._arguments)
        for shard in shards:
            self._send(number, shard)
