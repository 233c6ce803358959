"""Interface maps as arrays of cells: what the holder sees, merged, split and compared.

A map gives every state its cell, numbered 0 .. P-1. `FiniteICSMDP.seen_as` puts a model behind
it and refuses one that maps two holders to one cell. A private state is just another field that
its holder sees. Theory, section 1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int

from batonq.base.errors import ModelError
from batonq.smdp.model import FiniteICSMDP


def lossless(model: FiniteICSMDP) -> Int[np.ndarray, " state"]:
    """The map that shows the holder the whole state: one cell a state."""
    return np.arange(model.n_states)


def from_labels(
    holder: Int[np.ndarray, " state"], *fields: Int[np.ndarray, " state"]
) -> Int[np.ndarray, " state"]:
    """The map that shows the holder some whole-numbered fields of the state.

    Cells are numbered in the order of (holder, first field, second field, ...).

    Raises:
        ModelError: if a field has not one number a state.
    """
    for k, field in enumerate(fields):
        if field.shape != holder.shape:
            raise ModelError(
                f"interface: field {k} has shape {field.shape}, wanted {holder.shape}: "
                "one number a state"
            )
    return _numbered(np.stack([holder, *fields], axis=1))


def compose(
    cell: Int[np.ndarray, " state"], outer: Int[np.ndarray, " cell"]
) -> Int[np.ndarray, " state"]:
    """The map `outer` of cells after the map `cell` of states.

    Raises:
        ModelError: if `outer` has not one number a cell.
    """
    if len(outer) != cell.max() + 1:
        raise ModelError(
            f"interface: a map of {len(outer)} cells after one with {int(cell.max()) + 1}; "
            "give one number a cell"
        )
    composed: np.ndarray = outer[cell]
    return composed


def coarsen(
    cell: Int[np.ndarray, " state"], groups: Iterable[Iterable[int]]
) -> Int[np.ndarray, " state"]:
    """Merge the cells of each group into one; the others stay, all renumbered without gaps.

    Raises:
        ModelError: if a group names no cell, or a cell is in two groups.
    """
    n_cells = int(cell.max()) + 1
    outer = np.arange(n_cells)
    seen: set[int] = set()
    for group in groups:
        members = sorted(set(group))
        for member in members:
            if not 0 <= member < n_cells:
                raise ModelError(
                    f"interface: no cell {member} to merge; cells are 0..{n_cells - 1}"
                )
            if member in seen:
                raise ModelError(f"interface: cell {member} is in two groups; join the groups")
        seen.update(members)
        outer[members] = members[0] if members else outer[members]
    return compose(cell, _numbered(outer[:, None]))


def refine(
    cell: Int[np.ndarray, " state"], field: Int[np.ndarray, " state"]
) -> Int[np.ndarray, " state"]:
    """Reveal a field: split every cell by it. With another map's cells: see what both show.

    Raises:
        ModelError: if `field` has not one number a state.
    """
    return from_labels(cell, field)


def is_refinement(fine: Int[np.ndarray, " state"], coarse: Int[np.ndarray, " state"]) -> bool:
    """Whether `fine` shows all that `coarse` shows: each of its cells lies in one of `coarse`.

    Raises:
        ModelError: if the two maps are of different numbers of states.
    """
    return bool(refine(fine, coarse).max() == fine.max())


def _numbered(rows: Int[np.ndarray, "state field"]) -> Int[np.ndarray, " state"]:
    """Number equal rows 0, 1, ... in lexicographic order."""
    _, number = np.unique(rows, axis=0, return_inverse=True)
    numbered: np.ndarray = number.reshape(len(rows)).astype(np.int64)
    return numbered
