"""Peers that promise too much: how often, and how soon, the sequential test flags them.

Each run is a peer that hands in quotes, rounded to 8 bits as on the wire, and what came of them,
300 of each unless a row says otherwise. It goes through the ledger that a node keeps
(`node.promises`) with its default terms. `flagged` is the share of runs in which the peer was
flagged, with its exact 95 % interval; `median_at` the handoff at which, over the runs flagged.
Returns lie in [0, 1], the declared range unless a row says otherwise.

Learning peers are honest: they quote the largest value of their table, which they learn by IC-Q
from what comes of their own epsilon-greedy actions (epsilon .1, three actions whose means differ by
up to .3). "costs" means returns in [-1, 0], and so a first quote of 0 that nothing can keep.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from batonq.base.seeds import generator
from batonq.icq import clocks
from batonq.icq.clocks import Clock
from batonq.node.peers import trust
from batonq.node.peers.promises import Ledger, Terms, quoted, realised
from batonq.node.values import TableValues
from batonq.wire.scalar import Scalar, clamp, decode, encode
from benchmarks._hidden import share

RUNS: Final = 200
HANDOFFS: Final = 300
UNIT: Final = Terms(0.0, 1.0)
COSTS: Final = Terms(-1.0, 0.0)
GAMMA: Final = 0.95
EPSILON: Final = 0.1
BEFORE: Final = 2_000  # honest handoffs of a peer that then turns
AFTER: Final = 1_000  # handoffs after that, at most

Pairs = tuple[np.ndarray, np.ndarray]  # quotes and what came of them
Source = Callable[[int, np.random.Generator], Pairs]


@dataclass(frozen=True)
class Peer:
    """Kind of peer, what it hands in, and what it is held to."""

    peer: str
    returns: str
    source: Source
    terms: Terms = UNIT
    handoffs: int = HANDOFFS


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each kind of peer."""
    runs = 20 if quick else RUNS
    peers = [*_steady(), *_faint(), *_wide(), *_other_orders(), *_learning()]
    rows = [_row(one, runs) for one in peers]
    rows += [_turns(kind, runs, 300 if quick else BEFORE) for kind in ("bernoulli .7", "beta .7")]
    rows.append(_evades(runs, 300 if quick else BEFORE))
    return rows


def _bernoulli(mean: float, count: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(count) < mean).astype(float)


def _beta(sd: float, mean: float, count: int, rng: np.random.Generator) -> np.ndarray:
    size = mean * (1 - mean) / sd**2 - 1
    return rng.beta(mean * size, (1 - mean) * size, count)


RETURNS: Final[dict[str, tuple[float, Callable[..., np.ndarray]]]] = {
    "bernoulli .7": (0.7, _bernoulli),
    "beta .7, sd .3": (0.7, partial(_beta, 0.3)),
    "beta .5, sd .3": (0.5, partial(_beta, 0.3)),
    "beta .7": (0.7, partial(_beta, 0.3)),
    "beta .5, sd .1": (0.5, partial(_beta, 0.1)),
    "bernoulli .5": (0.5, _bernoulli),
    "bernoulli .3": (0.3, _bernoulli),
    "beta .3, sd .3": (0.3, partial(_beta, 0.3)),
    "beta .3, sd .1": (0.3, partial(_beta, 0.1)),
    "beta .15, sd .1": (0.15, partial(_beta, 0.1)),
    "beta .05, sd .02": (0.05, partial(_beta, 0.02)),
}


def _constant(kind: str, factor: float, count: int, rng: np.random.Generator) -> Pairs:
    """Every artifact is worth the same, and the peer knows how much."""
    mean, draw = RETURNS[kind]
    return np.full(count, factor * mean), draw(mean, count, rng)


def _varying(factor: float, count: int, rng: np.random.Generator) -> Pairs:
    """Artifacts are worth .5 to .8, and the peer knows each."""
    worth = rng.uniform(0.5, 0.8, count)
    return factor * worth, (rng.random(count) < worth).astype(float)


def _at_random(count: int, rng: np.random.Generator) -> Pairs:
    """Half of the quotes are inflated by 40 %, at random: 20 % on average."""
    quotes = 0.7 * np.where(rng.random(count) < 0.5, 1.4, 1.0)
    return quotes, _bernoulli(0.7, count, rng)


def _steady() -> list[Peer]:
    """What the issue asks for, and what lies around it."""
    kinds = ["bernoulli .7", "beta .7, sd .3", "beta .5, sd .3"]
    named = {1.0: "honest", 1.05: "+5 %", 1.1: "+10 %", 1.2: "+20 %", 1.4: "+40 %", 0.8: "-20 %"}
    steady = [
        Peer(name, kind, partial(_constant, kind, factor))
        for kind in kinds
        for factor, name in named.items()
    ]
    varied = [
        Peer(named[factor], "bernoulli of .5 to .8", partial(_varying, factor))
        for factor in (1.0, 1.2)
    ]
    return [*steady, *varied, Peer("+40 % on half", "bernoulli .7", _at_random)]


def _faint() -> list[Peer]:
    """+20 % of less, or in more noise."""
    kinds = [
        "beta .5, sd .1",
        "bernoulli .5",
        "beta .3, sd .1",
        "beta .3, sd .3",
        "bernoulli .3",
        "beta .15, sd .1",
        "beta .05, sd .02",
    ]
    return [Peer("+20 %", kind, partial(_constant, kind, 1.2)) for kind in kinds]


def _wide() -> list[Peer]:
    """+20 % of the same returns, in a range declared wider than they use."""
    return [
        Peer(
            "+20 %",
            f"{kind}, declared {low:g} .. {high:g}",
            partial(_constant, kind, 1.2),
            Terms(low, high),
        )
        for kind in ("bernoulli .7", "beta .7, sd .3")
        for low, high in ((0.0, 2.0), (0.0, 5.0), (-20.0, 20.0))
    ]


def _other_orders() -> list[Peer]:
    """More handoffs, where 300 are too few."""
    return [
        Peer("+20 %, 1,500 handoffs", kind, partial(_constant, kind, 1.2), handoffs=1_500)
        for kind in ("bernoulli .5", "beta .3, sd .3", "bernoulli .3")
    ]


def _learning() -> list[Peer]:
    named = {"default steps": clocks.rescaled_linear(GAMMA), "sample means": clocks.sample_mean()}
    return [
        Peer(
            f"honest, learning{', after 2,000 of its own' if before else ''}",
            f"{cells} cells, {'costs' if terms is COSTS else 'gains'}, {name}",
            partial(_learner, cells, terms, clock, before),
            terms,
        )
        for name, clock in named.items()
        for cells in (4, 8, 20)
        for terms in (UNIT, COSTS)
        for before in ((0, 2_000) if cells == 20 else (0,))
    ]


def _learner(
    cells: int, terms: Terms, clock: Clock, before: int, count: int, rng: np.random.Generator
) -> Pairs:
    means = 0.7 - 0.3 * rng.random((cells, 3))
    means[:, 0] = 0.7
    table, actions = TableValues(clock), ("a", "b", "c")
    quotes, came = np.empty(before + count), np.empty(before + count)
    for k in range(before + count):
        cell = int(rng.integers(cells))
        values = table.at(f"{cell}", actions)
        quotes[k] = max(values)
        best = [n for n, value in enumerate(values) if value == quotes[k]]
        chosen = int(rng.integers(3)) if rng.random() < EPSILON else int(rng.choice(best))
        came[k] = terms.low + (rng.random() < means[cell, chosen])
        table.learn(f"{cell}", actions[chosen], float(came[k]))
    return quotes[before:], came[before:]


def _on_the_wire(quote: float, terms: Terms) -> float:
    scalar = Scalar(min(terms.low, 0.0), max(terms.high, 0.0))
    return decode(scalar, encode(scalar, clamp(scalar, quote)[0], 0.0))


def _keep(terms: Terms, ledger: Ledger, quote: float, came: float) -> Ledger:
    name = f"h{ledger.kept}"
    ledger = quoted(terms, ledger, name, _on_the_wire(float(quote), terms))
    return realised(terms, ledger, name, float(came))


def _flagged(terms: Terms, ledger: Ledger) -> bool:
    return trust.standing(terms, ledger) in (trust.FLAGGED, trust.QUARANTINED)


def _row(peer: Peer, runs: int) -> dict[str, Any]:
    at, under, quarantined, excess = [], [], [], []
    for seed in range(runs):
        quotes, came = peer.source(peer.handoffs, generator(seed))
        ledger, found = Ledger(), math.inf
        for k, (quote, value) in enumerate(zip(quotes, came, strict=True), 1):
            ledger = _keep(peer.terms, ledger, quote, value)
            if found == math.inf and _flagged(peer.terms, ledger):
                found = k
        at.append(found)
        under.append(trust.underquotes(peer.terms, ledger))
        quarantined.append(trust.standing(peer.terms, ledger) == trust.QUARANTINED)
        excess.append(float((quotes - came).mean()))
    hit = np.isfinite(at)
    return {
        "peer": peer.peer,
        "returns": peer.returns,
        "runs": runs,
        **share("flagged", hit),
        "median_at": float(np.median(np.array(at)[hit])) if hit.any() else None,
        "quarantined": float(np.mean(quarantined)),
        "underquotes": float(np.mean(under)),
        "mean_excess": float(np.mean(excess)),
    }


def _turns(kind: str, runs: int, before: int) -> dict[str, Any]:
    """Honest for long, then +20 %: the delay from there, and false alarms until there."""
    mean, draw = RETURNS[kind]
    early, delay = [], []
    for seed in range(runs):
        rng, ledger = generator(seed), Ledger()
        for value in draw(mean, before, rng):
            ledger = _keep(UNIT, ledger, mean, value)
        early.append(_flagged(UNIT, ledger))
        if early[-1]:
            continue
        for value in draw(mean, AFTER, rng):
            ledger = _keep(UNIT, ledger, 1.2 * mean, value)
            if _flagged(UNIT, ledger):
                break
        delay.append(ledger.kept - before)
    return {
        "peer": f"+20 % after {before} honest",
        "returns": kind,
        "runs": runs,
        **share("flagged_early", np.array(early)),
        "median_delay": float(np.median(delay)),
        "delay_95_percent": float(np.quantile(delay, 0.95)),
    }


def _evades(runs: int, count: int) -> dict[str, Any]:
    """It knows the test's wealth, and inflates by 20 % only while that is far from a flag."""
    excess, flags = [], []
    for seed in range(runs):
        rng, ledger = generator(seed), Ledger()
        total = 0.0
        for value in _bernoulli(0.7, count, rng):
            safe = ledger.over.now < math.log(1 / UNIT.alpha) - 1.5
            safe &= ledger.over.now_restarted < math.log(UNIT.run_length) - 1.5
            quote = 0.84 if safe else 0.6
            total += quote - 0.7
            ledger = _keep(UNIT, ledger, quote, value)
        excess.append(total / count)
        flags.append(_flagged(UNIT, ledger))
    return {
        "peer": f"evades, {count} handoffs",
        "returns": "bernoulli .7",
        "runs": runs,
        **share("flagged", np.array(flags)),
        "mean_excess": float(np.mean(excess)),
    }
