"""Asking models: from the cache where the call was made before, else once, within a budget."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from batonq.base.errors import DataError, SpentError
from batonq.llm.cache import Cache, Kept
from batonq.llm.prices import Price
from batonq.llm.request import Client, Request

_FRAME: Final = 64  # tokens a chat template puts around the messages, at most


@dataclass(frozen=True)
class Usage:
    """What one model was asked since its `Calls` was opened.

    Attributes:
        label: the model's.
        calls: calls made.
        cached: calls answered from the cache, which cost nothing again.
        tokens_in: tokens read in the calls made.
        tokens_out: tokens written in them.
        cost: of the calls made, in the unit of the prices.
        seconds: how long they took, added up.
    """

    label: str
    calls: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0


class Calls:
    """Clients, their prices and the cache of what they answered. Any number of threads may ask.

    The limit is on all that the cache's calls cost, this run's and those of runs before: it holds
    through a kill and a resume. It is kept if servers write no more than `Request.max_tokens`,
    a token is at least a byte, and no other process spends from the same cache at the same time.
    Of a model that writes more, thoughts above all, every later call is taken to cost as many times
    more as the worst so far, also of those that a resumed run finds in the cache on its way.
    An attempt that failed, and a call cut off by a kill, may have been billed: nobody is told how
    much, and it is not counted.

    Args:
        clients: whom to ask; closed with this.
        cache: where calls are kept; not closed.
        prices: the price of every client, by its `model`, all in one unit.
        limit: the most that all calls may cost, in the unit of the prices; None for no limit.

    Attributes:
        unit: of the prices.

    Raises:
        DataError: if two clients answer for one model, one has no price, or units differ.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        cache: Cache,
        prices: Mapping[str, Price],
        limit: float | None = None,
    ) -> None:
        self.unit = _unit(clients, prices)
        self._clients = {client.model: client for client in clients}
        self._prices = dict(prices)
        self._cache = cache
        self._limit = limit
        self._usage = {client.model: Usage(client.label) for client in clients}
        self._change = threading.Condition()  # guards all below and `_usage`
        self._reserved: dict[str, float] = {}  # what calls under way can cost, by their key
        self._times = dict.fromkeys(self._clients, 1.0)  # what a call cost of `_most`, at worst
        self._asked: dict[str, Future[Kept]] = {}

    def ask(self, request: Request) -> Kept:
        """The reply to a request, kept; the same request asked by two threads is one call.

        Answers of one model at two places are kept apart.

        Raises:
            CallError: if no usable answer came.
            SpentError: if the call could cost more than is left.
            DataError: if no client answers for the model, the request is no text, or the cache
                fails.
        """
        if request.model not in self._clients:
            raise DataError(f"nobody answers for '{request.model}'; give it with --models")
        request = replace(request, url=self._clients[request.model].url)
        key = _key(request)
        mine: Future[Kept] = Future()
        with self._change:
            theirs = self._asked.setdefault(key, mine)
        if theirs is not mine:
            return self._count(request, replace(theirs.result(), cached=True))
        try:
            kept = self._known(request) or self._call(key, request)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(kept)
        finally:
            with self._change:
                del self._asked[key]
        return self._count(request, kept)

    def spent(self) -> float:
        """What all calls in the cache cost, in the unit of the prices."""
        return self._cache.spent(self.unit)

    def report(self) -> list[Usage]:
        """What each model was asked since this was opened, in the order of the clients."""
        with self._change:
            return list(self._usage.values())

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _known(self, request: Request) -> Kept | None:
        kept = self._cache.find(request)
        if kept is not None:
            self._learn(request, kept)
        return kept

    def _call(self, key: str, request: Request) -> Kept:
        price = self._prices[request.model]
        with self._within_limit(key, request.model, _most(request, price)):
            reply = self._clients[request.model].complete(request)
            kept = Kept(reply, price.cost(reply.tokens_in, reply.tokens_out), self.unit)
            self._cache.keep(request, kept)
            self._learn(request, kept)  # before others may take what was reserved
        return kept

    def _learn(self, request: Request, kept: Kept) -> None:
        """Note how many times the most that it should a call of this run, or one before, cost."""
        most = _most(request, self._prices[request.model])
        if kept.unit == self.unit and kept.cost > most > 0:
            with self._change:
                self._times[request.model] = max(self._times[request.model], kept.cost / most)

    @contextmanager
    def _within_limit(self, key: str, model: str, most: float) -> Iterator[None]:
        """Around a call that should cost `most` at most; waits for what others have reserved."""
        with self._change:
            while not self._fits(most * self._times[model]):
                self._change.wait()
            self._reserved[key] = most * self._times[model]
        try:
            yield
        finally:
            with self._change:
                del self._reserved[key]
                self._change.notify_all()

    def _fits(self, most: float) -> bool:
        if self._limit is None:
            return True
        spent = self.spent()
        if spent + most > self._limit and not self._reserved:
            raise SpentError(
                f"the next call could cost {most:.4g} {self.unit}, and {spent:.4g} of "
                f"{self._limit:.4g} are spent; what is kept stays: raise --max-cost to go on"
            )
        return spent + sum(self._reserved.values()) + most <= self._limit

    def _count(self, request: Request, kept: Kept) -> Kept:
        with self._change:
            usage = self._usage[request.model]
            if kept.cached:
                self._usage[request.model] = replace(usage, cached=usage.cached + 1)
            else:
                self._usage[request.model] = replace(
                    usage,
                    calls=usage.calls + 1,
                    tokens_in=usage.tokens_in + kept.reply.tokens_in,
                    tokens_out=usage.tokens_out + kept.reply.tokens_out,
                    cost=usage.cost + kept.cost,
                    seconds=usage.seconds + kept.reply.seconds,
                )
        return kept


def _key(request: Request) -> str:
    try:
        return request.key()
    except UnicodeEncodeError as error:  # JSON can name half a character, and nothing can send it
        raise DataError(
            f"a prompt for '{request.model}' is no text ({error}); mend its question"
        ) from error


def _most(request: Request, price: Price) -> float:
    """The most a call can cost: a token is at least a byte."""
    read = len(request.system.encode()) + len(request.prompt.encode()) + _FRAME
    return price.cost(read, request.max_tokens)


def _unit(clients: Sequence[Client], prices: Mapping[str, Price]) -> str:
    models = [client.model for client in clients]
    if not models:
        raise DataError("no model is given; give one with --models")
    for model in models:
        if models.count(model) > 1:
            raise DataError(f"the model '{model}' is given twice; give it once")
        if model not in prices:
            raise DataError(f"no price is known for '{model}'; give one with --prices")
    units = sorted({prices[model].unit for model in models})
    if len(units) != 1:
        raise DataError(
            f"the models are priced in {' and '.join(units)}, which do not add up; "
            "give prices in one unit with --prices"
        )
    return units[0]
