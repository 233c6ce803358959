"""Ports that are free, and stay so until their owner listens."""

from __future__ import annotations

import socket

import pytest

from batonq.base.machine import free_ports


def test_ports_differ_can_be_had_and_are_none_that_the_system_gives_away() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        assert any_port.getsockname()[1] > max(ports)


def test_a_port_that_somebody_has_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        taken = one.getsockname()[1]
        monkeypatch.setattr("batonq.base.machine._PORTS", range(taken, taken + 20))
        assert taken not in free_ports(5)
