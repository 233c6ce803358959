"""A small workshop as a finite model: every machine state near the start, times who holds it.

What is to be done, the words of the machine on all vectors and the holder are the state, so a
holder that sees all vectors sees the state. A holder that sees the first k vectors sees the words
and the wanted outputs on those: one model for each k, all on the same states.

The limit: agents in the learning loop do not see how long a workflow has taken, so a limit in
primitive steps would be hidden from every view. Here the limit is on the machine instead. States
are those that `depth` instructions can reach from a start; an instruction that leads to any other
ends the workflow with nothing. That is a function of the state, so the full view stays exact, and
nothing of a program of at most `depth` instructions is lost. All that is compared on this model
(the oracle, the aggregated solution, what agents learn) is under the same limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Int, UInt32

from batonq.base.errors import ModelError
from batonq.smdp.durations import fixed
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.tasks.cpu.learning.jobs import PASS_DURATION, Crew, Jobs
from batonq.tasks.cpu.learning.learn import GAMMA
from batonq.tasks.cpu.learning.play import right
from batonq.tasks.cpu.machine.interpreter import execute

DONE: Final = -1  # what an instruction leads to, where that is no state: all outputs are right,
LEFT: Final = -2  # or a machine state beyond the limit,
ILLEGAL: Final = -3  # or nothing, as it reads flags that are not valid
MOST: Final = 200_000  # states of a model

Rows = list[list[int]]


@dataclass(frozen=True, eq=False)
class Enumerated:
    """A workshop's states, and the model of them behind the full view.

    State ``w * n_agents + i`` is machine state w held by agent i. What is asked for (the words of
    the outputs and what they are to hold) is part of a machine state.

    Attributes:
        jobs: what is enumerated.
        model: with one cell a state.
        words: the machine's words in each machine state.
        asked: number of a job that asks for what is asked for in each machine state; the lowest.
        onward: machine state that each instruction leads to, or `DONE`, `LEFT`, `ILLEGAL`. The
            crew's instructions in the order of its agents.
        start: machine state in which each job starts; its first agent holds it.
    """

    jobs: Jobs
    model: FiniteICSMDP
    words: UInt32[np.ndarray, "machine word vector"]
    asked: Int[np.ndarray, " machine"]
    onward: Int[np.ndarray, "machine item"]
    start: Int[np.ndarray, " job"]

    @property
    def starts(self) -> Int[np.ndarray, " job"]:
        """State in which each job starts."""
        found: np.ndarray = self.start * self.model.n_agents
        return found

    def seen(self, view: int) -> FiniteICSMDP:
        """The model behind the first `view` vectors.

        Raises:
            ModelError: if `view` is not from 1 to the number of vectors.
        """
        n_vectors = self.jobs.vectors.shape[1]
        if not 1 <= view <= n_vectors:
            raise ModelError(f"view: {view} of {n_vectors} vectors; give a number from 1 to them")
        count, n_agents = len(self.words), self.model.n_agents
        told = [
            self.words[:, :, :view].reshape(count, -1),
            self.jobs.wanted[self.asked, :, :view].reshape(count, -1),
            self.jobs.outputs[self.asked],
        ]
        sight = np.unique(np.concatenate(told, axis=1), axis=0, return_inverse=True)[1]
        cell = sight.reshape(-1, 1) * n_agents + np.arange(n_agents)
        return self.model.seen_as(cell.ravel())


def enumerated(jobs: Jobs, depth: int, gamma: float = GAMMA) -> Enumerated:
    """Enumerate a workshop of one crew.

    A machine state from which nothing but other such states can be reached is worth nothing and
    would hold a workflow for ever; an instruction that leads there counts as leading beyond the
    limit.

    Args:
        jobs: of one crew; their own limits in primitive steps are not used.
        depth: instructions from a start within which states are kept, at least 1.
        gamma: discount per primitive step.

    Raises:
        ModelError: if there are several crews, a job is done before it starts or cannot end, or
            there are more than `MOST` states.
    """
    if len(jobs.crews) != 1:
        raise ModelError(f"model: {len(jobs.crews)} crews; give the jobs of one")
    if depth < 1:
        raise ModelError(f"model: depth {depth}; give at least 1 instruction")
    words: list[np.ndarray] = []
    asked: list[int] = []
    onward: Rows = []
    start = np.full(len(jobs.jobs), -1)
    asks: dict[bytes, list[int]] = {}
    for job in range(len(jobs.jobs)):
        key = jobs.outputs[job].tobytes() + jobs.wanted[job].tobytes()
        asks.setdefault(key, []).append(job)
    for alike in asks.values():
        first = len(words)
        found, table, at = _near(jobs, alike, depth)
        start[alike] = [first + k for k in at]
        words += found
        asked += [alike[0]] * len(found)
        onward += [[k if k < 0 else first + k for k in row] for row in table]
    n_agents = len(jobs.crews[0].agents)
    if len(words) * n_agents > MOST:
        raise ModelError(
            f"model: {len(words) * n_agents} states, more than {MOST}; give fewer jobs, a shorter "
            "menu or a smaller depth"
        )
    return _assembled(jobs, np.array(words), np.array(asked), np.array(onward), start, gamma)


def _near(jobs: Jobs, alike: list[int], depth: int) -> tuple[list[np.ndarray], Rows, list[int]]:
    """The machine states near the starts of jobs that ask for the same, and what leads where."""
    items = jobs.menu[0][np.arange(jobs.menu.shape[2]) < jobs.n_menu[0][:, None]]
    number: dict[bytes, int] = {}
    words: list[np.ndarray] = []

    def kept(state: np.ndarray) -> int:
        key = state.tobytes()
        if key not in number:
            number[key] = len(words)
            words.append(state.copy())
        return number[key]

    def led(state: np.ndarray, item: np.ndarray, further: bool) -> int:
        after = state.copy()
        if not execute(item[0], item[1], item[2], after):
            return ILLEGAL
        if right(after, jobs.outputs, jobs.wanted, alike[0]):
            return DONE
        return kept(after) if further else number.get(after.tobytes(), LEFT)

    for job in alike:
        if right(jobs.start[job], jobs.outputs, jobs.wanted, job):
            raise ModelError(
                f"model: '{jobs.jobs[job].task.name}' is done before it starts; leave it out"
            )
    at = [kept(jobs.start[job]) for job in alike]
    table: Rows = []
    for level in range(depth + 1):
        for state in words[len(table) : len(words)]:
            table.append([led(state, item, level < depth) for item in items])
    return words, table, at


def _assembled(
    jobs: Jobs,
    words: UInt32[np.ndarray, "machine word vector"],
    asked: Int[np.ndarray, " machine"],
    onward: Int[np.ndarray, "machine item"],
    start: Int[np.ndarray, " job"],
    gamma: float,
) -> Enumerated:
    ending = _ending(onward)
    if not ending[start].all():
        job = jobs.jobs[int(np.argmin(ending[start]))]
        raise ModelError(f"model: '{job.task.name}' never ends with this menu; leave it out")
    place = np.append(np.where(ending, np.cumsum(ending) - 1, LEFT), [ILLEGAL, LEFT, DONE])
    words, asked, onward, start = words[ending], asked[ending], place[onward[ending]], place[start]
    model = _model(jobs, onward, start, gamma)
    return Enumerated(jobs, model, words, asked, onward, start)


def _ending(onward: Int[np.ndarray, "machine item"]) -> Bool[np.ndarray, " machine"]:
    """Machine states from which the workflow can end."""
    ends: np.ndarray = ((onward == DONE) | (onward == LEFT)).any(axis=1)
    while True:
        more: np.ndarray = ends | (ends[onward] & (onward >= 0)).any(axis=1)
        if (more == ends).all():
            return ends
        ends = more


def _model(
    jobs: Jobs,
    onward: Int[np.ndarray, "machine item"],
    start: Int[np.ndarray, " job"],
    gamma: float,
) -> FiniteICSMDP:
    """Who holds which machine state; actions are numbered as in `Jobs`."""
    one = jobs.crews[0]
    n_agents, n_machine = len(one.agents), len(onward)
    mask = np.zeros((n_machine, n_agents, jobs.n_actions), np.bool_)
    reward = np.zeros(mask.shape)
    parts: list[np.ndarray] = []  # columns: machine state, agent, action, receiver, after, duration
    for agent, columns in enumerate(_columns(one)):
        menu = len(columns)
        after = np.column_stack([onward[:, columns], np.arange(n_machine)])
        lasts = np.append(jobs.menu[0, agent, :menu, 3], PASS_DURATION)
        for receiver in range(n_agents):
            actions = np.arange(menu + 1) * n_agents + receiver
            mask[:, agent, actions] = after != ILLEGAL
            reward[:, agent, actions] = np.where(after == DONE, gamma**lasts, 0.0)
            w, k = np.nonzero(after >= 0)
            entry = (w, np.full_like(w, agent), actions[k], np.full_like(w, receiver))
            parts.append(np.stack([*entry, after[w, k], lasts[k]]))
    w, agent, action, receiver, after, lasts = np.concatenate(parts, axis=1)
    n_states = n_machine * n_agents
    initial = np.bincount(start * n_agents, minlength=n_states) / len(start)
    return from_entries(
        agents=one.agents,
        holder=np.tile(np.arange(n_agents), n_machine),
        mask=mask.reshape(n_states, -1),
        reward=reward.reshape(n_states, -1),
        state=w * n_agents + agent,
        action=action,
        successor=after * n_agents + receiver,
        probability=np.ones(len(w)),
        durations=fixed(lasts),
        gamma=gamma,
        initial=initial,
    )


def _columns(one: Crew) -> list[Int[np.ndarray, " item"]]:
    """Numbers of each agent's instructions among all of the crew's."""
    ends = np.cumsum([len(menu) for menu in one.menus])
    return [np.arange(end - len(menu), end) for end, menu in zip(ends, one.menus, strict=True)]
