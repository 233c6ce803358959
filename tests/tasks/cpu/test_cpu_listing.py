"""Programs of a run: what each agent did, which is chosen, and what is said of it anew."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.cpu.dissection import dissect, told
from batonq.tasks.cpu.files import from_table, read, to_table
from batonq.tasks.cpu.learning.jobs import Crew, Job, Jobs, alone, crew
from batonq.tasks.cpu.learning.learn import written
from batonq.tasks.cpu.listing import PASSING, PROVED, Listed, chosen, options_of
from batonq.tasks.cpu.machine.program import parse
from batonq.tasks.cpu.shared.workshop import workshop
from batonq.tasks.cpu.suite import named, suite
from batonq.tasks.cpu.task import Task

EXAMPLES = Path(__file__).parents[3] / "examples"
P01 = named("p01")
BY_EXAMPLES = {
    "name": "double",
    "inputs": {"x": "eax"},
    "outputs": ["eax"],
    "examples": [
        {"inputs": {"x": 3}, "outputs": {"eax": 6}},
        {"inputs": {"x": -1}, "outputs": {"eax": -2}},
    ],
    "instructions": ["shl eax, 1"],
    "length": 2,
}


def listed(task: Task = P01, program: str | None = None, **more: Any) -> Listed:
    """The reference, or the program given, each line by the agent of its class."""
    text = "\n".join(one.text for one in task.reference) if program is None else program
    options = tuple((one.agent, one.text) for one in parse(text))
    found = Listed(task.name, "suite", "exact", "icq", 0, to_table(task), text, options, PROVED, 7)
    return replace(found, **more)


def test_a_task_as_a_table_is_read_back_and_is_json() -> None:
    tasks = [*suite(), *(job.task for job in workshop(quick=True).jobs)]
    tasks += [read(EXAMPLES / "average.toml"), from_table(BY_EXAMPLES, "table")]
    for task in tasks:
        assert from_table(json.loads(json.dumps(to_table(task))), "table") == task


@pytest.mark.parametrize("team", [crew, alone])
def test_options_tell_lines_from_passes(team: Callable[..., Crew]) -> None:
    menu = parse("mov ecx, eax\ndec ecx\nand eax, ecx")
    one = team("team", menu)
    jobs = Jobs((one,), (Job(P01, 0, 8),), np.array([[12]], np.uint32))
    if team is crew:  # MOV writes, ARITH passes, LOGIC writes
        wrote = written(jobs, 0, np.array([0, 1, 2]), np.array([0, 1, 0]), False)
        expected = (("MOV", "mov ecx, eax"), ("ARITH", PASSING), ("LOGIC", "and eax, ecx"))
    else:
        wrote = written(jobs, 0, np.array([0, 0, 0]), np.array([2, 3, 0]), False)
        expected = (("ALL", "and eax, ecx"), ("ALL", PASSING), ("ALL", "mov ecx, eax"))
    assert options_of(wrote, one) == expected
    assert listed(options=expected).writers == wrote.writers


def test_a_proved_program_comes_first_then_icqs() -> None:
    found = [
        listed(learner="icq", verdict="budget spent"),
        listed(learner="mcmc", where="widened"),
        listed(learner="icq", seed=1),
        listed(named("p02")),
        replace(listed(seed=2), program=None),
    ]
    assert chosen(found, "p01") == (found[2], 2)
    assert chosen(found, "p01", where="widened") == (found[1], 0)
    assert chosen(found, "p01", seed=0, learner="icq") == (found[0], 0)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (("p03",), "no 'p03' among the 2 of the run; near are p02, p01"),
        (("sort",), "no 'sort' among the 2 of the run; near are"),
        (("p01", "widened"), "set: no program 'p01' with widened; there is exact"),
        (("p01", None, "mcmc"), "learner: no program 'p01' with mcmc; there is icq"),
        (("p01", None, None, 9), "seed-number: no program 'p01' with 9; there is 0"),
        (("p02",), r"nobody wrote one for 'p02' \(budget spent\)"),
    ],
)
def test_what_is_not_there_is_said(choice: tuple[Any, ...], message: str) -> None:
    unsolved = replace(listed(named("p02")), program=None, options=(), verdict="budget spent")
    with pytest.raises(DataError, match=message):
        chosen([listed(), unsolved], *choice)


def test_a_run_without_programs_is_said_to_have_none() -> None:
    with pytest.raises(DataError, match="the run has no program yet"):
        chosen([], "p01")


def test_a_program_is_dissected() -> None:
    found = dissect(listed(), [40])
    json.dumps(found, allow_nan=False)
    assert [line["bytes"] for line in found["lines"]] == ["89 c1", "ff c9", "21 c8"]
    assert [line["writer"] for line in found["lines"]] == ["MOV", "ARITH", "LOGIC"]
    assert found["proof"] == {"verdict": "proved", "reason": "", "counterexample": None}
    changed = [step["changed"] for step in found["trace"]["steps"]]
    assert changed == [{"ecx": 40}, {"ecx": 39}, {"eax": 32}]
    assert found["trace"]["outputs"] == found["trace"]["wanted"] == {"eax": 32}


def test_flags_and_memory_show_in_the_trace() -> None:
    table = {
        "name": "own",
        "inputs": {"x": "eax", "y": "[rdi+4]"},
        "outputs": {"[rdi]": "x"},
        "reference": "mov ecx, [rdi+4]\ncmp eax, ecx\nmov [rdi], eax\nadd eax, ecx",
    }
    found = dissect(listed(from_table(table, "table")), [3, -3])
    changed = [step["changed"] for step in found["trace"]["steps"]]
    assert changed == [
        {"ecx": 2**32 - 3},
        {"flags": "CF"},  # 3 is below 2^32 - 3, and 3 + 3 is neither 0 nor negative
        {"[rdi]": 3},
        {"eax": 0, "flags": "not valid"},
    ]


def test_a_wrong_program_is_refuted_with_inputs() -> None:
    found = dissect(listed(program="mov ecx, eax\ndec ecx"))
    assert found["proof"]["verdict"] == "refuted"
    x = found["proof"]["counterexample"]["x"]
    assert x & (x - 1) != x
    assert told(found)[1].startswith("Counterexample: x = ")
    assert found["trace"]["inputs"] == {"x": 2**32 - 12}


def test_examples_allow_no_proof_and_no_wanted_output_elsewhere() -> None:
    task = from_table(BY_EXAMPLES, "table")
    found = dissect(listed(task, "shl eax, 1"))
    assert found["proof"]["verdict"] == "unknown"
    assert found["trace"]["wanted"] == {"eax": 6}
    other = dissect(listed(task, "shl eax, 1"), [5])["trace"]
    assert (other["outputs"], other["wanted"]) == ({"eax": 10}, None)
    assert "not available: double: nothing says" in other["note"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [((1, 2), "input: 2 values; 'p01' takes 1: x"), ((2**32,), "input: 4294967296 is no word")],
)
def test_inputs_that_do_not_fit(inputs: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        dissect(listed(), inputs)


def test_the_example_writes_a_proved_program(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("example_cpu_task", EXAMPLES / "cpu_task.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    said = capsys.readouterr().out
    assert "proved: True" in said
    assert said.count("; SHIFT") == 2
