"""What each command of the command line does with its options."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minilwa import report
from minilwa.backend import Array, like, to_numpy
from minilwa.checks import check_images, check_labels
from minilwa.data import EMBEDDED, Dataset, as_images, as_labels, describe
from minilwa.directions import DIRECTIONS, direction
from minilwa.errors import InputError
from minilwa.evaluation import adversarial_images, attacked_scores, beyond_guessing, clean_score, predict
from minilwa.experiments import (
    choice,
    factorial,
    figure1,
    figure2,
    first_epoch,
    frontier,
    judge,
    masking,
    tables,
    variants,
)
from minilwa.experiments.progress import progress, progress_of_all
from minilwa.experiments.protocols import PROTOCOLS, Plan
from minilwa.experiments.runs import Setting, Source, Unit, claim, run_units, versions
from minilwa.experiments.search import search, trials
from minilwa.files import read_npz, write_json, write_npz, write_text
from minilwa.methods import METHODS, Method, method
from minilwa.networks import Network
from minilwa.norms import Norm
from minilwa.saving import load
from minilwa.training import Recipe, train
from minilwa.tree import tree_map

RATES = {"mlp": 0.05, "lenet": 0.02, "cifar": 0.02}  # at 0.05 an adversary keeps a LeNet from learning at all
EXPERIMENTS: dict[str, Any] = {
    "table1": tables,
    "table2": tables,
    "figure1": figure1,
    "figure2": figure2,
    "factorial": factorial,
    **{f"variants-{table}": variants for table in variants.TRIED},
    "first-epoch": first_epoch,
    "masking": masking,
    "cifar10": tables,
    **{f"judge-{table}": judge for table in tables.NETWORK},
    "frontier": frontier,
    "frontier-choice": choice,
}
PICTURED = 10  # as many images as fit side by side
RESULTS = Path("results")


def reproduce(options: Namespace) -> None:
    """Train and attack the paper's networks, print the tables, draw the figures, leave everything in a folder."""
    if options.what.endswith("cifar10") and options.data == EMBEDDED:
        options.data = "cifar10"
    names = chosen_experiments(options)
    out = options.out or RESULTS / folder_name(options)
    curves = options.protocol != "quick" or bool({"figure2", "masking"} & set(names))
    setting = replace(setting_of(options, out), curves=curves)
    units = units_of(names, setting)
    plans = {unit.plan for unit in units}
    check_outputs(out / "config.json", options.json, *map(setting.kept, plans))
    for network in {plan.network: plan for plan in plans}.values():
        network.build(setting.dataset)  # images too small for it are found now, not after the others
    claim(setting)
    searched = PROTOCOLS[options.protocol].selected_under
    rows = sorted({(plan.network, plan.method.name) for plan in plans if searched})
    with progress_of_all([trials(setting, rows), (setting, units)]):  # a search changes neither names nor epochs
        if searched:
            setting = search(setting, rows, options.jobs)
        run_units(setting, units_of(names, setting), options.jobs)
    results = {name: EXPERIMENTS[name].summary(setting, name) for name in names}
    for name, result in results.items():
        entry = report.entry(name, setting.describe(), result["rows"])
        if EXPERIMENTS[name] is judge:  # what it left of every image stays where it is
            results[name] = entry
        write_json(out / f"{name}.json", results[name])
        if EXPERIMENTS[name] not in (figure1, figure2):
            table = "\n\n".join([report.markdown(entry), *report.notes_on(entry)])
            write_text(out / f"{name}.md", table + "\n")
            print(f"\n{report.caption(entry)}\n\n{table}")
        if EXPERIMENTS[name] in (figure1, figure2, first_epoch, masking, frontier, choice):
            report.draw(entry, out / name)
    if options.json:
        write_json(options.json, results if options.what == "all" else results[options.what])
    print(f"\nResults are in {out}: " + ", ".join(sorted(path.name for path in out.iterdir())))


def chosen_experiments(options: Namespace) -> Sequence[str]:
    """What "all" means: quickly Table 1 and Figure 1, else all of the paper's that the data are for, unjudged."""
    if options.what != "all":
        return [options.what]
    if options.data == "cifar10":
        return ["cifar10"]
    quick = ["table1", "figure1"]
    return quick if options.protocol == "quick" else [*quick, "table2", "figure2", "factorial"]


def units_of(experiments: Sequence[str], setting: Setting) -> list[Unit]:
    """What there is to train and to measure."""
    return [unit for name in experiments for unit in EXPERIMENTS[name].units(setting, name)]


def make_report(options: Namespace) -> None:
    """Turn what is finished into verdicts, tables, figures and a page."""
    check_outputs(options.out / "index.html", options.json)
    experiments = report.collect(options.results)
    verdicts = report.verdicts_on(experiments)
    paths = report.write_report(options.out, experiments, verdicts)
    if options.json:
        write_json(options.json, {"experiments": experiments, "verdicts": verdicts})
    for key, entry in experiments.items():
        print(f"{key}: {len(entry['rows'])} rows, seeds {', '.join(map(str, entry['seeds']))}")
    for found in verdicts:
        worst = f"; in the worst case {found['worst_case']}" if found["worst_case"] else ""
        print(
            f"claim {found['claim']}: {found['verdict']}{worst}; {found['open']} of {found['questions']} questions open"
        )
    print(f"{paths[0]} shows all; beside it {len(paths) - 1} tables, figures and the verdicts")


def folder_name(options: Namespace) -> str:
    """Where results go unless the user says: a folder for each data set, split and protocol, and for the frontier.

    The frontier's is Table 1's where an earlier version left it there.
    """
    data = Path(options.data).stem + ("" if options.split == "full" else f"-{options.split}-split")
    alone = options.protocol == "quick" and options.seeds is None
    name = f"{data}-seed{options.seed}" if alone else f"{data}-{options.protocol}"
    if options.what.startswith("frontier") and not (RESULTS / name / options.what).is_dir():
        name += "-frontier"  # its LWA has other layers than Table 1's
    return name


def train_network(options: Namespace) -> None:
    """Train one network and save it."""
    check_outputs(options.out, options.json)
    chosen, recipe = method_of(options), recipe_of(options)
    source = source_of(options, options.dtype)
    dataset = source.load()
    network = Plan(options.network, chosen, recipe).build(dataset, source.dtype, source.device)
    with (
        progress(f"train {options.out.stem}", recipe.epochs * len(dataset.x_train)) as bar,
        np.errstate(over="ignore", invalid="ignore"),  # `train` says in one line which rate was too high
    ):
        network = train(network, dataset.x_train, dataset.y_train, chosen, recipe, options.out, bar.update)
    found = clean_score(network, dataset.x_test, dataset.y_test)
    low, high = found.interval()
    print(f"{options.out}: {options.network} trained by {chosen.name} on {dataset.name}")
    print(f"accuracy on {found.n} test images: {found.accuracy:.4f}  [{low:.4f}, {high:.4f}]")
    if not beyond_guessing(found.accuracy, dataset.classes):
        print("That is hardly better than guessing: a lower --rate or --radius may help.")
    if options.json:
        settings = {"data": dataset.name, "images": [len(dataset.x_train), len(dataset.x_test)], "recipe": vars(recipe)}
        settings |= {"form": options.form, "dtype": source.dtype, "device": source.device, "versions": versions()}
        settings |= {"network": options.network, "method": vars(chosen)}
        write_json(options.json, settings | {"validation": found.describe()})


def attack(options: Namespace) -> None:
    """Perturb images; leave them, their labels before and after and a picture in a folder."""
    check_outputs(*(options.out / f"attack.{end}" for end in ("npz", "json", "png")), options.json)
    network = network_of(options)
    x, y = images_of(options, network)
    along = direction(options.direction, options.form, options.direction_norm)
    x_hat = adversarial_images(network, x, y, along, options.radius, options.norm, options.clip)
    labels = {"y": y, "before": predict(network, x), "after": predict(network, x_hat)}
    host = {name: to_numpy(a) for name, a in ({"x": x, "x_hat": x_hat} | labels).items()}
    turned = int((host["before"] != host["after"]).sum())
    write_npz(options.out / "attack.npz", host, None)
    result = {
        "direction": options.direction,
        "radius": options.radius,
        "norm": options.norm,
        "form": options.form,
        "clip": options.clip,
        "turned": turned,
    } | {name: host[name].tolist() for name in labels}
    write_json(options.out / "attack.json", result)
    if options.json:
        write_json(options.json, result)
    shown = {name: host[name][:PICTURED] for name in ("x", "x_hat", "before", "after")}
    report.draw_images(options.out / "attack.png", **shown)
    for name in labels:
        print(f"{name:>7}: {' '.join(map(str, host[name][:40]))}{' ...' if len(x) > 40 else ''}")
    distance = f"{title(options.norm)} norm {options.radius:g}"
    print(f"{turned} of {len(x)} predictions turned by {options.direction}, {distance}")
    print(f"{options.out}: attack.npz, attack.json, attack.png")


def evaluate(options: Namespace) -> None:
    """Accuracy of a network, clean and under the three perturbations, at one or more radii."""
    check_outputs(options.json)
    network = network_of(options)
    dataset = dataset_for(network, options)
    x, y = dataset.x_test, dataset.y_test
    scores = [("clean", 0.0, clean_score(network, x, y))]
    with progress("attack", len(DIRECTIONS) * len(x)) as bar:
        for name in DIRECTIONS:
            along = direction(name, options.form, options.direction_norm)
            found = attacked_scores(network, x, y, along, options.radius, options.norm, options.clip, bar.update)
            scores += [(name, radius, score) for radius, score in zip(options.radius, found, strict=True)]
    print(f"{options.network} on {len(x)} test images of {dataset.name}, {title(options.norm)} radius, 95% intervals")
    rows = [{"direction": name, "radius": radius, **score.describe()} for name, radius, score in scores]
    for row in rows:
        low, high = row["interval"]
        print(f"{row['direction']:<14} {row['radius']:<5g} {row['accuracy']:.4f}  [{low:.4f}, {high:.4f}]")
    if options.json:
        choices = {"data": dataset.name, "norm": options.norm, "form": options.form, "clip": options.clip}
        write_json(options.json, choices | {"rows": rows})


def show_data(options: Namespace) -> None:
    """Load a data set and say what it holds."""
    check_outputs(options.json)
    dataset = dataset_of(options, options.dtype)
    print(describe(dataset))
    if options.json:
        shapes = {key: list(getattr(dataset, key).shape) for key in ("x_train", "y_train", "x_test", "y_test")}
        write_json(options.json, {"name": dataset.name, "classes": dataset.classes, "shapes": shapes})


def check_outputs(*paths: Path | None) -> None:
    """InputError unless every path (None: no file is wanted) can be written; found now, not after minutes of work."""
    for path in filter(None, paths):
        folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise InputError("output", f"{path} ({folder} is no folder to write to)", "a path that can be written")
        if os.path.exists(path) and not path.is_file():  # a folder, or a device such as /dev/stdout
            raise InputError("output", f"{path}, which is no ordinary file", "a path that can be written")


def setting_of(options: Namespace, out: Path) -> Setting:
    """What the options of `reproduce` choose, checked, with ``out`` for a results folder."""
    if options.jobs < 1:
        raise InputError("jobs", options.jobs, "a number >= 1")
    if options.seeds is not None and options.seeds < 1:
        raise InputError("seeds", options.seeds, "a number >= 1")
    if options.seeds is not None and options.seed:
        raise InputError("seed", options.seed, f"none beside --seeds {options.seeds}")
    source = source_of(options, options.dtype)
    changes = {name: getattr(options, name) for name in ("epochs", "batch", "rate", "momentum")}
    recipe = {name: value for name, value in changes.items() if value is not None}
    replace(PROTOCOLS[options.protocol].recipe, **recipe, seed=options.seed)  # InputError on what no recipe can be
    seeds = (options.seed,) if options.seeds is None else tuple(range(options.seeds))
    return Setting(source, out, options.protocol, options.form, recipe, seeds)


def source_of(options: Namespace, dtype: str) -> Source:
    """The data that the options name, loaded once to see that they are there and whole."""
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise InputError("data_dir", options.data_dir, "a folder")
    source = Source(options.data, options.data_dir, getattr(options, "split", "full"), dtype, options.device)
    source.load()
    return source


def dataset_of(options: Namespace, dtype: str) -> Dataset:
    """The data that the options name."""
    return source_of(options, dtype).load()


def dataset_for(network: Network, options: Namespace) -> Dataset:
    """The data that the options name, in the network's dtype; InputError if the network is for other data."""
    dataset = dataset_of(options, network.dtype)
    try:
        check_images(network, dataset.x_test)
        check_labels(network, dataset.x_test, dataset.y_test)
    except InputError as error:
        if error.argument == "network":
            raise
        got = f"{dataset.name} for {options.network} ({str(error).rstrip('.')})"
        raise InputError("data", got, "data like those that it was trained on", "Name them with --data.") from None
    return dataset


def network_of(options: Namespace) -> Network:
    """The network that the options name, in their dtype if they give one."""
    network = load(options.network, options.device)
    dtype = options.dtype or network.dtype
    return network.with_parameters(tree_map(lambda p: p.astype(dtype), network.parameters))


def recipe_of(options: Namespace) -> Recipe:
    """The training recipe that the options of `train` give."""
    chosen = {name: getattr(options, name) for name in ("epochs", "batch", "momentum", "seed")}
    rate = RATES[options.network] if options.rate is None else options.rate
    return Recipe(rate=rate, **chosen)


def method_of(options: Namespace) -> Method:
    """The method that the options name, changed as they say; InputError if it perturbs nothing and they say how."""
    wanted = {"along": options.direction, "radius": options.radius, "norm": options.norm, "at": options.at}
    wanted |= {"direction_norm": options.direction_norm, "steps": options.steps}
    changes = {key: value for key, value in wanted.items() if value is not None}
    if changes and METHODS[options.method].along is None:
        hint = "Choose with --method one that perturbs, such as LWA."
        raise InputError("method", f"{options.method} with a perturbation ({', '.join(changes)})", "none with it", hint)
    return method(options.method, form=options.form, **changes)


def images_of(options: Namespace, network: Network) -> tuple[Array, Array]:
    """The images to attack and their labels, which are the predicted ones where none are known."""
    if options.images is None:
        if options.count < 1:
            raise InputError("count", options.count, "a number of images >= 1")
        dataset = dataset_for(network, options)
        return dataset.x_test[: options.count], dataset.y_test[: options.count]
    _, arrays = read_npz("images", options.images)
    if "x" not in arrays:
        raise InputError("images", f"{options.images} with {', '.join(arrays) or 'nothing'}", "an array x")
    x = as_images("x", arrays["x"], network.dtype, options.device)
    check_images(network, x)
    return x, like(as_labels("y", arrays["y"], len(x)), x) if "y" in arrays else predict(network, x)


def title(norm: Norm) -> str:
    """A norm's name: l2, or l3 for the number 3."""
    return norm if isinstance(norm, str) else f"l{norm:g}"
