"""Records of one agent's segments, written out or drawn, shared by the tests of off-policy."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from batonq.bound.segments import SegmentTable
from batonq.icq.record import Handoff

_ids = count()


def step(
    y: Any = "new",
    action: int = 0,
    *,
    propensity: float = 0.5,
    reward: float = 0.0,
    duration: float = 1.0,
    to: str | None = "search",
    quote: float | None = 0.0,
    end: str | None = None,
    name: str | None = None,
) -> Handoff:
    """One record of agent 'desk'; `to="desk"` keeps control."""
    return Handoff(
        handoff_id=name or f"h{next(_ids)}",
        agent="desk",
        observation=y,
        action=action,
        propensity=propensity,
        reward=reward,
        duration=duration,
        receiver=to,
        quote=quote,
        end=end,
    )


# What segments of a small agent may look like: two observations at arrival; action 0 works and
# shows "good" or "bad", any other hands on; after work both actions hand on.
WORK, HAND = 0, 1
ARRIVAL = {"a": 0.25, "b": 0.75}
SHOWS = {"a": {"good": 0.75, "bad": 0.25}, "b": {"good": 0.5, "bad": 0.5}}
REWARD = {"a": (-1.0, 0.5), "b": (-2.0, 0.25), "good": (1.0, 3.0), "bad": (0.0, -1.0)}
QUOTE = {"a": 2.0, "b": -1.0, "good": 4.0, "bad": 1.0}
DURATION = {"a": 2.0, "b": 1.0, "good": 1.0, "bad": 3.0}
GAMMA = 0.5
BEHAVIOUR = {"a": (0.75, 0.25), "b": (0.5, 0.5), "good": (0.25, 0.75), "bad": (0.5, 0.5)}
TARGET = {"a": (0.25, 0.75), "b": (1.0, 0.0), "good": (0.0, 1.0), "bad": (0.5, 0.5)}


def value(policy: dict[str, tuple[float, float]]) -> float:
    """Expected return of a segment, from the definition."""
    closing = {
        y: sum(
            chance * (reward + GAMMA ** DURATION[y] * QUOTE[y])
            for chance, reward in zip(policy[y], REWARD[y], strict=True)
        )
        for y in ("good", "bad")
    }
    total = 0.0
    for y, arriving in ARRIVAL.items():
        discount = GAMMA ** DURATION[y]
        work = REWARD[y][WORK] + discount * sum(SHOWS[y][z] * closing[z] for z in closing)
        hand = REWARD[y][HAND] + discount * QUOTE[y]
        total += arriving * (policy[y][WORK] * work + policy[y][HAND] * hand)
    return total


def every_segment() -> list[tuple[float, list[Handoff]]]:
    """All segments there can be, each with its chance under BEHAVIOUR."""
    found = []
    for y, arriving in ARRIVAL.items():
        p_work, p_hand = BEHAVIOUR[y]
        found.append((arriving * p_hand, [recorded(y, HAND)]))
        for z, shown in SHOWS[y].items():
            for action, p in enumerate(BEHAVIOUR[z]):
                found.append(
                    (
                        arriving * p_work * shown * p,
                        [recorded(y, WORK, "desk"), recorded(z, action)],
                    )
                )
    return found


def whole_law(times: int = 1) -> list[Handoff]:
    """Records in which each segment comes exactly in proportion to its chance: 256 segments."""
    records = []
    for _ in range(times):
        for chance, steps in every_segment():
            copies = chance * 256
            assert copies == int(copies)
            for _ in range(int(copies)):
                records += [replace(one, handoff_id=f"h{next(_ids)}") for one in steps]
    return records


def recorded(y: str, action: int, to: str = "search") -> Handoff:
    """The record of an action of the small agent."""
    return step(
        y,
        action,
        propensity=BEHAVIOUR[y][action],
        reward=REWARD[y][action],
        duration=DURATION[y],
        to=to,
        quote=QUOTE[y],
    )


def one_decision(
    rng: np.random.Generator, n: int, epsilon: float = 0.5, n_seen: int = 3
) -> SegmentTable:
    """Drawn segments of one decision: greedy (action 0) but for epsilon, of two actions."""
    y = rng.integers(n_seen, size=n)
    action = (rng.random(n) < epsilon / 2).astype(np.int64)
    return SegmentTable(
        agent="desk",
        gamma=0.9,
        observations=tuple(range(n_seen)),
        actions=(0, 1),
        y=y,
        action=action,
        propensity=np.where(action == 1, epsilon / 2, 1 - epsilon / 2),
        reward=y * action + rng.normal(size=n),
        discount=0.9 ** rng.integers(1, 4, size=n),
        quote=rng.normal(size=n),
        start=np.arange(n),
        workflow=np.arange(n),
        permitted=np.ones((n, 2), np.bool_),
        values=np.full((n, 2), np.nan),
        default=np.full(n, -1),
    )


def hand_on(n_rows: int) -> np.ndarray:
    """Always action 1 of two."""
    return np.tile([0.0, 1.0], (n_rows, 1))
