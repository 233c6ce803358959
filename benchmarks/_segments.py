"""Agents whose segments can be drawn quickly and whose policies have a known value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from batonq.bound.segments import SegmentTable, table_of_log
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.observe import observe
from batonq.smdp.chain import behaviour_chain, stationary
from batonq.smdp.families import random_model
from batonq.smdp.policies import policy_of_cells

AGENT: Final = "agent"
QUOTE_NOISE: Final = 0.3
SPREAD: Final = 0.5  # standard deviation of rewards


@dataclass(frozen=True, eq=False)
class World:
    """One agent: what control brings to it, and what its options lead to.

    Attributes:
        arrival: law of the state at arrival.
        ahead: chance of going on with own decisions, by state, action and next state.
        reward: mean reward of an option, by state and action.
        quote: mean quote when the option closes the segment.
        duration: mean duration of the option, geometric.
        seen: what the agent sees of each state.
        gamma: discount.
        noise: "normal", "coin" (a reward of 0 or 1) or "skewed" (minus a lognormal cost).
    """

    arrival: np.ndarray
    ahead: np.ndarray
    reward: np.ndarray
    quote: np.ndarray
    duration: np.ndarray
    seen: np.ndarray
    gamma: float
    noise: str

    def value(self, policy: np.ndarray) -> float:
        """Expected return of a segment under a policy (observation, action), solved exactly."""
        chance = policy[self.seen]
        discount = self.gamma / (self.duration - (self.duration - 1) * self.gamma)
        step = np.einsum("sa,sa,sat->st", chance, discount, self.ahead)
        closing = discount * (1 - self.ahead.sum(axis=2)) * self.quote
        gain = (chance * (self.reward + closing)).sum(axis=1)
        return float(self.arrival @ np.linalg.solve(np.eye(len(gain)) - step, gain))

    def rewards(
        self, state: np.ndarray, action: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Rewards of options, drawn."""
        mean: np.ndarray = self.reward[state, action]
        if self.noise == "coin":
            return (rng.random(len(mean)) < mean).astype(float)
        noise = rng.normal(size=len(mean))
        if self.noise == "skewed":
            noise = (np.exp(0.5) - np.exp(noise)) / np.sqrt((np.e - 1) * np.e)
        mean += SPREAD * noise
        return mean

    def draw(self, behaviour: np.ndarray, n: int, rng: np.random.Generator) -> SegmentTable:
        """Draw n segments under a behaviour (observation, action)."""
        state = rng.choice(len(self.arrival), size=n, p=self.arrival)
        alive, depth, parts = np.arange(n), 0, []
        while len(alive):
            y = self.seen[state]
            action = (rng.random((len(y), 1)) > behaviour[y].cumsum(axis=1)[:, :-1]).sum(axis=1)
            law = self.ahead[state, action].cumsum(axis=1)
            following = (rng.random((len(y), 1)) > law).sum(axis=1)
            on = following < len(self.arrival)
            told = self.quote[state, action] + QUOTE_NOISE * rng.normal(size=len(y))
            parts.append(
                (
                    alive,
                    np.full(len(y), depth),
                    y,
                    action,
                    behaviour[y, action],
                    self.rewards(state, action, rng),
                    self.gamma ** rng.geometric(1 / self.duration[state, action]),
                    np.where(on, 0.0, told),
                )
            )
            alive, state, depth = alive[on], following[on], depth + 1
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.lexsort((columns[1], columns[0]))
        _, at, *rest = (column[order] for column in columns)
        return table(rest, np.flatnonzero(at == 0), behaviour.shape, self.gamma)

    def learn(self, epsilon: float, n: int, rng: np.random.Generator) -> SegmentTable:
        """Draw n segments of one decision, greedy but for epsilon in the means of all so far."""
        state = rng.choice(len(self.arrival), size=n, p=self.arrival)
        shape = self.reward.shape
        every = np.repeat(np.arange(shape[0]), shape[1]), np.tile(np.arange(shape[1]), shape[0])
        n_actions = shape[1]
        mean = [[0.0] * n_actions for _ in self.arrival]
        count = [[0] * n_actions for _ in self.arrival]
        gained = np.array([self.rewards(*every, rng) for _ in range(n)]).reshape(n, *shape)
        quote = self.quote[state] + QUOTE_NOISE * rng.normal(size=(n, n_actions))
        discount = self.gamma ** rng.geometric(1 / self.duration[state])
        explores, anything = rng.random(n) < epsilon, rng.integers(n_actions, size=n)
        action, chance = np.zeros(n, np.int64), np.zeros(n)
        for k, s in enumerate(state.tolist()):
            best = mean[s].index(max(mean[s]))
            a = int(anything[k]) if explores[k] else best
            action[k] = a
            chance[k] = epsilon / n_actions + (a == best) * (1 - epsilon)
            count[s][a] += 1
            target = gained[k, s, a] + discount[k, a] * quote[k, a]
            mean[s][a] += (target - mean[s][a]) / count[s][a]
        rows = np.arange(n)
        columns = [self.seen[state], action, chance, gained[rows, state, action]]
        columns += [discount[rows, action], quote[rows, action]]
        return table(columns, rows, shape, self.gamma)


def table(
    columns: list[np.ndarray], start: np.ndarray, shape: tuple[int, ...], gamma: float
) -> SegmentTable:
    """A table of y, action, propensity, reward, discount and quote; every action permitted."""
    y, action, propensity, reward, discount, quote = columns
    wide = (len(y), shape[1])
    return SegmentTable(
        agent=AGENT,
        gamma=gamma,
        observations=tuple(range(shape[0])),
        actions=tuple(range(shape[1])),
        y=y,
        action=action,
        propensity=propensity,
        reward=reward,
        discount=discount,
        quote=quote,
        start=start,
        workflow=np.arange(len(start)),
        permitted=np.ones(wide, np.bool_),
        values=np.full(wide, np.nan),
        default=np.full(len(y), -1),
    )


def one_decision(rng: np.random.Generator, noise: str, n_seen: int = 6) -> World:
    """Every action hands on: to whom is all that is decided."""
    shape = (n_seen, 3)
    return World(
        arrival=rng.dirichlet(np.full(n_seen, 3.0)),
        ahead=np.zeros((*shape, n_seen)),
        reward=rng.uniform(0.1, 0.9, shape),
        quote=rng.uniform(0, 1, shape),
        duration=np.full(shape, 2.0),
        seen=np.arange(n_seen),
        gamma=0.95,
        noise=noise,
    )


def work_then_hand(rng: np.random.Generator, n_hidden: int = 1, again: float = 0.0) -> World:
    """Action 0 works and shows a result, after which any action hands on.

    Args:
        rng: source of all that is random.
        n_hidden: states that look alike; the result depends on which it was, which is not seen.
        again: chance that work on a result goes on with another result.
    """
    n_seen = 3
    half = n_seen * n_hidden
    shape = (2 * half, 3)
    ahead = np.zeros((*shape, 2 * half))
    ahead[:half, 0, half:] = rng.dirichlet(np.full(half, 0.3), size=half)
    ahead[half:, 0, half:] = again * rng.dirichlet(np.full(half, 1.0), size=half)
    return World(
        arrival=np.append(rng.dirichlet(np.full(half, 3.0)), np.zeros(half)),
        ahead=ahead,
        reward=rng.normal(0, 0.5, shape),
        quote=rng.normal(0, 1, shape),
        duration=rng.uniform(1, 4, shape),
        seen=np.repeat(np.arange(2 * n_seen), n_hidden),
        gamma=0.9,
        noise="normal",
    )


Drawn = Callable[[int, int], SegmentTable]  # (segments, seed) -> a log


def workflows(seed: int, epsilon: float) -> tuple[Drawn, np.ndarray, float]:
    """Three agents hand to each other and to themselves; cells hide a state that lasts.

    Returns:
        How to draw logs of the first agent, its policy to be evaluated (second best by the values
        all act on), and that policy's value, by dense linear algebra.
    """
    rng = np.random.default_rng(seed)
    model = random_model(rng, n_agents=3, n_cells=12, n_hidden=2, n_actions=3, termination=0.1)
    q = rng.normal(3, 0.5, size=(model.n_cells, model.n_actions))
    best = q.argmax(axis=1)
    behaviour = np.full(q.shape, epsilon / q.shape[1])
    behaviour[np.arange(len(q)), best] += 1 - epsilon
    policy = np.eye(q.shape[1])[q.argsort(axis=1)[:, -2]]
    chain = behaviour_chain(model, behaviour)
    step = chain.matrix.toarray()
    law = stationary(model, behaviour)
    own = model.holder == 0
    arriving = law @ (step * ~own[:, None]) + (law @ chain.restart) * chain.initial
    arriving = np.where(own, arriving, 0.0)
    row = np.repeat(np.arange(model.mask.size), np.diff(model.indptr))
    state, action = np.divmod(row, model.n_actions)
    chance = policy_of_cells(model, policy)
    weight = chance[state, action] * model.discounted
    inside = np.zeros(step.shape)
    np.add.at(inside, (state, model.successor), weight * own[model.successor])
    gain = (chance * model.reward).sum(axis=1)
    quote = q.max(axis=1)[model.cell]
    gain += np.bincount(
        state, weights=weight * (quote * ~own)[model.successor], minlength=model.n_states
    )
    value = np.linalg.solve(np.eye(len(gain)) - inside, gain)

    def draw(n: int, number: int) -> SegmentTable:
        handoffs = int(5.5 * n) + 200
        log = observe(model, q, handoffs=handoffs, behaviour=epsilon_greedy(epsilon), seed=number)
        return first(table_of_log(log[model.agents[0]]), n)

    cells = np.flatnonzero(model.cell_agent == 0)
    return draw, policy[cells], float(arriving @ value / arriving.sum())


def first(found: SegmentTable, n: int) -> SegmentTable:
    """The first n segments."""
    assert len(found) >= n, (len(found), n)
    end = len(found.y) if len(found) == n else int(found.start[n])
    rows = ("y", "action", "propensity", "reward", "discount", "quote", "permitted", "values")
    return replace(
        found,
        start=found.start[:n],
        workflow=found.workflow[:n],
        default=found.default[:end],
        **{name: getattr(found, name)[:end] for name in rows},
    )
