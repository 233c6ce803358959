"""What is run: sizes, instances, handoffs, and how agents act and step while they learn."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from batonq.icq.behaviour import Behaviour, epsilon_greedy
from batonq.icq.clocks import Clock, rescaled_linear

RATIO: Final = 0.995  # of the oracle's value: to be reached by IC-Q, out of reach of a fixed order
SIZES: Final = (3, 4, 5, 6, 7, 8)
QUICK_SIZES: Final = (3, 4, 5)
INSTANCES: Final = 10
QUICK_INSTANCES: Final = 3
HANDOFFS: Final[Mapping[int, int]] = MappingProxyType(  # by size, of every learner
    {3: 500_000, 4: 1_000_000, 5: 2_000_000, 6: 8_000_000, 7: 8_000_000, 8: 16_000_000}
)
POINTS: Final = 10  # at which IC-Q's greedy policy is judged while it learns

BEHAVIOUR: Final[Behaviour] = epsilon_greedy(0.3)
START: Final = 1.0  # optimistic: no value is above 1
# To measure and to hand on keeps .9 of a value or so, and a workflow ends after a few of both.
CLOCK: Final[Clock] = rescaled_linear(0.9)

NARROW_SIZES: Final = (3, 4, 5)  # where the narrow interfaces are learnt behind
GAP_SIZES: Final = (3, 4)
GAP_SEEDS: Final = 4  # at least
TERM_SIZES: Final = (3, 4)
WIDEST: Final = 1000  # pairs of an interface up to which its terms are computed
QUICK_GAP_SIZES: Final = (3,)
TERM_HANDOFFS: Final = 2_000_000  # of the runs that the terms are measured on
DELTA: Final = 0.05  # chance that a certificate fails


def instances(quick: bool) -> int:
    """Number of instances of every size."""
    return QUICK_INSTANCES if quick else INSTANCES


def gap_handoffs(size: int, quick: bool) -> int:
    """Handoffs of the runs that the gap is realised in."""
    return 1_000_000 if quick else {3: 4_000_000, 4: 8_000_000}[size]


def certified(size: int, quick: bool) -> int:
    """Handoffs of a certificate: enough at size 3; at 4, 10^8 left it at .497 of a range of 1."""
    return 100_000_000 if size == 3 and not quick else 20_000_000
