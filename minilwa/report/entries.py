"""What is finished below a folder, as entries of a report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote

from minilwa.data import DECODED
from minilwa.errors import InputError
from minilwa.experiments.protocols import PROTOCOLS, Plan
from minilwa.report.intervals import Record
from minilwa.report.kinds import KINDS

OPTIONS = ("epochs", "batch", "rate", "momentum", "form", "dtype")
USUAL_DATA = {"cifar10": "cifar10", "judge-cifar10": "cifar10"}  # that of the others is mnist


def entry(experiment: str, config: Record, records: Sequence[Record]) -> Record:
    """What is reported of one experiment: its configuration and the rows over all seeds that are there."""
    try:
        about = {key: config[key] for key in ("data", "split", "images", "protocol", "form", "dtype")}
        about["versions"] = versions_of(records)
        rows = KINDS[experiment].rows(records)
        whole = {seed for row in rows for seed in row.get("seed_numbers", ())}  # of those that are judged
        made_by = command(experiment, config, seeds := sorted(whole or {record["seed"] for record in records}))
        plans = {(plan := Plan.read(record["plan"])).variant: asdict(plan) for record in records}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError("results", f"{experiment} with {error!r}", "files that minilwa wrote") from None
    return about | {
        "experiment": experiment,
        "seeds": seeds,
        "command": made_by,
        "rows": rows,
        "plans": plans,
    }


def versions_of(records: Sequence[Record]) -> list[Record]:
    """The versions that made the records, and how many each; those of a record that names none are empty."""
    counts = Counter(tuple(record.get("versions", {}).items()) for record in records)
    return [{"records": count, "versions": dict(versions)} for versions, count in sorted(counts.items())]


def command(experiment: str, config: Record, seeds: Sequence[int]) -> str:
    """The command that makes these runs, as far as the configuration tells."""
    data = "cifar10" if config["data"] == DECODED else quote(config["data"])
    words = ["minilwa reproduce", experiment, f"--data {data}", f"--protocol {config['protocol']}"]
    words += [f"--split {config['split']}"] if config["split"] != "full" else []
    usual = PROTOCOLS[config["protocol"]]
    for name, default in {**vars(usual.recipe), "form": usual.form, "dtype": "float32"}.items():
        found = config["recipe"].get(name, config.get(name, default))
        given = name in config.get("options", {}) or found != default  # where a row has its own, both count
        words += [f"--{name} {found}"] if name in OPTIONS and given else []
    alone = len(seeds) == 1 and seeds[0] > 0
    return " ".join([*words, f"--seed {seeds[0]}" if alone else f"--seeds {max(seeds) + 1}"])


def collect(results: Path) -> dict[str, Record]:
    """All that is finished below the folder ``results``, by "experiment/protocol", such as "table1/paper".

    Data other than the paper's is in the key, "table1/quick/mnist5k". Where the same was run on all training images and
    on the paper's split, the latter has the split in its key, and what then still has another's key has its folder's
    name in its own.
    """
    if not results.is_dir():
        raise InputError("results", f"{results}, which is no folder", "the folder that minilwa reproduce filled")
    entries: list[tuple[Path, Record]] = []
    for path in sorted([*results.glob("config.json"), *results.glob("*/config.json")]):
        config = read(path)
        for experiment in KINDS:
            records = [read(record) for record in sorted((path.parent / experiment).glob("[!.]*.json"))]
            reported = entry(experiment, config, records) if records else {"rows": []}
            if reported["rows"]:  # none while every network is still under attack
                entries.append((path.parent, reported))
    if not entries:
        raise InputError("results", f"{results} without a finished run", "the folder that minilwa reproduce filled")
    on_all_images = {short_key(reported) for _, reported in entries if reported["split"] == "full"}
    found: dict[str, Record] = {}
    for folder, reported in entries:
        key = short_key(reported)
        key += f"/{reported['split']}-split" if reported["split"] != "full" and key in on_all_images else ""
        found[key if key not in found else f"{key}/{folder.name}"] = reported
    return dict(sorted(found.items(), key=lambda item: (list(KINDS).index(item[1]["experiment"]), item[0])))


def short_key(reported: Record) -> str:
    """The key of an experiment that was run once."""
    usual = reported["data"].split()[0] == USUAL_DATA.get(reported["experiment"], "mnist")
    return f"{reported['experiment']}/{reported['protocol']}" + ("" if usual else f"/{reported['data']}")


def read(path: Path) -> Record:
    """A JSON file that a run left."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise InputError("results", f"{path} ({error})", "a file that minilwa wrote") from None
    return found
