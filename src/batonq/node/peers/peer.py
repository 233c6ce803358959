"""Peer: an agent that lives in another process or organisation, behind a URL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from batonq.base.errors import ConflictError, DataError, RefusedError, WireError
from batonq.base.files import Json
from batonq.node import tracing
from batonq.node.event import ANSWER, QUOTE, REALISED, TRUST, Event
from batonq.node.peers import promises
from batonq.node.peers.line import Line, Reply, UnreachableError
from batonq.node.peers.promises import Ledger, Terms
from batonq.node.peers.trusting import FLAG, ON_INFLATION, QUARANTINE, RELEASE
from batonq.wire import messages
from batonq.wire.declaration import Declaration, agree
from batonq.wire.messages import Answer, Ask
from batonq.wire.scalar import Scalar

SECONDS: Final = 5.0  # to wait for a peer
_KEPT: Final = ("answered", "asked", "strikes", "flagged", "quarantined")


class Asked(NamedTuple):
    """A peer's answer, and the quote that it means by the declaration it was asked under."""

    answer: Answer
    value: float


@dataclass
class Peer:
    """Another party's agent.

    Attributes:
        name: of the agent.
        url: where its node answers, such as https://code.example.
        token: what we show it; never printed.
        accepts: what it shows us; None: it may not ask us anything.
        leak_bits: how many bits of quotes it may ever get from us; None: no cap.
        seconds: to wait for its answer.
        propagate: whether trace context goes to it and is taken over from it.
        terms: what its quotes are held to.
        on_inflation: what follows when it is shown to promise too much: "flag" (it is told),
            "shrink" (its quotes count less) or "quarantine" (nothing is handed to it).
        ledger: what it promised and what came of it.
        flagged: whether it was shown to promise too much since it was last released.
        answered: quotes given to it.
        asked: quotes got from it.
        strikes: answers of it that could not be accepted.
        failures: times it could not be reached.
        reachable: whether it could be when it was last asked.
        quarantined: whether nothing is handed to it for now.
        declaration: what its quotes mean, once fetched and agreed to.

    Raises:
        DataError: for a URL that is not http or https, or holds a password; for another word.
    """

    name: str
    url: str
    token: str | None = field(default=None, repr=False)
    accepts: str | None = field(default=None, repr=False)
    leak_bits: int | None = None
    seconds: float = SECONDS
    propagate: bool = False
    terms: Terms = field(default_factory=lambda: Terms(-1.0, 1.0), repr=False)
    on_inflation: str = "flag"
    ledger: Ledger = field(default_factory=Ledger, repr=False)
    flagged: bool = False
    answered: int = 0
    asked: int = 0
    strikes: int = 0
    failures: int = 0
    reachable: bool = True
    quarantined: bool = False
    declaration: Declaration | None = None
    _line: Line = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.on_inflation not in ON_INFLATION:
            there = ", ".join(ON_INFLATION)
            raise DataError(f"peer '{self.name}': on_inflation is none of {there}")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DataError(f"peer '{self.name}': {self.url!r} is no http or https URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise DataError(
                f"peer '{self.name}': its URL has more than scheme, host, port and path; give a "
                "token by `token`"
            )
        self.url = self.url.rstrip("/")
        self._line = Line(self.url, self.token, self.seconds)

    def apply(self, event: Event) -> None:
        """Take in an event that concerns this peer."""
        if event.kind == ANSWER:
            self.answered += 1
        elif event.kind == QUOTE:
            self.asked += 1
            body = event.body
            self.ledger = promises.quoted(
                self.terms,
                self.ledger,
                event.handoff_id,
                body["told"],
                body["workflow"],
                at=event.at,
            )
        elif event.kind == REALISED:
            value = event.body["value"]
            self.ledger = promises.realised(self.terms, self.ledger, event.handoff_id, value)
        elif event.kind == TRUST:
            do = event.body["do"]
            self.flagged = do != RELEASE
            self.quarantined = do == QUARANTINE or (do == FLAG and self.quarantined)
            if do == RELEASE:
                self.ledger = promises.released(self.ledger)

    def to_json(self) -> Json:
        """What is kept of it over a restart."""
        state = {name: getattr(self, name) for name in _KEPT}
        return {**state, "ledger": promises.to_json(self.ledger)}

    def load(self, state: Json) -> None:
        """Take over what `to_json` gave."""
        for name in _KEPT:
            setattr(self, name, state[name])
        self.ledger = promises.from_json(state["ledger"])

    def greet(self, ours: Declaration) -> None:
        """Fetch its declaration and check that it agrees with ours.

        Raises:
            WireError, RefusedError: as `ask`.
        """
        self._agree(ours, self._reply(self._line.call, "/v1/declaration"))

    def ask(self, ours: Declaration, handoff_id: str, sender: str, artifact: Json) -> Asked:
        """Hand an artifact on and get its quote.

        If it refuses as its declaration has changed, the new one is fetched and it is asked anew.

        Raises:
            WireError: if it cannot be reached, answers with an error or with what cannot be.
            RefusedError: if units differ, or it refuses.
        """
        if self.declaration is None:
            self.greet(ours)
        ask, meaning, *call = self._ask(handoff_id, sender, artifact)
        try:
            return self._answer(ask, meaning, self._reply(self._line.call, *call))
        except RefusedError:
            self.greet(ours)
            if not self._changed(ask):
                raise
        ask, meaning, *call = self._ask(handoff_id, sender, artifact)
        return self._answer(ask, meaning, self._reply(self._line.call, *call))

    async def aask(self, ours: Declaration, handoff_id: str, sender: str, artifact: Json) -> Asked:
        """As `ask`, without blocking."""
        if self.declaration is None:
            await self._agreet(ours)
        ask, meaning, *call = self._ask(handoff_id, sender, artifact)
        try:
            return self._answer(ask, meaning, await self._areply(*call))
        except RefusedError:
            await self._agreet(ours)
            if not self._changed(ask):
                raise
        ask, meaning, *call = self._ask(handoff_id, sender, artifact)
        return self._answer(ask, meaning, await self._areply(*call))

    def close(self) -> None:
        """Let go of connections."""
        self._line.close()

    async def aclose(self) -> None:
        """Let go of asynchronous connections."""
        await self._line.aclose()

    async def _agreet(self, ours: Declaration) -> None:
        self._agree(ours, await self._areply("/v1/declaration"))

    def _agree(self, ours: Declaration, reply: Reply) -> None:
        theirs = Declaration.from_document(self._document(reply))
        agree(ours, theirs)
        self.declaration = theirs

    def _changed(self, ask: Ask) -> bool:
        """Whether its declaration is another than the ask was made under."""
        return self.declaration is not None and self.declaration.digest() != ask.declaration

    def _ask(
        self, handoff_id: str, sender: str, artifact: Json
    ) -> tuple[Ask, Scalar, str, bytes, dict[str, str]]:
        """The message, by what its answer will have to be read, and how to call."""
        theirs = self.declaration
        if theirs is None:  # a refusal to another thread's ask came in between
            raise self._failed("its declaration has just changed")
        ask = Ask(handoff_id, sender, self.name, artifact, theirs.digest())
        headers = tracing.outgoing_headers(self.propagate, handoff_id)
        return ask, theirs.scalar, "/v1/receive", messages.body(ask), headers

    def _reply(self, call: Callable[..., Reply], *what: Any) -> Reply:
        try:
            return call(*what)
        except UnreachableError as error:
            raise self._failed(str(error)) from error

    async def _areply(self, *what: Any) -> Reply:
        try:
            return await self._line.acall(*what)
        except UnreachableError as error:
            raise self._failed(str(error)) from error

    def _answer(self, ask: Ask, meaning: Scalar, reply: Reply) -> Asked:
        try:
            answer = Answer.from_document(self._document(reply))
            return Asked(answer, messages.accept(ask, answer, meaning))
        except (RefusedError, ConflictError, UnreachableError):
            raise
        except WireError:
            self.strikes += 1
            raise

    def _document(self, reply: Reply) -> Json:
        self.reachable = True
        if reply.status == httpx.codes.OK:
            return messages.parse(reply.content)
        detail: Any = ""
        with suppress(WireError, KeyError, TypeError):
            detail = messages.parse(reply.content)["detail"]
        told = f"answered {reply.status}"
        told += f" ({detail[:200]!a})" if isinstance(detail, str) and detail else ""
        if reply.status in (401, 403):
            raise RefusedError(f"peer '{self.name}': {told}")
        if reply.status == httpx.codes.CONFLICT:
            raise ConflictError(f"peer '{self.name}': {told}")
        raise self._failed(told)

    def _failed(self, told: str) -> UnreachableError:
        self.failures += 1
        self.reachable = False
        return UnreachableError(f"peer '{self.name}': {told}")
