"""A line to a peer: HTTP calls that are bounded in time and size, whatever the other side does."""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

import httpx

from batonq.base.errors import WireError

LARGEST: Final = 1 << 16  # bytes of what a peer may answer


class Reply(NamedTuple):
    """What a peer answered: status and body."""

    status: int
    content: bytes


class UnreachableError(WireError):
    """A peer did not answer, or not with an answer; asking again later may do."""


class Line:
    """Calls to one URL. Redirects, compression and proxies of the environment are not followed."""

    def __init__(self, url: str, token: str | None, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"
        self._client: httpx.Client | None = None
        self._async_client: httpx.AsyncClient | None = None

    def call(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """GET `path`, or POST `body` to it.

        Time is looked at between the pieces of an answer: a peer that sends its headers byte by
        byte can hold this longer than `seconds`; `acall` it cannot.

        Raises:
            UnreachableError: if it takes too long, is too long, or cannot be had.
        """
        if self._client is None:
            self._client = httpx.Client(
                timeout=self._seconds, headers=self._headers, trust_env=False
            )
        until, content = time.monotonic() + self._seconds, b""
        method = "GET" if body is None else "POST"
        try:
            with self._client.stream(
                method, self._url + path, content=body, headers=headers
            ) as response:
                for piece in response.iter_raw():
                    content += piece
                    if len(content) > LARGEST or time.monotonic() > until:
                        raise UnreachableError(f"answers too much or too slowly at {self._url}")
        except httpx.HTTPError as error:
            raise UnreachableError(_told(self._url, error)) from error
        return Reply(response.status_code, content)

    async def acall(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """As `call`, without blocking, and within `seconds` in all."""
        if self._async_client is None or self._async_client.is_closed:
            self._async_client = httpx.AsyncClient(
                timeout=self._seconds, headers=self._headers, trust_env=False
            )
        content = b""
        method = "GET" if body is None else "POST"
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._async_client.stream(
                    method, self._url + path, content=body, headers=headers
                ) as response,
            ):
                async for piece in response.aiter_raw():
                    content += piece
                    if len(content) > LARGEST:
                        raise UnreachableError(f"answers too much at {self._url}")
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnreachableError(_told(self._url, error)) from error
        except RuntimeError as error:  # the client belongs to an event loop that has ended
            self._async_client = None
            raise UnreachableError(_told(self._url, error)) from error
        return Reply(response.status_code, content)

    def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def aclose(self) -> None:
        """Let go of asynchronous connections."""
        if self._async_client is not None:
            await self._async_client.aclose()
            self._async_client = None


def _told(url: str, error: Exception) -> str:
    return f"cannot be reached at {url} ({type(error).__name__})"
