"""Who learns what: IC-Q and the learners it is compared with, as settings of one loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from batonq.base.errors import ModelError

Sight = Literal["own", "features", "joint"]

RETURN_BLOCK = 4096  # epochs between two Monte Carlo sweeps
NEGLIGIBLE = 1e-3  # discount below which the rest of a return is left out


@dataclass(frozen=True)
class Learner:
    """How a learner differs from IC-Q.

    Attributes:
        name: its one name in code, commands and files.
        sight: "own" is a table per agent over what it sees; "features" one table over the same
            cells; "joint" one table over the joint state, which no agent of IC-Q may see.
        silent: nothing crosses, so quotes between different agents are 0.
        returns: learns from the realised return instead of a quote (Monte Carlo).
        learns: False for the random policy.
        phased: quotes come from tables frozen during a phase.
        neural: values are those of networks, kept in `tables` at every cell.
        late: receivers answer when they have been answered themselves; see `variants`.
    """

    name: str
    sight: Sight = "own"
    silent: bool = False
    returns: bool = False
    learns: bool = True
    phased: bool = False
    neural: bool = False
    late: bool = False


LEARNERS = {
    learner.name: learner
    for learner in (
        Learner("icq"),
        Learner("icq_phased", phased=True),
        Learner("icq_late", late=True),
        Learner("icq_neural", neural=True),
        Learner("icq_neural_phased", phased=True, neural=True),
        Learner("centralised", sight="features"),
        Learner("no_scalar", silent=True),
        Learner("monte_carlo", returns=True),
        Learner("random", learns=False),
    )
}


def learner_named(name: str, sight: str | None = None) -> Learner:
    """Find a learner; `sight` chooses between the two forms of "centralised".

    Raises:
        ModelError: if there is no such learner, or it has no such sight.
    """
    if name not in LEARNERS:
        raise ModelError(f"learner: '{name}' is unknown; choose one of {', '.join(LEARNERS)}")
    learner = LEARNERS[name]
    if sight is None:
        return learner
    if name != "centralised" or sight not in ("features", "joint"):
        raise ModelError(
            f"sight: '{sight}' does not go with learner '{name}'; "
            "only 'centralised' has a choice, of 'features' or 'joint'"
        )
    return Learner("centralised", sight="joint" if sight == "joint" else "features")
