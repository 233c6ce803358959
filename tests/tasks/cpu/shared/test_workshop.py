"""The table of jobs: distinct, solvable, pinned down by the vectors."""

from collections import Counter

import numpy as np
import pytest

from batonq.tasks.cpu.learning.jobs import Jobs
from batonq.tasks.cpu.learning.search import cheapest
from batonq.tasks.cpu.machine.table import AGENTS
from batonq.tasks.cpu.machine.words import N_WORDS
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.shared.workshop import VECTORS, centralised, workshop

JOBS = workshop()
RANDOM = np.random.default_rng(0).integers(0, 2**32, (N_WORDS, 300), dtype=np.uint32)


def inputs(jobs: Jobs, number: int) -> np.ndarray:
    return jobs.vectors[: len(jobs.jobs[number].task.inputs)]


def test_there_are_enough_jobs_with_names_of_their_own_and_all_agents_occur():
    names = [job.task.name for job in JOBS.jobs]
    assert len(names) >= 100
    assert len(set(names)) == len(names)
    assert {agent for crew in JOBS.crews for agent in crew.agents} == set(AGENTS)
    assert {job.crew for job in JOBS.jobs} == set(range(len(JOBS.crews)))


def test_no_two_jobs_want_the_same_function_of_the_same_words():
    known = set()
    for job in JOBS.jobs:
        places = tuple(one.word for one in job.task.inputs)
        wanted = job.task.wanted(RANDOM[list(places)])
        known.add((frozenset(places), tuple(o.word for o in job.task.outputs), wanted.tobytes()))
    assert len(known) == len(JOBS.jobs)


def test_no_job_is_done_at_the_start():
    for start, outputs, wanted in zip(JOBS.start, JOBS.outputs, JOBS.wanted, strict=True):
        used = outputs[outputs >= 0]
        assert (start[used] != wanted[: len(used)]).any()


def test_vectors_are_sixteen_different_ones():
    assert VECTORS.shape == (2, 16)
    assert len({tuple(column) for column in VECTORS.T.tolist()}) == 16


@pytest.mark.parametrize(
    ("jobs", "every"), [(JOBS, 1), (centralised(JOBS), 7)], ids=["crews", "alone"]
)
def test_cheapest_programs_are_found_by_exhausted_search_and_proved(jobs, every):
    lengths: Counter[int] = Counter()
    for number, job in list(enumerate(jobs.jobs))[::every]:
        found = cheapest(jobs.crews[job.crew], job.task, inputs(jobs, number), job.length)
        assert found.program is not None, job.task.name
        assert found.exhausted, job.task.name
        assert found.duration is not None
        assert found.duration > 1, job.task.name
        assert prove(found.program, job.task).proved, job.task.name
        lengths[len(found.program)] += 1
    assert lengths[5] >= 15 / every
    assert lengths[6] >= 8 / every


def test_one_agent_alone_has_everybodys_instructions():
    for crew, single in zip(JOBS.crews, centralised(JOBS).crews, strict=True):
        assert single.menus == (tuple(one for menu in crew.menus for one in menu),)


def test_a_quick_run_has_some_of_the_jobs_of_every_crew():
    quick = workshop(quick=True)
    assert set(quick.jobs) < set(JOBS.jobs)
    assert {job.crew for job in quick.jobs} == {job.crew for job in JOBS.jobs}
    assert len(quick.jobs) <= 40
