"""What a finished run's cells say, as arrays over seeds and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float

from batonq.study.intervals import over_seeds, paired_seeds
from batonq.study.rows import Interval
from batonq.tasks.cpu.per_task.settings import LEARNERS, PEERS, SETS
from batonq.tasks.cpu.suite import SHORT

Output = Any  # a cell's output, as read back from JSON
Trial = Any  # one seed's part of it

ALL: Final = "all"
GROUPS: Final = (ALL, f"reference of at most {SHORT}", f"reference above {SHORT}")


@dataclass(frozen=True)
class Readings:
    """The cells of a run."""

    outputs: Sequence[Output]

    @property
    def sets(self) -> list[str]:
        """The sets of instructions there are."""
        had = {one["set"] for one in self.outputs}
        return [name for name in SETS if name in had]

    def who(self, menu: str) -> list[str]:
        """Learners, then peers, that tried this set and could be run."""
        had = {one["who"] for one in self._of(menu) if "proved" in one["trials"][0]}
        return [name for name in (*LEARNERS, *PEERS) if name in had]

    def missing(self) -> list[str]:
        """What could not be run, with the reason, each once."""
        return sorted(
            {
                f"{one['who']}: {one['trials'][0]['note']}"
                for one in self.outputs
                if "proved" not in one["trials"][0]
            }
        )

    def tasks(self, menu: str, group: str = ALL) -> list[Output]:
        """Descriptions of the tasks of a set, the shortest references first."""
        found = {one["task"]["name"]: one["task"] for one in self._of(menu)}
        ordered = sorted(found.values(), key=lambda task: task["length"])
        short = [task["length"] <= SHORT for task in ordered]
        wanted = {GROUPS[0]: (True, False), GROUPS[1]: (True,), GROUPS[2]: (False,)}[group]
        return [task for task, one in zip(ordered, short, strict=True) if one in wanted]

    def trials(self, menu: str, who: str, name: str) -> list[Trial]:
        """Every seed's trial on one task."""
        for one in self._of(menu):
            if one["who"] == who and one["task"]["name"] == name:
                return list(one["trials"])
        return []

    def proved(
        self, menu: str, who: str, group: str = ALL, within: float = np.inf
    ) -> Bool[np.ndarray, "seed task"]:
        """Whether each task was proved with each seed, after at most `within` of the budget."""
        found = [
            [bool(one["proved"] and one["spent"] <= within) for one in trials]
            for task in self.tasks(menu, group)
            if (trials := self.trials(menu, who, task["name"]))
        ]
        return np.array(found).T if found else np.zeros((0, 0), np.bool_)

    def share(self, menu: str, who: str, group: str = ALL) -> Interval | None:
        """The share of tasks proved; None where there are no such tasks."""
        found = self.proved(menu, who, group)
        return over_seeds(found.mean(axis=1)) if found.size else None

    def margin(self, menu: str, who: str, other: str, within: float = np.inf) -> Interval:
        """By how much one's share is above another's, seed by seed."""
        shares = [self.proved(menu, name, ALL, within).mean(axis=1) for name in (who, other)]
        return paired_seeds(*shares)

    def curve(
        self, menu: str, who: str, points: Float[np.ndarray, " point"]
    ) -> Float[np.ndarray, "seed point"]:
        """The share of tasks proved within each of these numbers of handoffs."""
        return np.stack(
            [self.proved(menu, who, ALL, point).mean(axis=1) for point in points], axis=1
        )

    def spent(self, menu: str, who: str) -> float | None:
        """Median, over tasks and seeds proved, of what was spent."""
        found = [
            one["spent"]
            for task in self.tasks(menu)
            for one in self.trials(menu, who, task["name"])
            if one["proved"]
        ]
        return float(np.median(found)) if found else None

    def fresh(self, menu: str) -> tuple[int, int]:
        """Proved programs run on fresh inputs, and those of them that were wrong on one."""
        ran = [
            one["fresh"] == one["inputs"]
            for output in self._of(menu)
            for one in output["trials"]
            if one.get("fresh") is not None
        ]
        return len(ran), len(ran) - sum(ran)

    def best(self, menu: str, who: str, name: str) -> Trial | None:
        """The fastest proved program of a task, the first seed's among equals."""
        proved = [one for one in self.trials(menu, who, name) if one["proved"] and one["program"]]
        return min(proved, key=lambda one: one["duration"], default=None)

    def _of(self, menu: str) -> list[Output]:
        return [one for one in self.outputs if one["set"] == menu]
