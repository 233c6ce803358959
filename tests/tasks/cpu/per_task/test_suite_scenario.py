"""Cells, what is asked for, and summing up outputs made by hand."""

from __future__ import annotations

import json

import pytest

from batonq.base.errors import DataError
from batonq.study.rows import Interval
from batonq.tasks.cpu.options import CpuOptions
from batonq.tasks.cpu.per_task import settings
from batonq.tasks.cpu.per_task.readings import GROUPS, Readings
from batonq.tasks.cpu.per_task.scenario import cells, identity, run_cell, summarise

FILE = """
name = "own"
length = 2
instructions = ["inc eax", "neg eax", "not eax"]
[inputs]
x = "eax"
[outputs]
eax = "x + 2"
"""


def task(name, length):
    return {
        "name": name,
        "title": "",
        "origin": "",
        "inputs": {"x": "eax"},
        "outputs": ["eax"],
        "length": length,
        "menu": 3,
        "agents": ["MOV"],
        "reference": "neg eax",
        "duration": 1,
    }


def trial(spent, proved=True, **more):
    return {
        "proved": proved,
        "fresh": 256 if proved else None,
        "inputs": 256,
        "program": "neg eax" if proved else None,
        "duration": 1 if proved else None,
        "writers": ["ARITH"],
        "agents": ["ARITH"],
        "options": [["ARITH", "neg eax"]],
        "spent": spent,
        "note": "" if proved else "budget spent",
        **more,
    }


def outputs():
    """Two seeds and two tasks: IC-Q proves all but one, random one of four."""
    lost = trial(1000, proved=False)
    made = {
        ("icq", "a", 3): [trial(10), trial(200)],
        ("icq", "b", 9): [trial(500), lost],
        ("random", "a", 3): [trial(900), lost],
        ("random", "b", 9): [lost, trial(1000, proved=False, note="no time")],
        ("sygus", "a", 3): [{"note": "not available: cvc5"}],
        ("sygus", "b", 9): [{"note": "not available: cvc5"}],
    }
    return [
        {"task": task(name, length), "set": "exact", "who": who, "trials": trials}
        for (who, name, length), trials in made.items()
    ]


def test_shares_margins_and_curves_by_hand():
    readings = Readings(outputs())
    assert readings.share("exact", "icq").value == pytest.approx(0.75)
    assert readings.share("exact", "random").value == pytest.approx(0.25)
    assert readings.share("exact", "icq", GROUPS[1]).value == 1
    assert readings.share("exact", "icq", GROUPS[2]).value == pytest.approx(0.5)
    assert readings.margin("exact", "icq", "random").value == pytest.approx(0.5)
    assert readings.margin("exact", "icq", "random", 300).value == pytest.approx(0.5)
    assert readings.margin("exact", "icq", "random", 100).value == pytest.approx(0.25)
    assert readings.curve("exact", "icq", [5, 10, 600]).tolist() == [[0, 0.5, 1], [0, 0, 0.5]]
    assert readings.spent("exact", "icq") == 200
    assert readings.fresh("exact") == (4, 0)
    assert readings.who("exact") == ["icq", "random"]
    assert readings.missing() == ["sygus: not available: cvc5"]


def test_the_fastest_proved_program_is_shown():
    made = outputs()
    made[0]["trials"][1]["duration"] = 0
    best = Readings(made).best("exact", "icq", "a")
    assert best["spent"] == 200
    assert Readings(made).best("exact", "random", "b") is None


def test_summary_of_outputs_made_by_hand():
    summary = summarise({"budget": 1000}, outputs())
    lines = summary.sections[0].tables[0].lines
    assert [line[4] for line in lines] == ["NO", "NO", "yes", "yes"]
    rows = {(row.learner, row.setting["program"]): row for row in summary.rows}
    assert rows["icq", "all"].value == pytest.approx(0.75)
    assert rows["icq", "all"].n == 2
    assert rows["random", "b"].value == 0  # an unknown verdict among them
    assert all(row.metric == "proved" for row in summary.rows)
    assert "sygus: not available: cvc5" in summary.limits
    (table,) = summary.sections[2].tables
    assert table.lines[0][3:] == ("neg eax", "ARITH", 1.0, 1.0)
    for section in summary.sections:
        for drawing in section.drawings:
            drawing.draw()
    assert isinstance(lines[0][2], Interval)


def test_a_wrong_program_in_unicorn_misses_a_line():
    made = outputs()
    made[0]["trials"][0]["fresh"] = 255
    assert summarise({"budget": 1000}, made).sections[0].tables[0].lines[3][4] == "NO"


def test_cells_of_the_whole_suite():
    made = cells(CpuOptions("suite"))
    assert len(made) == 48 * (9 + 8)
    assert len({cell.key for cell in made}) == len(made)
    assert {cell.config["seeds"] for cell in made} == {5}
    assert len(cells(CpuOptions("suite", quick=True))) == len(settings.QUICK_TASKS) * 17


def test_a_specification_file_is_a_task_with_its_own_menu(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(FILE)
    options = CpuOptions("suite", (str(path),), seeds=1, quick=True)
    made = {cell.config["who"]: cell for cell in cells(options)}
    assert {cell.config["set"] for cell in made.values()} == {"given"}
    assert set(made) == {*settings.LEARNERS, *settings.PEERS}
    kept = [json.loads(json.dumps(run_cell(made[who].config))) for who in ("icq", "random")]
    assert kept[0]["trials"][0]["program"] == "inc eax\ninc eax"
    summary = summarise({**options.to_json(), **identity(options)}, kept)
    assert "own 1 of 1" in summary.headline
    before = identity(options)["programs"]
    path.write_text(FILE.replace("length = 2", "length = 1"))
    assert before[0][0] == "own"
    assert identity(options)["programs"] != before  # a run of another task is another run


def test_an_infeasible_length_is_unsolved(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(FILE.replace("length = 2", "length = 1"))
    options = CpuOptions("suite", (str(path),), seeds=1, quick=True)
    made = {cell.config["who"]: cell for cell in cells(options)}
    searched = run_cell(made["breadth_first"].config)["trials"][0]
    assert not searched["proved"]
    assert "no program of at most 1" in searched["note"]
    assert not run_cell(made["icq"].config)["trials"][0]["proved"]


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        (("p99",), "'p99' is neither a task of the suite nor a specification file"),
        (("missing.toml",), "no such file"),
        (("p01", "p01"), "2 tasks are called 'p01'"),
    ],
)
def test_programs_that_cannot_be_are_refused(programs, message):
    with pytest.raises(DataError, match=message):
        cells(CpuOptions("suite", programs))


def test_a_file_may_not_take_a_name_of_the_suite(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(FILE.replace('"own"', '"p01"'))
    with pytest.raises(DataError, match="the suite has a task 'p01'"):
        cells(CpuOptions("suite", (str(path),)))
