"""What the event loop works on: links, packets, the calendar, the demand and the tally."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import borrowed, compiled

LINK: Final = np.dtype(
    [
        ("free", np.float64),  # when its queue will be empty, in ms
        ("delay", np.float64),  # propagation delay in ms
        ("busy", np.float64),  # time spent sending so far, in ms
        ("used", np.float64),  # recent utilisation when last used, as its router measures it
        ("used_at", np.float64),
        ("travel", np.float64),  # mean time on the link, as its router measures it
        ("travels", np.int64),
        ("usual", np.float64),  # mean absolute error of answers over it, as its router finds it
        ("news_at", np.float64),  # when the last good news came over it
        ("gain", np.float64),  # and how good it was, in ms
        ("head", np.int32),
        ("back", np.int32),
        ("up", np.bool_),
    ],
    align=True,
)
PACKET: Final = np.dtype(
    [
        ("born", np.float64),
        ("sent", np.float64),  # when the last router chose
        ("start", np.float64),  # when the link began or will begin to send it
        ("told", np.float64),  # dual: the last router's estimate of the way back to the source
        ("source", np.int32),
        ("destination", np.int32),
        ("link", np.int32),  # the last link; -1 if the packet is where it was born or called back
        ("at", np.int32),  # the router it is at, if `link` is -1
        ("hops", np.int32),
    ],
    align=True,
)
TALLY: Final = np.dtype(
    [
        ("born", np.int64),
        ("delivered", np.int64),
        ("dropped", np.int64),
        ("hops", np.int64),  # of those delivered
        ("delay", np.float64),  # of those delivered, in ms in all
    ]
)


class World(NamedTuple):
    """What does not change while packets flow.

    Attributes:
        indptr: links of each router.
        service: service time of a packet in ms; 0 for links that have no queue.
        room: work that a link's queue may hold, in ms; a link with more ahead takes no packet.
        jitter: share of a link's delay that is exponentially distributed, in [0, 1].
        most_hops: after which a packet is dropped.
        rate: packets born per ms.
        keep, other: alias table of the demand, one entry an ordered pair of routers.
        width: length in ms of one bin of the tally.
    """

    indptr: Int[np.ndarray, " router_plus_one"]
    service: float
    room: float
    jitter: float
    most_hops: int
    rate: float
    keep: Float[np.ndarray, " pair"]
    other: Int[np.ndarray, " pair"]
    width: float


class Flow(NamedTuple):
    """What changes: links, packets, the events to come, and room to work in.

    Attributes:
        links: dtype `LINK`.
        packets: dtype `PACKET`.
        unused: numbers of packets not in use, from the bottom of a stack.
        times, items: the calendar: when which packet arrives.
        sizes: number of unused packets, of events, and of hops so far.
        next_birth: when the next packet is born, in ms.
        tally: dtype `TALLY`, by the time of birth.
        length, first, scratch_times, scratch_items: scratch of `replan.first_link`.
    """

    links: np.ndarray
    packets: np.ndarray
    unused: Int[np.ndarray, " packet"]
    times: Float[np.ndarray, " place"]
    items: Int[np.ndarray, " place"]
    sizes: Int[np.ndarray, " 3"]
    next_birth: Float[np.ndarray, " 1"]
    tally: np.ndarray
    length: Float[np.ndarray, " router"]
    first: Int[np.ndarray, " router"]
    scratch_times: Float[np.ndarray, " place"]
    scratch_items: Int[np.ndarray, " place"]


@compiled
def borrowed_world(world: World) -> World:
    """The same world with its arrays `borrowed`, for the time of the caller's own call."""
    return World(
        borrowed(world.indptr),
        world.service,
        world.room,
        world.jitter,
        world.most_hops,
        world.rate,
        borrowed(world.keep),
        borrowed(world.other),
        world.width,
    )


@compiled
def borrowed_flow(flow: Flow) -> Flow:
    """The same flow with its arrays `borrowed`, for the time of the caller's own call."""
    return Flow(
        borrowed(flow.links),
        borrowed(flow.packets),
        borrowed(flow.unused),
        borrowed(flow.times),
        borrowed(flow.items),
        borrowed(flow.sizes),
        borrowed(flow.next_birth),
        borrowed(flow.tally),
        borrowed(flow.length),
        borrowed(flow.first),
        borrowed(flow.scratch_times),
        borrowed(flow.scratch_items),
    )


@compiled
def bin_of(time: float, width: float, bins: int) -> int:
    """The bin of the tally that a packet born at `time` counts in; the last one takes the rest."""
    return min(int(time / width), bins - 1)


@compiled
def takes(links: np.ndarray, link: int, now: float, room: float) -> bool:
    """Whether a link is up and its queue has room for one packet more."""
    return bool(links[link]["up"] and links[link]["free"] - now <= room)


@compiled
def wait(links: np.ndarray, link: int, now: float) -> float:
    """Work ahead of a packet that would join a link's queue now, in ms."""
    return float(max(links[link]["free"] - now, 0.0))
