"""FiniteICSMDP: a finite interface-constrained semi-Markov decision process, in kernel format.

A state is all there is at a decision epoch: the holder of control, the artifact and everyone's
private state. The holder sees only its cell. Theory, section 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import DataError, ModelError
from batonq.base.files import load_arrays, save_arrays
from batonq.smdp.durations import SLACK, Durations, check_durations

SCHEMA: Final = "finite-ic-smdp"
VERSION: Final = 1
ARRAYS: Final = (
    "holder",
    "cell",
    "mask",
    "reward",
    "indptr",
    "successor",
    "probability",
    "initial",
)
DURATION_ARRAYS: Final = ("law", "parameter", "pmf_indptr", "pmf_duration", "pmf_probability")


@dataclass(frozen=True, eq=False)
class FiniteICSMDP:
    """A finite model with S states, A actions at most, and E kernel entries in CSR rows.

    The row of (state s, action a) is number `s * A + a`. A row may sum to less than 1: the
    missing mass is termination with value 0, after which the behaviour chain restarts from
    `initial`. Rewards are those of the option, discounted to its start.

    Attributes:
        agents: names of the N agents.
        holder: agent that holds control in each state, 0 .. N-1.
        cell: what the holder sees, numbered 0 .. P-1; no two holders share a cell.
        mask: actions the holder may take; the same for all states of a cell, at least one.
        reward: expected reward of each permitted option; 0 where not permitted.
        indptr: CSR row pointer, shape (S * A + 1,).
        successor: next state of each entry.
        probability: its probability.
        durations: its duration law.
        gamma: discount per primitive step, in (0, 1].
        initial: law of the first state.
        fields: by name, a whole number a state that the holder may log but does not act on:
            what could be revealed to it next.

    Raises:
        ModelError: on construction, naming the first entry that cannot be right.
    """

    agents: tuple[str, ...]
    holder: Int[np.ndarray, " state"]
    cell: Int[np.ndarray, " state"]
    mask: Bool[np.ndarray, "state action"]
    reward: Float[np.ndarray, "state action"]
    indptr: Int[np.ndarray, " row_plus_one"]
    successor: Int[np.ndarray, " entry"]
    probability: Float[np.ndarray, " entry"]
    durations: Durations
    gamma: float
    initial: Float[np.ndarray, " state"]
    fields: Mapping[str, Int[np.ndarray, " state"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_entries(self)
        check_durations(self.durations, len(self.successor))
        check_cells(self.cell, self.holder, self.mask)

    @property
    def n_agents(self) -> int:
        """Number of agents, N."""
        return len(self.agents)

    @property
    def n_states(self) -> int:
        """Number of states, S."""
        return len(self.holder)

    @property
    def n_actions(self) -> int:
        """Largest number of actions of any agent, A."""
        return int(self.mask.shape[1])

    @cached_property
    def n_cells(self) -> int:
        """Number of cells, P."""
        return int(self.cell.max()) + 1

    @cached_property
    def cell_agent(self) -> Int[np.ndarray, " cell"]:
        """The agent each cell belongs to."""
        agent = np.zeros(self.n_cells, np.int64)
        agent[self.cell] = self.holder
        return agent

    @cached_property
    def cell_mask(self) -> Bool[np.ndarray, "cell action"]:
        """The actions permitted in each cell."""
        mask = np.zeros((self.n_cells, self.n_actions), np.bool_)
        mask[self.cell] = self.mask
        return mask

    @cached_property
    def discounted(self) -> Float[np.ndarray, " entry"]:
        """Gam of each entry: its probability times E[gamma**tau]."""
        weights: np.ndarray = self.probability * self.durations.mean_discount(self.gamma)
        return weights

    @cached_property
    def row_mass(self) -> Float[np.ndarray, "state action"]:
        """Probability that the option does not terminate, per (state, action)."""
        return self.sum_rows(self.probability)

    @cached_property
    def contraction(self) -> float:
        """Beta: the largest E[gamma**tau, no termination] over permitted options, in [0, 1]."""
        return float(self.sum_rows(self.discounted)[self.mask].max())

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell this model, behind its interface, from others."""
        found = sha256(repr((self.agents, self.gamma)).encode())
        for name in ARRAYS:
            found.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        for name in DURATION_ARRAYS:
            found.update(np.ascontiguousarray(getattr(self.durations, name)).tobytes())
        return found.hexdigest()[:16]

    def sum_rows(self, values: Float[np.ndarray, " entry"]) -> Float[np.ndarray, "state action"]:
        """Sum a quantity given per entry over each kernel row."""
        row = np.repeat(np.arange(self.mask.size), np.diff(self.indptr))
        sums: np.ndarray = np.bincount(row, weights=values, minlength=self.mask.size)
        return sums.reshape(self.mask.shape)

    def seen_as(self, cell: Int[np.ndarray, " state"]) -> FiniteICSMDP:
        """The same model behind another interface.

        Raises:
            ModelError: if `cell` maps two holders, or states with unequal masks, to one cell.
        """
        return replace(self, cell=np.ascontiguousarray(cell, dtype=np.int64))

    def save(self, path: str | Path) -> Path:
        """Write the model as npz with a JSON header; `load` reads it back to the same bits.

        Returns its path, which ends in ".npz".

        Raises:
            DataError: if it cannot be written.
        """
        target = Path(path).with_suffix(".npz")
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays |= {name: getattr(self.durations, name) for name in DURATION_ARRAYS}
        arrays |= {f"field/{k}": labels for k, labels in enumerate(self.fields.values())}
        header = {"agents": list(self.agents), "gamma": self.gamma, "fields": list(self.fields)}
        save_arrays(target, SCHEMA, VERSION, header, arrays)
        return target

    @staticmethod
    def load(path: Path) -> FiniteICSMDP:
        """Read a model written by `save`.

        Raises:
            DataError: if the file is missing, damaged, or of another schema.
            ModelError: if what it holds is no valid model.
        """
        header, arrays = load_arrays(Path(path), SCHEMA, VERSION, ARRAYS + DURATION_ARRAYS)
        agents, gamma, fields = (header.get(name) for name in ("agents", "gamma", "fields"))
        if not isinstance(agents, list) or not isinstance(gamma, int | float):
            raise DataError(f"{path}: lacks the agents' names or gamma; restore the file")
        if not all(f"field/{k}" in arrays for k in range(len(fields or ()))):
            raise DataError(f"{path}: lacks one of the fields {fields}; restore the file")
        return FiniteICSMDP(
            agents=tuple(agents),
            gamma=float(gamma),
            durations=Durations(**{name: arrays[name] for name in DURATION_ARRAYS}),
            fields={name: arrays[f"field/{k}"] for k, name in enumerate(fields or ())},
            **{name: arrays[name] for name in ARRAYS},
        )


def from_entries(
    *,
    agents: Sequence[str],
    holder: Int[np.ndarray, " state"],
    reward: Float[np.ndarray, "state action"],
    state: Int[np.ndarray, " entry"],
    action: Int[np.ndarray, " entry"],
    successor: Int[np.ndarray, " entry"],
    probability: Float[np.ndarray, " entry"],
    durations: Durations,
    gamma: float,
    cell: Int[np.ndarray, " state"] | None = None,
    mask: Bool[np.ndarray, "state action"] | None = None,
    initial: Float[np.ndarray, " state"] | None = None,
    fields: Mapping[str, Int[np.ndarray, " state"]] | None = None,
) -> FiniteICSMDP:
    """Build a model from entries (state, action, successor, probability, duration) in any order.

    Without `cell` the interface is lossless (one cell a state), without `mask` every action is
    permitted, without `initial` every state is as likely to be the first.

    Raises:
        ModelError: naming the first entry that cannot be right.
    """
    n_states, n_actions = reward.shape
    lengths = [len(state), len(action), len(successor), len(probability)]
    if len(set(lengths)) > 1:
        raise ModelError(
            "entries: there are {} states, {} actions, {} successors and {} probabilities; "
            "give one of each per entry".format(*lengths)
        )
    for name, values, limit in (("state", state, n_states), ("action", action, n_actions)):
        outside = (values < 0) | (values >= limit)
        if outside.any():
            k = int(np.argmax(outside))
            raise ModelError(f"entry {k}: {name} {int(values[k])} is not in 0..{limit - 1}")
    row = np.asarray(state, np.int64) * n_actions + np.asarray(action, np.int64)
    order = np.argsort(row, kind="stable")
    check_durations(durations, len(row))
    ordered = replace(durations, law=durations.law[order], parameter=durations.parameter[order])
    counts = np.bincount(row, minlength=n_states * n_actions)
    return FiniteICSMDP(
        agents=tuple(agents),
        holder=np.ascontiguousarray(holder, dtype=np.int64),
        cell=np.arange(n_states) if cell is None else np.ascontiguousarray(cell, dtype=np.int64),
        mask=np.ones((n_states, n_actions), np.bool_) if mask is None else mask,
        reward=np.ascontiguousarray(reward, dtype=np.float64),
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        successor=np.asarray(successor, np.int64)[order],
        probability=np.asarray(probability, np.float64)[order],
        durations=ordered,
        gamma=float(gamma),
        initial=np.full(n_states, 1 / n_states) if initial is None else initial,
        fields={} if fields is None else dict(fields),
    )


def check_cells(
    cell: Int[np.ndarray, " state"],
    holder: Int[np.ndarray, " state"],
    mask: Bool[np.ndarray, "state action"],
) -> None:
    """Raise a ModelError if a cell mixes holders or masks, or if a cell number is skipped."""
    if cell.shape != holder.shape:
        raise ModelError(
            f"interface: {len(cell)} cells for {len(holder)} states; give one per state"
        )
    if cell.max() >= len(cell):
        s = int(np.argmax(cell))
        raise ModelError(
            f"interface: state {s} has cell {int(cell[s])} of at most {len(cell)}; "
            "number cells 0, 1, ... without gaps"
        )
    if cell.min() < 0:
        raise ModelError(f"interface: state {int(np.argmin(cell))} has cell {int(cell.min())} < 0")
    first = np.full(int(cell.max()) + 1, -1)
    first[cell[::-1]] = np.arange(len(cell))[::-1]
    if (first < 0).any():
        raise ModelError(
            f"interface: no state has cell {int(np.argmax(first < 0))}; number cells without gaps"
        )
    leader = first[cell]
    for name, clash in (
        ("holders", holder != holder[leader]),
        ("sets of permitted actions", (mask != mask[leader]).any(axis=1)),
    ):
        if clash.any():
            s = int(np.argmax(clash))
            raise ModelError(
                f"interface: cell {int(cell[s])} holds states {int(leader[s])} and {s} "
                f"with different {name}; give them different cells"
            )


def _check_shapes(m: FiniteICSMDP) -> None:
    if not m.agents or len(set(m.agents)) != len(m.agents):
        raise ModelError(f"agents: {list(m.agents)} must be one or more different names")
    if not 0 < m.gamma <= 1:
        raise ModelError(f"gamma: {m.gamma:g} is not in (0, 1]")
    if m.holder.ndim != 1 or not len(m.holder):
        raise ModelError("holder: a model has at least one state")
    if m.mask.ndim != 2:
        raise ModelError(f"mask: has {m.mask.ndim} dimensions; give one row a state")
    n_states, n_actions, n_entries = m.n_states, m.n_actions, m.successor.size
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        "holder": ("integer", (n_states,)),
        "cell": ("integer", (n_states,)),
        "mask": ("bool", (n_states, n_actions)),
        "reward": ("floating", (n_states, n_actions)),
        "indptr": ("integer", (n_states * n_actions + 1,)),
        "successor": ("integer", (n_entries,)),
        "probability": ("floating", (n_entries,)),
        "initial": ("floating", (n_states,)),
    }
    for name, (kind, shape) in wanted.items():
        array = getattr(m, name)
        if array.shape != shape or not np.issubdtype(array.dtype, getattr(np, kind)):
            raise ModelError(
                f"{name}: {array.dtype} of shape {array.shape}, wanted {kind} of shape {shape}"
            )
    for name, labels in m.fields.items():
        if labels.shape != (n_states,) or not np.issubdtype(labels.dtype, np.integer):
            raise ModelError(
                f"field '{name}': {labels.dtype} of shape {labels.shape}, wanted whole numbers of "
                f"shape {(n_states,)}: one a state"
            )
    if m.indptr[0] != 0 or m.indptr[-1] != len(m.successor) or (np.diff(m.indptr) < 0).any():
        raise ModelError(f"indptr: must rise from 0 to the number of entries, {len(m.successor)}")


def _check_entries(m: FiniteICSMDP) -> None:
    if not ((m.holder >= 0) & (m.holder < m.n_agents)).all():
        s = int(np.argmax((m.holder < 0) | (m.holder >= m.n_agents)))
        raise ModelError(f"holder: state {s} is held by agent {int(m.holder[s])} of {m.n_agents}")
    if not m.mask.any(axis=1).all():
        raise ModelError(f"mask: state {int(np.argmin(m.mask.any(axis=1)))} permits no action")
    if not np.isfinite(m.reward).all():
        s, a = np.argwhere(~np.isfinite(m.reward))[0]
        raise ModelError(
            f"reward: (state {s}, action {a}) is {m.reward[s, a]}; give a finite number"
        )
    if not (m.initial >= 0).all():
        s = int(np.argmin(m.initial >= 0))
        raise ModelError(f"initial: state {s} has probability {m.initial[s]:g}; give 0 or more")
    if abs(m.initial.sum() - 1) > SLACK:
        raise ModelError(f"initial: sums to {m.initial.sum():g}; give a law that sums to 1")
    row = np.repeat(np.arange(m.mask.size), np.diff(m.indptr))
    outside = (m.successor < 0) | (m.successor >= m.n_states)
    improper = ~((m.probability >= 0) & (m.probability <= 1 + SLACK))
    checks: tuple[tuple[str, np.ndarray, np.ndarray], ...] = (
        (f"leads to a state outside 0..{m.n_states - 1}", outside, m.successor),
        ("has a probability outside [0, 1]", improper, m.probability),
        ("belongs to an action that is not permitted", ~m.mask.ravel()[row], m.probability),
    )
    for reason, wrong, value in checks:
        if wrong.any():
            k = int(np.argmax(wrong))
            raise ModelError(f"kernel entry {k}, {_place(m, int(row[k]))}: {reason}: {value[k]:g}")
    mass = m.row_mass
    if (mass > 1 + SLACK).any():
        r = int(np.argmax(mass))
        raise ModelError(
            f"kernel row {_place(m, r)} sums to {mass.ravel()[r]:.12g} > 1; "
            "what is missing to 1 is termination"
        )


def _place(m: FiniteICSMDP, row: int) -> str:
    return f"(state {row // m.n_actions}, action {row % m.n_actions})"
