"""Run: what training leaves, per seed the tables of every agent and the learning curve."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import DataError, ModelError
from batonq.base.files import Json, hashable, load_arrays, plain, save_arrays
from batonq.icq.record import Handoff, handoffs_of

SCHEMA: Final = "icq-run"
VERSION: Final = 1
CENTRAL: Final = "central"  # name of the centralised learner's one table


@dataclass(frozen=True, eq=False)
class Table:
    """What one agent has learnt (or one central learner, for the baseline).

    Attributes:
        observations: its information states, by row.
        q: values.
        counts: how often each was updated; in a phased run, in the last phase.
    """

    observations: tuple[Hashable, ...]
    q: Float[np.ndarray, "row action"]
    counts: Int[np.ndarray, "row action"]


@dataclass(frozen=True, eq=False)
class Run:
    """The result of `train`.

    Attributes:
        learner: its name.
        settings: how it was trained, JSON.
        agents: names of the agents.
        tables: per seed, one table per agent by name; the centralised learner has one, "central".
        points: number of handoffs at which the greedy policy was evaluated.
        curve: value of the greedy policy at those points: exact on a finite model, the mean
            discounted return of greedy episodes on an environment.
        traces: per seed, the recorded handoffs (dtype `record.TRACE`) if `record` was set.
        quotes_crossed: per seed, how many scalars went from one agent to another.
    """

    learner: str
    settings: Mapping[str, Json]
    agents: tuple[str, ...]
    tables: tuple[Mapping[str, Table], ...]
    points: Int[np.ndarray, " point"]
    curve: Float[np.ndarray, "seed point"]
    quotes_crossed: Int[np.ndarray, " seed"]
    traces: tuple[np.ndarray, ...] = field(default=())
    trace_observations: tuple[Hashable, ...] = field(default=())

    @property
    def seeds(self) -> int:
        """Number of independent seeds."""
        return len(self.tables)

    @property
    def final(self) -> Float[np.ndarray, " seed"]:
        """Value of the last greedy policy, per seed."""
        last: np.ndarray = self.curve[:, -1]
        return last

    def handoffs(self, agent: str, seed: int = 0) -> list[Handoff]:
        """What `agent` recorded in one seed's run, its own decisions only.

        Raises:
            ModelError: if the run was not recorded or has no such agent.
        """
        if not self.traces:
            raise ModelError("run: nothing was recorded; call train(..., record=True)")
        if agent not in self.agents:
            raise ModelError(f"agent '{agent}' is unknown; it is one of {', '.join(self.agents)}")
        return handoffs_of(
            agent, self.traces[seed], self.agents, self.trace_observations, f"seed{seed}"
        )

    def __str__(self) -> str:
        mean = float(self.final.mean())
        return (
            f"{self.learner}: value {mean:.6g} after {int(self.points[-1])} handoffs "
            f"(mean of {self.seeds} seeds, {len(self.agents)} agents)"
        )

    def save(self, path: str | Path) -> Path:
        """Write the run (without its records) as one npz file; returns its path.

        Raises:
            DataError: if it cannot be written.
        """
        target = Path(path).with_suffix(".npz")
        arrays: dict[str, np.ndarray] = {
            "points": self.points,
            "curve": self.curve,
            "quotes_crossed": self.quotes_crossed,
        }
        observations: list[dict[str, list[Json]]] = []
        for seed, tables in enumerate(self.tables):
            observations.append({})
            for name, table in tables.items():
                arrays[f"q/{seed}/{name}"] = table.q
                arrays[f"counts/{seed}/{name}"] = table.counts
                observations[seed][name] = plain(table.observations, "run")
        header = {
            "learner": self.learner,
            "settings": dict(self.settings),
            "agents": list(self.agents),
            "observations": observations,
        }
        save_arrays(target, SCHEMA, VERSION, header, arrays)
        return target

    @staticmethod
    def load(path: str | Path) -> Run:
        """Read a run written by `save`.

        Raises:
            DataError: if the file is missing, damaged, or of another schema.
        """
        source = Path(path).with_suffix(".npz")
        header, arrays = load_arrays(source, SCHEMA, VERSION, ("points", "curve", "quotes_crossed"))
        try:
            tables = tuple(
                {
                    name: Table(
                        tuple(hashable(one) for one in seen),
                        arrays[f"q/{seed}/{name}"],
                        arrays[f"counts/{seed}/{name}"],
                    )
                    for name, seen in by_name.items()
                }
                for seed, by_name in enumerate(header["observations"])
            )
            return Run(
                learner=header["learner"],
                settings=header["settings"],
                agents=tuple(header["agents"]),
                tables=tables,
                points=arrays["points"],
                curve=arrays["curve"],
                quotes_crossed=arrays["quotes_crossed"],
            )
        except KeyError as error:
            raise DataError(f"{source}: lacks {error}; restore the file") from error
