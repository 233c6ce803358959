"""The desk as a finite model, and what policies come to in it, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import heappop, heappush
from itertools import count
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from batonq.demo import desk
from batonq.demo.desk import ACTIONS, AGENTS, Ticket
from batonq.smdp.durations import fixed
from batonq.smdp.exact import evaluate, kernel_of, optimal, solve
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import uniform

LEAST: Final = 1e-9  # by how much a bound has to exceed the best policy to be followed up


@dataclass(frozen=True)
class Score:
    """What a policy comes to over the requests that come in.

    Attributes:
        value: expected discounted reward.
        right: share of requests that are closed with what the customer needs.
    """

    value: float
    right: float


@dataclass(frozen=True)
class Marks:
    """What the learnt policy is measured against.

    Attributes:
        full: the exact optimum: every holder sees the whole ticket, what is hidden included.
        feasible: the best policy with one action for each thing that an agent can be shown.
        untrained: every action is as likely.
        fixed: the route that the desk had before.
    """

    full: Score
    feasible: Score
    untrained: Score
    fixed: Score


@dataclass(frozen=True)
class Cell:
    """What a holder is shown: all tickets with the same are one to it."""

    agent: str
    seen: tuple[tuple[str, str], ...]

    @staticmethod
    def of(ticket: Ticket) -> Cell:
        """The cell of a ticket."""
        return Cell(ticket.holder, tuple(ticket.seen().items()))


@dataclass(frozen=True, eq=False)
class Desk:
    """The desk as a finite model.

    Attributes:
        tickets: the state of each number.
        cells: what the holder of each cell is shown, by number of the cell.
        model: the finite IC-SMDP behind the agents' interfaces.
        right: chance that an option closes the request rightly, per state and action.
    """

    tickets: tuple[Ticket, ...]
    cells: tuple[Cell, ...]
    model: FiniteICSMDP
    right: Float[np.ndarray, "state action"]

    @cached_property
    def _counting(self) -> FiniteICSMDP:
        """The model that counts right outcomes: a reward of 1 for each, no costs, no discount."""
        return replace(self.model, gamma=1.0, reward=self.right)

    def score(self, policy: Float[np.ndarray, "state action"] | Int[np.ndarray, " state"]) -> Score:
        """Exact value and share of right outcomes of a policy of states."""
        value = evaluate(self.model, policy).value
        right = evaluate(self._counting, policy).value
        return Score(float(self.model.initial @ value), float(self.model.initial @ right))

    def score_of(self, choice: Mapping[Cell, str]) -> Score:
        """The same of a policy that takes one action in each cell."""
        numbers = [list(ACTIONS[cell.agent]).index(choice[cell]) for cell in self.cells]
        return self.score(np.array(numbers)[self.model.cell])


def finite_desk() -> Desk:
    """Enumerate the desk: every ticket that can come about, and every way each option can end."""
    arriving = list(desk.arrivals())
    tickets = [ticket for _, ticket in arriving]
    number = {ticket: state for state, ticket in enumerate(tickets)}
    entries: list[tuple[int, int, int, float, int]] = []
    sums: list[tuple[int, int, float, float]] = []
    for state, ticket in enumerate(tickets):  # grows as new tickets come about
        for action, name in enumerate(ACTIONS[ticket.holder]):
            ways = desk.outcomes(ticket, name)
            gained = sum(way.chance * way.reward for way in ways)
            sums.append((state, action, gained, sum(way.chance for way in ways if way.right)))
            for way in ways:
                if way.after is None:
                    continue
                if way.after not in number:
                    number[way.after] = len(tickets)
                    tickets.append(way.after)
                entries.append((state, action, number[way.after], way.chance, way.minutes))
    return _built(tickets, [chance for chance, _ in arriving], entries, sums)


def _built(
    tickets: list[Ticket],
    arriving: list[float],
    entries: list[tuple[int, int, int, float, int]],
    sums: list[tuple[int, int, float, float]],
) -> Desk:
    """The arrays of the model, from its enumeration."""
    states = [Cell.of(ticket) for ticket in tickets]
    cells = tuple(dict.fromkeys(states))
    mask = np.zeros((len(tickets), max(map(len, ACTIONS.values()))), np.bool_)
    reward, right = np.zeros(mask.shape), np.zeros(mask.shape)
    for state, action, gained, closed in sums:
        mask[state, action] = True
        reward[state, action], right[state, action] = gained, closed
    initial = np.zeros(len(tickets))
    initial[: len(arriving)] = arriving
    columns = [np.array(column) for column in zip(*entries, strict=True)]
    model = from_entries(
        agents=AGENTS,
        holder=np.array([AGENTS.index(ticket.holder) for ticket in tickets]),
        cell=np.array([cells.index(one) for one in states]),
        mask=mask,
        reward=reward,
        state=columns[0],
        action=columns[1],
        successor=columns[2],
        probability=columns[3],
        durations=fixed(columns[4]),
        gamma=desk.GAMMA,
        initial=initial,
    )
    return Desk(tuple(tickets), cells, model, right)


def marks(world: Desk) -> Marks:
    """All of them, exactly."""
    model = world.model
    route = {cell: desk.fixed_route(cell.agent, dict(cell.seen)) for cell in world.cells}
    return Marks(
        full=world.score(optimal(model).policy),
        feasible=world.score(feasible(world)[model.cell]),
        untrained=world.score(uniform(model)[model.cell]),
        fixed=world.score_of(route),
    )


def feasible(world: Desk) -> Int[np.ndarray, " cell"]:
    """The best policy that takes one action in each cell, by branch and bound.

    In cells not yet decided each state acts for itself. That can only be better, so it bounds what
    any decision there comes to; and where all states of every cell agree it is reached. The cell
    whose states disagree most is decided next, and what has the highest bound is looked at first.
    """
    model = world.model
    number = count()  # no two masks are compared
    queue = [_bound(model, model.cell_mask, number)]
    while True:
        _, _, mask, taken = heappop(queue)
        split = taken.sum(axis=1) - taken.max(axis=1)
        cell = int(split.argmax())
        if split[cell] <= LEAST:
            policy: np.ndarray = np.where(mask, taken, -1.0).argmax(axis=1)
            return policy
        for action in np.flatnonzero(mask[cell]):
            decided = mask.copy()
            decided[cell] = np.arange(model.n_actions) == action
            heappush(queue, _bound(model, decided, number))


def _bound(
    model: FiniteICSMDP, mask: Bool[np.ndarray, "cell action"], number: Iterator[int]
) -> tuple[float, int, Bool[np.ndarray, "cell action"], Float[np.ndarray, "cell action"]]:
    """What the states come to within a mask (negative), and how often they take what.

    The last is per cell and action the expected number of times, discounted.
    """
    full = kernel_of(model)
    within = replace(full, reward=np.where(mask[model.cell], full.reward, -np.inf))
    found = solve(within)
    rows = np.arange(model.n_states) * model.n_actions + found.policy
    moves = csr_array(
        (model.discounted, model.successor, model.indptr), shape=(model.mask.size, model.n_states)
    )
    met = np.linalg.solve(np.eye(model.n_states) - moves[rows].toarray().T, model.initial)
    taken = np.zeros(mask.shape)
    np.add.at(taken, (model.cell, found.policy), met)
    return -float(model.initial @ found.value), next(number), mask, taken
