"""Environment and Turn: what a user writes to train on anything that runs in Python."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Bool

from batonq.base.errors import ModelError
from batonq.icq.kernels import Dynamics, dynamics, first_state, sample
from batonq.smdp.model import FiniteICSMDP


@dataclass(frozen=True)
class Turn:
    """Who decides next and what it sees; and what the action just taken brought.

    Attributes:
        agent: the next holder; None when the workflow has ended.
        observation: all that it sees, hashable; tuples and strings do well.
        mask: permitted actions; None permits all of them.
        reward: of the action just taken, hence of the *previous* turn's agent, discounted to the
            start of its option. 0 on `reset`.
        duration: primitive steps of that option, > 0.
        end: None; "terminal": nothing follows, value 0; "truncated": the workflow is broken off
            here, the quote counts as usual, and a new one starts.
        fields: by name, what `agent` may log beside its observation but does not act on;
            `observe_environment` records it, so that `refine` can tell which to reveal.
    """

    agent: str | None = None
    observation: Hashable = None
    mask: Sequence[bool] | None = None
    reward: float = 0.0
    duration: float = 1
    end: Literal["terminal", "truncated"] | None = None
    fields: Mapping[str, Hashable] = field(default_factory=dict)


class Environment(Protocol):
    """A workflow whose agents pass control.

    An environment may also have `joint()`, a hashable view of everything, which only the
    centralised baseline reads, and `snapshot()` and `restore(snapshot, rng)`, with which
    `bound.replay` runs a decision twice.
    """

    @property
    def agents(self) -> Mapping[str, int]:
        """Name of each agent -> number of its actions."""
        ...

    @property
    def gamma(self) -> float:
        """Discount per primitive step, in (0, 1]."""
        ...

    def reset(self, rng: np.random.Generator) -> Turn:
        """Start a workflow. `rng` is the only source of chance until the next reset."""
        ...

    def step(self, action: int) -> Turn:
        """Run the current holder's option `action` until control is handed on."""
        ...


def check_agents(environment: Environment) -> None:
    """Raise a ModelError unless the environment has agents with actions and a gamma."""
    agents: Any = getattr(environment, "agents", None)
    if not isinstance(agents, Mapping) or not agents:
        raise ModelError(
            "environment: 'agents' must map each agent's name to its number of actions"
        )
    for name, count in agents.items():
        if not isinstance(count, int) or count < 1:
            raise ModelError(
                f"environment: agent '{name}' has {count!r} actions; give a number >= 1"
            )
    gamma: Any = getattr(environment, "gamma", None)
    if not isinstance(gamma, (int, float)) or not 0 < gamma <= 1:
        raise ModelError(f"environment: gamma is {gamma!r}; give a number in (0, 1]")


def checked(turn: Turn, agents: Mapping[str, int], start: bool = False) -> Turn:
    """Return `turn` if it can be right.

    Args:
        turn: what the environment returned.
        agents: its agents.
        start: whether it came from `reset`, which cannot end.

    Raises:
        ModelError: for an unknown agent, a reward or duration that is no number, a mask of wrong
            length or with nothing permitted, an unhashable observation, or an unknown end.
    """
    if turn.end not in (None, "terminal", "truncated") or (start and turn.end):
        raise ModelError(f"turn: end is {turn.end!r}; it is None, 'terminal' or 'truncated'")
    if not math.isfinite(turn.reward):
        raise ModelError(f"turn: reward is {turn.reward}; give a finite number")
    if not (math.isfinite(turn.duration) and turn.duration > 0):
        raise ModelError(f"turn: duration is {turn.duration}; give a finite number > 0")
    if turn.end == "terminal":
        return turn
    if turn.agent is None or turn.agent not in agents:
        raise ModelError(f"turn: agent {turn.agent!r} is unknown; it is one of {', '.join(agents)}")
    if turn.mask is not None and (len(turn.mask) != agents[turn.agent] or not any(turn.mask)):
        raise ModelError(
            f"turn: mask {list(turn.mask)} of agent '{turn.agent}' must have "
            f"{agents[turn.agent]} entries, at least one of them true"
        )
    try:
        hash(turn.observation)
    except TypeError as error:
        raise ModelError(
            f"turn: observation {turn.observation!r} of agent '{turn.agent}' is not hashable; "
            "use numbers, strings and tuples"
        ) from error
    return turn


def mask_of(turn: Turn, agents: Mapping[str, int]) -> Bool[np.ndarray, " action"]:
    """The permitted actions of a checked turn, as an array."""
    assert turn.agent is not None  # noqa: S101 - checked() has made sure
    count = agents[turn.agent]
    return np.ones(count, np.bool_) if turn.mask is None else np.asarray(turn.mask, np.bool_)


class ModelEnvironment:
    """A finite model as an environment: the observation is the cell.

    It draws from the generator in the kernel's order, so that training here and in the kernel
    give the same numbers.
    """

    def __init__(self, model: FiniteICSMDP) -> None:
        self._model = model
        self._dynamics: Dynamics = dynamics(model)
        self._rng = np.random.default_rng(0)
        self._state = 0
        self.agents = dict.fromkeys(model.agents, model.n_actions)
        self.gamma = model.gamma

    def reset(self, rng: np.random.Generator) -> Turn:
        """Draw the first state."""
        self._rng = rng
        self._state = first_state(self._dynamics.initial_cumulative, rng)
        return self._turn(0.0, 1)

    def step(self, action: int) -> Turn:
        """Draw successor and duration of one option."""
        reward = float(self._model.reward[self._state, action])
        row = self._state * self._model.n_actions + action
        following, duration = sample(self._dynamics.sampler, row, self._rng)
        if following < 0:
            return Turn(reward=reward, duration=duration, end="terminal")
        self._state = following
        return self._turn(reward, duration)

    def joint(self) -> int:
        """The full state."""
        return int(self._state)

    def _turn(self, reward: float, duration: int) -> Turn:
        model, state = self._model, self._state
        return Turn(
            agent=model.agents[model.holder[state]],
            observation=int(model.cell[state]),
            mask=model.mask[state].tolist(),
            reward=reward,
            duration=duration,
        )
