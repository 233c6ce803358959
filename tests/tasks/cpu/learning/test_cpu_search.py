"""The cheapest program against all programs, one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.tasks.cpu.learning.jobs import Crew, crew
from batonq.tasks.cpu.learning.search import Found, cheapest
from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import Instruction, encode, legal, parse
from batonq.tasks.cpu.machine.words import EAX, ECX
from batonq.tasks.cpu.parsing import parse as expression
from batonq.tasks.cpu.task import Input, Output, Task

POOL = parse(
    "mov ecx, eax\nmov eax, ecx\nimul eax, ecx\ndec eax\nneg ecx\nand eax, ecx\nnot eax\n"
    "shr eax, 1\ncmp eax, ecx\ncmovl eax, ecx\nmov eax, [rdi]\nmov [rdi], ecx"
)
WANTED = ("x & (x - 1)", "x * y", "smin(x, y)", "-y & x", "~x", "(x * x) >> 1", "y", "x - 2", "-y")
VECTORS = np.array([[6, 1, 2**32 - 3, 12, 41], [1, 2, 3, 4, 2**31]], np.uint32)


def posed(wanted: str, menu: tuple[Instruction, ...]) -> Task:
    inputs = (Input("x", EAX), Input("y", ECX))
    return Task("it", "it", inputs, (Output(EAX, expression(wanted, ["x", "y"])),), 8, menu)


def every(one: Crew, task: Task, most: int) -> int | None:
    """Primitive steps of the cheapest program, by trying all of them."""
    best = None
    for n in range(1, most + 1):
        for program in product(task.menu, repeat=n):
            handed = program[0].agent != one.agents[0]
            cost = sum(item.duration for item in program) + handed
            if cost > most or (best is not None and cost >= best) or not legal(program):
                continue
            words = task.start(VECTORS)
            run(encode(program), words)
            if (words[EAX] == task.wanted(VECTORS)[0]).all():
                best = cost
    return best


@settings(max_examples=40, deadline=None)
@given(
    wanted=st.sampled_from(WANTED),
    menu=st.lists(st.sampled_from(POOL), min_size=2, max_size=6, unique=True),
    most=st.integers(1, 4),
)
def test_nothing_cheaper_exists(wanted: str, menu: list[Instruction], most: int) -> None:
    task = posed(wanted, tuple(menu))
    one = crew("all", menu)
    found = cheapest(one, task, VECTORS, most)
    assert found.exhausted
    assert found.duration == every(one, task, most)
    if found.program is not None:
        words = task.start(VECTORS)
        assert run(encode(found.program), words)
        np.testing.assert_array_equal(words[EAX], task.wanted(VECTORS)[0])


def test_whoever_starts_must_write_or_pass() -> None:
    menu = parse("mov ecx, eax\nneg eax")
    task = posed("-x", menu)
    one = crew("all", menu)
    assert cheapest(one, task, VECTORS, 4).duration == 2  # MOV passes, ARITH writes
    assert cheapest(one, task, VECTORS, 4, opening=False).duration == 1


def test_latency_counts_not_instructions() -> None:
    menu = parse("imul eax, ecx\ndec eax\nneg eax")
    task = Task("it", "it", (Input("x", EAX),), (Output(EAX, expression("~x", ["x"])),), 8, menu)
    vectors = VECTORS[:1]
    found = cheapest(crew("all", menu), task, vectors, 6)
    assert found == Found(parse("neg eax\ndec eax"), 2, found.executed, exhausted=True)


@pytest.mark.parametrize("limit", [{"budget": 5}, {"room": 4}])
def test_limits_are_kept_and_told(limit: dict[str, int]) -> None:
    task = posed("smin(x, y)", POOL)
    found = cheapest(crew("all", POOL), task, VECTORS, 6, **limit)
    assert found.program is None
    assert not found.exhausted
    assert found.executed <= 5
