"""The judgement of networks: the worst case by image, and what makes it doubtful, on planted distances."""

import re
from dataclasses import asdict
from inspect import signature

import numpy as np
import pytest

from minilwa.attacks import ATTACKS
from minilwa.experiments import judge
from minilwa.experiments.protocols import PROTOCOLS
from minilwa.experiments.runs import Setting, Source
from minilwa.report.entries import entry
from minilwa.report.figures import title
from minilwa.report.judged import judgement, worst
from minilwa.report.judged_lines import judgement as lines_of
from minilwa.report.kinds import notes_on
from minilwa.report.notes import doubts_of

N = 100


def record(name, distances, method="LWA", seed=0, precision="float32", gradients=None, clip=False):
    accuracy = [float(np.mean([d is None or d > radius for d in distances])) for radius in (1.5, 4.0)]
    counts = {"total": 50, "zero": 0, "not_finite": 0} | (gradients or {})
    summary = {"median": 1.0, "mean": 1.0, "relative_mean": 0.2, "broken": 1}
    about = {"method": method, "seed": seed, "n": N, "attack": name, "norm": "l2", "radius": 1.5, "radii": [1.5, 4.0]}
    about |= {"accuracy": accuracy, "summary": summary, "distances": distances, "clip": clip, "precision": precision}
    return about | {"gradients": None if name in {"square", "transfer"} else counts}


def clean(method="LWA", seed=0):
    return {
        "method": method,
        "seed": seed,
        "n": N,
        "attack": "none",
        "accuracy": 1.0,
        "classes": 10,
        "sizes": [9.0] * N,
    }


def broken(count, near=1.0, far=3.0):
    """Distances of which ``count`` are within the radius."""
    return [near] * count + [far] * (N - count)


USUAL = {
    "adv_loss": broken(40),
    "adv_loss-float64": broken(40),
    "pgd": broken(61),
    "pgd-200steps": broken(62),
    "square": broken(30),
    "transfer": broken(20),
}


def records_of(changes=(), method="LWA", seed=0, gradients=None):
    every = USUAL | dict(changes)
    precision = {"adv_loss-float64": "float64"}
    made = [
        record(name, d, method, seed, precision.get(name, "float32"), (gradients or {}).get(name))
        for name, d in every.items()
    ]
    return [*made, clean(method, seed)]


def doubts(changes=(), **options):
    (row,) = judgement(records_of(changes, **options))
    return doubts_of(row)


def test_worst_case_of_known_distances():
    about = {"seed": 0, "n": 4, "radius": 1.0, "radii": [1.0, 3.0]}
    found = [
        about | {"attack": "one", "distances": [0.0, 2.0, None, 1.0]},
        about | {"attack": "other", "distances": [0.0, 0.5, None, 3.0]},
    ]
    result = worst(found, {0: np.array([1.0, 2.0, 4.0, 4.0])}, classes=2)
    assert result["accuracy"]["values"] == [0.25]  # the first is wrong, the second and the last within 1
    assert (result["median"], result["unbroken"]) == ([1.0], [1])
    assert result["mean"] == [0.75]
    assert result["relative_mean"] == [0.25]
    assert result["to_chance"] == [0.5]  # two of four are left
    assert worst(found, {0: np.ones(4)}, classes=4)["to_chance"] == [1.0]
    assert worst(found, {0: np.ones(4)}, classes=10)["to_chance"] == [None]
    assert worst([], {}, 10) is None


def test_networks_still_under_attack_are_left_out():
    done = [r for seed in (0, 1) for r in records_of(seed=seed)] + records_of(method="Normal")
    partly = [r for r in records_of(method="Normal", seed=1) if r["attack"] != "pgd"]
    rows = judgement(done + partly)
    assert [(row["method"], row["seed_numbers"]) for row in rows] == [("Normal", [0]), ("LWA", [0, 1])]
    assert rows[0]["worst"]["accuracy"]["values"] == [0.38]
    rows = judgement(records_of() + [r for r in records_of(method="Normal") if r["attack"] != "pgd"])
    assert [row["method"] for row in rows] == ["LWA"]


def test_seeds_still_under_attack_are_not_counted():
    plan = asdict(PROTOCOLS["paper"].plan("mlp", "LWA"))
    records = [r | {"plan": plan} for r in [*records_of(), *records_of(seed=1)[:2]]]
    config = {"data": "mnist", "split": "full", "images": [9, 9], "protocol": "paper", "form": "printed"}
    found = entry("judge-table1", config | {"dtype": "float32", "recipe": {}, "versions": {}}, records)
    assert found["seeds"] == [0]
    assert found["command"].endswith("--protocol paper --seeds 1")


def test_nothing_amiss():
    assert doubts() == []
    (row,) = judgement(records_of())
    assert (
        notes_on({"plans": {}, "protocol": "paper", "experiment": "judge-table1", "rows": [row], "seeds": [0]})[-1]
        == "Nothing of this was found amiss."
    )


def test_only_what_was_run_is_told_as_checked():
    left_out, told = ("-float64", "steps", "transfer"), []
    for records in (records_of(), [r for r in records_of() if not r["attack"].endswith(left_out)]):
        rows = judgement(records)
        found = notes_on({"plans": {}, "protocol": "paper", "experiment": "judge-table1", "rows": rows, "seeds": [0]})
        told += [note for note in found if note.startswith("Checked")]
    whole, less = told
    assert all(name in whole for name in ("a transferred set and square", "adv_loss-float64", "pgd-200steps"))
    assert "broken by square" in less
    assert not any(name in less for name in ("transferred", "float64", "steps"))


def test_attacks_that_no_network_has_met_are_named():
    (row,) = judgement(records_of())
    told = " ".join(
        notes_on({"plans": {}, "protocol": "paper", "experiment": "judge-table1", "rows": [row], "seeds": [0]})
    )
    lack = re.search(r"Still to be run, so no part of the worst case or of the checks: (.*?)\.", told)[1]
    assert set(re.split(", | and ", lack)) == set(judge.parts("mlp", "paper")) - set(row["attacks"])
    row["attacks"] |= dict.fromkeys(judge.parts("mlp", "paper"), row["attacks"]["pgd"])
    assert "Still to be run" not in " ".join(
        notes_on({"plans": {}, "protocol": "paper", "experiment": "judge-table1", "rows": [row], "seeds": [0]})
    )


def test_attacks_that_their_gradients_mislead_are_named():
    (found,) = doubts({"square": broken(58), "adv_alpha": broken(45), "adv_loss_sign": broken(5)})
    assert found == (
        "LWA: square, which sees no gradient, leaves .420, while along gradients up to .600 are left (adv_alpha and "
        "adv_loss), which overrates the network."
    )
    assert doubts({"square": broken(45), "adv_loss_sign": broken(5)}) == []  # within half an interval, or by the sign
    (found,) = doubts({"deepfool": broken(40), "deepfool_step": broken(55)})
    assert found == "LWA: deepfool leaves more than its first step made as long as the radius (.600 against .450)."
    assert doubts({"deepfool": broken(55), "deepfool_step": broken(40)}) == []


def radii_of(name, network, protocol="paper", seed=0):
    return judge.parts(network, protocol)[name].radii(PROTOCOLS[protocol].plan(network, "LWA", seed=seed), protocol)


def told_of(records):
    rows = judgement(records)
    return notes_on(
        {"plans": {}, "protocol": "paper", "experiment": "judge-table2", "rows": rows, "seeds": rows[0]["seed_numbers"]}
    )


def at_one(records, attack="pgd"):
    return [r | {"radii": [1.5], "accuracy": r["accuracy"][:1]} if r["attack"] == attack else r for r in records]


LONG = {"pgd", "pgd_margin", "square", "pgd-clipped", "pgd_margin-clipped", "square-clipped"}


@pytest.mark.parametrize(
    ("network", "protocol", "seed", "expected"),
    [
        ("cifar", "paper", 0, LONG | {"pgd-1start"}),
        ("lenet", "paper", 0, set()),
        ("lenet", "paper", 1, LONG),
        ("lenet", "equal", 0, LONG),
        ("lenet", "quick", 0, LONG),
        ("mlp", "quick", 0, set()),
        ("mlp", "quick", 1, LONG),
        ("mlp", "paper", 4, set()),
        ("mlp", "equal", 2, set()),
        ("mlp", "equal", 3, LONG),
    ],
)
def test_long_attacks_are_run_at_one_radius_where_they_are_dear(network, protocol, seed, expected):
    checks = {name for name, part in judge.parts(network, protocol).items() if part.check}
    at = {name: radii_of(name, network, protocol, seed) for name in judge.parts(network, protocol)}
    alone = {name for name, radii in at.items() if radii == (judge.RADIUS[network],)}
    assert alone - checks == expected
    assert checks <= alone
    assert at["fmn"] == judge.RADII[network]


@pytest.mark.parametrize(("protocol", "radii"), [("equal", (1.5,)), ("paper", judge.RADII["lenet"])])
def test_an_attack_is_run_at_the_radii_of_its_protocol(protocol, radii, tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "parts", lambda network, protocol: {"noise": judge.Part(ATTACKS["noise"], long=True)})
    monkeypatch.setattr(judge, "IMAGES", 10)
    monkeypatch.setattr(judge, "trained", lambda setting, plan: plan.build(setting.dataset))
    setting = Setting(Source("mnist5k"), tmp_path, protocol)
    found = judge.attacked(setting, setting.plan("lenet", "Normal", 0), "noise")
    assert (found["radii"], len(found["accuracy"])) == (radii, len(radii))


def test_what_is_smaller_on_cifar_is_run_so_and_told():
    usual, fewer = (
        {name: {**signature(part.attack.run).parameters} for name, part in judge.parts(network, "paper").items()}
        for network in ("mlp", "cifar")
    )
    queries = [each[name]["queries"].default for each in (fewer, usual) for name in ("square", "square-clipped")]
    assert queries == [500, 500, 5000, 5000]
    searches = [each[name]["searches"].default for each in (fewer, usual) for name in ("lbfgs", "lbfgs-clipped")]
    assert searches == [5, 5, 8, 8]
    starts = {name: (each["restarts"].default, each["steps"].default) for name, each in fewer.items() if "pgd" in name}
    assert {name: counts for name, counts in starts.items() if counts != (10, 100)} == {
        "pgd-1start": (1, 100),
        "pgd-1start-200steps": (1, 200),
    }
    assert not [name for name in fewer if name.startswith("pgd") and name.endswith("float64")]
    told = "Here Square makes 500 queries an image, not 5,000, and L-BFGS 5 searches, not 8"
    rows = judgement(records_of())
    found = [
        notes_on({"plans": {}, "protocol": "paper", "experiment": name, "rows": rows, "seeds": [0]})
        for name in ("judge-cifar10", "judge-table2")
    ]
    assert [told in " ".join(sentences) for sentences in found] == [True, False]


def test_attacks_run_at_one_radius_are_told():
    alone = "Run at a radius of 1.5 alone, so at others the worst case does without them: pgd."
    assert [alone in told_of(records) for records in (at_one(records_of()), records_of())] == [True, False]


def test_the_curve_is_that_of_the_seeds_whose_networks_met_all_radii():
    near, far = {"pgd": broken(60, far=2.0)}, {"pgd": broken(50, far=None)}
    records = records_of(near) + at_one(records_of(far, seed=1)) + at_one(records_of(far, seed=2))
    (row,) = judgement(records)
    (alone,) = judgement(records_of(near))
    assert row["worst"]["accuracy"]["values"] == [0.38, 0.38, 0.38]  # the first 62, by twice the steps
    assert row["worst"]["traced"] == [0]
    assert {key: row["worst"][key] for key in ("curve", "radii", "median", "mean", "to_chance")} == {
        key: alone["worst"][key] for key in ("curve", "radii", "median", "mean", "to_chance")
    }
    at = row["attacks"]["pgd"]["accuracy"]
    assert (at["1.5"]["values"], at["4"]["values"]) == ([0.4, 0.5, 0.5], [0.0])
    limit = "PGD and Square were run at a radius of 1.5 alone on the networks with seed 1 and 2: the curve, "
    (found,) = [told for told in told_of(records) if told.startswith(limit)]
    assert found.endswith("down to chance are those of seed 0.")
    assert not [told for told in told_of(records_of(near)) if told.startswith(limit[:40])]
    about = {"experiment": "judge-table2", "data": "mnist", "protocol": "paper"}
    assert title(about | {"rows": [row]}).endswith("95% intervals over images, one seed")


def test_a_transferred_set_that_breaks_more_is_told():
    (found,) = doubts({"transfer": [3.0] * 55 + [1.0] * 45})  # the attacks break the first 62
    assert found.startswith("LWA: 38 of 100 images are broken by the transferred set")
    (found,) = [f for f in doubts({"transfer": broken(60)}) if "stronger" in f]
    assert "(.400 against .600)" in found
    assert not [f for f in doubts({"transfer": broken(45)}) if "stronger" in f]  # within the interval


def test_images_that_only_blind_attacks_break_are_told():
    (found,) = doubts({"square": [3.0] * 90 + [1.0] * 10})
    assert found == "LWA: 10 of 100 images are broken without gradients and not with them."


def test_gradients_that_lead_nowhere_are_counted():
    found = doubts(gradients={"pgd": {"zero": 3}, "adv_loss": {"zero": 1, "not_finite": 2}})
    assert found == [
        "LWA: gradients of adv_loss: 1 of 50 are zero, 2 of 50 are not finite.",
        "LWA: gradients of pgd: 3 of 50 are zero.",
    ]
    rows = judgement(records_of(gradients={"pgd": {"zero": 3}, "adv_loss": {"not_finite": 2}}))
    assert rows[0]["checks"]["gradients"] == {"total": 200, "zero": 3, "not_finite": 2}


def test_float64_and_twice_the_steps_are_compared():
    (found,) = doubts({"pgd-200steps": broken(63)})
    assert found == "LWA: pgd-200steps changes the accuracy of pgd by -.020; double the steps again."
    (found,) = doubts({"pgd-200steps": broken(63), "pgd-400steps": broken(64)})
    assert found == "LWA: pgd-200steps changes the accuracy of pgd by -.020."
    found = doubts({"pgd-200steps": broken(63), "pgd-400steps": broken(65)})
    assert found[1] == "LWA: pgd-400steps changes the accuracy of pgd-200steps by -.020; double the steps again."
    (found,) = doubts({"adv_loss-float64": broken(20)})
    assert found == "LWA: adv_loss-float64 changes the accuracy of adv_loss by +.200."
    (row,) = judgement(records_of({"adv_loss-float64": broken(40)[::-1]}))
    again = row["checks"]["again"]["adv_loss-float64"]
    assert (again["change"]["mean"], again["differ"]) == (0, [80])


def test_a_curve_that_does_not_reach_chance_is_told():
    never = {name: [1.0] * 80 + [None] * 20 for name in USUAL}
    assert doubts(never) == ["LWA: some images are broken at no radius, and more are left than guessing gets."]
    assert doubts({name: [1.0] * 95 + [None] * 5 for name in USUAL}) == []


@pytest.mark.parametrize(
    ("experiment", "published"), [("judge-table1", "0.110"), ("judge-table2", "0.200"), ("judge-cifar10", None)]
)
def test_table_shows_what_a_reviewer_asks_for(experiment, published):
    records = [r for m in ("Normal", "LWA") for s in (0, 1) for r in records_of({"deepfool": broken(50)}, m, s)]
    judged = {"experiment": experiment, "rows": judgement(records), "seeds": [0, 1]}
    lines = {line[0]: line[1:] for line in lines_of(judged)}
    assert {len(cells) for cells in lines.values()} == {2}
    assert lines["worst case"] == [".380 ± .000"] * 2
    assert lines["(95% interval over seeds)"] == ["[.380, .380]"] * 2
    assert lines["(Wilson interval over images)"] == ["[.291, .478]"] * 2
    assert lines["mean of ‖r‖/‖x‖, DeepFool alone"] == ["0.200"] * 2
    assert lines["median distance"] == ["1.000"] * 2
    assert lines["mean distance"] == ["1.760"] * 2  # .62 at 1, .38 at 3
    assert lines["radius down to chance, 0.1"] == ["3.000"] * 2
    assert lines["transferred, from another Normal network"] == [".800 ± .000"] * 2
    assert lines["gradients that are zero"] == ["0", "0"]
    assert [cells for label, cells in lines.items() if "authors" in label] == ([[published, ""]] if published else [])


def dead(seed, method="LWA", changes=()):
    """The records of a network that always answers the same, and has no gradients."""
    flat = {"pgd": {"zero": 50}}
    made = records_of({"pgd": broken(40, far=900), **dict(changes)}, method, seed, gradients=flat)
    return [r | {"accuracy": 0.1} if r["attack"] == "none" else r for r in made]


WITHOUT = " Distances, their curve, the radius down to chance, gradients and concentration are those of the others."


def test_distances_and_gradients_are_those_of_the_networks_that_learned():
    (row,), (alone,) = judgement(records_of() + dead(1)), judgement(records_of())
    assert row["worst"]["accuracy"]["values"] == [0.38, 0.38]
    for key in ("curve", "median", "mean", "relative_mean", "to_chance", "traced", "at_one_radius"):
        assert row["worst"][key] == alone["worst"][key]
    for key in ("relative_mean", "gradients"):
        assert row["attacks"]["pgd"][key] == alone["attacks"]["pgd"][key]
    assert row["checks"]["gradients"] == alone["checks"]["gradients"]
    assert f"Did not learn, by clean accuracy: LWA, seed 1 (.100).{WITHOUT}" in told_of(records_of() + dead(1))
    assert not any(WITHOUT in told for told in told_of(records_of()))


def test_where_no_network_learned_all_count():
    (row,) = judgement(dead(1))
    assert (row["worst"]["traced"], row["attacks"]["pgd"]["gradients"]["zero"]) == ([1], 50)
    assert "Did not learn, by clean accuracy: LWA, seed 1 (.100)." in told_of(dead(1))


def test_a_network_that_did_not_learn_is_not_said_to_have_met_fewer_radii():
    told = told_of(records_of() + dead(1))
    assert not any("alone on the networks" in sentence for sentence in told)
    (row,) = judgement(dead(0) + at_one(records_of(seed=1)))
    assert (row["worst"]["traced"], row["worst"]["at_one_radius"]) == ([1], [1])


def test_a_transferred_set_that_breaks_more_at_another_radius_is_told():
    (found,) = doubts({"transfer": broken(20, far=3.0), "adv_loss": broken(40, far=5.0)})
    assert found == (
        "LWA: the transferred set is stronger than the same step along its own gradient at a radius of 4 (.000 against "
        ".600): its gradient is the worse guide there."
    )


def test_where_the_weight_of_perturbations_lies_is_in_the_table():
    part = {"n": 80, "concentrated": 20, "median": 0.3, "pixel": 0.2, "largest": 0.9}
    looked_at = {"method": "LWA", "seed": 0, "n": N, "attack": "concentration", "window": 5}
    looked_at["directions"] = {"adv_loss": part, "adv_alpha": part | {"concentrated": 8}}
    rows = judgement([*records_of(), looked_at])
    lines = {line[0]: line[1:] for line in lines_of({"experiment": "judge-table2", "rows": rows, "seeds": [0]})}
    shares = [cells for label, cells in lines.items() if label.startswith("share with more than half of ‖r‖² in 5 x 5")]
    assert shares == [[".250"], [".100"]]
