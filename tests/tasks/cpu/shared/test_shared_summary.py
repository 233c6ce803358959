"""Sums of outputs made by hand."""

import pytest

from batonq.study import figures
from batonq.tasks.cpu.learning.learn import GAMMA
from batonq.tasks.cpu.options import SHARED, CpuOptions
from batonq.tasks.cpu.shared import scenario
from batonq.tasks.cpu.shared.learning import OTHERS, VIEWS
from batonq.tasks.cpu.shared.sections import Readings, figures_of
from batonq.tasks.cpu.shared.summary import lines

BEST = (3, 5, 6, 4)  # primitive steps of four jobs
DONE = {16: (3, 5, 6, 4), 8: (3, 6, 6, 4), 4: (3, 0, 6, 4), 2: (4, 0, 0, 4), 1: (0, 0, 0, 4)}


def learned(learner: str, view: int, number: int, durations: tuple[int, ...]) -> dict:
    return {
        "kind": "learn",
        "learner": learner,
        "view": view,
        "number": number,
        "points": [50, 100],
        "durations": [[0, 0, 0, durations[3]], list(durations)],
        "handoffs": 101,
        "rows": 7,
        "crossed": 60,
        "judged": 5,
        "apart": 0,
        "programs": [
            {"program": "neg eax", "options": [["ARITH", "neg eax"]], "verdict": "proved"}
            for _ in BEST
        ],
    }


def outputs(seeds: int = 5, **others: tuple[int, ...]) -> list[dict]:
    jobs = [
        {
            "job": f"job{k}",
            "title": f"eax = {k}",
            "crew": "bits" if k < 2 else "mean",
            "duration": best,
            "alone": best - (k == 3),
            "length": best,
            "program": "neg eax",
            "whole": True,
            "proved": True,
        }
        for k, best in enumerate(BEST)
    ]
    found = [learned("icq", view, number, DONE[view]) for number in range(seeds) for view in VIEWS]
    for name in OTHERS:
        values = others.get(name, (0, 0, 0, 3))
        found += [learned(name, 16, number, values) for number in range(seeds)]
    return [*found, {"kind": "optimum", "jobs": jobs}]


def verdicts(cells: list[dict]) -> dict[str, bool]:
    return {f"{line.where}: {line.what}": line.reached for line in lines(Readings(cells))}


def test_shares_and_ratios_are_those_of_the_durations():
    readings = Readings(outputs())
    found = figures_of(readings.scores("icq", 8))
    assert found["proved"].value == 1
    assert found["feasible_ratio"].value == pytest.approx((3 + GAMMA) / 4)
    assert found["optimal"].value == 0.75
    assert figures_of(readings.scores("icq", 2))["feasible_ratio"].value == pytest.approx(
        (GAMMA + 1) / 4
    )
    longer = figures_of(readings.scores("icq", 4), readings.length == 5)
    assert longer["proved"].value == 0
    assert readings.scores("icq").proved.mean(axis=2)[0].tolist() == [0.25, 1.0]


def test_the_centralised_learner_is_held_against_its_own_optimum():
    found = figures_of(Readings(outputs(centralised=(3, 5, 6, 3))).scores("centralised"))
    assert found["feasible_ratio"].value == 1
    late = figures_of(Readings(outputs(centralised=(3, 5, 6, 4))).scores("centralised"))
    assert late["feasible_ratio"].value == pytest.approx((3 + GAMMA) / 4)


def test_lines_are_reached_or_not():
    found = verdicts(outputs())
    few = "jobs: number, with shortest programs of 5 and 6 instructions among them"
    assert [name for name, reached in found.items() if not reached] == [few]
    assert not verdicts(outputs(seeds=2))["seeds: number"]


def test_a_job_short_of_its_optimum_in_one_seed_is_noticed():
    cells = outputs()
    cells[0]["durations"][-1][1] += 1
    assert cells[0]["view"] == 16
    name = "full view: jobs at 100 % of the feasible optimum, least over seeds"
    assert not verdicts(cells)[name]


def test_a_gap_that_falls_with_fewer_vectors_is_noticed():
    cells = outputs()
    for cell in cells[:-1]:
        if cell["view"] == 2:
            cell["durations"][-1] = list(BEST)
    assert not next(reached for name, reached in verdicts(cells).items() if "views" in name)


def test_an_unproved_optimum_and_judges_that_differ_are_noticed():
    cells = outputs()
    cells[-1]["jobs"][0]["proved"] = False
    cells[3]["apart"] = 1
    lost = {name.split(":")[0] for name, reached in verdicts(cells).items() if not reached}
    assert lost == {"jobs", "optimum", "judges"}


def test_the_summary_has_rows_tables_and_drawings():
    found = scenario.summarise({}, outputs())
    rows = {(row.learner, row.metric, row.setting["vectors"]) for row in found.rows}
    assert {("icq", "feasible_ratio", view) for view in VIEWS} <= rows
    assert {(name, "proved", 16) for name in OTHERS} <= rows
    assert "16: 1.000, 8: 1.000, 4: 0.750, 2: 0.500, 1: 0.250" in found.headline
    drawings = [drawing for section in found.sections for drawing in section.drawings]
    assert len({drawing.name for drawing in drawings}) == len(drawings) >= 2
    for drawing in drawings:
        assert figures.files(drawing.draw())[0].startswith("<?xml")


def test_programs_are_listed_with_their_tasks():
    jobs = scenario.workshop(True).jobs
    cell = learned("icq", 4, 1, DONE[4])
    one = cell["programs"][0]
    cell["programs"] = [one] * len(jobs)
    found = scenario.programs([cell, {"kind": "optimum", "jobs": []}, {"kind": "gap"}])
    assert [listed.name for listed in found] == [job.task.name for job in jobs]
    assert found[0].where == "vectors4"
    assert found[0].options == (("ARITH", "neg eax"),)
    assert found[0].seed == 1


def test_cells_know_their_scenario_and_a_part_that_computes_them():
    cells = scenario.cells(CpuOptions(quick=True))
    assert {cell.config["scenario"] for cell in cells} == {SHARED}
    assert {cell.config["kind"] for cell in cells} <= set(scenario.PARTS)
    first = scenario.identity(CpuOptions(quick=True))
    assert first == scenario.identity(CpuOptions(quick=True, seeds=9))
    assert first != scenario.identity(CpuOptions())
