"""The learning curve: sums over windows of event numbers, which double when there are too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batonq.base.files import Json
from batonq.node.event import Event
from batonq.node.overview.view import Point

BINS: Final = 96  # windows at most
FIRST_WIDTH: Final = 8  # event numbers in a window of a young store


@dataclass
class Bin:
    """Sums over a window of event numbers."""

    decisions: int = 0
    explored: int = 0
    outcomes: int = 0
    reward: float = 0.0
    ends: int = 0
    learnt: int = 0
    error: float = 0.0
    last_at: float = 0.0

    def add(self, other: Bin) -> None:
        """Take over the sums of the window after this one."""
        for name, value in vars(other).items():
            if name != "last_at":
                setattr(self, name, getattr(self, name) + value)
        self.last_at = max(self.last_at, other.last_at)


class Curve:
    """Windows of `width` event numbers each, from number 1.

    Attributes:
        width: event numbers in a window.
        bins: their sums, oldest first.
    """

    def __init__(self) -> None:
        self.width = FIRST_WIDTH
        self.bins: list[Bin] = []

    def at(self, event: Event) -> Bin:
        """The window of an event; all are doubled if it lies beyond the last that there may be."""
        while (event.seq - 1) // self.width >= BINS:
            self.width *= 2
            odd = self.bins[1::2]
            self.bins = self.bins[::2]
            for one, other in zip(self.bins, odd, strict=False):
                one.add(other)
        place = (event.seq - 1) // self.width
        while len(self.bins) <= place:
            self.bins.append(Bin())
        self.bins[place].last_at = max(self.bins[place].last_at, event.at)
        return self.bins[place]

    def points(self, last: int) -> tuple[Point, ...]:
        """The curve up to event `last`, without windows in which nothing happened."""
        return tuple(
            Point(
                last_event=min((k + 1) * self.width, last),
                last_at=one.last_at,
                decisions=one.decisions,
                outcomes=one.outcomes,
                reward=one.reward / one.outcomes if one.outcomes else None,
                per_workflow=one.reward / one.ends if one.ends else None,
                error=one.error / one.learnt if one.learnt else None,
                explored=one.explored / one.decisions if one.decisions else None,
            )
            for k, one in enumerate(self.bins)
            if one.decisions or one.outcomes or one.learnt
        )

    def to_json(self) -> Json:
        """All sums."""
        return [self.width, [list(vars(one).values()) for one in self.bins]]

    def load(self, state: Json) -> None:
        """Take over what `to_json` gave."""
        self.width = state[0]
        self.bins = [Bin(*one) for one in state[1]]
