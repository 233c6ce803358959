"""Policies as tables of probabilities: the uniform one, the greedy one, the lift, the check."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import ModelError
from batonq.smdp.durations import SLACK
from batonq.smdp.model import FiniteICSMDP


def uniform(model: FiniteICSMDP) -> Float[np.ndarray, "cell action"]:
    """The behaviour that takes every permitted action of a cell with the same probability."""
    table: np.ndarray = model.cell_mask / model.cell_mask.sum(axis=1, keepdims=True)
    return table


def policy_of_cells(
    model: FiniteICSMDP, policy: np.ndarray[Any, np.dtype[Any]]
) -> np.ndarray[Any, np.dtype[Any]]:
    """Lift a policy, or any table, of cells (first axis P) to states (first axis S).

    Raises:
        ModelError: if there is not one row a cell.
    """
    if len(policy) != model.n_cells:
        raise ModelError(f"policy: {len(policy)} rows for {model.n_cells} cells; give one a cell")
    lifted: np.ndarray = policy[model.cell]
    return lifted


def as_table(
    mask: Bool[np.ndarray, "row action"],
    policy: Float[np.ndarray, "row action"] | Int[np.ndarray, " row"],
    row_name: str,
) -> Float[np.ndarray, "row action"]:
    """Return a policy, given as probabilities or as one action a row, as checked probabilities.

    Args:
        mask: permitted actions of each row.
        policy: probabilities, shape (rows, actions), or action numbers, shape (rows,).
        row_name: what a row is, for messages: "state" or "cell".

    Raises:
        ModelError: naming the first row that is no law over its permitted actions.
    """
    if policy.ndim == 1 and np.issubdtype(policy.dtype, np.integer):
        policy = (policy[:, None] == np.arange(mask.shape[1])).astype(np.float64)
    if policy.shape != mask.shape:
        raise ModelError(
            f"policy: shape {policy.shape}, wanted {mask.shape}: one row a {row_name}, "
            "one probability an action"
        )
    permitted = np.where(mask, policy, 0.0)
    good = (policy >= 0).all(axis=1) & (np.abs(permitted.sum(axis=1) - 1) <= SLACK)
    if not good.all():
        row = int(np.argmin(good))
        raise ModelError(
            f"policy: {row_name} {row} gives its permitted actions {policy[row, mask[row]]}; "
            "they must be probabilities that sum to 1, the others 0"
        )
    return permitted
