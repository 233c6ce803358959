"""The demo's world: a support desk of four agents, none of whom sees what a request really needs.

A customer writes. What she *needs* is an answer from the handbook ("howto"), a repair of the code
("bug"), or a repair that has to follow the handbook ("upgrade"). Nobody at the desk sees that.

- **intake** reads the wording. It may ask the customer back, or hand the request to search or code.
- **search** looks for a page of the handbook, which answers the request, only hints at the code, or
  is not there. It may look again, draft an answer for review, or hand the request to code.
- **code** sees the latest note: the wording, or what search has found. It writes a patch for
  review, or hands the request to search.
- **review** reads a draft, an answer or a patch, which looks sound or odd. It may publish it, or
  hand the request back to search or to code.

Publishing closes the request: `RIGHT` if the draft does what the customer needs, `WRONG` if not.
Every option costs something and takes minutes, and during each but publishing the customer may
give up, which is worth nothing. All chances are in `outcomes`: the demo draws from it, and the
finite model is built from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

GAMMA: Final = 0.99  # discount per minute
RIGHT: Final = 1.0
WRONG: Final = -0.2
LEAVES: Final = 0.01  # chance that the customer gives up during an option
END: Final = "end"


class Need(NamedTuple):
    """A kind of request: how often it comes, how it reads, and what comes of work on it."""

    share: float
    wording: Mapping[str, float]  # chance of each way to put it
    page: Mapping[str, float]  # chance of what a look in the handbook finds
    patch: float  # chance that a patch without a page is right
    patch_with_page: float


NEEDS: Final[Mapping[str, Need]] = MappingProxyType(
    {
        "howto": Need(
            share=0.4,
            wording={"how": 0.75, "error": 0.05, "vague": 0.2},
            page={"answers": 0.95, "none": 0.05},
            patch=0.0,
            patch_with_page=0.0,
        ),
        "bug": Need(
            share=0.35,
            wording={"how": 0.05, "error": 0.75, "vague": 0.2},
            page={"none": 1.0},
            patch=0.95,
            patch_with_page=0.95,
        ),
        "upgrade": Need(
            share=0.25,
            wording={"how": 0.05, "error": 0.15, "vague": 0.8},
            page={"hints": 0.95, "none": 0.05},
            patch=0.1,
            patch_with_page=0.95,
        ),
    }
)
SHOWS: Final = 0.98  # chance that a draft looks what it is: sound if right, odd if not

# What each agent can do, and who holds the request after it.
ACTIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "intake": {"ask": "intake", "to search": "search", "to code": "code"},
        "search": {"look": "search", "draft": "review", "to code": "code"},
        "code": {"patch": "review", "to search": "search"},
        "review": {"publish": END, "to search": "search", "to code": "code"},
    }
)
AGENTS: Final = tuple(ACTIONS)
# What each agent is shown of a ticket: its interface.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"intake": ("note",), "search": ("note",), "code": ("note",), "review": ("draft", "looks")}
)
# What work costs and the minutes it may take, each as likely. Handing on is HANDING, one minute.
WORK: Final[Mapping[str, tuple[float, tuple[int, ...]]]] = MappingProxyType(
    {
        "ask": (0.02, (1, 3)),
        "look": (0.04, (2, 4)),
        "draft": (0.02, (2,)),
        "patch": (0.08, (4, 6, 10)),
    }
)
HANDING: Final = 0.01


@dataclass(frozen=True)
class Ticket:
    """A request on its way. `need` and `right` are hidden from all agents.

    Attributes:
        holder: the agent that decides next.
        need: what would help the customer.
        note: the latest on the ticket. Of intake how it reads, "how", "error" or "vague", or what
            the customer answered: the need itself. Of search "answers", "hints" or "none", the
            page it found; "new" before. "returned" by review.
        draft: what review reads: "none", "answer" or "patch".
        looks: of the draft: "none", "sound" or "odd".
        right: whether the draft is what the customer needs.
    """

    holder: str
    need: str
    note: str = "none"
    draft: str = "none"
    looks: str = "none"
    right: bool = False

    def seen(self) -> dict[str, str]:
        """What the holder is shown."""
        return {name: getattr(self, name) for name in FIELDS[self.holder]}


@dataclass(frozen=True)
class Outcome:
    """One way in which an option can end.

    Attributes:
        chance: its probability, above 0.
        after: the ticket then; None when the request is closed.
        reward: gathered by it, between `WRONG` and `RIGHT`.
        minutes: how long the option took, at least 1.
        right: whether it closed the request with what the customer needs.
    """

    chance: float
    after: Ticket | None
    reward: float
    minutes: int
    right: bool = False


def fixed_route(agent: str, seen: Mapping[str, str]) -> str:
    """What the desk did before it learnt: look the page up, draft an answer, publish it."""
    if agent == "search":
        return "look" if seen["note"] == "new" else "draft"
    return {"intake": "to search", "code": "patch", "review": "publish"}[agent]


def arrivals() -> tuple[tuple[float, Ticket], ...]:
    """The requests that come in, each with its chance; these sum to 1."""
    return tuple(
        (need.share * chance, Ticket("intake", name, wording))
        for name, need in NEEDS.items()
        for wording, chance in need.wording.items()
    )


def outcomes(ticket: Ticket, action: str) -> tuple[Outcome, ...]:
    """All ways in which the holder's option can end; their chances sum to 1.

    Raises:
        KeyError: for an action that the holder does not have.
    """
    if ACTIONS[ticket.holder][action] == END:
        return (Outcome(1.0, None, RIGHT if ticket.right else WRONG, 1, ticket.right),)
    cost, minutes = WORK.get(action, (HANDING, (1,)))
    return tuple(
        Outcome(chance * share / len(minutes), following, -cost, lasted)
        for chance, after in _ways(ticket, action)
        for lasted in minutes
        for share, following in ((1 - LEAVES, after), (LEAVES, None))
    )


def drawn(ticket: Ticket, action: str, rng: np.random.Generator) -> Outcome:
    """One of the ways in which the holder's option can end, by its chance."""
    ways = outcomes(ticket, action)
    return ways[int(rng.choice(len(ways), p=[way.chance for way in ways]))]


def arriving(rng: np.random.Generator) -> Ticket:
    """One of the requests that come in, by its chance."""
    requests = arrivals()
    return requests[int(rng.choice(len(requests), p=[chance for chance, _ in requests]))][1]


def _ways(ticket: Ticket, action: str) -> Iterator[tuple[float, Ticket]]:
    """What the ticket can become while the customer stays, each with its chance."""
    need, note = NEEDS[ticket.need], ticket.note
    match ticket.holder, action:
        case "intake", "ask":
            yield 1.0, replace(ticket, note=ticket.need)
        case "search", "look":
            for page, chance in need.page.items():
                yield chance, replace(ticket, note=page)
        case "search", "draft":
            right = float(ticket.need == "howto" and note == "answers")
            yield from _drafted(ticket.need, "answer", right)
        case "code", "patch":
            right = need.patch_with_page if note == "hints" else need.patch
            yield from _drafted(ticket.need, "patch", right)
        case _, "to search":
            yield 1.0, Ticket("search", ticket.need, "new")
        case holder, _:
            yield 1.0, Ticket("code", ticket.need, "returned" if holder == "review" else note)


def _drafted(need: str, draft: str, right: float) -> Iterator[tuple[float, Ticket]]:
    """What review gets, of a draft that is right by this chance."""
    for works, chance in ((True, right), (False, 1 - right)):
        for shows, share in ((True, SHOWS), (False, 1 - SHOWS)):
            if chance * share > 0:
                looks = "sound" if works == shows else "odd"
                yield chance * share, Ticket("review", need, "none", draft, looks, works)
