"""Between hashable observations and Gymnasium's spaces; used by the wrappers of both packages."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from batonq.base.errors import ModelError
from batonq.icq.environment import Environment, Turn, check_agents, checked, mask_of
from batonq.icq.fold import at_random

try:
    from gymnasium.spaces import Discrete, Space
except ModuleNotFoundError as error:
    raise ImportError(
        "the wrappers need the package gymnasium; pip install 'batonq[gymnasium]'"
    ) from error


@dataclass(frozen=True, eq=False)
class Encoding:
    """How the agents' observations are shown to other libraries.

    Attributes:
        spaces: space of what each agent is shown.
        encode: from (agent, observation) to an element of its space, made afresh at each call. The
            observation is None for an agent that has not held control in this workflow.
    """

    spaces: Mapping[str, Space[Any]]
    encode: Callable[[str, Hashable], Any]


def enumerated(observations: Mapping[str, Sequence[Hashable]]) -> Encoding:
    """Number the observations of each agent, in the order given.

    Agent i's space is `Discrete(n + 1)` for its n observations; the last number, n, stands for
    "has not held control yet".

    Args:
        observations: by agent, everything that it can see.
    """
    codes = {name: {y: k for k, y in enumerate(seen)} for name, seen in observations.items()}

    def encode(agent: str, observation: Hashable) -> np.int64:
        known = codes[agent]
        code = known.get(observation, len(known) if observation is None else -1)
        if code < 0:
            raise ModelError(
                f"encoding: agent '{agent}' sees {observation!r}, which is not among the "
                f"{len(known)} observations listed; list all of them with spaces.enumerated, or "
                "discover them with more steps"
            )
        return np.int64(code)

    return Encoding({name: Discrete(len(known) + 1) for name, known in codes.items()}, encode)


def discovered(
    environment: Environment, steps: int = 10_000, seed: int = 0
) -> dict[str, tuple[Hashable, ...]]:
    """By agent, the observations met in random play, in order of first meeting.

    Random play may miss some: list them yourself where you know them. A workflow that goes on for
    100 epochs is broken off, so that others start.

    Args:
        environment: is played on, and needs a reset afterwards.
        steps: decision epochs to play, at least 1.
        seed: of the play.

    Raises:
        ModelError: for an environment that cannot be right.
    """
    check_agents(environment)
    agents = environment.agents
    rng = np.random.default_rng(seed)
    met: dict[str, dict[Hashable, None]] = {name: {} for name in agents}
    fresh = True
    turn = Turn()
    for k in range(steps):
        if fresh or k % 100 == 0:
            turn = checked(environment.reset(rng), agents, start=True)
        met[str(turn.agent)][turn.observation] = None
        turn = checked(environment.step(at_random(None, mask_of(turn, agents), rng)), agents)
        fresh = turn.end is not None
        if turn.end == "truncated":
            met[str(turn.agent)][turn.observation] = None
    return {name: tuple(seen) for name, seen in met.items()}


def encoding_for(environment: Environment, encoding: Encoding | None) -> Encoding:
    """The encoding given, if it has a space for every agent; else what random play discovers.

    Raises:
        ModelError: if an agent has no space.
    """
    check_agents(environment)
    if encoding is None:
        return enumerated(discovered(environment))
    lacking = [name for name in environment.agents if name not in encoding.spaces]
    if lacking:
        raise ModelError(f"encoding: no space for {', '.join(lacking)}; add it to 'spaces'")
    return encoding


def permitted(turn: Turn, agents: Mapping[str, int], width: int) -> Int[np.ndarray, " width"]:
    """A checked turn's mask as Gymnasium's spaces want it: int8, padded with zeros to `width`."""
    mask = np.zeros(width, np.int8)
    mask[: agents[str(turn.agent)]] = mask_of(turn, agents)
    return mask


def hashable(raw: Any) -> Hashable:
    """The default observation: numbers and strings as they are, arrays as tuples of numbers.

    A mapping becomes pairs in the order of its keys. Continuous observations seldom recur; a table
    needs an `observe` that bins them.
    """
    if isinstance(raw, (np.ndarray, np.generic)):
        return raw.item() if raw.ndim == 0 else tuple(raw.ravel().tolist())
    if isinstance(raw, Mapping):
        return tuple((key, hashable(raw[key])) for key in sorted(raw))
    if isinstance(raw, (list, tuple)):
        return tuple(hashable(one) for one in raw)
    seen: Hashable = raw
    return seen


def parted(raw: Any, info: Mapping[str, Any]) -> tuple[Any, list[bool] | None]:
    """An observation without its mask, and the mask, from where the packages' customs have it.

    That is the key "action_mask" of the observation, or else of `info`; None if there is neither.
    """
    mask = info.get("action_mask")
    if isinstance(raw, Mapping) and "action_mask" in raw:
        mask = raw["action_mask"]
        rest = {key: value for key, value in raw.items() if key != "action_mask"}
        raw = rest["observation"] if set(rest) == {"observation"} else rest
    return raw, None if mask is None else np.asarray(mask).astype(bool).tolist()


def actions_of(space: Any, whose: str) -> tuple[int, int]:
    """Number of actions and the first one's number in a Discrete action space.

    Raises:
        ModelError: for any other space.
    """
    if not isinstance(space, Discrete):
        raise ModelError(
            f"{whose}: action space {space} is not Discrete; wrap the environment so that its "
            "actions are numbered"
        )
    return int(space.n), int(space.start)


def seed_from(rng: np.random.Generator) -> int:
    """A seed for an environment that has its own source of chance."""
    return int(rng.integers(2**31 - 1))


def duration_of(info: Mapping[str, Any]) -> float:
    """What `info` says an option lasted, by the key "duration"; 1 if it says nothing."""
    return float(info.get("duration", 1))
