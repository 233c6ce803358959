"""The random walk: cost by hand, moves as likely as their opposites, states kept, budget."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from peer_tasks import hidden

from batonq.base.errors import DataError
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import encode, parse
from batonq.tasks.cpu.machine.words import EAX, ECX, EDX, blank
from batonq.tasks.cpu.peers import mcmc
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.suite import named
from batonq.tasks.cpu.task import widened

MENU = parse("mov ecx, eax\ncmp eax, ecx\ncmovl eax, ecx\ncmovb eax, ecx\nadd eax, ecx\nneg eax")
TESTS = np.array([[3, 1, 7, 0x80000000, 12345], [5, 1, 0xFFFFFFFF, 3, 99]], np.uint32)

# No program of the menu multiplies, so that no walk comes to an end.
UNKNOWN = hidden(MENU, parse("imul eax, ecx\nbswap eax"), TESTS, 5)


def test_cost_by_hand() -> None:
    state = blank(3)
    state[EAX] = [0b1011, 0xFFFFFFFF, 0]
    state[ECX] = [0b1000, 1, 0xFF]
    wanted = np.array([[0b1011, 1, 0xFE]], np.uint32)
    places = np.array([EAX, ECX])
    # right; 31 bits wrong but right in ecx: 3; 7 bits wrong, in ecx 1 bit and 3
    assert mcmc.cost_of(state, np.array([EAX]), wanted, places) == 0 + 3 + 4
    # 2 bits; right; 1 bit
    assert mcmc.cost_of(state, np.array([ECX]), wanted, places) == 2 + 0 + 1
    both = np.concatenate([wanted, wanted])
    assert mcmc.cost_of(state, np.array([EAX, ECX]), both, places) == 7 + 3
    # nobody looks into ecx
    assert mcmc.cost_of(state, np.array([EAX]), wanted, np.array([EAX])) == 0 + 31 + 7


def test_cost_counts_ones_of_any_word() -> None:
    values = np.random.default_rng(0).integers(0, 2**32, 500, dtype=np.uint32)
    state = blank(500)
    state[EDX] = values
    wanted = np.zeros((1, 500), np.uint32)
    expected = sum(int(value).bit_count() for value in values)
    assert mcmc.cost_of(state, np.array([EDX]), wanted, np.array([EDX])) == expected


def test_moves_by_hand() -> None:
    menu = parse("mov eax, ecx\nmov ecx, eax\nadd eax, ecx\nadd eax, 1\nsub eax, 1\nneg eax")
    operands, operations = mcmc.moves(menu)
    assert operands.tolist() == [[2, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert operations.tolist() == [[3, 0], [0, 0], [1, 0], [5, 0], [4, 0], [0, 0]]


def test_words_of_a_task() -> None:
    outputs, places = mcmc.words_of(named("memory_store_if"))
    assert outputs.tolist() == [4] and places.tolist() == [0, 1, 2, 4]


def test_a_move_is_as_likely_as_its_opposite() -> None:
    menu = parse("mov eax, ecx\nmov ecx, eax\nadd eax, ecx")
    tables = mcmc.moves(menu)
    programs = list(product(range(4), repeat=2))
    number = {program: k for k, program in enumerate(programs)}
    draws, rng, new = 4_000, np.random.default_rng(1), np.empty(2, np.int64)
    counts = np.zeros((16, 16))
    for program in programs:
        slots = np.array(program)
        for _ in range(draws):
            first = mcmc.proposed(slots, *tables, new, rng)
            assert first == next((k for k in range(2) if new[k] != slots[k]), 2)
            counts[number[program], number[tuple(new.tolist())]] += 1
    odds = mcmc.EMPTY * len(menu) / (1 - mcmc.EMPTY)
    weight = np.array([odds ** program.count(0) for program in programs])
    flow = weight[:, None] * counts / draws
    spread = weight[:, None] ** 2 * counts / draws**2
    off = ~np.eye(16, dtype=bool)
    assert np.all(np.abs(flow - flow.T)[off] <= 5 * np.sqrt(spread + spread.T)[off])
    reached = np.linalg.matrix_power((counts > 0).astype(float), 4)
    assert np.all(reached > 0)


def walked(slots: np.ndarray, sharpness: float, rng: np.random.Generator) -> tuple[int, int]:
    """Walk from `slots` with 60 executions. Returns the cost and the executions."""
    outputs, places = mcmc.words_of(UNKNOWN)
    start, wanted = UNKNOWN.start(TESTS), UNKNOWN.wanted(TESTS)
    numbers, tables = encode(MENU), mcmc.moves(MENU)
    arrays = (start, outputs, wanted, places, numbers, *tables)
    return mcmc.walk(*arrays, sharpness, 60, slots, rng)[:2]


def cost_from_the_start(slots: np.ndarray) -> tuple[int, int]:
    """The cost of a program, run from its first slot, and how often it reads flags in vain."""
    outputs, places = mcmc.words_of(UNKNOWN)
    state, illegal = UNKNOWN.start(TESTS), 0
    for item in slots[slots > 0] - 1:
        illegal += not execute(*encode(MENU)[item], state)
    bits = mcmc.cost_of(state, outputs, UNKNOWN.wanted(TESTS), places)
    return bits + mcmc.ILLEGAL * TESTS.shape[1] * illegal, illegal


def test_what_is_kept_of_the_states_is_right() -> None:
    rng, ended = np.random.default_rng(2), []
    for _ in range(200):
        slots = rng.integers(0, len(MENU) + 1, 5)
        cost, executed = walked(slots, 0.02, rng)
        expected, illegal = cost_from_the_start(slots)
        assert cost == expected > 0
        assert 60 - 5 < executed <= 60
        ended.append(illegal)
    assert min(ended) == 0 < max(ended)


def test_without_heat_the_cost_never_rises() -> None:
    rng, falls = np.random.default_rng(3), 0
    for _ in range(100):
        slots = rng.integers(0, len(MENU) + 1, 5)
        before, _ = cost_from_the_start(slots)
        after, _ = walked(slots, 1e6, rng)
        assert after <= before
        falls += after < before
    assert falls > 50


def test_with_much_heat_the_cost_rises_as_well() -> None:
    rng, rises = np.random.default_rng(4), 0
    for _ in range(100):
        slots = rng.integers(0, len(MENU) + 1, 5)
        before, _ = cost_from_the_start(slots)
        rises += walked(slots, 1e-6, rng)[0] > before
    assert 20 < rises < 80


@pytest.mark.parametrize("budget", [1, 16, 17, 300, 5000])
def test_budget_is_never_exceeded(budget: int) -> None:
    found = mcmc.solve(widened(named("p23")), budget, restart=1000)
    assert found.program is None and not found.proved
    assert budget - 16 < found.executed <= budget
    assert found.note.endswith("budget spent")


@pytest.mark.parametrize("name", ["p01", "p09", "sort2", "memory_rotate"])
def test_finds_and_proves(name: str) -> None:
    task = named(name)
    found = mcmc.solve(task, 200_000, n_vectors=1)
    assert found.proved and found.program is not None
    assert prove(found.program, task).proved and len(found.program) <= task.length


def test_same_seed_same_walk() -> None:
    one, other = (mcmc.solve(named("p12"), 200_000, 7) for _ in range(2))
    assert (one.program, one.executed, one.note) == (other.program, other.executed, other.note)


def test_ends_where_no_move_changes_anything() -> None:
    task = hidden(parse("neg eax"), parse("neg eax\nneg eax\nneg eax"), TESTS, 1)
    other = hidden(parse("mov eax, ecx"), parse("neg eax"), TESTS, 1)
    assert mcmc.solve(task, 50).program == parse("neg eax")
    assert mcmc.solve(other, 50, sharpness=1e6).program is None


@pytest.mark.parametrize("wrong", [{"sharpness": 0.0}, {"restart": 0}])
def test_bad_settings_are_errors(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError, match="sharpness above 0"):
        mcmc.solve(named("p01"), 100, **wrong)
