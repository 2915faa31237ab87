"""What the experiments share: the setting of a run, and units of work that are done side by side and resumed.

A unit trains a network and measures it. Both leave files that a later call finds: the network after every epoch, the
measurements once they are complete. Whatever is interrupted, at most an epoch or one unit's measurements are done anew.
"""

from __future__ import annotations

import json
import os
import platform
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from minilwa.backend import Array
from minilwa.data import Dataset, centre, load
from minilwa.errors import InputError
from minilwa.experiments.protocols import PROTOCOLS, Plan, snapshots
from minilwa.files import write_json
from minilwa.networks import Network
from minilwa.parallel import blas_kernels, blas_threads, limited_to
from minilwa.saving import save
from minilwa.training import Recipe, fingerprint, train

SPLITS = ("full", "paper")
LATER = ("fingerprint", "options")  # of a configuration; earlier versions did not write them
Process = tuple[str, int]  # a machine's name, and the process's number there
HINT = "Choose another --out, or delete it to start anew."


@dataclass(frozen=True)
class Source:
    """Where the images come from, so that another process can load them: the arguments of `minilwa.data.load`.

    ``split`` "paper" leaves the last sixth of the training images out (10,000 of MNIST's 60,000); "search" takes that
    sixth for the test images, so that hyper-parameters can be chosen without these.
    """

    name: str
    folder: Path | None = None
    split: str = "full"
    dtype: str = "float32"
    device: str = "cpu"

    def load(self) -> Dataset:
        """The data; those last loaded stay in memory."""
        return _load(self, *self._version())

    def fingerprint(self) -> str:
        """A hash of all images and labels: another file may have the same name, and as many of them."""
        return _fingerprint(self, *self._version())

    def _version(self) -> tuple[str, int | None]:
        own = Path(self.name) if self.name.endswith(".npz") else None
        where = own or self.folder
        return str(where and where.absolute()), own.stat().st_mtime_ns if own and own.exists() else None


@lru_cache(maxsize=1)
def _fingerprint(source: Source, where: str, changed: int | None) -> str:
    data = _load(source, where, changed)
    return fingerprint(data.x_train, data.y_train, data.x_test, data.y_test)


@lru_cache(maxsize=1)
def _load(source: Source, where: str, changed: int | None) -> Dataset:
    """`Source.load`, whose result is kept until the source, its absolute path or its time of change is another."""
    data = load(source.name, source.folder, source.dtype, source.device)
    if source.split == "full":
        return data
    kept = len(data.x_train) * 5 // 6
    x, y = data.x_train, data.y_train
    tested = {"x_test": x[kept:], "y_test": y[kept:]} if source.split == "search" else {}
    return replace(data, x_train=x[:kept], y_train=y[:kept], **tested)


@dataclass(frozen=True)
class Setting:
    """The common choices of a run: the data, where results go, the protocol and what the user changed of it.

    ``chosen[network, row]`` are hyper-parameters that a search has found; with ``curves`` networks leave snapshots.
    """

    source: Source
    out: Path
    protocol: str = "quick"
    form: str | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    chosen: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    curves: bool = True

    @property
    def dataset(self) -> Dataset:
        """The images."""
        return self.source.load()

    @property
    def formulas(self) -> str:
        """The form of the formulas, in training and in attacks: the user's or the protocol's."""
        return self.form or PROTOCOLS[self.protocol].form

    def plan(self, network: str, row: str, seed: int, **changes: Any) -> Plan:
        """How the network of one row of a table is trained; ``changes`` go before all else."""
        chosen = self.chosen.get((network, row), {})
        every = {"form": self.formulas, **chosen, **self.recipe, "seed": seed, **changes}
        return PROTOCOLS[self.protocol].plan(network, row, **every)

    def describe(self) -> dict[str, Any]:
        """The configuration as plain JSON data, with the versions that ran it."""
        recipe = vars(replace(PROTOCOLS[self.protocol].recipe, **self.recipe))
        return {
            "data": self.dataset.name,
            "split": self.source.split,
            "images": [len(self.dataset.x_train), len(self.dataset.x_test)],
            "fingerprint": self.source.fingerprint(),
            "protocol": self.protocol,
            "options": self.recipe,
            "recipe": {key: value for key, value in recipe.items() if key != "seed"},
            "form": self.formulas,
            "dtype": self.source.dtype,
            "device": self.source.device,
            "versions": versions(),
        }

    def test_images(self, plan: Plan) -> tuple[Array, Array]:
        """The test images, of the size that the plan's network takes, and their labels."""
        return centre(self.dataset.x_test, plan.recipe.crop), self.dataset.y_test

    def kept(self, plan: Plan, epoch: int | None = None) -> Path:
        """Where the network of this plan is kept, or its snapshot after an epoch."""
        return self.out / "networks" / (plan.name + ("" if epoch is None else f"-epoch{epoch}") + ".npz")


def versions() -> dict[str, str]:
    """What computes: versions, and the kernels of the BLAS, since others round otherwise."""
    packages = dict.fromkeys(("minilwa", "numpy", "scipy"), "not installed")
    for name in packages:
        with suppress(PackageNotFoundError):  # minilwa, in a folder that was copied
            packages[name] = version(name)
    return {"python": platform.python_version(), **packages, "blas": blas_kernels()}


def claim(setting: Setting) -> None:
    """Write the configuration into the results folder; InputError if the folder belongs to another one."""
    path, config = setting.out / "config.json", setting.describe()
    if path.exists():
        try:
            held, wanted = choices(json.loads(path.read_text(encoding="utf-8"))), choices(config)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError("out", f"{path} ({error})", "a configuration that minilwa wrote", HINT) from None
        held = {key: wanted[key] for key in LATER} | held  # not told by an earlier version
        if changed := [key for key in wanted if held.get(key) != wanted[key]]:
            named = [key for key in changed if key not in LATER] or changed  # what these two hold more
            got = f"{setting.out}, which holds runs with other {', '.join(named)}"
            raise InputError("out", got, "the same", HINT)
    write_json(path, config)


def choices(config: dict[str, Any]) -> dict[str, Any]:
    """What a configuration chose, in one dict: all but the versions, which may change between runs."""
    every = {**config, **vars(Recipe(**config["recipe"]))}
    return {key: value for key, value in every.items() if key not in {"recipe", "seed", "versions"}}


def trained(setting: Setting, plan: Plan) -> Network:
    """The network of ``plan``, trained on the setting's data and kept, where a later call finds it."""
    data, source, path = setting.dataset, setting.source, setting.kept(plan)
    network = plan.build(data, source.dtype, source.device)

    def keep(epoch: int, network: Network) -> None:
        if setting.curves and epoch in snapshots(plan):
            save(setting.kept(plan, epoch), network)

    with np.errstate(over="ignore", invalid="ignore"):  # `train` says in one line which rate was too high
        return train(network, data.x_train, data.y_train, plan.method, plan.recipe, path, keep=keep)


@dataclass(frozen=True)
class Unit:
    """A network to train and what to measure on it, for one experiment.

    ``others`` are networks needed besides; ``part`` tells apart several measurements on one network.
    """

    experiment: str
    plan: Plan
    measure: Callable[[Setting, Plan], dict[str, Any]]
    others: tuple[Plan, ...] = ()
    part: str = ""

    def record(self, setting: Setting) -> Path:
        """Where its measurements are kept."""
        name = f"{self.plan.variant}-seed{self.plan.recipe.seed}" + (f"-{self.part}" if self.part else "")
        return setting.out / self.experiment / f"{name}.json"

    def done(self, setting: Setting) -> bool:
        """Whether its measurements are there; InputError if they are of another plan."""
        return self.record(setting).exists() and bool(self.result(setting))

    def result(self, setting: Setting) -> dict[str, Any]:
        """Its measurements, which must be there; InputError if they are of another plan."""
        path = self.record(setting)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            same = Plan.read(found["plan"]) == self.plan
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError("out", f"{path} ({error})", "measurements that minilwa wrote", HINT) from None
        if not same:
            raise InputError("out", f"{path}, of a network trained otherwise", "the same training", HINT)
        return found


def run_units(setting: Setting, units: Sequence[Unit], jobs: int = 1) -> None:
    """Do what is not done yet, ``jobs`` units at a time, each with its share of the cores.

    What several units need is trained first, and beside it as much else as leaves no worker waiting. Joblib spreads the
    work, over processes unless a ``joblib.parallel_config`` around the call says otherwise: with backend="dask" or
    "ray" over a cluster whose machines share the folders of the results and of the data.
    """
    from joblib import Parallel, delayed

    units = [unit for unit in units if not unit.done(setting)]
    needs = Counter(plan for unit in units for plan in {unit.plan, *unit.others})
    shared = [plan for plan, count in needs.items() if count > 1 or plan not in {unit.plan for unit in units}]
    rest = [plan for plan in needs if plan not in shared]
    first = shared + rest[: -len(shared) % jobs]
    threads = None if jobs == 1 else max(1, blas_threads() // jobs)
    common = setting, threads, (platform.node(), os.getpid())
    Parallel(jobs, batch_size=1)(delayed(do_training)(plan, *common) for plan in first)
    Parallel(jobs, batch_size=1)(delayed(do_unit)(unit, *common) for unit in units)


def gathered(setting: Setting, units: Sequence[Unit], **about: Any) -> dict[str, Any]:
    """The configuration, ``about`` included, and the records of ``units``, which must be done."""
    config = setting.describe() | {"seeds": setting.seeds} | about
    return {"config": config, "rows": [unit.result(setting) for unit in units]}


def do_training(plan: Plan, setting: Setting, threads: int | None, caller: Process) -> None:
    """Train one network, in whatever process this is."""
    with limited_to(threads), ended_with(caller):
        trained(setting, plan)


def do_unit(unit: Unit, setting: Setting, threads: int | None, caller: Process) -> None:
    """Train and measure, in whatever process this is, and leave the measurements."""
    with limited_to(threads), ended_with(caller):
        found = unit.measure(setting, unit.plan)
        write_json(unit.record(setting), found | {"plan": asdict(unit.plan), "versions": versions()})


@contextmanager
def ended_with(caller: Process) -> Iterator[None]:
    """Within, a worker that the process ``caller`` has started ends when that is killed, or was before the work began.

    Else it would go on beside those of the next call. In the caller itself, or on another machine, nothing happens.
    """
    machine, parent = caller
    if os.getppid() != parent:
        if os.name == "posix" and machine == platform.node() and not is_alive(parent):
            raise RuntimeError("The program that wanted this has ended.")
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            if os.getppid() != parent:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number on this machine, a POSIX one."""
    with suppress(PermissionError):  # there is, and it is another user's
        try:
            os.kill(pid, 0)  # signal 0 asks, and does nothing
        except ProcessLookupError:
            return False
    return True
