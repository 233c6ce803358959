"""The finite model of a triage problem: states are (holder, ticket) or (holder, ticket, sender).

A ticket holds the facets measured so far. An agent that gets a ticket without its own facet
measures it (it keeps control, for a geometric number of steps), then decides again: to hand the
ticket to another triage agent, in one step, or to a specialist, which ends the workflow. What it is
worth to end is the chance, given the ticket, that the specialist is the right one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.smdp.durations import Durations, Law
from batonq.smdp.interface import from_labels, lossless
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.tasks.routing.triage.instance import Instance

WHOLE: Final = "whole"
LAST: Final = "last"
OWN: Final = "own"
INTERFACES: Final = (WHOLE, LAST, OWN)  # from fine to coarse


@dataclass(frozen=True, eq=False)
class Triage:
    """A triage problem as a finite model, and what its states stand for.

    Actions 0 .. K-1 lead to the triage agent of that number (its own: measure), the others to
    the specialists. The interface is lossless; `seen` gives the others.

    Attributes:
        instance: the problem.
        model: the model; the first holder is any triage agent, with equal chance.
        ticket: number of each state's ticket.
        sender: who handed the ticket over, -1 for nobody or, in the small model, for anybody.
        digits: of each ticket, per facet 0 if it is not measured, else its value + 1.
    """

    instance: Instance
    model: FiniteICSMDP
    ticket: Int[np.ndarray, " state"]
    sender: Int[np.ndarray, " state"]
    digits: Int[np.ndarray, "ticket facet"]

    def seen(self, interface: str) -> FiniteICSMDP:
        """The model behind an interface: all of the state, own facet and the sender's, or own."""
        return self.model.seen_as(self._cells()[interface])

    def _cells(self) -> Mapping[str, Int[np.ndarray, " state"]]:
        holder = self.model.holder
        own = self.digits[self.ticket, holder]
        shown = np.where(self.sender >= 0, self.digits[self.ticket, self.sender], 0)
        return {
            WHOLE: lossless(self.model),
            LAST: from_labels(holder, own, self.sender, shown),
            OWN: from_labels(holder, own),
        }


def triage(instance: Instance, *, senders: bool = False) -> Triage:
    """Build the model.

    Args:
        instance: the problem.
        senders: whether a state holds who handed the ticket over. Needed for the interface "last";
            nothing depends on it, so that without it every value is the same and the model has
            about K / 2 times fewer states.
    """
    size, shape = instance.size, tuple(count + 1 for count in instance.values)
    digits = np.indices(shape).reshape(size, -1).T
    holder, ticket, sender = _states(digits, senders)
    own = digits[ticket, holder]
    number = np.full((size, len(digits), size + 1), -1)
    number[holder, ticket, sender + 1] = np.arange(len(holder))
    mass = _marginal(instance.prior).ravel()
    parts = _measure(instance, (holder, ticket, sender), own, mass, number)
    parts += _hand(size, (holder, ticket, sender), own, number, senders)
    state, action, successor, probability, mean = (
        np.concatenate([part[k] for part in parts]) for k in range(5)
    )
    mask, reward = _choices(instance, holder, ticket, own, mass)
    waits = mean > 0
    model = from_entries(
        agents=tuple(f"triage {k}" for k in range(size)),
        holder=holder,
        reward=reward,
        mask=mask,
        state=state,
        action=action,
        successor=successor,
        probability=probability,
        durations=Durations(
            law=np.where(waits, Law.GEOMETRIC, Law.FIXED).astype(np.int8),
            parameter=np.where(waits, 1 / np.where(waits, mean, 1.0), 1.0),
            pmf_indptr=np.zeros(1, np.int64),
            pmf_duration=np.zeros(0, np.int64),
            pmf_probability=np.zeros(0),
        ),
        gamma=instance.gamma,
        initial=np.where((ticket == 0) & (sender < 0), 1 / size, 0.0),
    )
    return Triage(instance, model, ticket, sender, digits)


States = tuple[Int[np.ndarray, " state"], Int[np.ndarray, " state"], Int[np.ndarray, " state"]]
Entries = tuple[
    Int[np.ndarray, " entry"],  # state
    Int[np.ndarray, " entry"],  # action
    Int[np.ndarray, " entry"],  # successor
    Float[np.ndarray, " entry"],  # probability
    Float[np.ndarray, " entry"],  # mean duration; 0: exactly one step
]


def _states(digits: Int[np.ndarray, "ticket facet"], senders: bool) -> States:
    """Holder, ticket and sender of every state that can be met."""
    n_tickets, size = digits.shape
    holder, ticket, sender = (
        axis.ravel() - offset
        for axis, offset in zip(np.indices((size, n_tickets, size + 1)), (0, 0, 1), strict=True)
    )
    if not senders:
        kept = sender < 0
        return holder[kept], ticket[kept], sender[kept]
    others = (digits > 0).sum(axis=1)[ticket] - (digits[ticket, holder] > 0)
    sent = (sender >= 0) & (sender != holder) & (digits[ticket, sender] > 0)
    kept = sent | ((sender < 0) & (others == 0))
    return holder[kept], ticket[kept], sender[kept]


def _marginal(joint: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """Sum of a function of the facets over all that agrees with each ticket."""
    for axis in range(joint.ndim):
        joint = np.concatenate([joint.sum(axis=axis, keepdims=True), joint], axis=axis)
    return joint


def _measure(
    instance: Instance,
    states: States,
    own: Int[np.ndarray, " state"],
    mass: Float[np.ndarray, " ticket"],
    number: Int[np.ndarray, "holder ticket sender"],
) -> list[Entries]:
    """A holder without its own facet finds each value with its chance given the ticket."""
    holder, ticket, sender = states
    shape = tuple(count + 1 for count in instance.values)
    stride = np.array([int(np.prod(shape[k + 1 :])) for k in range(instance.size)])
    parts = []
    for facet, mean in enumerate(instance.means):
        state = np.flatnonzero((holder == facet) & (own == 0))
        for value in range(len(mean)):
            found = ticket[state] + stride[facet] * (value + 1)
            parts.append(
                (
                    state,
                    np.full(len(state), facet),
                    number[facet, found, sender[state] + 1],
                    mass[found] / mass[ticket[state]],
                    np.full(len(state), float(mean[value])),
                )
            )
    return parts


def _hand(
    size: int,
    states: States,
    own: Int[np.ndarray, " state"],
    number: Int[np.ndarray, "holder ticket sender"],
    senders: bool,
) -> list[Entries]:
    """A holder with its own facet on the ticket may hand it to any other triage agent."""
    holder, ticket, _ = states
    parts = []
    for receiver in range(size):
        state = np.flatnonzero((holder != receiver) & (own > 0))
        sign = holder[state] + 1 if senders else np.zeros(len(state), np.int64)
        after = number[receiver, ticket[state], sign]
        ones = np.ones(len(state))
        parts.append((state, np.full(len(state), receiver), after, ones, np.zeros(len(state))))
    return parts


def _choices(
    instance: Instance,
    holder: Int[np.ndarray, " state"],
    ticket: Int[np.ndarray, " state"],
    own: Int[np.ndarray, " state"],
    mass: Float[np.ndarray, " ticket"],
) -> tuple[Bool[np.ndarray, "state action"], Float[np.ndarray, "state action"]]:
    """Permitted actions, and the chance that each specialist is the right one."""
    size, n_actions = instance.size, instance.size + instance.n_specialists
    mine = np.arange(n_actions) == holder[:, None]
    mask = np.where((own == 0)[:, None], mine, ~mine)
    reward = np.zeros(mask.shape)
    for k in range(instance.n_specialists):
        right = _marginal(np.where(instance.specialist == k, instance.prior, 0.0)).ravel()
        reward[:, size + k] = np.minimum(right / mass, 1.0)[ticket]
    reward[~mask] = 0.0
    return mask, reward
