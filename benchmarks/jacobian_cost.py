"""What Algorithm 1 and the Jacobian T cost, from 2 to 1,000 classes, beside other engines.

Every contender works in a process of its own (worker.py), with the same number of threads, on the same trained network
and the same 100 images that it has not seen. Before anything is timed the answers are compared: all T with minilwa's,
Algorithm 1 by lazy search with Algorithm 1 by all rows. Then they take turns, A B C, A B C, and medians are reported.
Peak memory is what one call adds to the resident set of a new process. With --device gpu all work there (meters.py).
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cases
import numpy as np
from harness import agree, contenders, epochs, networks_folder, options, parse, publish, run, say
from machine import describe, in_words
from tables import ratio, table
from timing import summary, take_turns
from worker import Worker

import minilwa
from minilwa.report import new_figure, write_figure

LABELS = {
    "gradient": "one Adv_Loss gradient",
    "jacobian_loop": "T, K passes",
    "jacobian": "T, stacked",
    "algorithm1_full": "Algorithm 1, all rows",
    "algorithm1_lazy": "Algorithm 1, lazy",
    "torch_loop": "T, torch.autograd.grad",
    "torch_jacrev": "T, torch vmap(jacrev)",
    "torch_compile": "T, torch.compile(vmap(jacrev))",
    "jax_jacrev": "T, JAX jit(vmap(jacrev))",
    "autograd_loop": "T, HIPS autograd",
}
RATIOS = (  # the headline: one over another
    ("algorithm1_lazy", "gradient"),
    ("algorithm1_full", "gradient"),
    ("algorithm1_lazy", "algorithm1_full"),
    ("jacobian", "jacobian_loop"),
    ("jacobian", "torch_loop"),
    ("jacobian", "torch_jacrev"),
    ("jacobian", "torch_compile"),
    ("jacobian", "jax_jacrev"),
    ("jacobian", "autograd_loop"),
    ("algorithm1_lazy", "torch_jacrev"),
)
MEMORY_RATIOS = (("algorithm1_lazy", "jacobian"), ("jacobian", "torch_jacrev"), ("jacobian", "jax_jacrev"))
STYLES = {
    "gradient": "k:.",
    "jacobian_loop": "C0:v",
    "jacobian": "C0-s",
    "algorithm1_full": "C3-^",
    "algorithm1_lazy": "C2-o",
    "torch_loop": "C1:v",
    "torch_jacrev": "C1--s",
    "torch_compile": "C6--s",
    "jax_jacrev": "C4--s",
    "autograd_loop": "C5:v",
}
PEERS = ("torch", "torch_compile", "jax", "autograd")
TITLES = {"mlp": "784-1000-1000-K", "lenet": "LeNet"}
CLASSES = {"mlp": tuple(cases.PLACES), "lenet": tuple(cases.PLACES)}
QUICK = {"mlp": (10, 100), "lenet": (10,)}
TOLERANCE = 1e-4  # of T, log distances and directions, in single precision; they are good to about 1e-6
TIED = 0.05  # of the images at most may be off: where rounding breaks a tie in max-pooling, T is another one
EXAMPLES = """  python benchmarks/jacobian_cost.py --quick
  python benchmarks/jacobian_cost.py --json cost.json --figure cost.png --networks networks
  python benchmarks/jacobian_cost.py --kind mlp --classes 10 100 --peers torch --threads 1
  python benchmarks/jacobian_cost.py --device gpu --json cost.json"""


def main() -> None:
    """Measure the cases that the command line asks for; print, draw, write."""
    parser = options(__doc__, EXAMPLES, PEERS)
    parser.add_argument("--classes", nargs="+", type=int, choices=cases.PLACES, metavar="K", help="2, 10, 100, 1000")
    parser.add_argument("--figure", type=Path, metavar="FILE.png", default=Path("results/jacobian_cost.png"))
    chosen = parse(parser, PEERS)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, contenders(chosen) as (workers, versions):
        machine = describe(chosen.threads, versions, chosen.device)
        print(in_words(machine))
        publish(chosen.json, machine, found)  # a path that cannot be written to ends the run here
        for kind in chosen.kind:
            for classes in chosen.classes or (QUICK if chosen.quick else CLASSES)[kind]:
                say(f"{kind}, {classes:,} classes")
                case, about = prepare(kind, classes, chosen, Path(scratch))
                found.append(about | measure(workers, case, chosen, Path(scratch)))
                publish(chosen.json, machine, found)
    print(report(found))
    draw(chosen.figure, found)
    print(f"figure: {chosen.figure}")


def prepare(kind: str, classes: int, chosen: Any, scratch: Path) -> tuple[list[Any], dict[str, Any]]:
    """A case as arguments of `cases.Case.read`, and what is to be said about it."""
    data = cases.digits(classes)
    network, path = cases.trained(kind, classes, data, epochs(chosen), networks_folder(chosen.networks))
    accuracy = minilwa.clean_score(network, data.x_test, data.y_test).accuracy
    say(f"  accuracy on {len(data.x_test):,} fresh images {accuracy:.3f}")
    x, y = data.x_test[: chosen.batch], data.y_test[: chosen.batch]
    images = cases.write_images(scratch / "images.npz", x, y)
    a_pass = min(len(x), max(1, cases.ROWS_A_PASS[kind] // classes))
    about = {"network": kind, "classes": classes, "batch": len(x), "accuracy": accuracy, "images_a_pass": a_pass}
    return [str(path), str(images), a_pass], about


def measure(workers: dict[str, Worker], case: list[Any], chosen: Any, scratch: Path) -> dict[str, Any]:
    """Compare the answers, then time, then weigh."""
    who = {key: worker for worker in workers.values() for key in worker.ask("prepare_jacobian", *case)}
    names = {key: name for name, worker in workers.items() for key in who if who[key] is worker}
    with ExitStack() as stack:
        fresh = {key: stack.enter_context(Worker(name, chosen.threads, chosen.device)) for key, name in names.items()}
        first, rows = compare(who, scratch / "answer.npz")
        for worker in fresh.values():
            worker.greet()  # has imported its engine meanwhile, and now waits
        say("  timing")
        seconds = take_turns(who, first, chosen)
        say("  memory")
        peaks = {key: worker.ask("peak", key, *case) for key, worker in fresh.items()}
    return summary(seconds, list(LABELS)) | {
        "rows_mean": float(rows.mean()),
        "rows_max": int(rows.max()),
        "peak_bytes": {key: peaks.get(key) for key in LABELS},
    }


def compare(who: dict[str, Worker], path: Path) -> tuple[dict[str, float], np.ndarray]:
    """Seconds of every first call, and the rows of the lazy search; `Failed` unless the answers are the same."""
    first, answers = {}, {}
    for key, worker in who.items():
        first[key] = worker.ask("answer", key, str(path))
        with np.load(path) as arrays:
            answers[key] = dict(arrays)
        if "T" in answers[key]:  # 300 MB at 1,000 classes, so only the first is kept
            found = answers[key] if key == "jacobian_loop" else answers.pop(key)
            T = answers["jacobian_loop"]["T"]
            agree(f"T of {key}", lengths(found["T"] - T) / lengths(T).max(), TOLERANCE, TIED)
    full, lazy = answers["algorithm1_full"], answers["algorithm1_lazy"]
    longer = abs(full["log_distance"] - lazy["log_distance"])
    turned = lengths(full["direction"] - lazy["direction"])
    other = full["nearest"] != lazy["nearest"]
    agree("log distance, lazy and full", longer, TOLERANCE, TIED)
    agree("direction, lazy and full", np.where(other, 0, turned), TOLERANCE, TIED)
    agree("class I, lazy and full, but for ties", other & (longer > TOLERANCE), 0, TIED)
    return first, lazy["rows"]


def lengths(arrays: np.ndarray) -> np.ndarray:
    """The L2 norm of every image's array, ``(N,)``."""
    return np.linalg.norm(arrays.reshape(len(arrays), -1), axis=1)


def report(found: list[dict[str, Any]]) -> str:
    """All cases side by side: the ratios, then milliseconds and megabytes."""
    parts = [
        ["", *(case["network"] for case in found)],
        ["K, classes", *(f"{case['classes']:,}" for case in found)],
        ["accuracy on fresh images", *(f"{case['accuracy']:.3f}" for case in found)],
        ["images in one stacked pass", *(case["images_a_pass"] for case in found)],
        ["backward rows, lazy, mean", *(case["rows_mean"] for case in found)],
        ["backward rows, lazy, most", *(case["rows_max"] for case in found)],
    ]
    for title, field, pairs in (("TIME, RATIOS", "seconds", RATIOS), ("MEMORY, RATIOS", "peak_bytes", MEMORY_RATIOS)):
        parts.append([title, *[""] * len(found)])
        for above, below in pairs:
            parts.append([f"{LABELS[above]} / {LABELS[below]}", *(ratio(case[field], above, below) for case in found)])
    for title, field, unit in (("TIME, milliseconds", "seconds", 1e-3), ("PEAK MEMORY, MB", "peak_bytes", 1e6)):
        parts.append([title, *[""] * len(found)])
        for key, label in LABELS.items():
            parts.append([label, *(None if case[field][key] is None else case[field][key] / unit for case in found)])
    return table(parts)


def draw(path: Path, found: list[dict[str, Any]]) -> None:
    """Milliseconds over K, a panel for each network; minilwa's curves drawn through, the others' broken."""
    kinds = list(dict.fromkeys(case["network"] for case in found))
    canvas = new_figure(0.6 + 4.4 * len(kinds), 4.6)
    curves: dict[str, Any] = {}
    panels = canvas.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        of_kind = sorted((case for case in found if case["network"] == kind), key=lambda case: case["classes"])
        for key, label in LABELS.items():
            points = [(c["classes"], 1e3 * c["seconds"][key]) for c in of_kind if c["seconds"][key] is not None]
            if points:
                curves[label] = axes.plot(*zip(*points, strict=True), STYLES[key], markersize=5)[0]
        axes.set(xscale="log", yscale="log", xlabel="classes K", title=f"{TITLES[kind]}, {of_kind[0]['batch']} images")
        ticks = [case["classes"] for case in of_kind]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("milliseconds, median")
    canvas.legend(curves.values(), curves.keys(), loc="outside right center", frameon=False)
    write_figure(path, canvas)


if __name__ == "__main__":
    sys.exit(run(main))
