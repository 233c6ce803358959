"""Cells of the experiment, one of each kind run, and the summary of outputs made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.study.rows import LEARNERS, METRICS
from batonq.tasks.synthetic import experiment as module
from batonq.tasks.synthetic.axes import axis_named
from batonq.tasks.synthetic.experiment import experiment, run_cell, summarise
from batonq.tasks.synthetic.options import AXES, SyntheticOptions

QUICK = SyntheticOptions(quick=True, seeds=3)
POWERS = {"gap": 1.0, "mixing": 0.5, "mixing_zero_gap": 0.0, "horizon": -0.5, "neural_mixing": 0.5}


def output(cell, powers=POWERS, certificate=1.0):
    """What a cell would give if its axis followed a power law exactly, but for the seeds' level."""
    name, number = cell.config["axis"], cell.config["number"]
    place = {"axis": name, "cell": cell.config["cell"], "number": number}
    if name == "width":
        width, level = cell.config["width"], 1 + 0.01 * number
        return place | {
            "rms": level / width,
            "half": 1.1 * level / width,
            "flips": level * width ** powers.get("width_flips", -0.5),
            "used": 0.5,
        }
    settings = axis_named(name, 0, True).settings
    x = next(one.x for one in settings if one.cell == cell.config["cell"])
    size = 0.01 * x ** powers.get(name, -1.0)
    gap = size if name in ("gap", "reveal") else 0.1
    if number is None:
        return place | {
            "x": x,
            "pairs": 8,
            "handoffs": 10,
            "last_step": 0.01,
            "gap": gap,
            "gap_sup": 2 * gap,
            "eta": gap,
            "contraction": 0.79,
            "span": 2.0,
            "oscillation": 0.1,
            "mixing_time": 7.0,
            "relaxation": 3.0,
            "estimate": 0.1 * size if name in ("gap", "reveal") else size,
            "theorem_1": None,
            "theorem_2": 5.0,
            "reasons": {"theorem_1": "not available: too few handoffs"},
        }
    level = 1 + 0.01 * number
    twin = 1e-6 if name in ("mixing", "neural_mixing") else None
    residual = (0.1 * size if name in ("gap", "reveal") else size) ** 2 * level + (twin or 0.0)
    found = place | {"residual": residual, "error": gap**2 + residual, "twin": twin}
    if name == "neural_mixing":
        return found | {"estimate": size**2}
    return found | {
        "sup": 0.5,
        "certificate": certificate,
        "two_scalars": 0.8 * certificate,
        "loss": 0.0,
        "certified_loss": 1.5,
    }


def summary(options=QUICK, **changed):
    made = experiment(options)
    outputs = [json.loads(json.dumps(output(cell, **changed))) for cell in made.cells]
    return summarise(json.loads(json.dumps(made.config)), outputs)


def verdicts(found):
    (table,) = found.sections[0].tables
    return {(line[0], line[1]): line[4] for line in table.lines}


def test_every_point_has_one_exact_cell_and_one_a_seed():
    made = experiment(QUICK)
    assert made.config == QUICK.to_json()
    for name in AXES:
        if name.startswith("width"):
            continue
        cells = [cell for cell in made.cells if cell.config["axis"] == name]
        points = axis_named(name, 0, True).settings
        assert len(cells) == len(points) * (1 + 3)
        assert sum(cell.config["number"] is None for cell in cells) == len(points)
    assert sum(cell.config["axis"] == "width" for cell in made.cells) == 3 * 3


def test_both_readings_of_the_widths_share_their_cells():
    keys = [
        [cell.key for cell in experiment(SyntheticOptions((axis,), 2, 0, True)).cells]
        for axis in ("width_flips", "width_rms")
    ]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("axis", "kind"), [("horizon", "exact"), ("horizon", "seed0"), ("neural_mixing", "exact")]
)
def test_a_cell_runs(axis, kind):
    cells = experiment(SyntheticOptions((axis,), 1, 0, True)).cells
    cell = min((one for one in cells if one.key.endswith(kind)), key=lambda one: one.config["cost"])
    found = json.loads(json.dumps(run_cell(cell.config), allow_nan=False))
    assert (found["axis"], found["cell"]) == (axis, cell.config["cell"])
    wanted = set(output(cell))
    assert wanted <= set(found)
    if axis == "neural_mixing":
        assert found["theorem_2"] is None


def test_the_other_kinds_of_cells_go_where_they_belong(monkeypatch):
    monkeypatch.setattr(module, "width_seed", lambda *given: {"given": given})
    monkeypatch.setattr(module, "neural_seed", lambda setting, *given: {"given": given})
    cells = experiment(SyntheticOptions(("width_rms", "neural_mixing"), 2, 5, True)).cells
    width = next(one for one in cells if one.key == "width-m=64-seed1")
    assert run_cell(width.config)["given"] == (5, 1, 64)
    neural = next(one for one in cells if one.key == "neural_mixing-t_mix=77-seed1")
    assert run_cell(neural.config)["given"] == (5, 1)


def test_power_laws_are_found_and_every_line_is_reached():
    found = summary()
    slopes = {
        row.setting["axis"]: row
        for row in found.rows
        if row.metric == "slope" and "of" not in row.setting
    }
    for axis, power in {**POWERS, "width_flips": -0.5, "width_rms": -1.0}.items():
        assert slopes[axis].value == pytest.approx(power, abs=1e-3)
        assert slopes[axis].n == 3
    assert set(verdicts(found).values()) == {"yes"}
    count = len(verdicts(found))
    assert found.headline.startswith(f"{count} of {count} lines reached. Slopes: gap 1")
    assert "Not reached" not in found.headline


def test_every_point_has_its_rows():
    found = summary()
    for name in AXES:
        rows = [row for row in found.rows if row.setting["axis"] == name]
        assert {row.learner for row in rows} <= LEARNERS
        assert {row.metric for row in rows} <= METRICS
        cells = {row.setting["cell"] for row in rows if "cell" in row.setting}
        assert cells
        for cell in cells:
            main = [r for r in rows if r.setting == {"axis": name, "cell": cell}]
            assert [row.metric for row in main] == ["measured", "estimate", "certificate"]
    wide = next(r for r in found.rows if r.setting == {"axis": "gap", "of": "share not vacuous"})
    assert wide.value == 1


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({"powers": {**POWERS, "gap": 0.9}}, "slope of the floor ||Q - Q*||"),
        ({"powers": {**POWERS, "mixing_zero_gap": 0.1}}, "slope of the residual ||Q - Qhat*||"),
        ({"powers": {**POWERS, "width_flips": -0.3}}, "slope of the gate flips"),
        ({"powers": {**POWERS, "reveal": 0.5}}, "floor against exact gap"),
        ({"certificate": 3.0}, "Theorem S, one scalar"),  # vacuous
        ({"certificate": 0.4}, "Theorem S, one scalar"),  # broken
    ],
)
def test_what_is_not_reached_is_said(changed, missed):
    found = summary(**changed)
    lost = [key for key, verdict in verdicts(found).items() if verdict == "NO"]
    assert lost
    assert all(what.startswith(missed) for _, what in lost)
    assert "Not reached: " in found.headline


@pytest.mark.parametrize(
    ("slope", "verdict"), [(0.5, "established"), (0.1, "refuted"), (0.62, "not established")]
)
def test_the_neural_scaling_gets_a_plain_verdict(slope, verdict):
    made = experiment(SyntheticOptions(("neural_mixing",), 3, 0, True))
    outputs = [output(cell, {"neural_mixing": slope}) for cell in made.cells]
    for one in outputs:
        if one["number"] is not None:  # slopes differ by seed, so that there is an interval
            x = float(one["cell"].split("=")[1])
            one["residual"] = 1e-6 + (one["residual"] - 1e-6) * x ** (0.02 * one["number"])
    (table,) = summarise(made.config, outputs).sections[0].tables
    assert table.lines[0][-1].split("this scaling is ")[1].split(";")[0] == verdict


def test_a_single_seed_gives_slopes_without_intervals():
    found = summary(SyntheticOptions(("horizon",), 1, 0, True))
    row = next(row for row in found.rows if row.metric == "slope")
    assert (row.value, row.low) == (pytest.approx(-0.5), None)


def test_a_slope_that_cannot_be_had_is_none(monkeypatch):
    made = experiment(SyntheticOptions(("mixing",), 2, 0, True))
    outputs = [output(cell) for cell in made.cells]
    for one in outputs:
        if one["number"] is not None:
            one["twin"] = 2 * one["residual"]
    found = summarise(made.config, outputs)
    row = next(r for r in found.rows if r.setting == {"axis": "mixing"})
    assert (row.metric, row.value) == ("slope", None)
    assert ("mixing", "slope of the residual, martingale part subtracted") in verdicts(found)


def test_every_figure_can_be_drawn():
    drawings = [one for section in summary().sections for one in section.drawings]
    assert len(drawings) == len(AXES) - 1
    for drawing in drawings:
        drawing.draw()


def test_choices_and_limits_are_told():
    found = summary()
    assert len(found.choices) >= 5
    assert len(found.limits) >= 3
    assert len({section.title for section in found.sections}) == len(found.sections)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"axes": ("width",)}, "axis: 'width' is unknown; choose one of gap, reveal"),
        ({"seeds": 0}, "seeds: 0 is too small; give at least 1"),
        ({"seed": -1}, "seed: -1 is too small; give at least 0"),
    ],
)
def test_an_option_that_cannot_be_right_is_named(given, said):
    with pytest.raises(ModelError, match=said):
        SyntheticOptions(**given)


def test_axes_are_run_once_in_the_usual_order():
    assert SyntheticOptions(("horizon", "gap", "gap")).chosen == ("gap", "horizon")
    assert SyntheticOptions().chosen == AXES
    assert (SyntheticOptions().repetitions, SyntheticOptions(quick=True).repetitions) == (10, 3)
    assert np.array_equal(SyntheticOptions(("width_rms", "width_flips")).parts, ["width"])
