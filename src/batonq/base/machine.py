"""What the machine offers, and which addresses are its own."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from typing import Final

_PORTS: Final = range(20_000, 32_000)


def cores() -> int:
    """Number of processors this process may use, at least 1."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback that nobody listens on just now.

    They lie below those that systems give to outgoing connections and to whoever asks for any port:
    else one of these might be taken before its owner listens, or while the owner is down.
    """
    found: set[int] = set()
    while len(found) < count:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return list(found)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
