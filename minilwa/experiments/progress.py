"""Progress bars on a terminal: over all that a command trains and measures, and over the images of a single task."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minilwa.experiments.runs import Setting, Unit
from minilwa.saving import epochs_done


@contextmanager
def progress_of_all(work: Sequence[tuple[Setting, Sequence[Unit]]]) -> Iterator[None]:
    """One bar on a terminal, whose steps are epochs of training and units measured, read off the files they leave."""
    from tqdm import tqdm

    networks_of = {
        unit.record(setting): {setting.kept(plan): plan.recipe.epochs for plan in (unit.plan, *unit.others)}
        for setting, units in work
        for unit in units
    }
    epochs = {path: count for networks in networks_of.values() for path, count in networks.items()}
    done: dict[Path, tuple[float, int]] = {}  # by file, when it was left, and its steps

    def left(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def count() -> int:
        for record in networks_of.keys() - done.keys():
            if changed := left(record):
                done.update({path: (0.0, total) for path, total in networks_of[record].items()})  # though it diverged
                done[record] = changed, 1
        for path, total in epochs.items():
            before, steps = done.get(path, (0.0, 0))
            if steps < total and (changed := left(path)) > before:
                done[path] = changed, epochs_done(path)
        return sum(steps for _, steps in done.values())

    def told(path: Path) -> str:
        if path in epochs:
            return f"{path.stem} epoch {done[path][1]} of {epochs[path]}"
        return f"{path.parent.name} {path.stem} measured"

    def show() -> None:
        bar.update(count() - bar.n)
        if done:
            bar.set_postfix_str(told(max(done, key=lambda path: done[path])))

    def watch() -> None:
        while not over.wait(0.5):
            show()

    total, over = sum(epochs.values()) + len(networks_of), threading.Event()
    with tqdm(total=total, initial=count(), unit=" steps", disable=None) as bar:
        watcher = threading.Thread(target=watch, daemon=True)
        if not bar.disable:
            watcher.start()
        try:
            yield
        finally:
            over.set()
            if watcher.is_alive():
                watcher.join()
            show()


@contextmanager
def progress(label: str, images: int) -> Iterator[Any]:
    """A bar over ``images`` on a terminal's standard error; its ``update`` is a tick."""
    from tqdm import tqdm

    with tqdm(total=images, desc=f"{label:<26}", unit=" images", unit_scale=True, disable=None) as bar:
        yield bar
