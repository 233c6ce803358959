"""The best policy found of those that see no more than an interface shows: "feasible"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.linalg import spsolve

from batonq.smdp.exact import aggregated, evaluate
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform

STARTS: Final = 8  # random policies the search begins from
LEAST: Final = 1e-9  # gain of a change that counts


def feasible(
    model: FiniteICSMDP, known: Sequence[Int[np.ndarray, " cell"]] = (), seed: int = 0
) -> Int[np.ndarray, " cell"]:
    """The best policy of cells, one action each, that a local search finds.

    To find the best of all is NP-hard, so this is a lower bound of it. The search begins at the
    policy greedy in the aggregated fixed point, at those in `known` and at random ones, and
    changes one cell at a time, the most promising first, until no change is better.

    Args:
        model: the model behind the interface.
        known: policies that it is to be no worse than.
        seed: of the random starts.
    """
    rng = np.random.default_rng(seed)
    starts = [aggregated(model, uniform(model)).policy, *known]
    for _ in range(STARTS):
        chance = np.where(model.cell_mask, rng.random(model.cell_mask.shape), -1.0)
        starts.append(chance.argmax(axis=1))
    return max((_climb(model, start) for start in starts), key=lambda one: one[1])[0]


def _climb(
    model: FiniteICSMDP, policy: Int[np.ndarray, " cell"]
) -> tuple[Int[np.ndarray, " cell"], float]:
    """Change one cell at a time while that helps; returns the policy and its value."""
    value = _worth(model, policy)
    while True:
        for cell, action in _promising(model, policy):
            tried = policy.copy()
            tried[cell] = action
            better = _worth(model, tried)
            if better > value + LEAST:
                policy, value = tried, better
                break
        else:
            return policy, value


def _worth(model: FiniteICSMDP, policy: Int[np.ndarray, " cell"]) -> float:
    return float(model.initial @ evaluate(model, policy[model.cell]).value)


def _promising(
    model: FiniteICSMDP, policy: Int[np.ndarray, " cell"]
) -> Int[np.ndarray, "change cell_action"]:
    """Changes (cell, action) that gain to first order, the largest gain first.

    The gain is the advantage of the action, weighted by how often, discounted, the policy meets
    each state of the cell.
    """
    taken = policy[model.cell]
    found = evaluate(model, taken)
    rows = np.arange(model.n_states) * model.n_actions + taken
    kernel = sparse.csr_array(
        (model.discounted, model.successor, model.indptr),
        shape=(model.mask.size, model.n_states),
    )[rows]
    met = spsolve((sparse.eye_array(model.n_states) - kernel.T).tocsc(), model.initial)
    gains: Float[np.ndarray, "cell action"] = np.zeros(model.cell_mask.shape)
    advantage = np.where(model.mask, found.q - found.value[:, None], 0.0)
    np.add.at(gains, model.cell, met[:, None] * advantage)
    order = np.argsort(-gains, axis=None, kind="stable")[: int((gains > LEAST).sum())]
    return np.stack(np.unravel_index(order, gains.shape), axis=1)
