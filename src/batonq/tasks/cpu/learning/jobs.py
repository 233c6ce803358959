"""Jobs: tasks posed to a crew of agents on test vectors, as the arrays that the loops read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, UInt32

from batonq.base.errors import ModelError
from batonq.tasks.cpu.machine.program import Instruction, encode
from batonq.tasks.cpu.machine.table import AGENTS
from batonq.tasks.cpu.task import Task

PASS_DURATION = 1  # primitive steps that passing takes


@dataclass(frozen=True)
class Crew:
    """Agents that pass a program around, and what each may write.

    Attributes:
        name: of the crew.
        agents: their names. The first one is given every job.
        menus: the instructions of each.

    Raises:
        ModelError: if there are no agents or not as many menus.
    """

    name: str
    agents: tuple[str, ...]
    menus: tuple[tuple[Instruction, ...], ...]

    def __post_init__(self) -> None:
        if not self.agents or len(self.agents) != len(self.menus):
            raise ModelError(
                f"crew '{self.name}': {len(self.agents)} agents and {len(self.menus)} menus; "
                "give as many menus as agents, and at least one"
            )


def crew(name: str, menu: Sequence[Instruction]) -> Crew:
    """The agents whose classes of instructions the menu has, each with its own instructions."""
    agents = tuple(agent for agent in AGENTS if any(one.agent == agent for one in menu))
    return Crew(
        name, agents, tuple(tuple(one for one in menu if one.agent == agent) for agent in agents)
    )


def alone(name: str, menu: Sequence[Instruction]) -> Crew:
    """One agent that writes every instruction itself: nothing is handed on."""
    return Crew(name, ("ALL",), (tuple(menu),))


@dataclass(frozen=True)
class Job:
    """A task, the crew that does it, and the most primitive steps before it is broken off."""

    task: Task
    crew: int
    length: int


@dataclass(frozen=True, eq=False)
class Jobs:
    """Jobs on common test vectors.

    Action number ``k * n_agents + j`` of agent i is: write the k-th instruction of its menu and
    hand on to agent j; k = size of the menu is passing.

    Attributes:
        crews: who does them.
        jobs: what is to be done, and by which crew.
        vectors: values of the inputs that tests run on; a task with fewer inputs takes the first.

    Raises:
        ModelError: if there is nothing to do, or nothing to test it on.
    """

    crews: tuple[Crew, ...]
    jobs: tuple[Job, ...]
    vectors: UInt32[np.ndarray, "input vector"]

    def __post_init__(self) -> None:
        if not self.jobs or not self.crews or self.vectors.shape[1] == 0:
            raise ModelError(
                f"jobs: {len(self.jobs)} jobs, {len(self.crews)} crews and "
                f"{self.vectors.shape[1]} vectors; give at least one of each"
            )

    @cached_property
    def start(self) -> UInt32[np.ndarray, "job word vector"]:
        """Every job's state before the first instruction."""
        return np.array([one.task.start(self._inputs(one.task)) for one in self.jobs])

    @cached_property
    def outputs(self) -> Int[np.ndarray, "job output"]:
        """Words that hold the outputs; -1 where a job has fewer."""
        most = max(len(one.task.outputs) for one in self.jobs)
        found = np.full((len(self.jobs), most), -1)
        for row, one in zip(found, self.jobs, strict=True):
            row[: len(one.task.outputs)] = [output.word for output in one.task.outputs]
        return found

    @cached_property
    def wanted(self) -> UInt32[np.ndarray, "job output vector"]:
        """What the output words are to hold; 0 where a job has fewer outputs."""
        found = np.zeros((*self.outputs.shape, self.vectors.shape[1]), np.uint32)
        for row, one in zip(found, self.jobs, strict=True):
            row[: len(one.task.outputs)] = one.task.wanted(self._inputs(one.task))
        return found

    @cached_property
    def crew(self) -> Int[np.ndarray, " job"]:
        """Number of each job's crew."""
        return np.array([one.crew for one in self.jobs])

    @cached_property
    def length(self) -> Int[np.ndarray, " job"]:
        """Primitive steps after which each job is broken off."""
        return np.array([one.length for one in self.jobs])

    @cached_property
    def n_agents(self) -> Int[np.ndarray, " crew"]:
        """Agents of each crew."""
        return np.array([len(one.agents) for one in self.crews])

    @cached_property
    def n_menu(self) -> Int[np.ndarray, "crew agent"]:
        """Size of each agent's menu; 0 beyond a crew's last agent."""
        found = np.zeros((len(self.crews), self.n_agents.max()), np.int64)
        for row, one in zip(found, self.crews, strict=True):
            row[: len(one.menus)] = [len(menu) for menu in one.menus]
        return found

    @cached_property
    def menu(self) -> Int[np.ndarray, "crew agent item 4"]:
        """Every agent's instructions as (op, dst, src, duration)."""
        found = np.zeros((*self.n_menu.shape, max(int(self.n_menu.max()), 1), 4), np.int64)
        for crew_row, one in zip(found, self.crews, strict=True):
            for row, menu in zip(crew_row, one.menus, strict=False):
                row[: len(menu), :3] = encode(menu)
                row[: len(menu), 3] = [instruction.duration for instruction in menu]
        return found

    @cached_property
    def n_actions(self) -> int:
        """The largest number of actions of an agent: columns of everybody's table."""
        return int(((self.n_menu + 1) * self.n_agents[:, None]).max())

    @cached_property
    def mask(self) -> Bool[np.ndarray, "row action"]:
        """Permitted actions; row ``2 * (crew * most agents + agent) + (flags are valid)``."""
        most = self.n_menu.shape[1]
        found = np.zeros((len(self.crews), most, 2, self.n_actions), np.bool_)
        for c, one in enumerate(self.crews):
            n_agents = len(one.agents)
            for i, menu in enumerate(one.menus):
                found[c, i, :, : (len(menu) + 1) * n_agents] = True
                for k, instruction in enumerate(menu):
                    if instruction.row.effect == "reads":
                        found[c, i, 0, k * n_agents : (k + 1) * n_agents] = False
        return found.reshape(-1, self.n_actions)

    def _inputs(self, task: Task) -> UInt32[np.ndarray, "input vector"]:
        return self.vectors[: len(task.inputs)]
