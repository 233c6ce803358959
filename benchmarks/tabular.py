"""Tabular IC-Q, a step of the environment and its update: against NumPy and `jax.lax.scan`.

Ten agents over 40 cells, 2 actions, 5 successors, geometric durations, epsilon-greedy, the
rescaled-linear clock, one seed on one thread. Times are processor seconds per handoff (another
process on the core does not count), medians over rounds in which all take turns; `wall` is beside
them. The NumPy loop does all that the kernel does: masks, ends, a table for each agent, the count
of what crosses. The JAX scans leave these out. They come as scans are usually written, a key
split at every step, and with all random numbers drawn before the scan, which takes away nearly all
of their cost; in float32, JAX's default, and in float64, which the others use. Everybody must
first come near Q* from uniform handoffs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.train import train
from batonq.smdp.durations import SLACK
from batonq.smdp.exact import optimal
from batonq.smdp.families import random_model
from batonq.smdp.model import FiniteICSMDP

EPSILON: Final = 0.1
CHECK_HANDOFFS: Final = 200_000
CHECK_SHARE: Final = 0.1  # error left of the error at the start, where all values are 0

Table = Float[np.ndarray, "cell action"]
Learn = Callable[[int, float], Table]  # handoffs and epsilon -> the values learnt, from 0


@dataclass(frozen=True)
class Peer:
    """One way to do the work.

    Attributes:
        name: for the rows.
        learn: learns from scratch for a number of handoffs; returns the values.
        handoffs: how many to time in one round.
        goal: how many times slower than ours it should be; None where no goal was set.
    """

    name: str
    learn: Learn
    handoffs: int
    goal: int | None = None


@dataclass(frozen=True)
class Timing:
    """Median seconds per handoff, of the processor and by the clock."""

    processor: float
    wall: float


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each peer.

    Raises:
        SystemExit: if somebody does not learn the right values.
    """
    _keep_to_one_thread()
    model = random_model(np.random.default_rng(0))
    best = optimal(model).q
    ours, *others = _peers(model, 0.1 if quick else 1.0)
    error = {}
    for peer in (ours, *others):
        learnt = peer.learn(CHECK_HANDOFFS, 1.0)
        error[peer.name] = float(np.abs(learnt - best).max())
        if not error[peer.name] < CHECK_SHARE * np.abs(best).max():
            raise SystemExit(f"tabular: {peer.name} is {error[peer.name]:.3g} away from Q*")
    timing = _timed([ours, *others], rounds=1 if quick else 7)
    return [
        {
            "competitor": other.name,
            "ours": timing[ours.name].processor,
            "theirs": timing[other.name].processor,
            "ratio": timing[other.name].processor / timing[ours.name].processor,
            "goal": other.goal,
            "ours_wall": timing[ours.name].wall,
            "theirs_wall": timing[other.name].wall,
            "ours_per_second": 1 / timing[ours.name].processor,
            "ours_error": error[ours.name],
            "theirs_error": error[other.name],
        }
        for other in others
    ]


def kernel(model: FiniteICSMDP) -> Learn:
    """Ours, through the public entry."""

    def learn(handoffs: int, epsilon: float) -> Table:
        behaviour = epsilon_greedy(epsilon)
        trained = train(model, handoffs=handoffs, behaviour=behaviour, points=1, workers=1)
        values = np.zeros((model.n_cells, model.n_actions))
        for table in trained.tables[0].values():
            values[np.array(table.observations)] = table.q
        return values

    return learn


def numpy_loop(model: FiniteICSMDP) -> Learn:
    """A plain loop over NumPy arrays, running sums made beforehand."""
    n_states, n_actions = model.mask.shape
    cumulative = np.cumsum(model.probability.reshape(n_states, n_actions, -1), axis=2)
    successor = model.successor.reshape(cumulative.shape)
    chance = model.durations.parameter.reshape(cumulative.shape)
    starts = np.cumsum(model.initial)
    owner, mask, reward = model.holder, model.mask, model.reward
    row = np.zeros(n_states, np.int64)
    for agent in range(model.n_agents):
        row[owner == agent] = np.arange((owner == agent).sum())

    def learn(handoffs: int, epsilon: float) -> Table:
        rng = np.random.default_rng(0)
        sizes = np.bincount(owner)
        tables = [np.zeros((size, n_actions)) for size in sizes]
        clocks = [np.zeros((size, n_actions), np.int64) for size in sizes]
        crossed = 0
        state = np.searchsorted(starts, rng.random(), side="right")
        for _ in range(handoffs):
            agent = owner[state]
            values = tables[agent][row[state]]
            permitted = np.flatnonzero(mask[state])
            if rng.random() < epsilon:
                action = permitted[rng.integers(len(permitted))]
            else:
                action = permitted[np.argmax(values[permitted])]
            sums = cumulative[state, action]
            k = int(np.searchsorted(sums, rng.random(), side="right"))
            ended = k == len(sums) and sums[-1] < 1 - SLACK
            if ended:
                following, duration, quote = np.searchsorted(starts, rng.random()), 1, 0.0
            else:
                k = min(k, len(sums) - 1)
                following = successor[state, action, k]
                duration = rng.geometric(chance[state, action, k])
                quotes = tables[owner[following]][row[following]]
                quote = np.max(quotes[mask[following]])
                crossed += owner[following] != agent
            count = clocks[agent][row[state]]
            count[action] += 1
            size = 1 / (1 + (1 - model.contraction) * count[action])
            target = reward[state, action] + model.gamma**duration * quote
            values[action] += size * (target - values[action])
            state = following
        return np.array([tables[owner[s]][row[s]] for s in range(n_states)])

    return learn


def jax_scan(model: FiniteICSMDP, double: bool, ahead: bool) -> Learn:
    """`jax.lax.scan` over handoffs, compiled for a number of handoffs when first asked for it.

    Args:
        model: the model, which never ends and permits every action.
        double: float64 rather than float32.
        ahead: draw all random numbers before the scan rather than split a key at every step.
    """
    import jax
    import jax.numpy as jnp

    real = np.float64 if double else np.float32
    n_states, n_actions = model.mask.shape
    shape = (n_states, n_actions, -1)
    cumulative = np.cumsum(model.probability.reshape(shape), axis=2).astype(real)
    rate = (1 / np.log1p(-model.durations.parameter.reshape(shape))).astype(real)
    successor = model.successor.reshape(shape).astype(np.int32)
    reward, slowing = model.reward.astype(real), real(1 - model.contraction)

    def scan(handoffs: int, epsilon: Any) -> Any:
        def step(carry: Any, drawn: Any) -> tuple[Any, None]:
            state, q, counts, key = carry
            if not ahead:
                key, fresh = jax.random.split(key)
                drawn = jax.random.uniform(fresh, (3,), real)
            explored = (drawn[0] / epsilon * n_actions).astype(jnp.int32)
            action = jnp.where(drawn[0] < epsilon, explored, jnp.argmax(q[state]))
            action = jnp.minimum(action, n_actions - 1)
            k = jnp.sum(drawn[1] >= jnp.asarray(cumulative)[state, action])
            k = jnp.minimum(k, cumulative.shape[2] - 1)
            following = jnp.asarray(successor)[state, action, k]
            duration = 1 + jnp.floor(jnp.log(1 - drawn[2]) * jnp.asarray(rate)[state, action, k])
            target = jnp.asarray(reward)[state, action]
            target += real(model.gamma) ** duration * jnp.max(q[following])
            counts = counts.at[state, action].add(1)
            size = 1 / (1 + slowing * counts[state, action].astype(real))
            q = q.at[state, action].add(size * (target - q[state, action]))
            return (following, q, counts, key), None

        key, fresh = jax.random.split(jax.random.key(0))
        drawn = jax.random.uniform(fresh, (handoffs, 3), real) if ahead else None
        table = jnp.zeros((n_states, n_actions), real)
        start = (jnp.int32(0), table, table.astype(jnp.int32), key)
        return jax.lax.scan(step, start, drawn, length=handoffs)[0][1]

    compiled_scan = jax.jit(scan, static_argnums=0)

    def learn(handoffs: int, epsilon: float) -> Table:
        with jax.enable_x64(double):
            return np.asarray(compiled_scan(handoffs, real(epsilon)), np.float64)

    return learn


def _peers(model: FiniteICSMDP, share: float) -> list[Peer]:
    """All that is timed, ours first; `share` of the usual number of handoffs each."""
    listed = [
        # Enough that 1.6 ms of preparing the model are below 1 % of what is timed.
        Peer("batonq", kernel(model), int(10_000_000 * share)),
        Peer("NumPy loop", numpy_loop(model), int(10_000 * share), goal=300),
    ]
    for double in (False, True):
        name = f"jax.lax.scan, float{64 if double else 32}"
        usual, ahead = jax_scan(model, double, ahead=False), jax_scan(model, double, ahead=True)
        listed += [
            Peer(name, usual, int(100_000 * share), goal=None if double else 10),
            Peer(f"{name}, drawn ahead", ahead, int(1_000_000 * share)),
        ]
    return listed


def _keep_to_one_thread() -> None:
    """Keep JAX to one thread of the processor; without effect once JAX is imported."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def _timed(peers: list[Peer], rounds: int) -> dict[str, Timing]:
    """Time all peers in turns, after a round that only compiles."""
    seconds: dict[str, list[tuple[float, float]]] = {peer.name: [] for peer in peers}
    for counted in range(rounds + 1):
        for peer in peers:
            processor, wall = time.process_time(), time.perf_counter()
            peer.learn(peer.handoffs, EPSILON)
            spent = time.process_time() - processor, time.perf_counter() - wall
            if counted:
                seconds[peer.name].append(spent)
    return {
        peer.name: Timing(
            median(spent[0] for spent in seconds[peer.name]) / peer.handoffs,
            median(spent[1] for spent in seconds[peer.name]) / peer.handoffs,
        )
        for peer in peers
    }
