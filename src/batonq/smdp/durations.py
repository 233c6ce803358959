"""Durations of options: the laws a kernel entry may carry, and the discount each implies.

Theory, section 1: an option lasts tau >= 1 primitive steps and discounts by gamma**tau.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError

SLACK = 1e-9  # rounding allowed in sums of probabilities


class Law(IntEnum):
    """How the duration of one kernel entry is distributed, given that entry."""

    FIXED = 0  # `parameter` is the duration
    GEOMETRIC = 1  # `parameter` is the chance p of ending at each step: mean 1/p on 1, 2, ...
    PMF = 2  # `parameter` is a row of the table of finite laws


@dataclass(frozen=True, eq=False)
class Durations:
    """The duration law of every kernel entry.

    Attributes:
        law: `Law` of each entry.
        parameter: its parameter, see `Law`.
        pmf_indptr: row r of the table of finite laws is `pmf_indptr[r]:pmf_indptr[r + 1]`.
        pmf_duration: durations of the finite laws, each at least 1.
        pmf_probability: their probabilities; every row sums to 1.
    """

    law: Int[np.ndarray, " entry"]
    parameter: Float[np.ndarray, " entry"]
    pmf_indptr: Int[np.ndarray, " row_plus_one"]
    pmf_duration: Int[np.ndarray, " outcome"]
    pmf_probability: Float[np.ndarray, " outcome"]

    def mean_discount(self, gamma: float) -> Float[np.ndarray, " entry"]:
        """E[gamma**tau] of each entry, for 0 < gamma <= 1."""
        if gamma == 1:
            return np.ones_like(self.parameter)
        p = self.parameter
        with np.errstate(under="ignore"):
            fixed = gamma**p
            outcomes = gamma**self.pmf_duration
        return self._by_law(fixed, p * gamma / (1.0 - (1.0 - p) * gamma), outcomes)

    def mean(self) -> Float[np.ndarray, " entry"]:
        """E[tau] of each entry, in primitive steps."""
        p = self.parameter
        return self._by_law(p, 1.0 / np.where(self.law == Law.GEOMETRIC, p, 1.0), self.pmf_duration)

    def _by_law(
        self,
        fixed: Float[np.ndarray, " entry"],
        geometric: Float[np.ndarray, " entry"],
        outcomes: np.ndarray,
    ) -> Float[np.ndarray, " entry"]:
        """Choose by law; a finite law has the mean of what its `outcomes` are worth."""
        sums = np.add.reduceat(np.append(self.pmf_probability * outcomes, 0.0), self.pmf_indptr)
        row = np.where(self.law == Law.PMF, self.parameter, 0).astype(np.int64)
        return np.select(
            [self.law == Law.FIXED, self.law == Law.GEOMETRIC], [fixed, geometric], sums[row]
        )


def fixed(duration: Int[np.ndarray, " entry"]) -> Durations:
    """Every entry lasts exactly its own number of primitive steps."""
    return _without_table(Law.FIXED, np.asarray(duration, np.float64))


def geometric(mean: Float[np.ndarray, " entry"]) -> Durations:
    """Every entry lasts a geometric number of primitive steps with its own mean, at least 1."""
    with np.errstate(divide="ignore"):  # a mean of 0 is refused with its entry named
        return _without_table(Law.GEOMETRIC, 1.0 / np.asarray(mean, np.float64))


def finite(
    row: Int[np.ndarray, " entry"],
    durations: list[Int[np.ndarray, " _"]],
    probabilities: list[Float[np.ndarray, " _"]],
) -> Durations:
    """Entry k lasts `durations[row[k]]` primitive steps with `probabilities[row[k]]`."""
    lengths = [len(one) for one in durations]
    return Durations(
        law=np.full(len(row), Law.PMF, np.int8),
        parameter=np.asarray(row, np.float64),
        pmf_indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pmf_duration=np.concatenate(durations).astype(np.int64),
        pmf_probability=np.concatenate(probabilities).astype(np.float64),
    )


def _without_table(law: Law, parameter: Float[np.ndarray, " entry"]) -> Durations:
    return Durations(
        law=np.full(parameter.shape, law, np.int8),
        parameter=parameter,
        pmf_indptr=np.zeros(1, np.int64),
        pmf_duration=np.zeros(0, np.int64),
        pmf_probability=np.zeros(0),
    )


def check_durations(durations: Durations, n_entries: int) -> None:
    """Raise a ModelError that names the first entry whose duration cannot be right."""
    d = durations
    if d.law.shape != (n_entries,) or d.parameter.shape != (n_entries,):
        raise ModelError(
            f"durations: {d.law.shape[0]} laws and {d.parameter.shape[0]} parameters "
            f"for {n_entries} kernel entries; give one of each per entry"
        )
    _check_table(d)
    n_rows = len(d.pmf_indptr) - 1
    whole = d.parameter == np.floor(d.parameter)
    bad = {
        "is no known law": ~np.isin(d.law, [int(law) for law in Law]),
        "is no whole number of steps >= 1": (d.law == Law.FIXED)
        & ~(whole & (d.parameter >= 1) & np.isfinite(d.parameter)),
        "is no chance in (0, 1]": (d.law == Law.GEOMETRIC)
        & ~((d.parameter > 0) & (d.parameter <= 1)),
        f"is no row of the {n_rows} finite laws": (d.law == Law.PMF)
        & ~(whole & (d.parameter >= 0) & (d.parameter < n_rows)),
    }
    for reason, wrong in bad.items():
        if wrong.any():
            k = int(np.argmax(wrong))
            raise ModelError(
                f"durations: entry {k} (law {int(d.law[k])}) has parameter {d.parameter[k]:g}, "
                f"which {reason}"
            )


def _check_table(d: Durations) -> None:
    indptr = d.pmf_indptr
    rises = len(indptr) > 0 and indptr[0] == 0 and bool((np.diff(indptr) > 0).all())
    if not (rises and indptr[-1] == len(d.pmf_duration) == len(d.pmf_probability)):
        raise ModelError(
            "durations: pmf_indptr must rise from 0 to the number of outcomes, no row empty"
        )
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    short = ~(d.pmf_duration >= 1)
    if short.any():
        k = int(np.argmax(short))
        raise ModelError(
            f"durations: finite law {int(row[k])} holds {d.pmf_duration[k]:g} steps; "
            "every duration is at least 1"
        )
    total = np.bincount(row, weights=d.pmf_probability)
    improper = ~(np.abs(total - 1) <= SLACK)
    improper[row[~(d.pmf_probability >= 0)]] = True
    if improper.any():
        r = int(np.argmax(improper))
        raise ModelError(
            f"durations: finite law {r} has probabilities that sum to {total[r]:g}; "
            "they must be non-negative and sum to 1"
        )
