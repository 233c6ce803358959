"""The routing experiment as the study runs it: every scenario laid out, run twice, resumed."""

from __future__ import annotations

import json

import pytest

from batonq.study.folder import Identity
from batonq.study.run import rebuild, run
from batonq.tasks.routing import experiment as module
from batonq.tasks.routing.experiment import experiment, run_cell
from batonq.tasks.routing.options import SCENARIOS, TRIAGE, RoutingOptions


def options(scenario, **changed):
    graphs = () if scenario == TRIAGE else ("random-20",)
    return RoutingOptions(scenario, **{"graphs": graphs, "quick": True, **changed})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_laid_out_in_cells_that_can_be_stored(scenario):
    made = experiment(options(scenario))
    assert made.name == "routing"
    assert len({cell.key for cell in made.cells}) == len(made.cells)
    for cell in made.cells:
        assert cell.config["scenario"] == made.config["scenario"] == scenario
        assert json.loads(json.dumps(cell.config, allow_nan=False)) == cell.config
    assert Identity.of(made) == Identity.of(experiment(options(scenario)))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_results_depend_on_is_part_of_the_identity_and_paths_are_not(scenario, tmp_path):
    usual = Identity.of(experiment(options(scenario))).digest()
    others = [
        options(scenario, seed=1),
        options(scenario, seeds=3),
        options(scenario, quick=False, seeds=2),
    ]
    if scenario != TRIAGE:
        others.append(options(scenario, graphs=("random-21",)))
    digests = [Identity.of(experiment(one)).digest() for one in others]
    assert len({usual, *digests}) == 1 + len(others)
    assert Identity.of(experiment(options(scenario, data=tmp_path))).digest() == usual


def test_every_scenario_has_a_module():
    assert set(module.MODULES) == set(SCENARIOS)
    for scenario in SCENARIOS:
        found = module._module(scenario)
        for name in ("cells", "identity", "run_cell", "summarise"):
            assert callable(getattr(found, name))


@pytest.mark.compiled
def test_the_same_run_gives_the_same_rows_resumed_or_not_with_one_worker_or_two(tmp_path):
    made = experiment(options("load", graphs=("random-5",), rhos=(0.5,), seeds=2))
    first = run(made, tmp_path, workers=2)
    assert len(first.rows) == 7 * 3
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*.jsonl")}
    assert len(files) == 2
    page = first.path.read_bytes()

    again = run(made, tmp_path, workers=2)  # nothing is computed
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert again.rows == first.rows
    assert again.path.read_bytes() == page

    (tmp_path / "cells" / f"{made.cells[1].key}.jsonl").unlink()
    resumed = run(made, tmp_path, workers=1)
    assert resumed.rows == first.rows
    (tmp_path / "results.csv").unlink()
    assert rebuild(tmp_path, {"routing": module.summarise}.__getitem__).rows == first.rows

    here = run_cell(made.cells[0].config)  # this process has the numbers of a worker
    path = tmp_path / "cells" / f"{made.cells[0].key}.jsonl"
    stored = json.loads(path.read_text().splitlines()[1])
    for one in (here, stored):
        for router in one["routed"].values():
            router.pop("seconds")
    assert json.loads(json.dumps(here)) == stored
