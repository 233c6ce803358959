"""Doctor: what is misconfigured, what the events show, and what an interval costs in handoffs."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from batonq.base.errors import RefusedError
from batonq.base.machine import is_loopback
from batonq.node.core import APPLY, BYPASS, OBSERVE
from batonq.node.doctor import examination
from batonq.node.doctor.examination import ERROR, NOTE, WARNING, Finding
from batonq.node.doctor.symptoms import examine
from batonq.node.event import Store
from batonq.node.exploration import Exploration
from batonq.node.peers.promises import Ledger, Terms
from batonq.wire.declaration import Declaration, agree
from batonq.wire.scalar import rounding_term

LATEST: Final = 200_000  # events that are looked at
NEARLY: Final = 0.9  # share of a leak budget from which on it is told
LEAST_FREE: Final = 1 << 28  # bytes: a store must be able to write its log and to be copied
SECONDS_AHEAD: Final = 60.0  # by which clocks may differ


@dataclass(frozen=True)
class AgentSetup:
    """An agent as it is configured: its learner ("auto", "table", "linear", "neural")."""

    name: str
    learner: str = "auto"


@dataclass(frozen=True)
class PeerSetup:
    """A peer as it is configured, and what is known of it.

    Attributes:
        name: of the agent.
        url: of its node.
        shows: whether we show it a token.
        accepts: whether it has to show us one.
        leak_bits: how many bits of quotes it may ever get; None: no cap.
        answered: quotes it has got.
        declaration: what its quotes mean; None as long as it was not asked.
        terms: what its quotes are held to.
        ledger: what it promised and what came of it.
    """

    name: str
    url: str
    shows: bool
    accepts: bool
    leak_bits: int | None = None
    answered: int = 0
    declaration: Declaration | None = None
    terms: Terms = field(default_factory=lambda: Terms(-1.0, 1.0))
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(frozen=True)
class Setup:
    """A node as it is configured.

    Attributes:
        declaration: what its numbers mean.
        mode: observe, apply or bypass.
        exploration: how it explores.
        ttl: seconds until a handoff that waits is closed.
        durability: "normal" or "full".
        agents: those of this process.
        peers: those of others.
        host: address that the service listens at.
        token: whether callers have to show a token.
        secrets: path -> permission bits of each file that holds a token.
        store_bytes: size of the store; None if it is in memory.
        disk_free: bytes free where it lies; None if it is in memory.
        clamped: quotes of ours that were outside the declared range since the node was started.
        failures: decisions since then that fell back on the default because something failed.
    """

    declaration: Declaration
    mode: str = OBSERVE
    exploration: Exploration = field(default_factory=Exploration)
    ttl: float = 3600.0
    durability: str = "normal"
    agents: tuple[AgentSetup, ...] = ()
    peers: tuple[PeerSetup, ...] = ()
    host: str = "127.0.0.1"
    token: bool = True
    secrets: Mapping[str, int] = field(default_factory=dict)
    store_bytes: int | None = None
    disk_free: int | None = None
    clamped: int = 0
    failures: int = 0


def diagnose(
    store: Store, setup: Setup, now: float, half_width: float = 0.1, latest: int = LATEST
) -> list[Finding]:
    """Look at a node: errors first, then warnings, then notes.

    Args:
        store: its events; only read.
        setup: its configuration.
        now: seconds since 1970.
        half_width: of the 95 % intervals to plan for, in units of reward, > 0.
        latest: how many of the latest events to look at.

    Raises:
        ModelError: if `half_width` is not positive.
        StoreError: if the store cannot be read.
    """
    seen = examine(store.events(max(0, store.last() - latest)), setup.declaration.gamma)
    found = [
        *_numbers(setup),
        *_acting(setup),
        *_doors(setup),
        *(one for peer in setup.peers for one in _peer(setup, peer)),
        *_medium(store, setup, seen.last_at, now),
        *examination.learning(seen, {one.name: one.learner for one in setup.agents}),
        *examination.waiting(seen, setup.ttl),
        *examination.ranges(seen, setup.declaration),
        *examination.promises(seen, {one.name: (one.terms, one.ledger) for one in setup.peers}),
        *examination.planning(seen, setup.declaration, half_width),
    ]
    ranks = (ERROR, WARNING, NOTE)
    return sorted(found, key=lambda one: ranks.index(one.level))


def _numbers(setup: Setup) -> Iterator[Finding]:
    scalar, gamma = setup.declaration.scalar, setup.declaration.gamma
    if gamma == 1:
        yield Finding(
            WARNING,
            "gamma is 1: nothing is discounted, so that errors of quotes add up without end and no "
            "bound on rounding holds",
            "give gamma below 1, such as 0.99, unless every workflow ends after a few handoffs",
        )
        return
    term = rounding_term(scalar, gamma)
    if term > 0:
        told = "noise of" if scalar.rounding == "stochastic" else "at most"
        yield Finding(
            NOTE,
            f"rounding quotes to {scalar.bits} bits ({scalar.rounding}) adds {told} {term:.3g} to "
            f"the bound, in units of reward, with contraction {gamma:g}",
        )


def _acting(setup: Setup) -> Iterator[Finding]:
    silent = setup.exploration.epsilon == 0 and setup.exploration.temperature is None
    if setup.mode == BYPASS:
        yield Finding(WARNING, "mode is bypass: nothing is logged or learnt", "set mode observe")
    elif setup.mode == APPLY and (silent or setup.exploration.canary == 0):
        what = "epsilon is 0" if silent else "the canary share is 0"
        yield Finding(
            WARNING,
            f"mode is apply but {what}: what is not chosen now is never tried, and no other policy "
            "can be evaluated",
            "give epsilon a little, such as 0.05, and cap it with per_hour; canary above 0",
        )
    elif setup.mode == OBSERVE:
        yield Finding(
            NOTE,
            "mode is observe: the default is taken with propensity 1, so that other policies can "
            "be evaluated only where the default itself varied",
            "switch to apply with a small canary share once values have settled",
        )
    if setup.failures:
        yield Finding(
            WARNING,
            f"{setup.failures} decisions fell back on the default because something failed",
            "see the log, or `failure` on the health page",
        )
    if setup.clamped:
        yield Finding(
            WARNING,
            f"{setup.clamped} of our quotes were outside the declared range and were clamped",
            "declare a wider reward_range or quote_range",
        )
    if setup.durability == "normal" and setup.peers:
        yield Finding(
            NOTE,
            "durability is normal: a power cut may lose the last decisions although a peer has "
            "answered them already; kill -9 does not",
            'set durability = "full" if that matters more than speed',
        )


def _doors(setup: Setup) -> Iterator[Finding]:
    if not is_loopback(setup.host):
        if not setup.token:
            yield Finding(
                ERROR,
                f"the service listens at {setup.host}, beyond this machine, without a token",
                "set serve.token_file, or host 127.0.0.1",
            )
        yield Finding(
            NOTE,
            f"the service listens at {setup.host} and speaks http: tokens and artifacts can be "
            "read on the way",
            "put a proxy with TLS in front of it",
        )
    for path, mode in setup.secrets.items():
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding(ERROR, f"{path}: others may read this token", f"run: chmod 600 {path}")


def _peer(setup: Setup, peer: PeerSetup) -> Iterator[Finding]:
    name, parts = f"peer '{peer.name}'", urlsplit(peer.url)
    beyond = not is_loopback(parts.hostname or "")
    if parts.scheme == "http" and beyond:
        yield Finding(
            ERROR, f"{name}: {peer.url} is http: token, artifact and quote can be read", "use https"
        )
    if not peer.shows:
        yield Finding(
            WARNING if beyond else NOTE,
            f"{name}: we show it no token, so that its node must answer anybody",
            f"set peers.{peer.name}.token_file",
        )
    if not peer.accepts:
        yield Finding(
            NOTE,
            f"{name}: may not ask us, as no token of its is known",
            f"set peers.{peer.name}.accepts_file if it hands off to us",
        )
    if peer.declaration is not None:
        try:
            agree(setup.declaration, peer.declaration)
        except RefusedError as error:
            yield Finding(ERROR, f"{name}: {error}", "nothing is learnt from it until they agree")
    spent = peer.answered * setup.declaration.scalar.bits
    if peer.leak_bits is None:
        if peer.accepts:
            yield Finding(
                NOTE,
                f"{name}: may get any number of our quotes; it has got {spent} bits so far",
                f"set peers.{peer.name}.leak_bits",
            )
    elif spent >= NEARLY * peer.leak_bits:
        yield Finding(
            WARNING,
            f"{name}: {spent} of {peer.leak_bits} bits of its leak budget are spent; at the end it "
            "is refused",
            f"raise peers.{peer.name}.leak_bits, or let it run out",
        )


def _medium(store: Store, setup: Setup, last_at: float, now: float) -> Iterator[Finding]:
    if setup.disk_free is not None:
        needed = max(LEAST_FREE, setup.store_bytes or 0)
        if setup.disk_free < needed:
            yield Finding(
                WARNING,
                f"{setup.disk_free / 1e6:.0f} MB are free where the store of "
                f"{(setup.store_bytes or 0) / 1e6:.0f} MB lies; when the disk is full, decisions "
                "fall back on the default and nothing is learnt",
                "make room, or delete old bodies (retention)",
            )
    if last_at > now + SECONDS_AHEAD:
        yield Finding(
            WARNING,
            f"the latest event is {last_at - now:.0f} s in the future: this machine's clock jumped "
            "back, or was ahead; times stand still until it has caught up",
            "check the clock (NTP); nothing is lost, but ages and delays are wrong until then",
        )
    old = store.open_before(now - setup.ttl, 1_000)
    if old:
        more = " or more" if len(old) == 1_000 else ""
        yield Finding(
            WARNING,
            f"{len(old)}{more} handoffs are open for longer than ttl ({setup.ttl:g} s), the oldest "
            f"is '{old[0]}'",
            "a running service closes them; without one, call team.expire()",
        )
