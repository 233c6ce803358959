"""Examination: what the events of a node say about its settings, as findings with remedies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from batonq.base.errors import ModelError
from batonq.bound.sequential import bets_needed
from batonq.node.doctor.symptoms import Spread, Symptoms
from batonq.node.peers import trust
from batonq.node.peers.promises import Ledger, Terms
from batonq.wire.declaration import Declaration

ERROR: Final = "error"
WARNING: Final = "warning"
NOTE: Final = "note"

ENOUGH: Final = 50  # observations below which nothing is concluded
SELDOM: Final = 0.1  # share of the declared range below which it is called too wide
OFTEN: Final = 0.01  # share of quotes at an end of the range above which it is called too narrow
STUCK: Final = 20  # events at one time from which on the clock is suspected
TYPICAL: Final = 1.96  # standard deviations of a 95 % interval
LEVEL: Final = 0.05  # chance that a guaranteed interval fails
INFLATION: Final = 0.2  # by which a quote is inflated that should be found
SOON, LATE = 300, 2_000  # handoffs within which it should be, and from which on that is too late


@dataclass(frozen=True)
class Finding:
    """One thing a node's operator should know.

    Attributes:
        level: "error" (it will not work, or is open), "warning" or "note".
        what: what is so.
        remedy: what to do; "" if nothing.
    """

    level: str
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Need:
    """How many handoffs one pair needs for an interval of half-width h, at 95 %.

    Attributes:
        agent: whose pair.
        y: key of the information state.
        action: the action.
        have: handoffs it has been learnt from.
        sd: standard deviation of its targets; None for fewer than two.
        estimate: (1.96 sd / h)^2: for the mean of its targets, as they are; None without an sd.
        guaranteed: (high - low)^2 log(2 / .05) / (2 h^2) by Hoeffding's inequality, whatever their
            law within the declared range.
    """

    agent: str
    y: str
    action: str
    have: int
    sd: float | None
    estimate: int | None
    guaranteed: int


def needs(seen: Symptoms, declaration: Declaration, half_width: float) -> list[Need]:
    """What each pair needs, those with the most first.

    Raises:
        ModelError: if `half_width` is not positive.
    """
    if not 0 < half_width < math.inf:
        raise ModelError(f"half-width {half_width:g}: give a positive number, in units of reward")
    scalar = declaration.scalar
    sure = math.ceil(
        (scalar.high - scalar.low) ** 2 * math.log(2 / LEVEL) / (2 * half_width * half_width)
    )
    found = [
        Need(
            agent,
            y,
            action,
            spread.count,
            spread.sd if spread.count > 1 else None,
            math.ceil((TYPICAL * spread.sd / half_width) ** 2) if spread.count > 1 else None,
            sure,
        )
        for (agent, y, action), spread in seen.targets.items()
    ]
    return sorted(found, key=lambda one: -(one.estimate or 0))


def planning(seen: Symptoms, declaration: Declaration, half_width: float) -> Iterator[Finding]:
    """How many handoffs per pair an interval takes, agent by agent."""
    table = needs(seen, declaration, half_width)
    if not table:
        yield Finding(NOTE, "nothing was learnt yet: no spread of targets to plan with")
        return
    beta = max(
        (one.mean for one in seen.discounts.values() if one.count >= ENOUGH),
        default=declaration.gamma,
    )
    for agent in dict.fromkeys(one.agent for one in table):
        own = [one for one in table if one.agent == agent]
        known = [one for one in own if one.estimate is not None]
        if not known:
            continue
        worst = known[0]
        short = sum(one.have < (one.estimate or 0) for one in own)
        through = ""
        if beta < 1:
            ratio = 1 / (1 - beta) ** 2
            through = (
                f"; {math.ceil((worst.estimate or 0) * ratio)} for values that are right by as "
                f"much through all later handoffs (contraction {beta:.3g})"
            )
        yield Finding(
            NOTE,
            f"agent '{agent}': for +-{half_width:g} at 95 % the pair ({worst.y[:60]}, "
            f"{worst.action}) needs {worst.estimate} handoffs, its targets having a standard "
            f"deviation of {worst.sd:.3g}{through}; {worst.guaranteed} would guarantee it "
            f"(Hoeffding, declared range); {short} of {len(own)} pairs have fewer than they need",
        )


def learning(seen: Symptoms, learners: Mapping[str, str]) -> Iterator[Finding]:
    """Information states too fine, text in a table, nothing chosen by chance."""
    for agent, visits in seen.visits.items():
        total, once = visits.total(), sum(count == 1 for count in visits.values())
        table = learners.get(agent, "auto") == "table"
        if agent in seen.text and table:
            yield Finding(
                WARNING,
                f"agent '{agent}': sees free text but learns a table, in which hardly any state "
                "recurs",
                f'set agents.{agent}.learner = "linear", or leave the text out of `fields`',
            )
        elif total >= ENOUGH and once > total / 2 and agent not in seen.text:
            yield Finding(
                WARNING,
                f"agent '{agent}': {once} of {total} decisions were at a state seen only once: "
                "what it sees is too fine to learn from",
                "show it fewer fields, or coarser ones (a range instead of a number)",
            )
    if seen.decisions >= ENOUGH and seen.by_chance == 0:
        yield Finding(
            NOTE,
            f"none of the last {seen.decisions} decisions was left to chance: another policy "
            "cannot be evaluated from them",
            "explore a little in mode apply, or vary the default and log its chance",
        )


def waiting(seen: Symptoms, ttl: float) -> Iterator[Finding]:
    """Handoffs that are closed too early or never get their quote, and a clock that stood still."""
    delays = sorted(seen.delays)
    if len(delays) >= ENOUGH:
        late = delays[math.ceil(0.95 * len(delays)) - 1]
        if late > ttl / 2:
            yield Finding(
                WARNING,
                f"one in 20 handoffs takes {late:.3g} s or longer from decision to outcome, and "
                f"ttl is {ttl:g} s: what is slower is closed before it is settled",
                f"set ttl to {4 * late:.0f} or more",
            )
    for count, what in ((seen.expired, "expired without a quote"), (seen.waiting, "wait for one")):
        if seen.outcomes >= ENOUGH and count > 0.05 * seen.outcomes:
            yield Finding(
                WARNING,
                f"{count} of {seen.outcomes} handoffs {what}; until then nothing is learnt from "
                "them",
                "give `artifact` or `quote` to settle, finish workflows that ended, and check that "
                "peers can be reached (batonq node peers --check)",
            )
    if seen.stood_still >= STUCK:
        yield Finding(
            NOTE,
            f"{seen.stood_still} events in a row have one time: the clock jumped back meanwhile, "
            "or is coarse",
            "check the clock (NTP)",
        )


def ranges(seen: Symptoms, declaration: Declaration) -> Iterator[Finding]:
    """A declared range that is hardly used, or too narrow."""
    scalar = declaration.scalar
    span = scalar.high - scalar.low
    numbers = [*seen.targets.values(), *seen.quotes.values()]
    count = sum(one.count for one in numbers)
    if count >= ENOUGH:
        low, high = min(one.low for one in numbers), max(one.high for one in numbers)
        if high - low < SELDOM * span:
            yield Finding(
                WARNING,
                f"values and quotes lie in {low:.3g} .. {high:.3g}, {(high - low) / span:.1%} of "
                f"the declared {scalar.low:g} .. {scalar.high:g}: rounding and guarantees are "
                "coarser than they need be, and peers can hardly be held to their promises",
                "declare quote_range, from what a whole workflow can cost and earn; peers need the "
                "same, and the store a new start",
            )
        slack = 1e-9 * span
        if low < scalar.low - slack or high > scalar.high + slack:
            yield Finding(
                WARNING,
                f"targets reached {low:.3g} .. {high:.3g}, outside the declared {scalar.low:g} .. "
                f"{scalar.high:g}: quotes are clamped to it and no guarantee holds",
                "declare a wider reward_range or quote_range",
            )
    ends = (seen.at_low if scalar.low < 0 else 0) + (seen.at_high if scalar.high > 0 else 0)
    if seen.answers >= ENOUGH and ends > OFTEN * seen.answers:  # 0 is what nothing is known of
        yield Finding(
            WARNING,
            f"{ends} of {seen.answers} of our quotes were an end of the range, clamped or "
            "nearly so",
            "declare a wider reward_range or quote_range",
        )


def promises(seen: Symptoms, peers: Mapping[str, tuple[Terms, Ledger]]) -> Iterator[Finding]:
    """Peers that promise too much, or cannot be held to what they promise."""
    for name, (terms, ledger) in peers.items():
        standing = trust.standing(terms, ledger)
        excess = f"by {ledger.excess.mean:.3g} on average lately"
        if standing in (trust.FLAGGED, trust.QUARANTINED):
            yield Finding(
                WARNING,
                f"peer '{name}': {standing}: it promised more than came of it, {excess}",
                "ask its operator; release it, or let its quotes shrink (on_inflation)",
            )
        elif trust.underquotes(terms, ledger):
            yield Finding(NOTE, f"peer '{name}': promises less than comes of it, {excess}")
        quotes = seen.quotes.get(name, Spread())
        if quotes.count >= ENOUGH and seen.realised[name] == 0 and ledger.kept == 0:
            yield Finding(
                NOTE,
                f"peer '{name}': {quotes.count} quotes, and never was it told what came of them, "
                "so that it cannot be held to its promises",
                "call finish on the handoff when the workflow ends, or realised",
            )
        elif ledger.excess.count >= ENOUGH and standing in (trust.NEW, trust.TRUSTED):
            yield from _power(name, terms, ledger)


def _power(name: str, terms: Terms, ledger: Ledger) -> Iterator[Finding]:
    """How many handoffs it would take to find an inflation of a fifth."""
    tolerance = terms.tolerance * terms.span
    excess = INFLATION * abs(ledger.realised.mean) - tolerance
    sd = math.sqrt(ledger.excess.variance)
    bets = bets_needed(excess, sd, terms.span + tolerance, terms.alpha)
    number = "never be found" if bets == math.inf else f"take some {bets + terms.burn_in:.0f}"
    tail = "" if bets == math.inf else " handoffs to find"
    yield Finding(
        WARNING if bets > LATE else NOTE,
        f"peer '{name}': if it inflated its quotes by {INFLATION:.0%}, that would {number}{tail} "
        f"(spread {sd:.3g}, range {terms.low:g} .. {terms.high:g})",
        "tell a narrower range of what can come of its handoffs, if one is certain"
        if bets + terms.burn_in > SOON
        else "",
    )
