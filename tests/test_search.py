"""The choice of hyper-parameters: the best of a grid that begins to learn from every one of several initial weights."""

import json

import pytest
from test_frontier import write_images

from minilwa.experiments import search
from minilwa.experiments.runs import Setting, Source
from minilwa.saving import load

RATES = (0.02, 0.05, 0.1)
ROW = ("mlp", "LWA")


@pytest.fixture
def setting(tmp_path, monkeypatch):
    """A search of three rates, with two further starts each."""
    write_images(tmp_path / "own.npz")
    monkeypatch.setitem(search.GRIDS["mlp"], "LWA", {"rate": RATES})
    monkeypatch.setitem(search.SEARCH_STARTS, "mlp", 2)
    return Setting(Source(str(tmp_path / "own.npz")), tmp_path, "equal", recipe={"batch": 30, "epochs": 2})


def tried(setting):
    """The records of the candidates, the best first, and of the starts by rate."""
    records = [json.loads(path.read_text()) for path in (setting.out / "search/mlp").glob("*.json")]
    grid = sorted((r for r in records if "score" in r), key=lambda record: -record["score"])
    begun = {rate: [r for r in records if "learned" in r and r["plan"]["recipe"]["rate"] == rate] for rate in RATES}
    return grid, begun


def failing(*rates):
    """What `search.begins` would tell if no network began to learn at these rates from one of the seeds."""

    def begins(setting, plan):
        return {"clean": 0.0, "learned": plan.recipe.rate not in rates or plan.recipe.seed != search.SEED + 2}

    return begins


def order(setting):
    """The rates from the best down, which no start has a part in."""
    search.search(setting, [ROW], jobs=1)
    return [record["changes"]["rate"] for record in tried(setting)[0]]


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_candidates_that_fail_from_one_of_the_starts_are_passed_over(setting, monkeypatch, lost):
    monkeypatch.setattr(search, "begins", failing())
    rates = order(setting)
    for path in (setting.out / "search/mlp").glob("*-epochs1-*.json"):
        path.unlink()
    monkeypatch.setattr(search, "begins", failing(*rates[:lost]))
    chosen = search.search(setting, [ROW], jobs=1).chosen
    assert chosen == {ROW: {"rate": rates[lost % 3]}}  # where all fail, the best
    begun = tried(setting)[1]
    assert [len(begun[rate]) for rate in rates] == [2 if place <= lost else 0 for place in range(3)]


def test_starts_are_first_epochs_from_seeds_of_their_own(setting):
    search.search(setting, [ROW], jobs=1)
    grid, begun = tried(setting)
    assert [record["plan"]["recipe"]["epochs"] for record in grid] == [2, 2, 2]
    for record in begun[grid[0]["changes"]["rate"]]:
        plan, best = record["plan"], grid[0]["plan"]
        assert plan["recipe"] == best["recipe"] | {"epochs": 1, "seed": plan["recipe"]["seed"]}
        assert plan["method"] == best["method"]
        (path,) = (setting.out / "search/networks").glob(f"*{plan['label']}-seed{plan['recipe']['seed']}.npz")
        own = Source(str(setting.out / "own.npz"), split="search").load()
        right = float((load(path)(own.x_test).argmax(axis=1) == own.y_test).mean())
        assert (record["clean"], record["learned"]) == (pytest.approx(right), right > 0.4)  # of three classes
    seeds = {record["plan"]["recipe"]["seed"] for records in begun.values() for record in records}
    assert seeds == {search.SEED + 1, search.SEED + 2}


def test_a_rate_at_which_weights_overflow_is_not_chosen(setting, monkeypatch):
    monkeypatch.setitem(search.GRIDS["mlp"], "LWA", {"rate": (1e9, 0.05)})
    assert search.search(setting, [ROW], jobs=1).chosen == {ROW: {"rate": 0.05}}
    monkeypatch.setitem(search.GRIDS["mlp"], "LWA", {"rate": (1e9,)})
    assert search.search(setting, [ROW], jobs=1).chosen == {ROW: {"rate": 1e9}}
    lost = [json.loads(path.read_text()) for path in (setting.out / "search/mlp").glob("*1000000000.0-epochs1-*")]
    assert [(record["clean"], record["learned"]) for record in lost] == [(0.0, False)] * 2
