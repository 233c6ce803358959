"""Held-out feature test: do residuals depend on a field the agent logs but does not act on?

With frozen values the residual d = R + gamma^tau v - Q(y, a) has mean m(y, a) + eta_Q(s, a), where
eta_Q is centred in every cell (theory, section 12). What a field f explains of it,
h(y, f, a) = E[d | y, f, a] - E[d | y, a], is the projection of eta_Q on functions of (y, f, a), so
|h|^2 <= |eta_Q|^2 in L2(mu) over this agent's handoffs. Only the agent's own records are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import DataError
from batonq.bound.blocks import Square, block_sums, enough_blocks, holm, square
from batonq.icq.log import Log

REPEATS: Final = 8  # records of an (information state, field, action) from which it counts
COVERED: Final = 0.5  # share of records that must lie in such


@dataclass(frozen=True)
class HeldOut:
    """What a field explains of one agent's residuals.

    Attributes:
        field: its name.
        explained: |h|^2 in L2(mu) over this agent's handoffs; None if it cannot be had.
        adjusted: p value adjusted over all fields tested together (Holm: family-wise error).
        covered: share of records with enough others like them to count.
        reason: why it is not available; "" if it is.
    """

    field: str
    explained: Square | None
    adjusted: float | None
    covered: float
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Split:
    """A field's split of an agent's pairs (information state, action).

    Attributes:
        coarse: number of the pair (y, a) of each row.
        fine: number of (y, f, a) of each row; -1 where too few are alike.
        parent: the pair (y, a) of each fine pair.
        n_coarse: pairs (y, a).
        covered: share of rows with a fine pair.
    """

    coarse: Int[np.ndarray, " row"]
    fine: Int[np.ndarray, " row"]
    parent: Int[np.ndarray, " fine"]
    n_coarse: int
    covered: float


def held_out(log: Log, candidates: Sequence[str] | None = None, *, seed: int = 0) -> list[HeldOut]:
    """Test each field of one agent's log, in the order given.

    Args:
        log: recorded under frozen values.
        candidates: names of fields of the log; all by default.
        seed: of the random signs behind p values.

    Raises:
        DataError: if there are no candidates, the log lacks one, the values moved, or the records
            are too few or too correlated.
    """
    names = chosen(log, candidates)
    residual = residuals(log)
    coarse = pairs(log)
    n_coarse = log.mask.size
    count = enough_blocks(centred(residual, coarse, n_coarse), coarse, n_coarse)
    found: list[tuple[str, Square | None, float, str]] = []
    for name in names:
        try:
            cut = split(log, name)
        except DataError as error:
            found.append((name, None, 0.0, str(error)))
        else:
            found.append((name, explained(residual, cut, count, seed), cut.covered, ""))
    p = holm(np.array([one.p for _, one, _, _ in found if one is not None], np.float64))
    remaining = iter(p.tolist())
    return [
        HeldOut(name, one, None if one is None else next(remaining), covered, reason)
        for name, one, covered, reason in found
    ]


def chosen(log: Log, candidates: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the candidates, checked."""
    names = tuple(log.fields) if candidates is None else tuple(candidates)
    if not names:
        raise DataError(f"log of '{log.agent}': has no fields that are not acted on; log some")
    for name in names:
        if name not in log.fields:
            raise DataError(
                f"candidates: the log of '{log.agent}' has no field '{name}'; "
                f"it has {', '.join(log.fields)}"
            )
    return names


def residuals(log: Log) -> Float[np.ndarray, " row"]:
    """The log's residuals, once it is sure that its values stood still.

    Where control was kept, the next row is the decision that followed, and the quote must be the
    largest frozen value there.

    Raises:
        DataError: naming the first row whose quote is not.
    """
    stays = kept(log)
    held = np.flatnonzero(stays)
    best = np.where(log.mask, log.values, -np.inf).max(axis=1)[log.y[held + 1]]
    wrong = ~np.isclose(best, log.quote[held], rtol=1e-6, atol=1e-9)
    if wrong.any():
        k = int(held[np.argmax(wrong)])
        raise DataError(
            f"log of '{log.agent}': row {k} kept control and got the quote {log.quote[k]:g}, but "
            f"the largest value at the next row is {best[np.argmax(wrong)]:g}: values moved, or "
            "workflows are mixed; record one workflow under frozen values"
        )
    return log.residual()


def kept(log: Log) -> np.ndarray:
    """Rows after which the agent kept control, so that the next row is what followed."""
    stays: np.ndarray = (log.receiver == log.agents.index(log.agent)) & (log.end == 0)
    stays[-1:] = False
    return stays


def pairs(log: Log) -> Int[np.ndarray, " row"]:
    """Number of the pair (information state, action) of each row."""
    number: np.ndarray = log.y * log.mask.shape[1] + log.action
    return number


def split(log: Log, name: str) -> Split:
    """Split the agent's pairs by a field.

    Raises:
        DataError: "not available" if the field is constant, is seen already, or hardly repeats.
    """
    field = log.fields[name]
    coarse, n_coarse, n_levels = pairs(log), log.mask.size, len(field.levels)
    used = np.unique(field.code)
    if len(used) < 2:
        raise DataError(f"not available: '{name}' is constant in these records")
    number, fine = np.unique(coarse * n_levels + field.code, return_inverse=True)
    counts = np.bincount(fine)
    enough = counts >= REPEATS
    covered = float(counts[enough].sum() / len(coarse))
    if covered < COVERED:
        raise DataError(
            f"not available: '{name}' has {len(used)} levels in {len(coarse)} records, of which "
            f"{covered:.0%} repeat {REPEATS} times with the same information state and action; "
            "group its levels"
        )
    parent = (number // n_levels)[enough]
    if np.bincount(parent, minlength=n_coarse).max() < 2:
        raise DataError(f"not available: '{name}' follows from what the agent sees already")
    place = np.where(enough, np.cumsum(enough) - 1, -1)
    return Split(coarse, place[fine], parent, n_coarse, covered)


def explained(
    residual: Float[np.ndarray, " row"], cut: Split, n_blocks: int, seed: int = 0
) -> Square:
    """|h|^2 of a field: what it explains of the cell-centred residual."""
    mean = means(residual, cut.coarse, cut.n_coarse)
    apart = residual - mean[cut.coarse]
    effect = means(apart, cut.fine, len(cut.parent))
    fine_noise = block_noise(apart - at(effect, cut.fine), cut.fine, len(cut.parent), n_blocks)
    coarse_noise = block_noise(apart, cut.coarse, cut.n_coarse, n_blocks)
    share = shares(cut, n_blocks)
    return square(effect, fine_noise - coarse_noise[:, cut.parent], share.sum(axis=0), share, seed)


def shares(cut: Split, n_blocks: int) -> Float[np.ndarray, "block fine"]:
    """Share of all rows that are in a block and in a fine pair."""
    rows = np.full(len(cut.fine), 1 / len(cut.fine))
    return covered_sums(rows, cut.fine, len(cut.parent), n_blocks)


def centred(
    values: Float[np.ndarray, " row"], code: Int[np.ndarray, " row"], n_codes: int
) -> Float[np.ndarray, " row"]:
    """Values less the mean of their code."""
    apart: np.ndarray = values - means(values, code, n_codes)[code]
    return apart


def means(
    values: Float[np.ndarray, " row"], code: Int[np.ndarray, " row"], n_codes: int
) -> Float[np.ndarray, " code"]:
    """Mean of each code; 0 where it does not occur. Rows of code -1 are passed over."""
    within = code >= 0
    total = np.bincount(code[within], weights=values[within], minlength=n_codes)
    mean: np.ndarray = total / np.maximum(np.bincount(code[within], minlength=n_codes), 1)
    return mean


def at(values: Float[np.ndarray, " code"], code: Int[np.ndarray, " row"]) -> np.ndarray:
    """The value of each row's code; 0 for code -1."""
    found: np.ndarray = np.append(values, 0.0)[code]
    return found


def block_noise(
    errors: Float[np.ndarray, " row"], code: Int[np.ndarray, " row"], n_codes: int, n_blocks: int
) -> Float[np.ndarray, "block code"]:
    """Each block's part in the error of the mean of each code: its sum of errors over the count."""
    counts = np.bincount(code[code >= 0], minlength=n_codes)
    noise: np.ndarray = covered_sums(errors, code, n_codes, n_blocks) / np.maximum(counts, 1)
    return noise


def covered_sums(
    values: Float[np.ndarray, " row"], code: Int[np.ndarray, " row"], n_codes: int, n_blocks: int
) -> Float[np.ndarray, "block code"]:
    """`block_sums` over the rows that have a code."""
    return block_sums(values, np.where(code < 0, n_codes, code), n_codes + 1, n_blocks)[:, :-1]
