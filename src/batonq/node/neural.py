"""Neural values over hashed features, a network an action (`icq.neural.NeuralQ`); they compile."""

from __future__ import annotations

from typing import Final
from zlib import crc32

from batonq.base.seeds import generator
from batonq.icq.clocks import Clock
from batonq.icq.neural import STEP, NeuralQ
from batonq.node import seeing
from batonq.node.values import FeatureValues, Parts

NEURONS: Final = 64


def neural_values(clock: Clock = STEP) -> FeatureValues[NeuralQ]:
    """Two-layer networks; the start of each follows from its action's name."""

    def make(action: str) -> NeuralQ:
        return NeuralQ(
            1,
            seeing.WIDTH + 1,
            seeing.vector,
            width=NEURONS,
            constant=False,
            clock=clock,
            rng=generator(0, crc32(action.encode())),
        )

    return FeatureValues(clock, Parts(make, lambda q: q.updates, lambda q: q.networks.weights))
