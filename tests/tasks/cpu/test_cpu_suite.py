"""The suite: references proved, run by both judges, and specifications against plain Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.cpu.machine.emulator import emulate
from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import encode, listing
from batonq.tasks.cpu.machine.words import FLAGS
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.suite import SHORT, named, suite
from batonq.tasks.cpu.task import Task, exact, widened
from batonq.tasks.cpu.vectors import EDGES, vectors

M = 2**32


def signed(x: int) -> int:
    return x - M if x >= 2**31 else x


def ones(x: int) -> int:
    return bin(x).count("1")


def leading(x: int) -> int:
    """Number of leading zeros."""
    return 32 - x.bit_length()


def strings(x: int) -> str:
    return f"{x:032b}"


def next_with_as_many(x: int) -> int | None:
    """The next higher word with as many 1s; None where there is none."""
    place = strings(x).rfind("01")
    if place < 0:
        return None
    right = strings(x)[place + 2 :]  # its 1s go to its right end
    return int(strings(x)[:place] + "10" + "".join(sorted(right)), 2)


def cleared(x: int) -> int:
    """Without the rightmost string of 1s."""
    stem = strings(x).rstrip("0")
    return int(stem.rstrip("1").ljust(32, "0") or "0", 2) if x else 0


def exchanged(x: int, k: int, m: int) -> int:
    """Bits of x under m, and those k above them, exchanged; for fields that do not overlap."""
    k %= 32
    low, high = x & m, x & (m << k)
    return x & ~(m | m << k) | low << k | high >> k


# What each task computes, from its definition in words and not from its expression.
MEANING: dict[str, Callable[..., int | tuple[int, ...] | None]] = {
    "p01": lambda x: x ^ 1 << strings(x)[::-1].index("1") if x else 0,
    "p02": lambda x: x & ((x + 1) % M),
    "p03": lambda x: 1 << strings(x)[::-1].index("1") if x else 0,
    "p04": lambda x: (2 << strings(x)[::-1].index("1")) - 1 if x else M - 1,
    "p05": lambda x: x | (1 << strings(x)[::-1].index("1")) - 1 if x else M - 1,
    "p06": lambda x: x | 1 << strings(x)[::-1].index("0") if x < M - 1 else x,
    "p07": lambda x: 1 << strings(x)[::-1].index("0") if x < M - 1 else 0,
    "p08": lambda x: (1 << strings(x)[::-1].index("1")) - 1 if x else M - 1,
    "p09": lambda x: abs(signed(x)),
    "p10": lambda x, y: leading(x) == leading(y),
    "p11": lambda x, y: leading(x) < leading(y),
    "p12": lambda x, y: leading(x) <= leading(y),
    "p13": lambda x: (signed(x) > 0) - (signed(x) < 0),
    "p14": lambda x, y: (x + y) // 2,
    "p15": lambda x, y: (x + y + 1) // 2,
    "p16": lambda x, y: max(signed(x), signed(y)),
    "p17": cleared,
    "p18": lambda x: ones(x) == 1,
    "p20": next_with_as_many,
    "p21": lambda x, a, b, c: b if x == a else a if x == c else c,
    "p22": lambda x: ones(x) % 2,
    "p23": ones,
    "p24": lambda x: (1 << (x - 1).bit_length()) % M if x else 0,
    "p25": lambda x, y: x * y >> 32,
    "umin": min,
    "umax": max,
    "smin": lambda x, y: min(signed(x), signed(y)),
    "sort2": lambda *words: tuple(sorted(words)),
    "sort3": lambda *words: tuple(sorted(map(signed, words))),
    "median3": lambda *words: sorted(words)[1],
    "clamp": lambda x, low, high: min(max(signed(x), signed(low)), signed(high)),
    "clamp_byte": lambda x: min(max(signed(x), 0), 255),
    "difference": lambda x, y: abs(x - y),
    "negate_if": lambda x, c: -x if c else x,
    "sign_extend": lambda x: (x & 255) - 256 * (x >> 7 & 1),
    "select": lambda c, a, b: a if c else b,
    "swap": lambda x, y: (y, x),
    "compare": lambda x, y: (signed(x) > signed(y)) - (signed(x) < signed(y)),
    "add_saturated": lambda x, y: min(x + y, M - 1),
    "byte_parity": lambda x: ones(x & 255) % 2,
    "memory_add": lambda x, m: x + m,
    "memory_sum": lambda a, b, c: a + b + c,
    "memory_swap": lambda a, b: (b, a),
    "memory_rotate": lambda a, b, c: (b, c, a),
    "memory_max": max,
    "memory_store_if": lambda x, c, m: x if c else m,
}
# p19 means something only for fields that do not overlap, zero_byte is 0 or not 0: see below.
ELSEWHERE = {"p19", "zero_byte"}
TASKS = pytest.mark.parametrize("task", suite(), ids=lambda task: task.name)


def inputs(task: Task, count: int = 300) -> np.ndarray:
    return vectors(task, count, np.random.default_rng(7))


def test_there_are_48_tasks_of_which_8_are_long() -> None:
    lengths = [task.length for task in suite()]
    assert len(lengths) == 48
    assert len({task.name for task in suite()}) == 48
    assert sum(length > SHORT for length in lengths) == 8
    assert sum(length in (5, 6) for length in lengths) >= 8
    assert {f"p{number:02d}" for number in range(1, 26)} <= {task.name for task in suite()}
    assert MEANING.keys() | ELSEWHERE == {task.name for task in suite()}


@TASKS
def test_reference_is_proved_and_right_in_both_machines(task: Task) -> None:
    assert prove(task.reference, task).outcome == "proved"
    given = inputs(task)
    places = [output.word for output in task.outputs]
    state = task.start(given)
    assert (emulate(task.reference, state)[places] == task.wanted(given)).all()
    assert run(encode(task.reference), state)
    assert (state[places] == task.wanted(given)).all()


@TASKS
def test_reference_does_not_rest_on_words_that_start_at_zero(task: Task) -> None:
    given = inputs(task)
    state = task.start(given)
    others = [word for word in range(FLAGS) if word not in {one.word for one in task.inputs}]
    state[others] = np.random.default_rng(8).integers(
        0, M, (len(others), given.shape[1]), np.uint32
    )
    assert run(encode(task.reference), state)
    assert (state[[output.word for output in task.outputs]] == task.wanted(given)).all()


@pytest.mark.parametrize("name", MEANING)
def test_specification_says_what_the_task_means(name: str) -> None:
    task = named(name)
    given = inputs(task)
    for column, found in zip(given.T.tolist(), task.wanted(given).T.tolist(), strict=True):
        meant = MEANING[name](*column)
        if meant is None:
            continue
        words = meant if isinstance(meant, tuple) else (meant,)
        assert tuple(found) == tuple(int(word) % M for word in words), column


def test_p19_exchanges_two_fields() -> None:
    task = named("p19")
    cases = [(0x12345678, 8, 0xFF), (0x12345678, 16, 0xFF00), (0xF0000001, 28, 0xF), (5, 1, 1)]
    given = np.array(cases, np.uint32).T
    assert task.wanted(given)[0].tolist() == [exchanged(*case) for case in cases]
    assert task.wanted(given)[0, 0] == 0x12347856


def test_zero_byte_is_zero_just_where_no_byte_is() -> None:
    task = named("zero_byte")
    given = np.concatenate([inputs(task), [[0x12003456, 0x12345600, 0x01010101, 0x00FFFFFF]]], 1)
    given = given.astype(np.uint32)
    zero = [0 in int(word).to_bytes(4, "little") for word in given[0]]
    assert ((task.wanted(given)[0] != 0) == zero).all()


@TASKS
def test_exact_and_widened_menus(task: Task) -> None:
    own, wide = exact(task).menu, widened(task).menu
    assert set(own) == set(task.reference) <= set(wide)
    assert len(set(wide)) == len(wide)
    assert {one.op for one in wide} == {one.op for one in own}
    assert {one.src for one in wide if one.row.immediate} == {
        one.src for one in own if one.row.immediate
    }
    assert exact(widened(task)) == exact(task) == task


def test_widened_menu_of_one_task_by_hand() -> None:
    assert listing(widened(named("sort2")).menu).splitlines() == [
        *[f"cmp {a}, {b}" for a, b in (pair.split() for pair in PAIRS)],
        *[f"mov {a}, {b}" for a, b in (pair.split() for pair in PAIRS)],
        *[f"cmova {a}, {b}" for a, b in (pair.split() for pair in PAIRS)],
    ]
    assert "test ecx, ecx" in listing(widened(named("negate_if")).menu)
    assert listing(widened(named("memory_add")).menu) == "add eax, [rdi]\nmov [rdi], eax"


PAIRS = ("eax ecx", "eax edx", "ecx eax", "ecx edx", "edx eax", "edx ecx")


def test_vectors_are_different_deterministic_and_of_every_kind() -> None:
    task = named("clamp")
    given = vectors(task, 400, np.random.default_rng(3))
    assert given.dtype == np.uint32
    assert given.shape == (3, 400)
    assert np.unique(given, axis=1).shape == given.shape
    assert (given == vectors(task, 400, np.random.default_rng(3))).all()
    assert (given != vectors(task, 400, np.random.default_rng(4))).any()
    assert set(EDGES) <= set(given.ravel().tolist())
    assert (given[1] == given[0]).any()
    assert (given[2] - given[1] == 1).any()
    assert {254, 255, 256} <= set(vectors(named("clamp_byte"), 400, np.random.default_rng(3))[0])
    with pytest.raises(DataError, match="clamp: 0 test vectors; give at least 1"):
        vectors(task, 0, np.random.default_rng(3))


def test_unknown_task() -> None:
    with pytest.raises(DataError, match="no task is called 'p26'; there are: p01, p02"):
        named("p26")
