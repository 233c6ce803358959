"""Rows: the tidy form in which every study gives its figures, on screen, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Final

from batonq.base.files import Json

SCHEMA: Final = 1  # version of the rows and of the run folder

LEARNERS: Final = frozenset(
    {"oracle", "feasible", "centralised", "icq", "icq_late", "icq_neural", "icq_phased"}
    | {"no_scalar", "monte_carlo", "random", "best_single", "majority", "weighted_vote"}
    | {"agreement", "cascade", "fixed", "bandit", "text_router"}
    | {"shortest_path", "q_routing", "q_routing_queue", "predictive_q_routing"}
    | {"dual_q_routing", "replan"}
    | {"breadth_first", "mcmc", "sygus"}
)
METRICS: Final = frozenset(
    {"measured", "estimate", "certificate", "term", "slope"}
    | {"accuracy", "cost", "calls", "tokens", "utility", "recovery"}
    | {"value", "value_ratio", "pairs_exact", "pairs_1pct", "delay", "delay_ratio", "drops"}
    | {"proved", "feasible_ratio"}
)
KINDS: Final = frozenset({"seeds", "questions", "instances"})

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval.

    Attributes:
        value: the estimate.
        low, high: ends of the interval; None where the value is exact or has no interval.
        n: how many observations it is over; None where exact.
        n_kind: what those are: ``seeds``, ``questions`` or ``instances``.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    n_kind: str | None = None

    def row(self, setting: Mapping[str, Scalar], learner: str, metric: str) -> Row:
        """Return this value as the row of `learner` and `metric` in `setting`."""
        return Row(setting, learner, metric, self.value, self.low, self.high, self.n, self.n_kind)


@dataclass(frozen=True)
class Row:
    """One figure: what was measured, of which learner, in which setting.

    Attributes:
        setting: the point of the sweep, such as dataset, pool, interface and lambda.
        learner: one of `LEARNERS`.
        metric: one of `METRICS`.
        value: the figure; None where it is not available.
        low, high, n, n_kind: its 95 % interval, as in `Interval`.

    Raises:
        ValueError: for a word that is not in the lists, or a number that is not finite.
    """

    setting: Mapping[str, Scalar]
    learner: str
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    n_kind: str | None = None

    def __post_init__(self) -> None:
        _known("learner", self.learner, LEARNERS)
        _known("metric", self.metric, METRICS)
        if self.n_kind is not None:
            _known("n_kind", self.n_kind, KINDS)
        numbers = {"value": self.value, "low": self.low, "high": self.high, **self.setting}
        for name, number in numbers.items():
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(
                    f"row {self.learner}/{self.metric}: {name} is {number}, not finite"
                )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(
                f"row {self.learner}/{self.metric}: low {self.low} is above high {self.high}"
            )

    def to_json(self) -> dict[str, Json]:
        """Return the row as the object that `document` and the command print."""
        return {**asdict(self), "setting": dict(self.setting)}


def document(
    experiment: str, config: Mapping[str, Json], seconds: float, rows: Sequence[Row]
) -> dict[str, Json]:
    """Return the JSON object of a study: schema, experiment, config, seconds and rows."""
    return {
        "schema": SCHEMA,
        "experiment": experiment,
        "config": dict(config),
        "seconds": round(seconds, 3),
        "rows": [row.to_json() for row in rows],
    }


def to_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV text: one column per key of any setting, then the row's own fields."""
    keys = setting_keys(rows)
    fields = ["learner", "metric", "value", "low", "high", "n", "n_kind"]
    text = io.StringIO()
    writer = csv.writer(text)  # lines end as RFC 4180 has it; then stray line ends are quoted
    writer.writerow([*keys, *fields])
    for row in rows:
        writer.writerow(
            [row.setting.get(key) for key in keys] + [getattr(row, field) for field in fields]
        )
    return text.getvalue()


def setting_keys(rows: Iterable[Row]) -> list[str]:
    """Return the keys of all settings, in the order in which they first appear."""
    return list(dict.fromkeys(chain.from_iterable(row.setting for row in rows)))


def _known(name: str, word: str, words: frozenset[str]) -> None:
    if word not in words:
        raise ValueError(f"row: unknown {name} '{word}'; use one of {', '.join(sorted(words))}")
