"""The part of a study: cells, figures read off outputs by hand, and one cell computed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batonq.tasks.cpu.heldout import study, work
from batonq.tasks.cpu.options import CpuOptions


def output(seed, network="32 neurons", vectors=16):
    """Two held-out tasks of lengths 1 and 2; the first proved always, the second with seed 0."""
    trained = [[True, True], [seed == 0, True]]
    never = [[False, False], [False, False]]
    scored = {"shortest": [1, 2], "names": ["t0", "t1"], "trained": trained}
    scored |= {"untrained": never, "random": [[False, True], [False, False]]}
    times = {"shortest": [2], "trained": [10], "scratch": [40], "table": [1000], "random": [20]}
    return {
        "network": network,
        "vectors": vectors,
        "number": seed,
        "sets": dict.fromkeys(study.SETS, scored),
        "transfer": times,
    }


def found(rows, learner, **setting):
    (row,) = [
        row
        for row in rows
        if row.learner == learner and setting.items() <= dict(row.setting).items()
    ]
    return row


def test_cells_have_all_crews_views_and_seeds():
    cells = study.plan(CpuOptions(seeds=3))
    assert len(cells) == len(study.POINTS) * len(study.SHOPS) * 3 == len({c.key for c in cells})
    assert all(cell.config["kind"] == "heldout" for cell in cells)
    assert len(study.plan(CpuOptions(quick=True))) < 10


def test_rows_are_means_over_seeds():
    rows = study.rows([output(0), output(1)])
    both = found(
        rows, "icq_neural", split="named", network="32 neurons", attempts=1, shortest="all"
    )
    assert (both.value, both.n, both.n_kind) == (0.75, 2, "seeds")
    assert both.metric == "proved"
    second = {"split": "held_out", "attempts": 1, "shortest": "2"}
    assert found(rows, "icq_neural", network="32 neurons", **second).value == 0.5
    assert found(rows, "icq_neural", network="untrained", **second).value == 0
    chance = {"split": "held_out", "attempts": 10, "shortest": "1"}
    assert found(rows, "random", **chance).value == 1


def test_drawn_tasks_of_two_seeds_are_different_and_named_ones_the_same():
    outputs = [output(0), output(1)]
    point = ("32 neurons", 16)
    for of, count in (("held_out", 4), ("named", 2)):
        _, tasks = study.seeds_and_tasks(study.proved(outputs, point, of, "trained", 0))
        assert (tasks.value, tasks.n, tasks.n_kind) == (0.75, count, "instances")


def test_lines_can_fail():
    held_out, named, sooner = study.lines([output(0), output(1)])
    assert held_out.figure.value == pytest.approx(0.25)
    assert not held_out.reached  # two seeds: 0.5 and 0
    assert not named.reached
    assert sooner.figure.value == pytest.approx(100)
    assert sooner.reached


def test_sections_show_every_point():
    outputs = [output(k, *point) for point in (("32 neurons", 16), ("linear", 16)) for k in (0, 1)]
    proved, going_on = study.sections(outputs)
    assert len(proved.tables) == len(going_on.tables) == 2
    line = dict(zip(going_on.tables[0].columns, going_on.tables[0].lines[0], strict=True))
    assert line["median, trained"] == 10
    assert line["solved, table"] == 0
    assert line["solved, random"] == 1
    assert line["scratch / trained"].value == pytest.approx(4)


def test_a_cell_is_computed_and_summed_up():
    config = {
        **study.plan(CpuOptions(quick=True, seeds=1))[0].config,
        "training": 20,
        "held_out": 3,
        "handoffs": 2000,
        "goes_on": 300,
    }
    computed = json.loads(json.dumps(study.compute(config)))
    scored = computed["sets"]["held_out"]
    assert len(scored["trained"]) == len(scored["names"]) == len(scored["shortest"])
    assert all(one <= best for one, best in scored["random"])
    assert sum(best for _, best in scored["trained"]) > 0
    times = computed["transfer"]
    assert all(0 < t <= 300 for name in study.GOES_ON for t in times[name])
    assert study.rows([computed])
    assert study.sections([computed])
    assert len(study.lines([computed])) == 3


def test_training_sets_are_judged_by_functions():
    drawn = work.posed("bits", 1, (40, 5))
    some = work._some(drawn.training, 5)
    pairs = list(zip(some.keys, some.shortest.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert np.unique(some.shortest, return_counts=True)[1].max() <= 5
