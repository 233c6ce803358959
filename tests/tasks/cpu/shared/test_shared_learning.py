"""Lessons in a workshop small enough to be solved by listing every program."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from batonq.tasks.cpu.learning.jobs import PASS_DURATION, Crew, Job, Jobs, crew
from batonq.tasks.cpu.learning.learn import GAMMA, Apprentices, bench
from batonq.tasks.cpu.listing import PROVED
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import Program, parse
from batonq.tasks.cpu.options import CpuOptions
from batonq.tasks.cpu.parsing import parse as expression
from batonq.tasks.cpu.shared import learning
from batonq.tasks.cpu.shared.learning import (
    NARROW,
    WHOLE,
    Judge,
    Lesson,
    learnt,
    optimum,
    random,
)
from batonq.tasks.cpu.shared.workshop import VECTORS
from batonq.tasks.cpu.task import Input, Output, Task

MENU = parse("mov ecx, eax\ndec eax\nand eax, ecx\nneg eax\nshr eax, 1")
LIMIT = 5
BUDGET = 60_000


def job(name: str, wanted: str, length: int = LIMIT) -> Job:
    task = Task(name, wanted, (Input("x", 0),), (Output(0, expression(wanted, ("x",))),), 8, MENU)
    return Job(task, 0, length)


def tiny(*jobs: Job, vectors: np.ndarray = VECTORS) -> Jobs:
    return Jobs((crew("tiny", MENU),), jobs, vectors[:1])


WANTED = ("x & (x - 1)", "x & -x", "x - 3", "(x - 1) >> 1", "-x >> 1")
TINY = tiny(*(job(f"job{k}", wanted) for k, wanted in enumerate(WANTED)))


def cost(one: Crew, program: Program) -> int:
    """Primitive steps with the pass that is needed if the first agent does not start."""
    opening = 0 if program[0] in one.menus[0] else PASS_DURATION
    return opening + sum(instruction.duration for instruction in program)


def brute_force(jobs: Jobs, number: int) -> int:
    """The cheapest of all programs of at most `LIMIT` instructions."""
    best = LIMIT + 1
    one, at = jobs.crews[0], jobs.jobs[number]
    for length in range(1, LIMIT + 1):
        for program in product(MENU, repeat=length):
            if cost(one, program) < best:
                words = jobs.start[number].copy()
                if (
                    all(execute(i.op, i.dst, i.src, words) for i in program)
                    and (
                        words[[output.word for output in at.task.outputs]] == jobs.wanted[number]
                    ).all()
                ):
                    best = cost(one, program)
    return best


def test_the_optimum_is_that_of_all_programs():
    found = optimum(TINY, 0)["jobs"]
    assert [one["duration"] for one in found] == [
        brute_force(TINY, number) for number in range(len(TINY.jobs))
    ]
    assert [one["alone"] for one in found] == [one["length"] for one in found]
    assert all(one["proved"] and one["whole"] for one in found)


def test_the_full_view_reaches_every_optimum_and_repeats_itself():
    lesson = Lesson("icq", 16, BUDGET, 2)
    best = [one["duration"] for one in optimum(TINY, 0)["jobs"]]
    found = learnt(TINY, lesson, 0)
    assert found["durations"][-1] == best
    assert [one["verdict"] for one in found["programs"]] == [PROVED] * len(best)
    assert found["points"] == [BUDGET // 2, BUDGET]
    assert found["handoffs"] >= BUDGET
    assert found["apart"] == 0
    assert found == learnt(TINY, lesson, 0)


def test_one_agent_alone_needs_no_first_pass():
    found = learnt(TINY, Lesson("centralised", 16, BUDGET, 1), 0)
    assert found["durations"][-1] == [one["alone"] for one in optimum(TINY, 0)["jobs"]]
    assert found["crossed"] == 0


def test_without_the_scalar_only_what_one_agent_does_alone_is_learnt():
    found = learnt(TINY, Lesson("no_scalar", 16, BUDGET, 1), 0)["durations"][-1]
    best = [one["duration"] for one in optimum(TINY, 0)["jobs"]]
    assert sum(duration == least for duration, least in zip(found, best, strict=True)) < len(best)


def test_behind_one_vector_two_jobs_are_one_and_at_most_one_is_done():
    five = np.array([[5, 12, 7, 9, 1, 0, 2**31, 255]], np.uint32)
    # No program within the limit gives the one on its way to the other.
    jobs = tiny(job("lowest", "x & -x"), job("less", "x - 4"), vectors=five)
    assert (jobs.start[0, :, 0] == jobs.start[1, :, 0]).all()
    assert (jobs.wanted[0, :, 0] == jobs.wanted[1, :, 0]).all()
    narrow, whole = (bench(jobs, view, GAMMA).asked for view in (1, 8))
    assert narrow[0] == narrow[1]
    assert whole[0] != whole[1]
    apprentices = Apprentices(jobs, 1, Lesson("icq", 1, BUDGET, 1).settings, 0)
    apprentices.learn(BUDGET)
    assert sum(apprentices.write(number).right for number in (0, 1)) <= 1
    assert all(learnt(jobs, Lesson("icq", 8, BUDGET, 1), 0)["durations"][-1])


def test_a_program_that_the_vectors_do_not_tell_from_a_right_one_is_refuted():
    same = np.array([[0, 1]], np.uint32)  # x & -x is x
    jobs = tiny(job("lowest", "x & -x"), vectors=same)
    judge = Judge(jobs.jobs, 0)
    assert judge.verdict(0, ()).startswith("refuted")
    assert judge.verdict(0, parse("mov ecx, eax\nneg eax\nand eax, ecx")) == PROVED
    assert len(judge.known) == 2


def test_a_proved_program_that_unicorn_finds_wrong_does_not_count(monkeypatch):
    monkeypatch.setattr(learning, "fresh_right", lambda *_: 255)
    judge = Judge(TINY.jobs, 0)
    verdict = judge.verdict(0, parse("mov ecx, eax\ndec eax\nand eax, ecx"))
    assert verdict == "right on 255 of 256 fresh inputs in Unicorn"
    assert judge.apart == 1


def test_random_agents_keep_their_first_program_and_have_an_equal_share():
    found = random(TINY, Lesson("random", 16, 20_000, 4), 3)
    assert found == random(TINY, Lesson("random", 16, 20_000, 4), 3)
    durations = np.array(found["durations"])
    assert durations.shape == (4, len(WANTED))
    kept = durations[1:] - durations[:-1]
    assert ((kept == 0) | (durations[:-1] == 0)).all()  # once found it stays
    assert durations[-1].all()
    assert [one["verdict"] for one in found["programs"]] == [PROVED] * len(WANTED)
    nobody = random(TINY, Lesson("random", 16, len(WANTED), 1), 3)  # one handoff for each job
    assert not np.any(nobody["durations"])


@pytest.mark.parametrize(
    ("learner", "view", "rule"),
    [
        ("icq", 16, WHOLE),
        ("centralised", 16, WHOLE),
        ("no_scalar", 16, replace(WHOLE, learner="no_scalar")),
        ("icq", 8, NARROW),
        ("icq", 1, NARROW),
        ("monte_carlo", 16, replace(NARROW, learner="monte_carlo")),
    ],
)
def test_one_rule_where_targets_are_a_function_of_what_is_seen_and_one_elsewhere(
    learner, view, rule
):
    assert Lesson(learner, view, 1, 1).settings == rule


def test_cells_are_one_for_each_learner_view_and_seed_and_are_computed(monkeypatch):
    cells = learning.plan(CpuOptions(quick=True))
    assert len(cells) == len({cell.key for cell in cells}) == 1 + 2 * 9
    monkeypatch.setattr(learning, "workshop", lambda _quick: replace(TINY))
    monkeypatch.setattr(learning, "QUICK_HANDOFFS", 4_000)
    found = {cell.key: learning.compute(cell.config) for cell in cells[::6]}
    assert {one["kind"] for one in found.values()} == {"learn", "optimum"}
    assert all(
        len(one["durations"]) == learning.QUICK_POINTS
        for one in found.values()
        if one["kind"] == "learn"
    )
