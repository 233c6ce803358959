"""Paired replay: run the same decision twice from a snapshot; what both share is not noise.

With frozen values the residuals d1, d2 of two independent runs of action a from state s have
E[d1 d2 | s, a] = (m(y, a) + eta_Q(s, a))^2, where eta_Q averages to 0 in every cell. So
|eta_Q|^2 in L2(mu) is the mean of d1 d2 less the mean of m^2. To estimate m^2 by the square of a
mean, or to centre both factors by one mean, even of other replays, is wrong by O(1 / n): here m^2
comes from products of different pairs only. It is eta of the frozen Q, in mean square: an
estimate, from which no certificate in sup norm follows. Theory, section 12.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from batonq.base.compiled import compiled
from batonq.base.errors import DataError, ModelError
from batonq.base.seeds import generator
from batonq.bound.blocks import LEVEL, MOST, Square, block_of, enough_blocks, near
from batonq.bound.features import block_noise, centred, means
from batonq.bound.phases import best_of
from batonq.icq import update
from batonq.icq.baselines import learner_named
from batonq.icq.behaviour import Behaviour, choose, uniform
from batonq.icq.environment import Environment, Turn, check_agents, checked
from batonq.icq.floor import Floor, Seat, as_it_is
from batonq.icq.kernels import Dynamics, discount_of, dynamics, sample
from batonq.icq.qfunction import QFunction
from batonq.smdp import policies
from batonq.smdp.chain import stationary
from batonq.smdp.model import FiniteICSMDP

FEWEST_PAIRS: Final = 100
PATIENCE: Final = 100_000  # decisions of others after which an agent counts as idle


class Replayable(Environment, Protocol):
    """An environment whose decisions can be run again."""

    def snapshot(self) -> Any:
        """All there is now, except the source of chance."""
        ...

    def restore(self, snapshot: Any, rng: np.random.Generator) -> None:
        """Go back to a snapshot; from now on `rng` is the only source of chance."""
        ...


@dataclass(frozen=True, eq=False)
class Pairs:
    """Residuals of decisions run twice under frozen values.

    Attributes:
        decision: number of the pair (information state, action).
        first: residual of one run.
        second: of the other.
        independent: whether the states were drawn independently of each other; if not, they are
            in order of time along one chain.
    """

    decision: Int[np.ndarray, " pair"]
    first: Float[np.ndarray, " pair"]
    second: Float[np.ndarray, " pair"]
    independent: bool


@dataclass(frozen=True)
class Replay:
    """What paired replays tell of the gap residual.

    Attributes:
        residual: |eta_Q|^2 in L2(mu) over the decisions replayed, with an interval on the square.
        covered: share of the pairs whose decision was replayed at least twice; the others say
            nothing.
    """

    residual: Square
    covered: float


def paired_replay(pairs: Pairs) -> Replay:
    """Estimate |eta_Q|^2 in L2(mu) from decisions run twice.

    The influence of a pair is (d1 - m)(d2 - m); its spread over pairs, or over blocks of time for
    pairs along a chain, gives the interval.

    Raises:
        DataError: if there are fewer than 100 pairs, one is not finite, hardly any decision was
            replayed twice, or pairs along a chain are too few for independent blocks.
    """
    sizes = {len(one) for one in (pairs.decision, pairs.first, pairs.second)}
    if len(sizes) > 1:
        raise DataError(f"replay: columns of {sorted(sizes)} pairs; give one entry a pair in each")
    both = np.stack([pairs.first, pairs.second])
    if not np.isfinite(both).all():
        raise DataError(f"replay: pair {int(np.argwhere(~np.isfinite(both))[0, 1])} is not finite")
    _, code, counts = np.unique(pairs.decision, return_inverse=True, return_counts=True)
    again = counts[code] >= 2
    if int(again.sum()) < FEWEST_PAIRS:
        raise DataError(
            f"replay: {int(again.sum())} pairs whose decision was replayed before; at least "
            f"{FEWEST_PAIRS} are needed"
        )
    _, code = np.unique(code[again], return_inverse=True)
    first, second = pairs.first[again], pairs.second[again]
    n_codes = int(code.max()) + 1
    mean = means((first + second) / 2, code, n_codes)[code]
    products = (first - mean) * (second - mean)
    errors = (first + second) / 2 - mean
    if pairs.independent:
        count = len(code)
        excess = float((errors**2 / (np.bincount(code)[code] - 1.0)).mean())
        influence = products
    else:
        count = enough_blocks(centred(products, code, n_codes), code, n_codes, MOST)
        noise = block_noise(errors, code, n_codes, count)
        gram = (noise * np.bincount(code) / len(code)) @ noise.T
        touching = near(count)
        excess = count**2 / float((~touching).sum()) * float(gram[touching].sum())
        influence = means(products, block_of(len(code), count), count)
    value = float(products.mean()) + excess
    spread = float(influence.std(ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * spread
    return Replay(
        Square(value, value - half, value + half, None, 0.0, spread, count), float(again.mean())
    )


def replay_model(
    model: FiniteICSMDP,
    q: Float[np.ndarray, "cell action"],
    *,
    pairs: int,
    behaviour: Float[np.ndarray, "cell action"] | None = None,
    agent: str | None = None,
    seed: int = 0,
) -> Pairs:
    """Replay decisions of a finite model, states drawn independently from the stationary law.

    Args:
        model: the model.
        q: the frozen values all act on and quote from.
        pairs: number of decisions to run twice, at least 1.
        behaviour: probability of each action in each cell; uniform by default.
        agent: whose decisions; everyone's by default.
        seed: the same seed gives the same pairs.

    Raises:
        ModelError: for values that do not fit the model, no pairs, an agent that is unknown or
            never decides, or a behaviour without a stationary law.
    """
    if pairs < 1 or (agent is not None and agent not in model.agents):
        raise ModelError(f"replay: {pairs} pairs of agent {agent!r}; give 1 or more of a known one")
    chances = policies.uniform(model) if behaviour is None else behaviour
    law = stationary(model, chances)[:, None] * policies.policy_of_cells(model, chances)
    if agent is not None:
        law[model.holder != model.agents.index(agent)] = 0.0
        if not law.any():
            raise ModelError(f"replay: agent '{agent}' never decides; name another")
    row = generator(seed, 0).choice(law.size, size=pairs, p=law.ravel() / law.sum())
    state, action = np.divmod(row, model.n_actions)
    return replay_decisions(model, q, state, action, independent=True, seed=seed)


def replay_decisions(
    model: FiniteICSMDP,
    q: Float[np.ndarray, "cell action"],
    state: Int[np.ndarray, " pair"],
    action: Int[np.ndarray, " pair"],
    *,
    independent: bool,
    seed: int = 0,
) -> Pairs:
    """Replay given decisions of a finite model.

    Args:
        model: the model.
        q: the frozen values all quote from.
        state: full state of each decision.
        action: action taken there.
        independent: whether the states were drawn independently; if not, in order of time.
        seed: the same seed gives the same pairs.

    Raises:
        ModelError: for values that do not fit the model, a state that it does not have, or an
            action that is not permitted.
    """
    if q.shape != model.cell_mask.shape or not np.isfinite(q[model.cell_mask]).all():
        raise ModelError(f"replay: values of shape {q.shape}; give a finite one a cell and action")
    if len(state) != len(action) or ((state < 0) | (state >= model.n_states)).any():
        raise ModelError(
            f"replay: {len(state)} states and {len(action)} actions; give one action for each "
            f"state, states 0..{model.n_states - 1}"
        )
    if ((action < 0) | (action >= model.n_actions)).any():
        raise ModelError(f"replay: give actions 0..{model.n_actions - 1}")
    forbidden = ~model.mask[state, action]
    if forbidden.any():
        k = int(np.argmax(forbidden))
        raise ModelError(f"replay: state {int(state[k])} does not permit action {int(action[k])}")
    value = best_of(model, q)[model.cell]
    held = np.where(model.mask, q[model.cell], 0.0)
    row = state * model.n_actions + action
    first, second = _runs(dynamics(model), held, value, row, generator(seed, 1))
    return Pairs(model.cell[state] * model.n_actions + action, first, second, independent)


_target = compiled(update.target)


@compiled
def _runs(
    d: Dynamics,
    q: Float[np.ndarray, "state action"],
    value: Float[np.ndarray, " state"],
    rows: Int[np.ndarray, " pair"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "2 pair"]:
    """Residuals of two independent runs of each kernel row."""
    out = np.zeros((2, len(rows)))
    n_actions = q.shape[1]
    for k in range(len(rows)):
        state, action = rows[k] // n_actions, rows[k] % n_actions
        for run in range(2):
            following, duration = sample(d.sampler, rows[k], rng)
            quote = 0.0 if following < 0 else value[following]
            worth = _target(
                d.reward[state, action], discount_of(d.powers, d.gamma, duration), quote
            )
            out[run, k] = worth - q[state, action]
    return out


def replay_environment(
    environment: Replayable,
    q: Mapping[str, QFunction],
    *,
    pairs: int,
    every: int = 1,
    agent: str | None = None,
    behaviour: Behaviour | None = None,
    seed: int = 0,
) -> Pairs:
    """Replay decisions of a Python environment along one play with frozen values.

    Args:
        environment: has `snapshot` and `restore`.
        q: by agent, its Q-function; nothing is learnt.
        pairs: decisions to run twice.
        every: decisions that could be replayed per one that is.
        agent: whose decisions; everyone's by default.
        behaviour: how actions are drawn; uniform by default.
        seed: of the play.

    Raises:
        ModelError: if the environment cannot be restored, breaks its contract, has an agent
            without a Q-function, or the agent asked for never decides.
    """
    _check(environment, q, pairs, every, agent)
    floor = Floor(environment, learner_named("icq"), lambda name, _: q[name], as_it_is)
    rng, chance = generator(seed, 0), generator(seed, 1)
    seat = _start(environment, floor, rng)
    number: dict[Hashable, int] = {}
    found: list[tuple[int, float, float]] = []
    met = others = 0
    while len(found) < pairs:
        values = seat.q.values(seat.y, seat.mask)
        action, _ = choose(values[None], 0, seat.mask[None], 0, behaviour or uniform(), chance)
        first = None
        wanted = agent is None or seat.agent == agent
        met += wanted
        others += not wanted
        if met == 0 and others >= PATIENCE:
            raise ModelError(f"replay: agent '{agent}' has not decided in {others} decisions")
        if wanted and met % every == 0:
            snapshot = environment.snapshot()
            first, _, _ = _run(environment, floor, seat, action)
            environment.restore(snapshot, rng)
        second, turn, following = _run(environment, floor, seat, action)
        if first is not None:
            decision = number.setdefault((seat.agent, seat.observation, action), len(number))
            found.append((decision, first, second))
        if turn.end is not None or following is None:
            seat = _start(environment, floor, rng)
        else:
            seat = following
    decisions, firsts, seconds = zip(*found, strict=True)
    return Pairs(np.array(decisions, np.int64), np.array(firsts), np.array(seconds), False)


def _check(
    environment: Replayable, q: Mapping[str, QFunction], pairs: int, every: int, agent: str | None
) -> None:
    check_agents(environment)
    for name in ("snapshot", "restore"):
        if not hasattr(environment, name):
            raise ModelError(f"replay: the environment has no {name}(); give it one")
    if agent is not None and agent not in environment.agents:
        raise ModelError(f"replay: agent '{agent}' is none of {', '.join(environment.agents)}")
    missing = [name for name in environment.agents if name not in q]
    if missing or pairs < 1 or every < 1:
        raise ModelError(
            f"replay: {pairs} pairs, every {every}, agents without a Q-function: {missing}; "
            "give at least 1, 1 and none"
        )


def _start(environment: Environment, floor: Floor, rng: np.random.Generator) -> Seat:
    return floor.sit(checked(environment.reset(rng), environment.agents, start=True))


def _run(
    environment: Environment, floor: Floor, seat: Seat, action: int
) -> tuple[float, Turn, Seat | None]:
    """Residual of one run, and what came of it."""
    turn = checked(environment.step(action), environment.agents)
    following = None if turn.end == "terminal" else floor.sit(turn)
    quote = 0.0 if following is None else floor.ask(following, seat)
    worth = update.target(turn.reward, update.discount(environment.gamma, turn.duration), quote)
    return worth - float(seat.q.values(seat.y, seat.mask)[action]), turn, following
