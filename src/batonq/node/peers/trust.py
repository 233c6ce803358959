"""Trust: how a peer stands after what it promised, and how far to go by its next quote."""

from __future__ import annotations

import math
from typing import Final

from batonq.base.files import Json
from batonq.node.peers.promises import Ledger, Sample, Terms

NEW: Final = "new"  # fewer handoffs than the burn-in: not tested yet
TRUSTED: Final = "trusted"  # tested, nothing found
FLAGGED: Final = "flagged"  # promised too much, at the level of the test
QUARANTINED: Final = "quarantined"  # and by so much that its quotes should not be used


def standing(terms: Terms, ledger: Ledger) -> str:
    """`NEW`, `TRUSTED`, `FLAGGED` or `QUARANTINED`.

    A flag stays until the peer is released. Quarantine also asks for a recent mean excess above
    `terms.harm` of the range, so that it ends by itself when the excess does.
    """
    if ledger.over.shows(terms.alpha) or ledger.over.shows_change(terms.run_length):
        harmful = ledger.excess.mean > terms.harm * terms.span
        return QUARANTINED if harmful else FLAGGED
    return TRUSTED if ledger.over.count else NEW


def underquotes(terms: Terms, ledger: Ledger) -> bool:
    """Does the peer promise too little, by the same test at the same level of its own?"""
    return ledger.under.shows(terms.alpha) or ledger.under.shows_change(terms.run_length)


def weight(terms: Terms, ledger: Ledger, own: Sample) -> float:
    """How much a quote counts beside this node's own mean, in [0, 1]. An estimate, no guarantee.

    noise / (noise + bias^2): the weight with the least mean squared error if the quote is wrong by
    the peer's bias and the own mean by its noise. The bias is the mean excess, either way, less
    one standard error, so that an honest peer's weight stays near 1.

    Args:
        terms: what the peer is held to.
        ledger: what it promised so far.
        own: what came of handoffs like this one, by information state and action, or of all to
            this peer.
    """
    if not own.count or not ledger.excess.count:
        return 1.0
    noise = own.noise(terms.span)
    bias = abs(ledger.excess.mean) - math.sqrt(ledger.excess.noise(terms.span))
    return noise / (noise + bias * bias) if bias > 0 else 1.0


def shrink(quote: float, own: float, share: float) -> float:
    """A quote moved towards this node's own estimate: share * quote + (1 - share) * own."""
    return own + share * (quote - own)


def evidence(terms: Terms, ledger: Ledger) -> dict[str, Json]:
    """The ledger in figures, for events, pages and logs.

    `p` is the smallest level at which the test would have flagged it (anytime valid); `excess` is
    the recent mean of quote less outcome with its standard error.
    """
    return {
        "standing": standing(terms, ledger),
        "underquotes": underquotes(terms, ledger),
        "kept": ledger.kept,
        "tested": ledger.over.count,
        "waiting": len(ledger.waiting),
        "unobserved": ledger.unobserved,
        "late": ledger.late,
        "repeated": ledger.repeated,
        "outside": ledger.outside,
        "excess": ledger.excess.mean,
        "excess_se": math.sqrt(ledger.excess.noise(terms.span)) if ledger.excess.count else None,
        "realised": ledger.realised.mean if ledger.realised.count else None,
        "p": math.exp(-ledger.over.peak),
        "p_under": math.exp(-ledger.under.peak),
        "changed": ledger.over.shows_change(terms.run_length),
    }
