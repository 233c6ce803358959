"""The events to come, as a binary heap over preallocated arrays."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import compiled


@compiled
def push(
    times: Float[np.ndarray, " place"],
    items: Int[np.ndarray, " place"],
    size: int,
    time: float,
    item: int,
) -> int:
    """Add an event; returns the new size. There must be room for it."""
    place = size
    while place > 0:
        parent = (place - 1) >> 1
        if times[parent] <= time:
            break
        times[place] = times[parent]
        items[place] = items[parent]
        place = parent
    times[place] = time
    items[place] = item
    return size + 1


@compiled
def pop(times: Float[np.ndarray, " place"], items: Int[np.ndarray, " place"], size: int) -> int:
    """Remove the first event, `items[0]` at `times[0]`; returns the new size."""
    size -= 1
    time, item = times[size], items[size]
    place = 0
    child = 1
    while child < size:
        # Which child is less is a coin toss: added, not branched on, it costs no misprediction.
        child += int((child + 1 < size) & (times[child + 1] < times[child]))
        if times[child] >= time:
            break
        times[place] = times[child]
        items[place] = items[child]
        place = child
        child = 2 * place + 1
    times[place] = time
    items[place] = item
    return size
