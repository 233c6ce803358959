"""What the residual term of a finite model is made of, exactly: memory, coverage, frames.

A watched chain is the full state at successive visits of one pair p = (cell, action). With a gap,
the hidden part of the state makes the updates of p correlated noise; how long it is remembered,
in visits, is what the Poisson solution U_p measures. Theory, section 7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from batonq.base.compiled import compiled
from batonq.base.errors import ModelError
from batonq.bound.gap import Gap, covering
from batonq.smdp.chain import DENSE_LIMIT, behaviour_chain
from batonq.smdp.durations import SLACK
from batonq.smdp.model import FiniteICSMDP


@dataclass(frozen=True, eq=False)
class Watched:
    """The chains watched at each pair p = (y, a). Arrays are 0 where not permitted.

    A cell of one state has nothing hidden: all of it is 0 there.

    Attributes:
        poisson: U_p(s) with p = (psi(s), a), centred by w(.|y): U_p - K_p U_p = eta(., a).
        spans: largest less smallest U_p, per pair.
        kappas: norm of the deviation matrix of the watched chain (supremum norm), per pair;
            max |U_p| <= kappa ||eta||.
        relaxations: its spectral radius, max 1 / |1 - eigenvalue|, in visits: 1 where the hidden
            part is redrawn between visits, large where it is remembered.
    """

    poisson: Float[np.ndarray, "state action"]
    spans: Float[np.ndarray, "cell action"]
    kappas: Float[np.ndarray, "cell action"]
    relaxations: Float[np.ndarray, "cell action"]

    @property
    def sup(self) -> float:
        """Ub = max_p ||U_p||."""
        return float(np.abs(self.poisson).max())

    @property
    def span(self) -> float:
        """Largest span of any U_p; at most 2 (1 + 2 t_mix) ||eta||."""
        return float(self.spans.max())

    @property
    def kappa(self) -> float:
        """kappa_c = max_p of the norms; at most `kappa_ceiling(t_mix)`."""
        return float(self.kappas.max())

    @property
    def relaxation(self) -> float:
        """Relaxation of the slowest watched chain, in visits."""
        return float(self.relaxations.max())


@dataclass(frozen=True)
class Coverage:
    """Windows in which, with the wanted confidence, every pair is updated. Theory, section 7.

    Attributes:
        block: b, epochs after which the chain has forgotten where it was.
        blocks: M, blocks a window.
        window: F = b M, epochs a window.
        visits: updates of every pair that each window guarantees.
        first: epoch at which the first window starts.
    """

    block: int
    blocks: int
    window: int
    visits: int
    first: int

    def frames(self, handoffs: int) -> int:
        """Whole windows within so many handoffs."""
        return max(0, handoffs - self.first) // self.window


def kappa_ceiling(mixing_time: int) -> int:
    """2 + 4 t_mix, which kappa_c never exceeds. Theory, section 7."""
    return 2 + 4 * mixing_time


def watched(
    model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"], found: Gap
) -> Watched:
    """Poisson solutions, deviation norms and relaxations of all watched chains.

    One inverse, of the state chain, yields them all: the full chain's Poisson solution of
    eta on p and 0 elsewhere is harmonic off p, hence solves the watched chain's equation on it.
    The full chain may be periodic.

    Args:
        model: the model, seen through its interface.
        behaviour: probability of each action in each cell.
        found: the gap under the same behaviour.

    Raises:
        ModelError: if there are more than `DENSE_LIMIT` states.
    """
    chances = covering(model, behaviour)
    past = fundamental(model, chances, found.aggregated.stationary)
    onward = Onward.of(model)
    shape = model.cell_mask.shape
    poisson = np.zeros(model.mask.shape)
    spans, kappas, relaxations = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for cell in range(model.n_cells):
        states = np.flatnonzero(model.cell == cell)
        if len(states) == 1:
            continue
        weights = found.aggregated.weights[states]
        for action in np.flatnonzero(model.cell_mask[cell]):
            rows = states * model.n_actions + action
            memory = np.eye(len(states))
            memory += chances[cell, action] * onward.after(rows, past[:, states])
            memory -= (memory @ np.ones(len(states)))[:, None] * weights  # centre its argument
            memory -= weights @ memory  # and its result
            solution = memory @ found.residual[states, action]
            poisson[states, action] = solution
            spans[cell, action] = np.ptp(solution)
            kappas[cell, action] = np.abs(memory).sum(axis=1).max()
            relaxations[cell, action] = np.abs(np.linalg.eigvals(memory)).max()
    return Watched(poisson, spans, kappas, relaxations)


def transitions(
    model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"]
) -> Float[np.ndarray, "state state"]:
    """Transition matrix P of the state over epochs, restarts included.

    Raises:
        ModelError: if there are more than `DENSE_LIMIT` states.
    """
    if model.n_states > DENSE_LIMIT:
        raise ModelError(
            f"residual: not available: {model.n_states} states; memory of the chain is computed "
            f"for up to {DENSE_LIMIT}"
        )
    chain = behaviour_chain(model, behaviour)
    step: np.ndarray = chain.matrix.toarray() + np.outer(chain.restart, chain.initial)
    return step


def fundamental(
    model: FiniteICSMDP,
    behaviour: Float[np.ndarray, "cell action"],
    law: Float[np.ndarray, " state"],
) -> Float[np.ndarray, "state state"]:
    """Fundamental matrix (I - P + 1 d)^-1 of the state chain: it solves g - P g = f, d f = 0.

    Args:
        model: the model.
        behaviour: probability of each action in each cell.
        law: its stationary law d.

    Raises:
        ModelError: if there are more than `DENSE_LIMIT` states.
    """
    system = np.eye(model.n_states) - transitions(model, behaviour) + law
    solved: np.ndarray = np.linalg.inv(system)
    return solved


@dataclass(frozen=True, eq=False)
class Onward:
    """Law of the next epoch's state after each row s * A + a, restarts after an end included."""

    matrix: sparse.csr_array
    ends: Float[np.ndarray, " row"]
    initial: Float[np.ndarray, " state"]

    @staticmethod
    def of(model: FiniteICSMDP) -> Onward:
        """That of a model; rows of actions that are not permitted restart at once."""
        mass = model.row_mass.ravel()
        ends = np.where(1 - mass > SLACK, 1 - mass, 0.0)
        # Rows are scaled to sum to 1 with the restart, as in the behaviour chain.
        scale = np.divide(1 - ends, mass, out=np.ones_like(mass), where=mass > 0)
        matrix = sparse.csr_array(
            (
                model.probability * np.repeat(scale, np.diff(model.indptr)),
                model.successor,
                model.indptr,
            ),
            shape=(model.mask.size, model.n_states),
        )
        return Onward(matrix, ends, model.initial)

    def after(
        self, rows: Int[np.ndarray, " row"], values: Float[np.ndarray, "state column"]
    ) -> Float[np.ndarray, "row column"]:
        """Mean of the values of states one epoch after each of some rows."""
        mean: np.ndarray = self.matrix[rows] @ values
        mean += np.outer(self.ends[rows], self.initial @ values)
        return mean


def pair_visits(found: Gap, model: FiniteICSMDP) -> Float[np.ndarray, "cell action"]:
    """mu(p): share of epochs spent at each pair (cell, action); sums to 1."""
    visits = np.zeros(model.cell_mask.shape)
    np.add.at(visits, model.cell, found.visits)
    return visits


def pair_numbers(mask: Bool[np.ndarray, "cell action"]) -> Int[np.ndarray, "cell action"]:
    """Number 0 .. P-1 of each permitted pair; -1 where not permitted."""
    numbers = np.full(mask.shape, -1)
    numbers[mask] = np.arange(mask.sum())
    return numbers


def coverage(
    mixing_time: int,
    least: float,
    n_pairs: int,
    handoffs: int,
    delta: float,
    *,
    often: bool = False,
) -> Coverage:
    """Length of the windows that all visit every pair, with probability at least 1 - delta.

    Args:
        mixing_time: t_mix of the behaviour chain, in epochs.
        least: mu_min, the smallest share of epochs of any pair, in (0, 1].
        n_pairs: number of permitted pairs.
        handoffs: T, epochs in all.
        delta: allowed probability of failure, in (0, 1).
        often: (b) rather than (a): longer windows, counted from epoch b on, that visit every pair
            at least ceil(F mu_min / 4) times.

    Raises:
        ModelError: for an argument out of range.
    """
    for name, value, good in (
        ("mixing time", mixing_time, mixing_time >= 1),
        ("smallest share of a pair", least, 0 < least <= 1),
        ("number of pairs", n_pairs, n_pairs >= 1),
        ("handoffs", handoffs, handoffs >= 1),
        ("delta", delta, 0 < delta < 1),
    ):
        if not good:
            raise ModelError(f"coverage: {name} {value:g} is out of range")
    block = mixing_time * math.ceil(math.log2(2 / least)) + 1
    confidence = math.log(n_pairs * handoffs / delta)
    blocks = math.ceil((16 if often else 2) / least * confidence)
    window = block * blocks
    visits = math.ceil(window * least / 4) if often else 1
    return Coverage(block, blocks, window, visits, block if often else 0)


def cover_frames(order: Int[np.ndarray, " update"], n_pairs: int) -> Int[np.ndarray, " frame"]:
    """Update, counted from 0, that closes each cover frame; their number is C_T.

    A frame closes when every pair has been updated since the last one closed: a barrier. The
    smallest of the agents' own counts is no substitute, as agents may close theirs one after the
    other. Theory, section 7.

    Args:
        order: number 0 .. P-1 of the pair that each update was of, in order of time.
        n_pairs: P.

    Raises:
        ModelError: if a number is outside 0 .. P-1.
    """
    if n_pairs < 1 or (len(order) and not (order.min() >= 0 and order.max() < n_pairs)):
        raise ModelError(f"cover frames: pairs must be numbered 0..{n_pairs - 1}, at least one")
    closes = np.empty(len(order) // n_pairs, np.int64)
    return closes[: _close_frames(order, np.zeros(n_pairs, np.int64), closes)]


@compiled
def _close_frames(
    order: Int[np.ndarray, " update"],
    frame_of: Int[np.ndarray, " pair"],
    closes: Int[np.ndarray, " frame"],
) -> int:
    """Fill `closes`; returns how many. `frame_of`, 0 at first, is the last frame met by a pair."""
    frame, missing, closed = 1, len(frame_of), 0
    for k in range(len(order)):
        pair = order[k]
        if frame_of[pair] != frame:
            frame_of[pair] = frame
            missing -= 1
            if missing == 0:
                closes[closed] = k
                closed += 1
                frame += 1
                missing = len(frame_of)
    return closed
