"""Nodes that write in threads: asking a peer must hold none of them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from batonq.base.machine import free_ports
from batonq.node.team import Team
from batonq.service.limits import Rate
from batonq.service.run import serving
from batonq.service.settings import Settings

HANDOFFS = 40  # of each node at once: more than there are threads


def test_nodes_that_ask_one_another_at_once_do_not_wait_for_themselves(tmp_path: Path) -> None:
    urls = [f"http://127.0.0.1:{port}" for port in free_ports(2)]
    settings = Settings(threads=True, peer_rate=Rate(1e6, 1e6))
    with ExitStack() as stack:
        teams = []
        for us, them in ((0, 1), (1, 0)):
            team = Team.open(tmp_path / f"{us}.db", gamma=0.9, durability="full", name=f"n{us}")
            stack.enter_context(team)
            team.add(f"agent{us}", to=[f"agent{them}"])
            shown, heard = f"token-of-node-{us}-", f"token-of-node-{them}-"
            # Seconds: without a thread to spare, an ask would take as long as this and fail.
            team.peer(f"agent{them}", urls[them], token=shown, accepts=heard, seconds=30.0)
            port = int(urls[us].rpartition(":")[2])
            stack.enter_context(serving(team, port=port, settings=settings))
            teams.append(team)
        settled = asyncio.run(both(urls))
        assert all(one["learnt"] and not one["waiting"] for one in settled)
        for team in teams:
            assert team.counts.unasked == 0
            assert team.store.count_open() == 0


async def both(urls: list[str]) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(timeout=60.0) as http:

        async def one(us: int, number: int) -> dict[str, Any]:
            handoff = {"handoff_id": f"{us}-{number}"}
            asked = {"agent": f"agent{us}", "state": number, **handoff}
            told = {"reward": 0.1, "artifact": number, **handoff}
            for route, body in (("decide", asked), ("settle", told)):
                response = await http.post(f"{urls[us]}/v1/{route}", json=body)
                assert response.status_code == 200, response.text
            done: dict[str, Any] = response.json()
            return done

        return await asyncio.gather(*(one(us, n) for n in range(HANDOFFS) for us in range(2)))
