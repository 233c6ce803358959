"""Finite models whose solution is known: probe models in closed form, and random models.

The values of the probe models are written out from their parameters, not solved for, so that a
test compares an algorithm with a known value. Theory, sections 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError
from batonq.smdp import durations
from batonq.smdp.model import FiniteICSMDP, from_entries

NONE = -np.inf  # Q of an action that is not permitted


@dataclass(frozen=True, eq=False)
class Probe:
    """A model and its known solution.

    Attributes:
        model: the model.
        optimal: its Q*; -inf where not permitted.
        aggregated: its Qhat* over cells under the uniform behaviour.
    """

    model: FiniteICSMDP
    optimal: Float[np.ndarray, "state action"]
    aggregated: Float[np.ndarray, "cell action"]


def ring(
    gamma: float = 0.9,
    rewards: tuple[float, float] = (1.0, 0.0),
    means: tuple[float, float] = (2.0, 3.0),
) -> Probe:
    """Two agents hand to each other for ever; geometric durations with the given means.

    With g_i = E[gamma**tau_i]: V_0 = (r_0 + g_0 r_1) / (1 - g_0 g_1), and V_1 alike. The
    behaviour chain has period 2.
    """
    model = from_entries(
        agents=("left", "right"),
        holder=np.array([0, 1]),
        reward=np.array([[rewards[0]], [rewards[1]]]),
        state=np.array([0, 1]),
        action=np.array([0, 0]),
        successor=np.array([1, 0]),
        probability=np.ones(2),
        durations=durations.geometric(np.array(means)),
        gamma=gamma,
    )
    g = [gamma / (mean - (mean - 1) * gamma) for mean in means]
    q = np.array([[rewards[0] + g[0] * rewards[1]], [rewards[1] + g[1] * rewards[0]]])
    q /= 1 - g[0] * g[1]
    return Probe(model, q, q)


def crossover(short: int = 3, prize: float = 1.0, long_prize: float = 3.0) -> float:
    """The gamma above which `long_or_short` prefers its long option: (p / (P - p))**(1 / l)."""
    return float((prize / (long_prize - prize)) ** (1 / short))


def long_or_short(
    gamma: float, short: int = 3, prize: float = 1.0, long_prize: float = 3.0
) -> Probe:
    """One option of 2 l steps that earns P at its end, or two of l steps that earn p each.

    The first agent does the long option alone (action 0), or a short one, and hands the second
    short one to the second agent (action 1). Q* = (gamma^2l P, gamma^l p + gamma^2l p).
    """
    g = gamma**short
    model = from_entries(
        agents=("starter", "finisher"),
        holder=np.array([0, 1]),
        reward=np.array([[g * g * long_prize, g * prize], [g * prize, 0.0]]),
        mask=np.array([[True, True], [True, False]]),
        state=np.array([0]),
        action=np.array([1]),
        successor=np.array([1]),
        probability=np.ones(1),
        durations=durations.fixed(np.array([short])),
        gamma=gamma,
        initial=np.array([1.0, 0.0]),
    )
    q = np.array([[g * g * long_prize, g * prize + g * g * prize], [g * prize, NONE]])
    return Probe(model, q, q)


def terminal_chain(
    n_agents: int = 5,
    gamma: float = 0.95,
    duration: int = 2,
    success: float = 0.9,
    cost: float = 0.05,
    prize: float = 1.0,
) -> Probe:
    """Agents in a line: each goes on (action 0) at a cost, or gives up (action 1) for 0.

    Going on fails, which ends it, with probability 1 - success; the last agent's option ends it
    and earns the prize. With x = success gamma^duration, going on to the end from agent k of n is
    worth G_k = x^(n-1-k) prize - cost (1 + x + ... + x^(n-1-k)), and V_k = max(0, G_k).
    """
    n = n_agents
    going = np.arange(n - 1)
    reward = np.stack([np.full(n, -cost), np.zeros(n)], axis=1)
    reward[-1, 0] += prize
    model = from_entries(
        agents=tuple(f"agent {k}" for k in range(n)),
        holder=np.arange(n),
        reward=reward,
        state=going,
        action=np.zeros(n - 1, np.int64),
        successor=going + 1,
        probability=np.full(n - 1, success),
        durations=durations.fixed(np.full(n - 1, duration)),
        gamma=gamma,
        initial=np.eye(n)[0],
    )
    x = success * gamma**duration
    powers = x ** np.arange(n)[::-1]
    value = np.maximum(0.0, powers * prize - cost * np.cumsum(powers[::-1])[::-1])
    q = np.zeros((n, 2))
    q[:, 0] = reward[:, 0] + x * np.append(value[1:], 0.0)
    return Probe(model, q, q)


def leak(gamma: float = 0.9, chance: float = 0.7, mean: float = 2.0, shown: bool = False) -> Probe:
    """A hidden bit: the reader sees it and hands to the actor, who has to name it for reward 1.

    The bit is 1 with the given chance, drawn anew after each answer; the actor sees it only if
    `shown`. With h = E[gamma**tau] of the reader's geometric option, the actor's of one step:
    V*(reader) = h / (1 - h gamma). Not shown, with m = max(chance, 1 - chance), the actor's
    Qhat*(a) = P(bit = a) + gamma h m / (1 - h gamma), whatever the behaviour.

    States are 2 * agent + bit.
    """
    prior = np.array([1 - chance, chance])
    model = from_entries(
        agents=("reader", "actor"),
        holder=np.array([0, 0, 1, 1]),
        cell=np.array([0, 1, 2, 3 if shown else 2]),
        mask=np.array([[True, False], [True, False], [True, True], [True, True]]),
        reward=np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        state=np.array([0, 1, *np.repeat([2, 2, 3, 3], 2)]),
        action=np.array([0, 0, *np.repeat([0, 1, 0, 1], 2)]),
        successor=np.array([2, 3, *np.tile([0, 1], 4)]),
        probability=np.array([1.0, 1.0, *np.tile(prior, 4)]),
        durations=durations.geometric(np.array([mean, mean, *np.ones(8)])),
        gamma=gamma,
    )
    h = gamma / (mean - (mean - 1) * gamma)
    known = h / (1 - h * gamma)
    optimal = np.array([[known, NONE]] * 2 + [[1.0, 0.0], [0.0, 1.0]])
    optimal[2:] += gamma * known
    blind = prior.max() * known
    hidden = np.array([[blind, NONE], [blind, NONE], prior + gamma * blind])
    return Probe(model, optimal, optimal if shown else hidden)


def keeps_control(
    gamma: float = 0.95,
    cost: float = 0.1,
    success: float = 0.4,
    mean: float = 3.0,
    low: float = 0.2,
    high: float = 1.0,
) -> Probe:
    """A worker works (receiver itself) until the result is good, then hands to a closer.

    States: worker with a raw or a good result, closer with a raw or a good result. Working takes
    a geometric option, discount g; handing one step; closing earns `low` or `high` and ends it.
    V(raw) = max(gamma low, (g success gamma high - cost) / (1 - g (1 - success))): to hand at
    once, or to work until it is good. A good result is handed on, as cost >= 0 and high >= 0.
    """
    work, hand = 0, 1
    model = from_entries(
        agents=("worker", "closer"),
        holder=np.array([0, 0, 1, 1]),
        mask=np.array([[True, True], [True, True], [True, False], [True, False]]),
        reward=np.array([[-cost, 0.0], [-cost, 0.0], [low, 0.0], [high, 0.0]]),
        state=np.array([0, 0, 0, 1, 1]),
        action=np.array([work, work, hand, work, hand]),
        successor=np.array([0, 1, 2, 1, 3]),
        probability=np.array([1 - success, success, 1.0, 1.0, 1.0]),
        durations=durations.geometric(np.array([mean, mean, 1.0, mean, 1.0])),
        gamma=gamma,
        initial=np.array([1.0, 0.0, 0.0, 0.0]),
    )
    g = gamma / (mean - (mean - 1) * gamma)
    good = gamma * high
    raw = max(gamma * low, (g * success * good - cost) / (1 - g * (1 - success)))
    q = np.array(
        [
            [-cost + g * (success * good + (1 - success) * raw), gamma * low],
            [-cost + g * good, good],
            [low, NONE],
            [high, NONE],
        ]
    )
    return Probe(model, q, q)


def random_model(
    rng: np.random.Generator,
    *,
    n_agents: int = 10,
    n_cells: int = 40,
    n_hidden: int = 1,
    n_actions: int = 2,
    n_successors: int = 5,
    gamma: float = 0.95,
    mean_duration: tuple[float, float] = (1.0, 8.0),
    termination: float = 0.0,
) -> FiniteICSMDP:
    """A random model with S = n_cells * n_hidden states, geometric durations, every action free.

    State s has cell s // n_hidden, held by agent cell % n_agents. Each option has rewards uniform
    in [0, 1], different random successors, and for each successor its own mean duration. The
    first successor of action 0 is the next state, so that every behaviour that takes all actions
    meets every state again.

    Args:
        rng: source of all that is random.
        n_agents: N.
        n_cells: P, at least N.
        n_hidden: states a cell, which its holder cannot tell apart.
        n_actions: actions of every agent.
        n_successors: successors of every option, at most S.
        gamma: discount per primitive step.
        mean_duration: least and largest mean duration, in primitive steps.
        termination: probability that an option ends the episode, in [0, 1].

    Raises:
        ModelError: if there are fewer cells than agents, or fewer states than successors.
    """
    n_states = n_cells * n_hidden
    if n_cells < n_agents or n_states < n_successors:
        raise ModelError(
            f"random model: {n_cells} cells for {n_agents} agents and {n_states} states for "
            f"{n_successors} successors; give no fewer"
        )
    successor = scattered(rng, n_states, n_actions, n_successors)
    shape = successor.shape
    weight = rng.exponential(size=shape)
    weight *= (1 - termination) / weight.sum(axis=2, keepdims=True)
    state, action, _ = np.unravel_index(np.arange(successor.size), shape)
    cell = np.arange(n_states) // n_hidden
    return from_entries(
        agents=tuple(f"agent {k}" for k in range(n_agents)),
        holder=cell % n_agents,
        cell=cell,
        reward=rng.uniform(size=shape[:2]),
        state=state,
        action=action,
        successor=successor.ravel(),
        probability=weight.ravel(),
        durations=durations.geometric(rng.uniform(*mean_duration, size=successor.size)),
        gamma=gamma,
    )


def scattered(
    rng: np.random.Generator, n_nodes: int, n_actions: int, n_successors: int
) -> Int[np.ndarray, "node action successor"]:
    """Random successors, all different within a row, from which every node is met again.

    The first successor of action 0 is the next node, so that every behaviour that takes all
    actions makes the chain irreducible.
    """
    shape = (n_nodes, n_actions, n_successors)
    steps = rng.integers(1, n_nodes // n_successors + 1, size=shape)
    steps[:, :, 0] = rng.integers(n_nodes, size=shape[:2])
    steps[:, 0, 0] = np.arange(1, n_nodes + 1)
    # Gaps of at most S / K add up to less than S, so no successor of a row comes twice.
    return np.cumsum(steps, axis=2) % n_nodes
