"""Log: what ONE agent kept of its own handoffs while nobody's values moved, as arrays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import DataError
from batonq.base.files import hashable, load_arrays, plain, save_arrays
from batonq.icq import update
from batonq.icq.record import NOT_ENDED, TRUNCATED

SCHEMA: Final = "icq-log"
VERSION: Final = 1
WHOLE: Final = ("y", "action", "receiver", "end")
REAL: Final = ("propensity", "reward", "duration", "quote")
TABLES: Final = ("mask", "values")


@dataclass(frozen=True, eq=False)
class Field:
    """Something the agent may log but does not act on, one value per decision.

    Attributes:
        levels: the different values, by number.
        code: number of the value at each decision.
    """

    levels: tuple[Hashable, ...]
    code: Int[np.ndarray, " row"]


@dataclass(frozen=True, eq=False)
class Log:
    """One agent's own handoffs in order of time, recorded under frozen tables; n rows.

    Attributes:
        agent: whose log it is.
        agents: names of all agents, by number.
        gamma: discount per primitive step, in (0, 1].
        observations: what the agent has seen, its information states, by number.
        mask: actions permitted at each of them.
        values: the frozen Q the agent acted on; anything where not permitted.
        y: number of the information state at each decision.
        action: the action taken, permitted there.
        receiver: number of the agent that held control next; -1 after termination.
        end: `record.NOT_ENDED`, `TERMINAL` or `TRUNCATED`.
        propensity: chance of the action taken, in (0, 1].
        reward: gathered during the option, discounted to its start.
        duration: primitive steps of the option, > 0.
        quote: the receiver's value of what it received; 0 after termination.
        fields: by name, what was logged but not acted on.

    Raises:
        DataError: naming the first row that cannot be right.
    """

    agent: str
    agents: tuple[str, ...]
    gamma: float
    observations: tuple[Hashable, ...]
    mask: Bool[np.ndarray, "observation action"]
    values: Float[np.ndarray, "observation action"]
    y: Int[np.ndarray, " row"]
    action: Int[np.ndarray, " row"]
    receiver: Int[np.ndarray, " row"]
    end: Int[np.ndarray, " row"]
    propensity: Float[np.ndarray, " row"]
    reward: Float[np.ndarray, " row"]
    duration: Float[np.ndarray, " row"]
    quote: Float[np.ndarray, " row"]
    fields: Mapping[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.y)

    def discounts(self) -> Float[np.ndarray, " row"]:
        """gamma**tau of each option."""
        powers: np.ndarray = self.gamma**self.duration
        return powers

    def residual(self) -> Float[np.ndarray, " row"]:
        """R + gamma**tau * quote - Q(y, a) of each handoff under the frozen values."""
        targets: Any = update.target
        worth = targets(self.reward, self.discounts(), self.quote)
        residuals: np.ndarray = worth - self.values[self.y, self.action]
        return residuals

    def save(self, path: str | Path) -> Path:
        """Write the log as one npz file; returns its path.

        Raises:
            DataError: if it cannot be written, or observations are not numbers, strings or tuples.
        """
        target = Path(path).with_suffix(".npz")
        arrays = {name: getattr(self, name) for name in WHOLE + REAL + TABLES}
        arrays |= {f"field/{k}": one.code for k, one in enumerate(self.fields.values())}
        header = {
            "agent": self.agent,
            "agents": list(self.agents),
            "gamma": self.gamma,
            "observations": plain(self.observations, "log"),
            "fields": {name: plain(one.levels, "log") for name, one in self.fields.items()},
        }
        save_arrays(target, SCHEMA, VERSION, header, arrays)
        return target

    @staticmethod
    def open(path: str | Path, agent: str | None = None) -> Log:
        """Read a log written by `save`.

        Args:
            path: the file.
            agent: whose log it should be; whoever's it is by default.

        Raises:
            DataError: if the file is missing, damaged, of another schema or another agent's.
        """
        source = Path(path)
        header, arrays = load_arrays(source, SCHEMA, VERSION, WHOLE + REAL + TABLES)
        try:
            log = Log(
                agent=header["agent"],
                agents=tuple(header["agents"]),
                gamma=float(header["gamma"]),
                observations=tuple(hashable(one) for one in header["observations"]),
                fields={
                    name: Field(tuple(hashable(one) for one in levels), arrays[f"field/{k}"])
                    for k, (name, levels) in enumerate(header["fields"].items())
                },
                **{name: arrays[name] for name in WHOLE + REAL + TABLES},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{source}: lacks {error}; restore the file") from error
        if agent is not None and agent != log.agent:
            raise DataError(f"{source}: is the log of agent '{log.agent}', not of '{agent}'")
        return log


def _check(log: Log) -> None:
    n = len(log.y)
    columns: dict[str, np.ndarray] = {name: getattr(log, name) for name in WHOLE + REAL}
    columns |= {f"field '{name}'": one.code for name, one in log.fields.items()}
    for name, column in columns.items():
        if column.shape != (n,):
            raise DataError(f"log: {name} has shape {column.shape}, wanted ({n},): one a decision")
    shape = (len(log.observations), log.mask.shape[-1])
    for name in TABLES:
        if getattr(log, name).shape != shape:
            raise DataError(f"log: {name} has shape {getattr(log, name).shape}, wanted {shape}")
    if not 0 < log.gamma <= 1:
        raise DataError(f"log: gamma is {log.gamma:g}; give a number in (0, 1]")
    if log.agent not in log.agents:
        raise DataError(f"log: agent '{log.agent}' is none of {', '.join(log.agents)}")
    limits = {"y": len(log.observations), "action": shape[1], "receiver": len(log.agents)}
    limits |= {f"field '{name}'": len(one.levels) for name, one in log.fields.items()}
    limits["end"] = TRUNCATED + 1
    for name, limit in limits.items():
        low = -1 if name == "receiver" else NOT_ENDED
        _row(name, columns[name], (columns[name] >= low) & (columns[name] < limit))
    _row("action", log.action, log.mask[log.y, log.action])
    _row("propensity", log.propensity, (log.propensity > 0) & (log.propensity <= 1))
    _row("duration", log.duration, (log.duration > 0) & np.isfinite(log.duration))
    for name in ("reward", "quote"):
        _row(name, columns[name], np.isfinite(columns[name]))
    permitted = log.values[log.mask]
    if not np.isfinite(permitted).all():
        raise DataError("log: a value of a permitted action is not finite; give finite values")


def _row(name: str, column: np.ndarray, good: np.ndarray) -> None:
    if not good.all():
        k = int(np.argmin(good))
        raise DataError(f"log: row {k}: {name} is {column[k]:g}, which cannot be; mend that row")
