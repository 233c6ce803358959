"""Breadth-first search against a plain one, its budget, and its use of counterexamples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peer_tasks import hidden

from batonq.base.errors import DataError
from batonq.tasks.cpu.machine.interpreter import execute_plain
from batonq.tasks.cpu.machine.program import Program, parse
from batonq.tasks.cpu.peers.attempt import Vectors
from batonq.tasks.cpu.peers.breadth_first import shortest, solve
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.suite import named
from batonq.tasks.cpu.task import Task, widened

MENU = parse(
    "mov ecx, eax\nadd eax, ecx\nneg eax\ndec ecx\ncmp eax, ecx\ncmovl eax, ecx\nand eax, ecx"
)
TESTS = np.array([[0, 1, 7, 0x80000000, 12345], [5, 1, 0xFFFFFFFF, 3, 99]], np.uint32)


def plain(task: Task, tests: Vectors) -> tuple[Program | None, int, int]:
    """The first program found, instructions executed once each, and the sum of paths' lengths."""
    words, wanted = [one.word for one in task.outputs], task.wanted(tests)
    level: list[tuple[Program, np.ndarray]] = [((), task.start(tests))]
    if np.array_equal(level[0][1][words], wanted):
        return (), 0, 0
    seen, executed, paths = {level[0][1].tobytes()}, 0, 0
    for _ in range(task.length):
        onward = []
        for program, state in level:
            paths += len(program)
            for one in task.menu:
                tried = state.copy()
                if not execute_plain(one.op, one.dst, one.src, tried):
                    continue
                executed += 1
                if np.array_equal(tried[words], wanted):
                    return (*program, one), executed, paths
                if tried.tobytes() not in seen:
                    seen.add(tried.tobytes())
                    onward.append(((*program, one), tried))
        level = onward
    return None, executed, paths


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(MENU), max_size=4).map(tuple),
    st.integers(1, 4),
)
def test_equals_plain_search(program: Program, length: int) -> None:
    task = hidden(MENU, program, TESTS, length)
    found = shortest(task, TESTS, 100_000)
    expected, executed, paths = plain(task, TESTS)
    assert found.program == expected
    assert executed <= found.executed <= executed + paths


def test_says_that_there_is_none() -> None:
    task = replace(named("p01"), length=2, reference=())
    found = solve(task, 10_000)
    assert found.program is None and not found.proved
    assert found.note == "no program of at most 2 instructions"
    assert 3 < found.executed < 3 + 9 + 3 + 1  # 3, then 3 after each of at most 3 and their own


@pytest.mark.parametrize("budget", [1, 2, 5, 37, 1000])
def test_budget_is_spent_and_never_exceeded(budget: int) -> None:
    found = solve(widened(named("p23")), budget)
    assert found.program is None
    assert found.executed == budget and found.note == "budget spent"


def test_the_first_one_it_finds_is_enough_budget() -> None:
    task = widened(named("p10"))
    whole = solve(task, 2_000_000)
    assert whole.proved
    assert solve(task, whole.executed).program == whole.program
    assert solve(task, whole.executed - 1).program is None


@pytest.mark.parametrize("name", ["p16", "p18", "clamp", "memory_store_if"])
def test_one_vector_is_enough_with_counterexamples(name: str) -> None:
    task = named(name)
    found = solve(task, 100_000, n_vectors=1)
    assert found.proved and found.program is not None
    assert prove(found.program, task).proved
    assert len(found.program) <= len(task.reference)


def test_examples_alone_prove_nothing() -> None:
    task = hidden(MENU, parse("neg eax"), TESTS, 2)
    found = solve(task, 1000)
    assert found.program == parse("neg eax") and not found.proved
    assert "only expressions allow a proof" in found.note


def test_no_budget_is_an_error() -> None:
    with pytest.raises(DataError, match="budget of 0"):
        solve(named("p01"), 0)
