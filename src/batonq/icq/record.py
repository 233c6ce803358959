"""Handoff: the frozen record of what ONE agent keeps of one handoff."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

NOT_ENDED, TERMINAL, TRUNCATED = 0, 1, 2
ENDS: Final = (None, "terminal", "truncated")

TRACE: Final = np.dtype(
    [
        ("agent", np.int32),
        ("cell", np.int32),
        ("action", np.int32),
        ("receiver", np.int32),  # -1 after termination
        ("end", np.int8),
        ("propensity", np.float64),
        ("reward", np.float64),
        ("duration", np.int64),
        ("quote", np.float64),  # 0 after termination
    ]
)


@dataclass(frozen=True)
class Handoff:
    """One decision, its outcome and the quote received, as its agent keeps it.

    Attributes:
        handoff_id: ties decision, quote and outcome together everywhere.
        agent: who decided.
        observation: what it saw, its information state.
        action: what it chose.
        propensity: with what chance, in (0, 1].
        reward: gathered during the option, discounted to its start.
        duration: primitive steps of the option, at least 1 (1 for a modelled termination, whose
            duration no value depends on).
        receiver: who holds control next; None after termination.
        quote: the receiver's value of what it received; None after termination.
        end: None, "terminal" or "truncated".
    """

    handoff_id: str
    agent: str
    observation: Hashable
    action: int
    propensity: float
    reward: float
    duration: float
    receiver: str | None
    quote: float | None
    end: str | None


def handoffs_of(
    agent: str, trace: np.ndarray, agents: Sequence[str], observations: Sequence[Hashable], run: str
) -> list[Handoff]:
    """What `agent` keeps of a `TRACE` array: its own decisions and nothing else.

    Args:
        agent: whose records to extract.
        trace: structured array of dtype `TRACE`.
        agents: names by number.
        observations: what each cell shows its holder.
        run: first part of every `handoff_id`.
    """
    mine = np.flatnonzero(trace["agent"] == agents.index(agent))
    return [
        Handoff(
            handoff_id=f"{run}-{k}",
            agent=agent,
            observation=observations[row["cell"]],
            action=int(row["action"]),
            propensity=float(row["propensity"]),
            reward=float(row["reward"]),
            duration=float(row["duration"]),
            receiver=None if row["receiver"] < 0 else agents[row["receiver"]],
            quote=None if row["receiver"] < 0 else float(row["quote"]),
            end=ENDS[row["end"]],
        )
        for k, row in ((int(k), trace[k]) for k in mine)
    ]
