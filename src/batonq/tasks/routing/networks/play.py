"""One network under one rule: traffic flows, links fail, and what came of every packet is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import compiled
from batonq.base.errors import ModelError
from batonq.tasks.routing.networks.demand import Demand
from batonq.tasks.routing.networks.network import Network
from batonq.tasks.routing.networks.rules import Memory, Rule
from batonq.tasks.routing.networks.simulator import advance
from batonq.tasks.routing.networks.world import LINK, PACKET, TALLY, Flow, World, bin_of

IDLE_PACKETS: Final = 1 << 16  # that may be under way where links have no queues
TAIL: Final = 40.0  # mean travels that a packet with an exponential delay stays below


@dataclass(frozen=True)
class Setting:
    """What the world is like.

    Attributes:
        rate: packets born per ms, positive.
        service: service time of a packet on every link in ms; 0 for links without queues.
        room: packets that a link's queue holds.
        jitter: share of a link's delay that is exponentially distributed, in [0, 1].
        most_hops: after which a packet is dropped.
        horizon: ms over which packets are born; the tally divides it evenly.
        bins: of the tally.

    Raises:
        ModelError: naming the first setting that cannot be right.
    """

    rate: float
    horizon: float
    service: float = 0.0
    room: int = 100
    jitter: float = 0.0
    most_hops: int = 255
    bins: int = 20

    def __post_init__(self) -> None:
        for name, positive in (("rate", self.rate), ("horizon", self.horizon)):
            if not 0 < positive < math.inf:
                raise ModelError(f"{name}: {positive:g} is not a positive number")
        if not 0 <= self.service < math.inf:
            raise ModelError(f"service: {self.service:g} ms is negative or not finite")
        if not 0 <= self.jitter <= 1:
            raise ModelError(f"jitter: {self.jitter:g} is not in [0, 1]")
        for name, number in (
            ("room", self.room),
            ("most_hops", self.most_hops),
            ("bins", self.bins),
        ):
            if number < 1:
                raise ModelError(f"{name}: {number} is too small; give at least 1")


class Play:
    """Packets on a network. Same seed, same numbers.

    Attributes:
        now: the time up to which everything has happened, in ms.
        kept: what the routers have learnt.
    """

    def __init__(
        self,
        network: Network,
        demand: Demand,
        setting: Setting,
        rule: Rule,
        kept: Memory,
        rng: np.random.Generator,
    ) -> None:
        self.kept = kept
        self.now = 0.0
        self._network = network
        self._setting = setting
        self._rule = rule
        self._rng = rng
        keep, other = alias_table(demand.share.ravel())
        self._world = World(
            indptr=network.indptr,
            service=setting.service,
            room=setting.room * setting.service,
            jitter=setting.jitter,
            most_hops=setting.most_hops,
            rate=setting.rate,
            keep=keep,
            other=other,
            width=setting.horizon / setting.bins,
        )
        self._flow = _fresh(network, setting)
        self._flow.next_birth[0] = rng.standard_exponential() / setting.rate

    @property
    def tally(self) -> np.ndarray:
        """Per bin of the horizon, by birth: born, delivered, dropped, hops, delay (ms in all)."""
        return self._flow.tally

    @property
    def hops(self) -> int:
        """Hops so far, which are the handoffs."""
        return int(self._flow.sizes[2])

    @property
    def rate(self) -> float:
        """Packets born per ms, as it is now."""
        return self._world.rate

    @property
    def busy(self) -> Float[np.ndarray, " link"]:
        """Time each link has spent sending so far, in ms."""
        return self._flow.links["busy"].copy()

    @property
    def travel(self) -> Float[np.ndarray, " link"]:
        """Mean time on each link as its router has measured it, in ms; 0 where never used."""
        return self._flow.links["travel"].copy()

    def advance(self, until: float) -> None:
        """Let everything happen that happens before `until`, in ms."""
        advance(self._world, self._rule, self.kept, self._flow, until, self._rng)
        self.now = until

    def finish(self) -> None:
        """Let no more packets be born, and those under way arrive or be dropped."""
        self._flow.next_birth[0] = np.inf
        advance(self._world, self._rule, self.kept, self._flow, np.inf, self._rng)

    def change_demand(self, demand: Demand, rate: float) -> None:
        """From now on packets are born by another demand, `rate` of them per ms."""
        keep, other = alias_table(demand.share.ravel())
        self._world = self._world._replace(keep=keep, other=other, rate=rate)

    def cut(self, link: int) -> None:
        """A link fails, both ways: packets on it are lost, those waiting are routed anew.

        They are so in the order of their queue, each as little later as the clock can tell, so
        that no order of events hangs on how the calendar keeps equal times.
        """
        flow, called = self._flow, 0
        for one in (link, int(self._network.back[link])):
            flow.links[one]["up"] = False
            called += self._call_back(one, called)
            unsent = flow.links[one]["free"] - self.now
            if unsent > 0:
                flow.links[one]["busy"] -= unsent
                flow.links[one]["free"] = self.now

    def restore(self, link: int) -> None:
        """A link works again, both ways."""
        for one in (link, int(self._network.back[link])):
            self._flow.links[one]["up"] = True

    def _call_back(self, link: int, called: int) -> int:
        """Take the packets of a failed link from the calendar, and put back those that waited.

        Returns how many that are; `called` have been put back before them.
        """
        flow, size = self._flow, int(self._flow.sizes[1])
        numbers, when = flow.items[:size].copy(), flow.times[:size].copy()
        gone = flow.packets["link"][numbers] == link
        start = flow.packets["start"][numbers]
        waiting = np.flatnonzero(gone & (start > self.now))
        waiting = waiting[np.argsort(start[waiting], kind="stable")]
        when[waiting] = self.now + np.spacing(self.now) * np.arange(called, called + len(waiting))
        flow.packets["link"][numbers[waiting]] = -1
        flow.packets["at"][numbers[waiting]] = self._network.tail[link]
        flow.packets["hops"][numbers[waiting]] -= 1
        gone[waiting] = False
        for number in numbers[gone]:
            place = bin_of(flow.packets[number]["born"], self._world.width, len(flow.tally))
            flow.tally[place]["dropped"] += 1
            flow.unused[flow.sizes[0]] = number
            flow.sizes[0] += 1
        order = np.argsort(when[~gone], kind="stable")  # a sorted array is a heap
        flow.times[: len(order)], flow.items[: len(order)] = (
            when[~gone][order],
            numbers[~gone][order],
        )
        flow.sizes[1] = len(order)
        return len(waiting)


def _fresh(network: Network, setting: Setting) -> Flow:
    """Idle links, no packets."""
    links = np.zeros(network.n_links, LINK)
    links["delay"], links["head"], links["back"] = network.delay, network.head, network.back
    links["up"] = True
    count = IDLE_PACKETS
    if setting.service > 0:
        travelling = network.delay * (1 + TAIL * setting.jitter) / setting.service
        count = int(np.ceil(travelling + setting.room + 2).sum())
    return Flow(
        links=links,
        packets=np.zeros(count, PACKET),
        unused=np.arange(count - 1, -1, -1, dtype=np.int32),
        times=np.zeros(count + 1),
        items=np.zeros(count + 1, np.int32),
        sizes=np.array([count, 0, 0]),
        next_birth=np.zeros(1),
        tally=np.zeros(setting.bins, TALLY),
        length=np.zeros(network.n_routers),
        first=np.zeros(network.n_routers, np.int64),
        scratch_times=np.zeros(network.n_links + 2),
        scratch_items=np.zeros(network.n_links + 2, np.int32),
    )


@compiled
def alias_table(
    law: Float[np.ndarray, " pair"],
) -> tuple[Float[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Walker's alias table (Vose's construction): draws from a law of n outcomes in constant time.

    Outcome k, drawn evenly, stands with chance ``keep[k]`` and is replaced by ``other[k]`` else.
    """
    count = len(law)
    keep = law * count
    other = np.arange(count)
    order = np.empty(count, np.int64)  # small ones from the left, large ones from the right
    small, large = 0, count
    for k in range(count):
        if keep[k] < 1.0:
            order[small] = k
            small += 1
        else:
            large -= 1
            order[large] = k
    while small > 0 and large < count:
        small -= 1
        low, high = order[small], order[large]
        other[low] = high
        keep[high] -= 1.0 - keep[low]
        if keep[high] < 1.0:
            order[small] = high
            small += 1
            large += 1
    while large < count:  # what is left differs from 1 by rounding
        keep[order[large]] = 1.0
        large += 1
    while small > 0:
        small -= 1
        keep[order[small]] = 1.0
    return keep, other
