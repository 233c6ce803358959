"""The prover: proofs, counterexamples that hold, and what it cannot know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.cpu.files import from_table
from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import encode, parse
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.suite import named, suite
from batonq.tasks.cpu.task import Task, widened

SUM_BY_EXAMPLES = {
    "name": "sum",
    "inputs": {"x": "eax", "y": "ecx"},
    "outputs": ["eax"],
    "examples": [
        {"inputs": {"x": 1, "y": 2}, "outputs": {"eax": 3}},
        {"inputs": {"x": 5, "y": -1}, "outputs": {"eax": 4}},
    ],
    "instructions": ["add eax, ecx", "or eax, ecx"],
    "length": 1,
}


def wrong(text: str, task: Task, vector: np.ndarray) -> bool:
    state = task.start(vector[:, None])
    run(encode(parse(text)), state)
    found = state[[output.word for output in task.outputs]]
    return bool((found != task.wanted(vector[:, None])).any())


def test_another_program_than_the_reference_is_proved() -> None:
    text = "mov ecx, eax\nsub eax, 1\nand eax, ecx"
    verdict = prove(parse(text), named("p01"))
    assert verdict.proved
    assert (verdict.outcome, verdict.counterexample, verdict.reason) == ("proved", None, "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p01", "dec eax"),
        ("p14", "add eax, ecx\nshr eax, 1"),  # wrong just where the sum overflows
        ("umin", "cmp eax, ecx\ncmovg eax, ecx"),  # wrong just for different signs
        ("p24", "mov eax, 4"),
        ("swap", "xchg eax, edx"),
        ("memory_max", ""),
    ],
)
def test_counterexamples_hold(name: str, text: str) -> None:
    task = named(name)
    verdict = prove(parse(text), task)
    assert verdict.outcome == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.dtype == np.uint32
    assert verdict.counterexample.shape == (len(task.inputs),)
    assert wrong(text, task, verdict.counterexample)


def test_programs_wrong_for_one_input_in_4_billion_are_refuted() -> None:
    table = {
        "name": "but_one",
        "inputs": {"x": "eax"},
        "outputs": {"eax": "x if x != 0x89ABCDEF else 1"},
        "instructions": ["mov eax, ecx"],
        "length": 1,
    }
    verdict = prove((), from_table(table, "table"))
    assert verdict.outcome == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.tolist() == [0x89ABCDEF]


def test_words_that_are_no_inputs_start_at_zero() -> None:
    assert prove(
        parse("cmp eax, edx\ncmovl eax, edx"),
        from_table({**SUM_BY_EXAMPLES, "outputs": {"eax": "smax(x, 0)"}, "examples": []}, "table"),
    ).proved


def test_mutants_of_references_are_never_unknown_and_their_counterexamples_hold() -> None:
    rng = np.random.default_rng(0)
    for task in suite():
        menu = widened(task).menu
        program = list(task.reference)
        program[rng.integers(len(program))] = menu[rng.integers(len(menu))]
        verdict = prove(program, task)
        assert verdict.outcome in ("proved", "refuted"), task.name
        if verdict.counterexample is not None:
            text = "\n".join(one.text for one in program)
            assert wrong(text, task, verdict.counterexample), task.name


def test_reading_flags_that_are_not_valid_is_refuted_without_an_input() -> None:
    verdict = prove(parse("cmp eax, ecx\ninc edx\ncmova eax, ecx"), named("umin"))
    assert (verdict.outcome, verdict.counterexample) == ("refuted", None)
    assert "flags" in verdict.reason


def test_no_proof_in_time_is_unknown() -> None:
    table = {
        "name": "hard",
        "inputs": {"x": "eax", "y": "ecx"},
        # 0 for all inputs; three products of 32 bits to compare
        "outputs": {"eax": "((x & y) * (x | y) + (x & ~y) * (~x & y)) ^ (x * y)"},
        "instructions": ["mov eax, 0"],
        "length": 1,
    }
    task = from_table(table, "table")
    verdict = prove(task.menu, task, seconds=0.2)
    assert (verdict.outcome, verdict.counterexample) == ("unknown", None)
    assert "within 0.2 s" in verdict.reason
    with pytest.raises(DataError, match=r"hard: 0 s for the prover; give a time above 0"):
        prove(task.menu, task, seconds=0.0)


def test_examples_never_prove() -> None:
    task = from_table(SUM_BY_EXAMPLES, "table")
    verdict = prove(parse("add eax, ecx"), task)
    assert verdict.outcome == "unknown"
    assert "right for all 2 examples" in verdict.reason
    verdict = prove(parse("or eax, ecx"), task)
    assert verdict.outcome == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.tolist() == [5, 2**32 - 1]


def test_threads_may_prove_at_once() -> None:
    tasks = [task for task in suite() if task.length <= 5] * 2
    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(lambda task: prove(task.reference, task), tasks))
    assert all(verdict.proved for verdict in verdicts)


def test_a_task_of_another_length_has_the_same_verdict() -> None:
    task = replace(named("p01"), length=20)
    assert prove((*task.reference, *parse("mov ecx, 1")), task).proved
