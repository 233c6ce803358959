"""One task, learnt: counterexamples, the budget, what counts; and random agents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batonq.tasks.cpu.files import from_table
from batonq.tasks.cpu.fresh import N_FRESH, fresh_right
from batonq.tasks.cpu.learning.blind import wander
from batonq.tasks.cpu.learning.jobs import Job, Jobs, crew
from batonq.tasks.cpu.learning.learn import bench
from batonq.tasks.cpu.learning.play import LONGEST
from batonq.tasks.cpu.machine.program import listing, parse
from batonq.tasks.cpu.per_task import settings
from batonq.tasks.cpu.per_task.cegis import solve
from batonq.tasks.cpu.per_task.trials import trials
from batonq.tasks.cpu.prover import Verdict, prove
from batonq.tasks.cpu.suite import named
from batonq.tasks.cpu.task import widened
from batonq.tasks.cpu.vectors import vectors

PLAN = settings.Plan(budget=2000, sygus_seconds=1, tasks=())
LEARNERS = pytest.mark.parametrize("learner", settings.LEARNERS)
# Nothing that these agents write makes 7 of every word.
IMPOSSIBLE = from_table(
    {
        "name": "seven",
        "inputs": {"x": "eax"},
        "outputs": {"eax": "7"},
        "length": 3,
        "instructions": ["inc eax", "not eax", "mov ecx, eax"],
    },
    "test",
)


@pytest.mark.parametrize("learner", ["icq", "centralised", "random"])
def test_a_counterexample_joins_the_vectors_until_there_is_a_proof(learner):
    task = widened(named("select"))
    found = [solve(task, learner, 20_000, seed, n_vectors=1) for seed in range(3)]
    assert all(one.proved and one.note == "" for one in found)
    assert max(len(one.counterexamples) for one in found) > 0  # one vector does not pin it down
    for one in found:
        assert prove(one.written.program, task).proved
        met = np.array(one.counterexamples, np.uint32).reshape(-1, 3).T
        assert len(np.unique(met, axis=1).T) == len(one.counterexamples)


@LEARNERS
@pytest.mark.parametrize("budget", [0, 1, 9, 150, 1234])
def test_the_budget_is_never_exceeded(learner, budget):
    found = solve(IMPOSSIBLE, learner, budget, seed=1)
    assert not found.proved
    assert found.written is None
    assert found.note == "budget spent"
    assert max(0, budget - 2 * settings.most_steps(IMPOSSIBLE)) <= found.handoffs <= budget


@LEARNERS
def test_refuted_rounds_are_paid_from_the_same_budget(learner):
    told = []

    def contrary(_program, task, _seconds):
        told.append(len(told))
        wrong = np.array([1000 + len(told)] * len(task.inputs), np.uint32)
        return Verdict("refuted", wrong, "")

    found = solve(named("p16"), learner, 3000, seed=2, n_vectors=2, judge=contrary)
    assert len(told) > 1  # all of one agent's program, so that even no_scalar comes to one
    assert len(found.counterexamples) == len(told)
    assert not found.proved
    assert found.written is not None  # the last that was refuted is told
    assert found.handoffs <= 3000


@LEARNERS
def test_unknown_counts_as_unsolved(learner):
    def tired(_program, _task, _seconds):
        return Verdict("unknown", None, "no time")

    found = solve(named("p16"), learner, 3000, seed=2, judge=tired)
    assert found.written.right
    assert (found.proved, found.note) == (False, "no time")


def test_a_task_with_examples_only_is_never_solved():
    task = from_table(
        {
            "name": "double",
            "inputs": {"x": "eax"},
            "outputs": ["eax"],
            "length": 1,
            "instructions": ["add eax, eax", "inc eax"],
            "examples": [
                {"inputs": {"x": 1}, "outputs": {"eax": 2}},
                {"inputs": {"x": 3}, "outputs": {"eax": 6}},
            ],
        },
        "test",
    )
    (one,) = trials(task, "icq", 1, 0, PLAN)
    assert one["program"] == "add eax, eax"
    assert not one["proved"]
    assert "only expressions allow a proof" in one["note"]


@LEARNERS
def test_a_program_longer_than_allowed_does_not_count(learner):
    found = solve(replace(named("p16"), length=1, reference=()), learner, 5000, seed=0)
    assert not found.proved
    assert found.written is None


def test_what_is_written_is_told_line_by_line():
    found = solve(named("p01"), "icq", 20_000, seed=0)
    assert listing(found.written.program) == "mov ecx, eax\ndec ecx\nand eax, ecx"
    assert found.written.writers == ("MOV", "ARITH", "LOGIC")
    assert found.written.agents == ("MOV", "ARITH", "LOGIC")


def test_steps_and_hope_by_hand():
    assert settings.most_steps(named("p01")) == 3 + 1
    assert settings.most_steps(named("memory_add")) == 5 + 1 + 1
    assert settings.most_steps(IMPOSSIBLE) == 3 + 1
    assert settings.hope(named("p01")) == pytest.approx(0.9**4)


def test_random_agents_draw_evenly_and_keep_to_the_length():
    task = named("swap")  # three of its three instructions, in one order: 1 / 64 by passing, too
    made = Jobs((crew("c", task.menu),), (Job(task, 0, 4),), np.array([[1, 2], [3, 5]], np.uint32))
    world, rng = bench(made, 2, 0.9), np.random.default_rng(0)
    agents, items = np.empty(LONGEST, np.int64), np.empty(LONGEST, np.int64)
    assert wander(world, 3, 0, agents, items, rng) == (0, 0)
    hits, total = 0, 0
    while total < 200_000:
        count, n = wander(world, 3, 200_000 - total, agents, items, rng)
        total += count
        hits += n > 0
        if n:
            written = [k for k in items[:n] if k < 3]
            assert [task.menu[k].text for k in written] == [one.text for one in task.reference]
    assert total == 200_000
    # One agent with three instructions and passing: right are the order, and it with one pass
    # before, between (twice). A workflow has 3 options, or 4 with at least one pass among the
    # first three, so its mean is 3 + (1 - 27 / 64).
    chance = 1 / 64 + 3 / 256
    workflows = total / (4 - 27 / 64)
    assert abs(hits - workflows * chance) < 5 * np.sqrt(workflows * chance)


def test_fresh_inputs_tell_a_wrong_program():
    task = named("p16")
    assert fresh_right(task, task.reference, 3) == N_FRESH >= 200
    wrong = fresh_right(task, parse("cmp eax, ecx\ncmovb eax, ecx"), 3)
    assert 0 < wrong < N_FRESH


def test_the_same_seed_finds_the_same(monkeypatch):
    monkeypatch.setattr(settings, "N_VECTORS", 8)
    task = widened(named("p03"))
    first, second = (trials(task, "icq", 2, 5, PLAN) for _ in range(2))
    for one in (*first, *second):
        del one["seconds"]
    assert first == second
    vector = vectors(task, 4, np.random.default_rng(0))
    assert vector.shape == (1, 4)
