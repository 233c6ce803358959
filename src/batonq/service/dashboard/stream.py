"""Streams: server-sent events with the parts of a page that changed, about once a second."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from threading import Lock
from typing import Any, Final

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from batonq.base.errors import RefusedError
from batonq.service.dashboard import rendering
from batonq.service.dashboard.pages import FRESH

EVERY: Final = 1.0  # seconds between two looks
BEAT: Final = 15.0  # seconds of silence after which a heartbeat is sent
LONGEST: Final = 900.0  # seconds of a stream; the browser opens the next, if it still may
MOST: Final = 32  # streams at once
STEP: Final = 0.1  # seconds within which a shutdown is noticed
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streams:
    """The streams of one node's pages."""

    def __init__(self, closing: Callable[[], bool]) -> None:
        self._closing = closing
        self._open = 0
        self._lock = Lock()
        self._made: dict[tuple[str, ...], tuple[float, dict[str, str]]] = {}

    def open(
        self,
        page: str,
        name: str,
        context: Callable[[], dict[str, Any]],
        frame: Mapping[str, Any],
    ) -> Response:
        """A stream of one page's news.

        Args:
            page: its template.
            name: of what; streams of one page, name and token share what is made for them.
            context: gives what it shows.
            frame: the rest of what its template needs.

        Raises:
            RefusedError: if there are too many.
        """
        if self._open >= MOST:
            raise RefusedError(f"{MOST} pages are kept up to date already; close some")
        return StreamingResponse(
            self._events(lambda: self._parts(page, name, context, frame)),
            headers=HEADERS,
            media_type="text/event-stream",
        )

    def _parts(
        self,
        page: str,
        name: str,
        context: Callable[[], dict[str, Any]],
        frame: Mapping[str, Any],
    ) -> dict[str, str]:
        """The parts of a page, made anew if they are older than a look may be."""
        key = (page, name, str(frame["csrf"]))
        with self._lock:
            at, made = self._made.get(key, (-FRESH, {}))
            if time.monotonic() - at > FRESH:
                made = rendering.parts(page, {**frame, **context()})
                if len(self._made) >= MOST:
                    self._made.clear()
                self._made[key] = time.monotonic(), made
            return made

    async def _events(self, parts: Callable[[], dict[str, str]]) -> AsyncIterator[str]:
        """Everything first, since the page may be older; then what changes."""
        self._open += 1
        try:
            sent: dict[str, str] = {}
            start = last = time.monotonic()
            yield f"retry: {int(2000 * EVERY)}\n\n"
            while not self._closing() and time.monotonic() - start < LONGEST:
                made = await run_in_threadpool(parts)
                news = {name: html for name, html in made.items() if sent.get(name) != html}
                sent = made
                if news:
                    yield f"event: parts\ndata: {json.dumps(news)}\n\n"
                    last = time.monotonic()
                elif time.monotonic() - last >= BEAT:
                    yield "event: beat\ndata: {}\n\n"
                    last = time.monotonic()
                await self._pause()
        finally:
            self._open -= 1

    async def _pause(self) -> None:
        until = time.monotonic() + EVERY
        while time.monotonic() < until and not self._closing():
            await asyncio.sleep(STEP)
