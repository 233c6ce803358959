"""Models by inverse design: choose Q* first, then kernel, hidden mode and durations, then rewards.

The rewards are set to r := Q* - Gam max Q*, so that Q* solves the model whatever the kernel is.
Hence the optimal values, and with them the interface gap, stay where they are while the mixing
time or the durations are dialled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.smdp import durations
from batonq.smdp.families import scattered
from batonq.smdp.interface import from_labels
from batonq.smdp.model import FiniteICSMDP, from_entries

JITTER = 0.2  # by how much the discounts of successors differ


@dataclass(frozen=True)
class Dials:
    """What may be chosen; each moves one term of the error and leaves the others.

    Attributes:
        n_agents: N, at least 2.
        cells_per_agent: visible cells of each agent; with n_agents they make n_cells.
        n_actions: actions of every agent.
        n_hidden: levels of the hidden mode e; 1 is none.
        n_successors: visible successors of every option, at most n_cells.
        gamma: discount per primitive step, in (0, 1).
        contraction: beta, the largest E[gamma**tau], in (0, gamma]; sets the durations' means.
        persistence: eigenvalue of the hidden mode, in [0, 1): the chance that it is not redrawn.
        kappa: interface coarseness: size of what the hidden mode adds to Q*, at least 0.
        spread: the best value of a cell lies within this of 0; with it goes the noise of what is
            visible.
        margin: the best action is ahead of the others by margin to 2 margin; at least 0. While
            kappa times the differences of g stay below it, the hidden mode changes no best action.
        tilt: by how much, in [0, 1), kernel and durations depend on the hidden mode.
        aligned: whether the hidden mode moves all values the same way (else by random signs).
        seed: of all that is drawn.

    Raises:
        ModelError: naming the first dial that cannot be right.
    """

    n_agents: int = 10
    cells_per_agent: int = 2
    n_actions: int = 2
    n_hidden: int = 2
    n_successors: int = 3
    gamma: float = 0.9
    contraction: float = 0.79
    persistence: float = 0.0
    kappa: float = 0.0
    spread: float = 0.5
    margin: float = 1.2
    tilt: float = 0.0
    aligned: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_agents": 2, "cells_per_agent": 1, "n_actions": 1, "n_hidden": 1}
        for name, low in {**least, "n_successors": 1, "seed": 0}.items():
            if getattr(self, name) < low:
                raise ModelError(f"{name}: {getattr(self, name)} is too small; give at least {low}")
        if self.n_successors > self.n_cells:
            raise ModelError(
                f"n_successors: {self.n_successors} of {self.n_cells} cells; give no more"
            )
        for name in ("kappa", "spread", "margin"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ModelError(f"{name}: {getattr(self, name)} is not a number >= 0")
        for name in ("persistence", "tilt"):
            if not 0 <= getattr(self, name) < 1:
                raise ModelError(f"{name}: {getattr(self, name)} is not in [0, 1)")
        if not 0 < self.gamma < 1:
            raise ModelError(f"gamma: {self.gamma} is not in (0, 1)")
        if not 0 < self.contraction <= self.gamma:
            raise ModelError(
                f"contraction: {self.contraction} is not in (0, gamma = {self.gamma:g}], as "
                "options last at least one step"
            )

    @property
    def n_cells(self) -> int:
        """Number of visible cells."""
        return self.n_agents * self.cells_per_agent


@dataclass(frozen=True, eq=False)
class Design:
    """A model made for a chosen Q*. State number = visible cell * n_hidden + hidden level.

    Attributes:
        model: the model; holders see their visible cell and not the hidden mode.
        optimal: the chosen Q*.
        visible: visible cell of each state.
        hidden: level of the hidden mode in each state.
    """

    model: FiniteICSMDP
    optimal: Float[np.ndarray, "state action"]
    visible: Int[np.ndarray, " state"]
    hidden: Int[np.ndarray, " state"]

    def reveal(self, blocks: int) -> FiniteICSMDP:
        """The model in which holders also see which of `blocks` equal blocks the level is in.

        1 shows nothing of the hidden mode, n_hidden all of it.

        Raises:
            ModelError: if the levels do not fall into that many equal blocks.
        """
        levels = int(self.hidden.max()) + 1
        if blocks < 1 or levels % blocks:
            raise ModelError(f"blocks: {blocks} do not divide the {levels} hidden levels")
        shown = self.hidden // (levels // blocks)
        return self.model.seen_as(from_labels(self.model.holder, self.visible, shown))


def design(dials: Dials) -> Design:
    """Make the model: the same seed gives the same Q0, g, visible kernel, whatever the dials are.

    Q*(e, y, a) = Q0(y, a) + kappa z(e) c(y, a), with z centred and of root mean square 1 over the
    levels, and c of root mean square 1 over pairs. The hidden mode follows its own chain, redrawn
    uniformly with chance 1 - persistence; each (action, successor) has its own geometric duration,
    so that Gam is no product. Without tilt, Q0 is the aggregated solution, and the gap in
    L2(mu), the root mean square of kappa c, depends on neither persistence nor durations.
    """
    q0, c = _values(dials)
    levels = _levels(dials.n_hidden)
    optimal = q0[:, None] + dials.kappa * levels[:, None] * c[:, None]
    optimal = optimal.reshape(-1, dials.n_actions)
    probability, successor = _visible_kernel(dials)
    discount = _discounts(dials, probability)
    mode = np.full((dials.n_hidden,) * 2, (1 - dials.persistence) / dials.n_hidden)
    mode[np.diag_indices(dials.n_hidden)] += dials.persistence
    # Axes: cell, level, action, successor, level of the successor. As the successor comes before
    # its level, one draw finds the same visible path whatever the persistence.
    joint = probability[..., None] * mode[None, :, None, None, :]
    state, action, _, _ = _flat_axes(joint.shape)
    following = successor[:, None, :, :, None] * dials.n_hidden + np.arange(dials.n_hidden)
    mean = _mean_duration(discount, dials.gamma)
    n_states = dials.n_cells * dials.n_hidden
    visible = np.repeat(np.arange(dials.n_cells), dials.n_hidden)
    made = from_entries(
        agents=tuple(f"agent {k}" for k in range(dials.n_agents)),
        holder=visible % dials.n_agents,
        cell=visible,
        reward=np.zeros((n_states, dials.n_actions)),
        state=state,
        action=action,
        successor=np.broadcast_to(following, joint.shape).ravel(),
        probability=joint.ravel(),
        durations=durations.geometric(np.broadcast_to(mean[..., None], joint.shape).ravel()),
        gamma=dials.gamma,
    )
    return Design(
        model=with_optimal(made, optimal),
        optimal=optimal,
        visible=visible,
        hidden=np.tile(np.arange(dials.n_hidden), dials.n_cells),
    )


def with_optimal(model: FiniteICSMDP, optimal: Float[np.ndarray, "state action"]) -> FiniteICSMDP:
    """The same model with the rewards under which `optimal` is its Q*; masked entries are ignored.

    Raises:
        ModelError: if the shape is wrong, a permitted value is not finite, or the model neither
            discounts nor ends, so that Q* would not be the only solution.
    """
    if optimal.shape != model.mask.shape:
        raise ModelError(f"optimal: shape {optimal.shape}, wanted {model.mask.shape}")
    if not np.isfinite(optimal[model.mask]).all():
        raise ModelError("optimal: a permitted value is not finite; give finite numbers")
    if model.contraction >= 1:
        raise ModelError("optimal: the model does not discount; Q* would not be unique")
    best = np.where(model.mask, optimal, -np.inf).max(axis=1)
    carried = model.sum_rows(model.discounted * best[model.successor])
    return replace(model, reward=np.where(model.mask, optimal - carried, 0.0))


def _values(
    dials: Dials,
) -> tuple[Float[np.ndarray, "cell action"], Float[np.ndarray, "cell action"]]:
    """Q0 and c: what is seen of Q*, and how strongly the hidden mode moves each value."""
    rng = generator(dials.seed, 0)
    shape = (dials.n_cells, dials.n_actions)
    best = dials.spread * rng.uniform(-1, 1, size=dials.n_cells)
    behind = dials.margin * rng.uniform(1, 2, size=shape)
    behind[np.arange(dials.n_cells), rng.integers(dials.n_actions, size=dials.n_cells)] = 0.0
    c = rng.uniform(0.5, 1.5, size=shape)
    signs = rng.choice([-1.0, 1.0], size=shape)
    c = c if dials.aligned else c * signs
    return best[:, None] - behind, c / np.sqrt((c**2).mean())


def _levels(count: int) -> Float[np.ndarray, " level"]:
    """Equally spaced numbers with mean 0 and mean square 1; a single level is 0."""
    if count == 1:
        return np.zeros(1)
    z = np.linspace(-1, 1, count)
    scaled: np.ndarray = z / np.sqrt((z**2).mean())
    return scaled


def _visible_kernel(
    dials: Dials,
) -> tuple[
    Float[np.ndarray, "cell level action successor"], Int[np.ndarray, "cell action successor"]
]:
    """Chances of the visible successors, by level where tilted, and who they are."""
    rng = generator(dials.seed, 1)
    successor = scattered(rng, dials.n_cells, dials.n_actions, dials.n_successors)
    weight = rng.uniform(0.5, 1.5, size=successor.shape)[:, None]
    shape = (dials.n_cells, dials.n_hidden, *successor.shape[1:])
    tilted = weight * (1 + dials.tilt * rng.uniform(-1, 1, size=shape))
    return tilted / tilted.sum(axis=-1, keepdims=True), successor


def _discounts(
    dials: Dials, probability: Float[np.ndarray, "cell level action successor"]
) -> Float[np.ndarray, "cell level action successor"]:
    """E[gamma**tau] by successor, by level where tilted; the largest row is the contraction."""
    rng = generator(dials.seed, 2)
    cells, _, *rest = probability.shape
    share = 1 - JITTER * rng.uniform(size=(cells, 1, *rest))
    share = share * (1 - dials.tilt * JITTER * rng.uniform(size=probability.shape))
    row = (probability * share).sum(axis=-1)
    # In the option that discounts least, all successors do; so no duration is below one step.
    share[row == row.max()] = 1.0
    discount: np.ndarray = dials.contraction * share
    return discount


def _mean_duration(
    discount: Float[np.ndarray, "*axes"], gamma: float
) -> Float[np.ndarray, "*axes"]:
    """Mean of the geometric law whose E[gamma**tau] is given, at most gamma; at least 1 step."""
    mean: np.ndarray = gamma * (1 - discount) / (discount * (1 - gamma))
    longer: np.ndarray = np.maximum(mean, 1.0)
    return longer


def _flat_axes(shape: tuple[int, ...]) -> tuple[Int[np.ndarray, " entry"], ...]:
    """State, action, successor and its level of every entry of (cell, level, action, ...)."""
    cell, level, action, following, after = np.unravel_index(np.arange(np.prod(shape)), shape)
    return cell * shape[1] + level, action, following, after
