"""The peers: what others do with several models, each with its choices made in training only.

All orders of the calls are tried, and these grow as a factorial: made for pools of up to six calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batonq.tasks.maths.peers.agreement import fit_agreement
from batonq.tasks.maths.peers.bandit import fit_bandit
from batonq.tasks.maths.peers.cascade import fit_cascade
from batonq.tasks.maths.peers.oracle import fit_oracle
from batonq.tasks.maths.peers.outcome import Chooser, Fit, Outcome, Peer, Questions, held_out
from batonq.tasks.maths.peers.text_router import fit_text_router
from batonq.tasks.maths.peers.votes import (
    fit_best_single,
    fit_fixed,
    fit_majority,
    fit_weighted_vote,
)

PEERS: Final[Mapping[str, Fit]] = {
    "oracle": fit_oracle,
    "best_single": fit_best_single,
    "majority": fit_majority,
    "weighted_vote": fit_weighted_vote,
    "agreement": fit_agreement,
    "cascade": fit_cascade,
    "fixed": fit_fixed,
    "bandit": fit_bandit,
    "text_router": fit_text_router,
}
"""Each by its name in the rows: ``PEERS[name](board, train)(price).play(board, questions)``."""

__all__ = ["PEERS", "Chooser", "Fit", "Outcome", "Peer", "Questions", "held_out"]
