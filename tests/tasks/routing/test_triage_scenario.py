"""The scenario end to end at a tiny size, and the statistics of the realised gap."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batonq.study.gaps import root, square
from batonq.study.rows import LEARNERS, METRICS
from batonq.tasks.routing.options import RoutingOptions
from batonq.tasks.routing.triage import settings
from batonq.tasks.routing.triage.readings import covered, monotone
from batonq.tasks.routing.triage.scenario import cells, identity, run_cell, summarise

QUICK = RoutingOptions(scenario="triage", quick=True, seeds=2)


def products(errors, visits):
    return np.einsum("ip,jp,p->ij", errors, errors, visits).tolist()


def test_the_realised_gap_is_unbiased_and_its_interval_covers():
    rng = np.random.default_rng(0)
    visits = rng.dirichlet(np.ones(20))
    gap = rng.normal(scale=0.05, size=20)
    exact = float(visits @ gap**2)
    found = [
        square(products(gap + rng.normal(scale=0.05, size=(5, 20)), visits)) for _ in range(2000)
    ]
    values = np.array([one.value for one in found])
    assert abs(values.mean() - exact) < 4 * values.std() / np.sqrt(len(values))
    inside = np.mean([one.low <= exact <= one.high for one in found])
    # Five jackknife values are few: 95 % within four standard errors, and a bit less is allowed.
    assert inside > 0.95 - 4 * np.sqrt(0.05 * 0.95 / 2000) - 0.03


def test_without_noise_the_square_is_exact():
    gap = np.array([[0.1, -0.2]])
    found = square(products(np.repeat(gap, 4, axis=0), np.array([0.5, 0.5])))
    assert (found.value, found.low, found.high) == pytest.approx((0.025, 0.025, 0.025))
    assert root(found).value == pytest.approx(np.sqrt(0.025))
    two = square(products(np.repeat(gap, 2, axis=0), np.array([0.5, 0.5])))
    assert (two.value, two.low) == (pytest.approx(0.025), None)


def test_noise_alone_can_give_less_than_nothing():
    found = square([[1.0, -0.1, -0.1], [-0.1, 1.0, -0.1], [-0.1, -0.1, 1.0]])
    assert found.value == pytest.approx(-0.1)
    assert root(found).value == 0


def test_cells_have_sizes_from_3_to_8_with_ten_instances_each():
    made = cells(RoutingOptions(scenario="triage"))
    learnt = [cell.config for cell in made if cell.config["kind"] == "learn"]
    for size in range(3, 9):
        same = [one for one in learnt if one["size"] == size]
        assert sorted(one["number"] for one in same) == list(range(10))
        assert {one["seeds"] for one in same} == {5}
    assert len({cell.key for cell in made}) == len(made)
    assert len(cells(QUICK)) < len(made) / 3
    assert identity(QUICK) == {}


@pytest.fixture(scope="module")
def outputs():
    """Every kind of cell with 3 facets, with few handoffs: two instances, or one where slow."""
    small = {
        "HANDOFFS": {3: 200_000},
        "TERM_HANDOFFS": 100_000,
        "gap_handoffs": lambda _size, _quick: 200_000,
        "certified": lambda _size, _quick: 200_000,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small.items():
            patch.setattr(settings, name, value)
        chosen = [
            cell.config
            for cell in cells(QUICK)
            if cell.config["size"] == 3
            and cell.config["number"] < (1 if cell.config["kind"] in ("narrow", "terms") else 2)
        ]
        assert len(chosen) == 6
        return [json.loads(json.dumps(run_cell(one), allow_nan=False)) for one in chosen]


def verdicts(found):
    table = found.sections[0].tables[0]
    return {(line[0], line[1].split(",")[0]): line[4] for line in table.lines}


@pytest.mark.compiled
def test_a_tiny_run_has_all_rows_and_reaches_its_lines(outputs):
    found = summarise(QUICK.to_json(), outputs)
    assert set(verdicts(found).values()) <= {"yes", "NO"}
    assert verdicts(found)["size 3", "accuracy"] == "yes"
    assert verdicts(found)["size 3", "value over the oracle's"] == "yes"
    rows = found.rows
    assert {row.learner for row in rows} <= LEARNERS
    assert {row.metric for row in rows} <= METRICS
    assert all(row.setting["scenario"] == "triage" for row in rows)
    whole = [row for row in rows if row.setting["interface"] == "whole" and "of" not in row.setting]
    assert {row.learner for row in whole} == {
        *("oracle", "icq", "fixed", "no_scalar", "monte_carlo", "centralised", "random")
    }
    accuracy = {row.learner: row for row in whole if row.metric == "accuracy"}
    assert accuracy["oracle"].value == pytest.approx(1)
    assert (accuracy["icq"].n, accuracy["icq"].n_kind) == (2, "instances")
    narrow = {row.learner for row in rows if row.setting["interface"] == "own"}
    assert "feasible" in narrow
    least = [row for row in rows if row.setting.get("of") == "least"]
    assert {row.metric for row in least} == {"accuracy", "value_ratio"}


@pytest.mark.compiled
def test_exact_gaps_grow_and_tables_have_them(outputs):
    gaps = [one for one in outputs if one["kind"] == "gaps"]
    for one in gaps:
        assert one["whole"]["predicted"]["rms"] == pytest.approx(0, abs=1e-9)
        assert monotone(one, "rms")
        assert len(one["own"]["realised"]["products"]) == settings.GAP_SEEDS
        for name in ("last", "own"):
            exact = one[name]["predicted"]
            assert exact["low"] <= exact["sup"] <= exact["high"]
            had = root(square(one[name]["realised"]["products"])).value
            assert had == pytest.approx(exact["rms"], rel=0.1)
    assert sum(covered(one, name) for one in gaps for name in ("whole", "last", "own")) >= 4


@pytest.mark.compiled
def test_terms_are_measured_estimated_and_certified(outputs):
    rows = summarise(QUICK.to_json(), outputs).rows
    terms = {
        (row.setting["interface"], row.setting["of"], row.metric): row
        for row in rows
        if row.setting.get("of") in ("approximation", "interface gap", "residual", "total")
    }
    assert terms["whole", "approximation", "term"].value == 0
    assert terms["own", "interface gap", "term"].value > 0.1
    measured, estimate = (terms["own", "residual", kind].value for kind in ("measured", "estimate"))
    assert measured == pytest.approx(estimate, rel=0.6)
    assert terms["whole", "total", "certificate"].value > terms["whole", "total", "measured"].value


@pytest.mark.compiled
def test_everything_can_be_drawn(outputs):
    found = summarise(QUICK.to_json(), outputs)
    drawings = [one for section in found.sections for one in section.drawings]
    assert [one.name for one in drawings] == [
        *("triage-sizes", "triage-learning", "triage-gap-size3")
    ]
    for one in drawings:
        one.draw()
    assert len(found.choices) >= 5
    assert len(found.limits) >= 3


def spoil_accuracy(one):
    one["learners"]["icq"]["accuracy"][0] = 0.99


def spoil_value(one):
    one["learners"]["icq"]["value"][1] *= 0.99


def spoil_order(one):
    one["own"]["predicted"]["rms"] = one["last"]["predicted"]["rms"] / 2


def spoil_cover(one):
    for name in ("whole", "last", "own"):
        one[name]["predicted"]["rms"] += 0.5


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("kind", "spoil", "lost"),
    [
        ("learn", spoil_accuracy, "accuracy"),
        ("learn", spoil_value, "value over the oracle's"),
        (
            "gaps",
            spoil_order,
            "instances where the exact gap is monotone over the nested interfaces",
        ),
        ("gaps", spoil_cover, "95 % intervals of the realised gap that hold the exact one"),
    ],
)
def test_what_is_not_reached_is_said(outputs, kind, spoil, lost):
    changed = json.loads(json.dumps(outputs))
    spoil(next(one for one in changed if one["kind"] == kind))
    if lost.startswith("95"):
        for one in changed:
            if one["kind"] == kind:
                spoil(one)
    found = summarise(QUICK.to_json(), changed)
    assert "NO" in [verdict for (_, what), verdict in verdicts(found).items() if what == lost]
    assert lost in found.headline
