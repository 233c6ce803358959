"""Run: serve a team over HTTP until it is told to stop."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from batonq import __version__
from batonq.base.errors import BatonqError, ModelError
from batonq.base.machine import is_loopback
from batonq.node.team import Team
from batonq.service.app import application
from batonq.service.settings import Settings

logger = logging.getLogger(__name__)

PORT: Final = 8642
_GRACE: Final = 5  # seconds for calls under way when it stops
_IDLE: Final = 75  # seconds a connection may be idle: longer than clients keep theirs
_MOST_HEADERS: Final = 16 * 1024  # bytes
_MOST_CONNECTIONS: Final = 500
_EVERY_ADDRESS: Final = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound


def serve(
    team: Team, host: str = "127.0.0.1", port: int = PORT, *, settings: Settings | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then keep what was learnt and close the team.

    Writes one JSON line on standard output once it listens: where, and whose agents it has.

    Args:
        team: closed at the end, whatever happens.
        host: address to listen on.
        port: 0 for any that is free.
        settings: by default open to local callers.

    Raises:
        ModelError: if the host is not a loopback one and there is no token, or the port is taken.
    """
    try:
        server, listening, url = _prepared(team, host, port, settings)
        with _signals_kept(server):
            _announce(team, server.app, url)
            server.run(sockets=[listening])
    finally:
        team.close()


@contextmanager
def serving(
    team: Team, host: str = "127.0.0.1", port: int = 0, *, settings: Settings | None = None
) -> Iterator[str]:
    """Serve from a thread of this process while the context lasts; gives the URL.

    The team stays open afterwards.

    Raises:
        ModelError: as `serve`.
        BatonqError: if the server does not start.
    """
    server, listening, url = _prepared(team, host, port, settings)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="batonq-serve", daemon=True
    )
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise BatonqError(f"serving at {url}: the server did not start; see its log")
            time.sleep(0.005)
        yield url
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    """A server that tells the application at once when it stops, so that streams end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self.app.state.stopping.set()
        await super().shutdown(sockets)


def _prepared(
    team: Team, host: str, port: int, settings: Settings | None
) -> tuple[_Server, socket.socket, str]:
    settings = settings or Settings()
    if not is_loopback(host):
        if settings.token is None:
            raise ModelError(
                f"host {host or '(every address)'}: can be reached from elsewhere, so that a token "
                "is needed: give token_file, or listen on 127.0.0.1"
            )
        if host not in _EVERY_ADDRESS:
            settings = replace(
                settings, hosts=(*settings.hosts, f"[{host}]" if ":" in host else host)
            )
        elif not settings.hosts:
            logger.warning(
                "listening on every address without `hosts`: only calls whose Host header is "
                "localhost or 127.0.0.1 will be taken; name what callers call this machine"
            )
    app = application(team, settings)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # what a caller says of itself is not believed
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_MOST_HEADERS,
    )
    listening = _bound(host, port)
    shown = f"[{host}]" if ":" in host else host or "localhost"
    return _Server(config, app), listening, f"http://{shown}:{listening.getsockname()[1]}"


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ModelError: if it cannot be had.
    """
    if not 0 <= port <= 65_535:
        raise ModelError(f"port {port}: give 1 to 65535, or 0 for any that is free")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ModelError(f"host {host}, port {port}: no such address ({error})") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise ModelError(
            f"host {host}, port {port}: cannot listen there ({error.strerror}); choose another, or "
            "0 for any that is free"
        ) from error
    return listening


def _announce(team: Team, app: FastAPI, url: str) -> None:
    settings: Settings = app.state.node.settings
    line: dict[str, Any] = {
        "event": "serving",
        "url": url,
        "name": team.core.name,
        "version": __version__,
        "mode": team.mode,
        "token": settings.token is not None,
        "agents": list(team.agents),
        "peers": list(team.peers),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@contextmanager
def _signals_kept(server: _Server) -> Iterator[None]:
    """Let the server's own handling of signals be all that happens: closing comes after it.

    It raises them again once it has stopped, which would end the process there. One that comes
    before it handles any still stops it.
    """

    def stop(*_: object) -> None:
        server.should_exit = True

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
