"""What a reader of a table must know besides: gradients that led nowhere, and what makes a judgement doubtful."""

from __future__ import annotations

from typing import Any

from minilwa.evaluation import beyond_guessing
from minilwa.experiments import judge
from minilwa.experiments.first_epoch import SLOW
from minilwa.experiments.protocols import RADIUS
from minilwa.report.judged import at_one_radius, missing_attacks, repeated
from minilwa.report.numbers import figure, listed, plus
from minilwa.report.text import TITLES

LITTLE = 0.01  # by which an accuracy may change if an attack is repeated: of 1,000 images, 10


def table(entry: dict[str, Any]) -> list[str]:
    """How many images had no direction to be moved along."""
    found = [
        f"{row['method']} under {TITLES[column]} {sum(counts):,} of {row['n'] * len(counts):,}"
        for row in entry["rows"]
        for column, counts in row["zero_gradients"].items()
        if sum(counts)
    ]
    told = f"Zero gradients, so images that stayed where they were: {'; '.join(found) or 'none'}."
    return [told, *by_another_network(entry), *filter(None, [remarks(entry).strip()])]


def by_another_network(entry: dict[str, Any]) -> list[str]:
    """Where the images that were made on another network break more than the network's own gradient does, by more than
    half a Wilson interval."""
    reasons = {
        "adv_loss_sign": "in L2 the loss does not rise fastest along the sign",
        "adv_loss": "their own gradients may be the worse guide",
    }
    told = []
    for column, reason in reasons.items():
        ahead = [r["method"] for r in entry["rows"] if r["fixed"]["mean"] < r[column]["mean"] - half_width(r[column])]
        if ahead:
            also = f"Fixed, made on another network, leaves fewer right than {TITLES[column]} for {listed(ahead)}"
            told.append(f"{also}: {reason}.")
    return told


def remarks(entry: dict[str, Any]) -> str:
    """What a reader of these figures must know of the networks, each sentence after a space; empty if nothing."""
    return with_dropout(entry) + unlearned(entry)


def unlearned(entry: dict[str, Any]) -> str:
    """Which networks are not beyond guessing."""
    found = [
        f"{row['method']}, seed {seed} ({figure(accuracy)})"
        for row in entry["rows"]
        for seed, accuracy in zip(row["seed_numbers"], row["validation"]["values"], strict=True)
        if not beyond_guessing(accuracy, row["classes"])
    ]
    return f" Did not learn, by clean accuracy: {listed(found)}." if found else ""


def without(entry: dict[str, Any]) -> str:
    """What is told without the networks that did not learn, where others of their row did; after a space."""
    told = " Distances, their curve, the radius down to chance, gradients and concentration are those of the others."
    mixed = any(len({beyond_guessing(a, r["classes"]) for a in r["validation"]["values"]}) > 1 for r in entry["rows"])
    return told if mixed else ""


def with_dropout(entry: dict[str, Any]) -> str:
    """A remark if methods other than Dropout train with dropout too, empty else."""
    methods = [plan["method"] for plan in entry["plans"].values() if plan["method"]["name"] != "Dropout"]
    found = [f"{method['name']} ({method['dropout']:g})" for method in methods if method["dropout"]]
    return f" Trained with dropout as well: {listed(found)}; Normal is not." if found else ""


def factorial(entry: dict[str, Any]) -> list[str]:
    """What a column means."""
    return ["“Too sure” is the share of test images with 1 - alpha_y < 1e-6, which float32 loses in the printed form."]


def variants(entry: dict[str, Any]) -> list[str]:
    """What the names say."""
    return [
        "A name tells what is changed of the settings that the row has in the table: “at” is the number of layers "
        "before the representation, “along” what training moves its images along, “droppedlast” puts dropout before "
        "the last layer alone, “scaleNone” are He's initial weights. “masks” is the same network attacked by gradients "
        "that are taken with dropout on.",
    ]


def first_epoch(entry: dict[str, Any]) -> list[str]:
    """What counts as learning."""
    return [
        "A network is learning if after one epoch it is right more than twice as often as guessing, or more than a "
        "tenth of the way from there to always; brackets are the share's 95% Wilson interval. Radii are the search's "
        f"grid; rates are what it chose for the row, or the protocol's, but for the last line's {SLOW:g}."
    ]


def masking(entry: dict[str, Any]) -> list[str]:
    """How far the images are moved, and which PGD it is."""
    return [
        f"On the first {entry['rows'][0]['n']:,} test images, at a radius of {RADIUS['lenet']:g}. Adv_Loss is the "
        "direction that LWA trains on; Goodfellow's method trains along Adv_Loss_Sign. PGD is short here, 20 steps "
        "from one start: as many as a search that selects under it affords."
    ]


def judgement(entry: dict[str, Any]) -> list[str]:
    """What was checked, and each doubt by itself."""
    doubts = [doubt for row in entry["rows"] for doubt in doubts_of(row)]
    missing = missing_attacks(entry)
    lack = [f"Still to be run, so no part of the worst case or of the checks: {listed(missing)}."] if missing else []
    attacks = ", ".join(entry["rows"][0]["worst"]["attacks"])
    radii = max((list(attack["accuracy"]) for attack in entry["rows"][0]["attacks"].values()), key=len)
    return [
        f"The worst case is over {attacks}, image by image; the transferred set, other precisions and other norms are "
        "no part of it. Distances are the worst case's, over the images that are right unperturbed. "
        f"The images are the first {entry['rows'][0]['n']:,} of the test set: compare lines and columns of this table, "
        "not this one with those over all test images.",
        f"PGD, Square, noise and the single steps were run at no other radii than {listed(radii)}. Between these the "
        "worst case is that of the attacks which look for the least distance, so its curve, its distances and its "
        "radius down to chance are upper bounds.",
        *filter(None, [(remarks(entry) + without(entry)).strip()]),
        f"Checked: {checked(entry['rows'][0])}.",
        *where(entry),
        *spared(entry),
        *lack,
        *(doubts or ["Nothing of this was found amiss."]),
    ]


def where(entry: dict[str, Any]) -> list[str]:
    """Which attacks were run at the radius of the tables alone: on all networks, or on those of some seeds."""
    rows = entry["rows"]
    radius = f"{rows[0]['radius']:g}"
    found = []
    if few := at_one_radius(entry):
        found.append(
            f"Run at a radius of {radius} alone, so at others the worst case does without them: {listed(few)}."
        )
    if rest := rows[0]["worst"]["at_one_radius"]:
        traced = [seed for seed in rows[0]["seed_numbers"] if seed not in rest]
        found.append(
            f"PGD and Square were run at a radius of {radius} alone on the networks with seed {listed(rest)}: the "
            f"curve, the distances and the radius down to chance are those of seed {listed(traced)}."
        )
    return found


def spared(entry: dict[str, Any]) -> list[str]:
    """What is smaller on these networks than on the others."""
    if judge.network_of(entry["experiment"]) != "cifar":
        return []
    return [
        "Here Square makes 500 queries an image, not 5,000, and L-BFGS 5 searches, not 8; pgd-1start is PGD from its "
        "first start alone, and it is what is repeated with twice the steps; in float64 only single steps are repeated."
    ]


def checked(row: dict[str, Any]) -> str:
    """What `doubts_of` looked for among the attacks that were run."""
    blind = [name for name in row["worst"]["attacks"] if row["attacks"][name]["gradients"] is None]
    transferred = "transfer" in row["attacks"]
    others = ["a transferred set"] * transferred + blind
    again = (
        f"{listed(list(row['checks']['again']))} changing the accuracy of no network by more than {figure(LITTLE, 2)}"
    )
    looked_for = [
        *([f"no images broken by {listed(others)} that the others leave"] if others else []),
        *(["no transferred set that is stronger than the same step along the network's own gradient"] * transferred),
        "no gradients that are zero or not finite",
        *(
            ["no attack along gradients, but for the sign, that leaves more than Square does"]
            * ("square" in row["attacks"])
        ),
        *(["no iterated DeepFool that leaves more than its first step"] * ("deepfool_step" in row["attacks"])),
        *([again] if row["checks"]["again"] else []),
        "the worst case getting down to chance",
    ]
    return "; ".join(looked_for)


def doubts_of(row: dict[str, Any]) -> list[str]:
    """What speaks against the worst case of one method, as sentences."""
    method, checks, attacks, radius = row["method"], row["checks"], row["attacks"], f"{row['radius']:g}"
    found, images = [], row["n"] * row["seeds"]
    if count := sum(checks["transfer_only"]):
        found.append(f"{count:,} of {images:,} images are broken by the transferred set and by no attack of its own")
    found += outdone(attacks)
    if count := sum(checks["blind_only"]):
        found.append(f"{count:,} of {images:,} images are broken without gradients and not with them")
    found += misled(attacks, radius)
    for name, attack in attacks.items():
        counts = attack["gradients"] or {"zero": 0, "not_finite": 0}
        kinds = (("zero", "zero"), ("not_finite", "not finite"))
        told = [f"{counts[key]:,} of {counts['total']:,} are {label}" for key, label in kinds if counts[key]]
        found += [f"gradients of {name}: {', '.join(told)}"] if told else []
    repeats = [repeated(name) for name in checks["again"]]
    for name, again in checks["again"].items():
        if max(round(abs(value), 6) for value in again["change"]["values"]) > LITTLE:
            advice = "; double the steps again" if name.endswith("steps") and name not in repeats else ""
            by = listed([plus(value) for value in again["change"]["values"]])
            found.append(f"{name} changes the accuracy of {repeated(name)} by {by}{advice}")
    if None in row["worst"]["to_chance"]:
        found.append("some images are broken at no radius, and more are left than guessing gets")
    return [f"{method}: {doubt}." for doubt in found]


def outdone(attacks: dict[str, Any]) -> list[str]:
    """At which radii images made on another network break more than the same step along the network's own gradient."""
    if not {"transfer", "adv_loss"} <= set(attacks):
        return []
    other, own = (attacks[name]["accuracy"] for name in ("transfer", "adv_loss"))
    found = [
        f"at a radius of {radius} ({figure(other[radius]['mean'])} against {figure(own[radius]['mean'])})"
        for radius in own
        if radius in other and other[radius]["mean"] < own[radius]["mean"] - half_width(own[radius])
    ]
    if not found:
        return []
    return [
        f"the transferred set is stronger than the same step along its own gradient {listed(found)}: its gradient is "
        "the worse guide there"
    ]


def misled(attacks: dict[str, Any], radius: str) -> list[str]:
    """Which attacks do worse with a gradient than others without, or than a part of themselves.

    Beyond half a Wilson interval; Adv_Loss_Sign is left out, since the sign is no steepest direction in L2.
    """
    left = {name: a["accuracy"][radius] for name, a in attacks.items() if a["accuracy"] and "-" not in name}
    found = []
    if square := left.get("square"):
        guided = [name for name in left if attacks[name]["gradients"] and not name.startswith("adv_loss_sign")]
        if beaten := [name for name in guided if left[name]["mean"] > square["mean"] + half_width(square)]:
            most = max(left[name]["mean"] for name in beaten)
            found.append(
                f"square, which sees no gradient, leaves {figure(square['mean'])}, while along gradients up to "
                f"{figure(most)} are left ({listed(beaten)}), which overrates the network"
            )
    pair = [left[name] for name in ("deepfool", "deepfool_step") if name in left]
    if len(pair) == 2 and pair[0]["mean"] > pair[1]["mean"] + half_width(pair[1]):
        figures = " against ".join(figure(each["mean"]) for each in pair)
        found.append(f"deepfool leaves more than its first step made as long as the radius ({figures})")
    return found


def half_width(found: dict[str, Any]) -> float:
    """Of the Wilson interval."""
    low, high = found["wilson"]
    return (high - low) / 2


def frontier(entry: dict[str, Any]) -> list[str]:
    """On which images, and by which attacks, the worst case was found."""
    attacks = listed(list(entry["rows"][0]["left"]))
    return [f"The worst case is over {attacks}, on the first {entry['rows'][0]['n']:,} test images."]


def choice(entry: dict[str, Any]) -> list[str]:
    """The same, and what this table cannot tell."""
    attacks = listed(list(entry["rows"][0]["left"]))
    return [
        f"The worst case is over {attacks} alone, with fewer starts than the frontier's, on {entry['rows'][0]['n']:,} "
        "training images that the split leaves out: no test image was looked at.",
        "The frontier's five steps of half of c had been chosen before, with seed 10 on these images, in runs that "
        "left no records. One seed ranks, and does not decide.",
    ]
