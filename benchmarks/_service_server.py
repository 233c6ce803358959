"""What the benchmark of the service calls: `python -m benchmarks._service_server WHICH FOLDER`.

`empty` is what is compared with: a FastAPI route that validates a small body and does nothing. Both
are served by uvicorn with the same settings, and write one JSON line once they listen.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from batonq.node.team import Team
from batonq.service.limits import Rate
from batonq.service.run import serve
from batonq.service.settings import Settings

RATE = Rate(1e9, 1e9)
TOKEN = "control-token-of-the-benchmark"  # noqa: S105 - guards nothing
PEER = "peer-token-of-the-benchmark"


class Small(BaseModel):
    """A small body."""

    handoff_id: str
    reward: float = 0.0
    duration: float = 1.0


def empty() -> None:
    """Serve the route that does nothing."""
    app = FastAPI()

    @app.post("/empty")
    async def nothing(body: Small) -> dict[str, str]:
        return {"handoff_id": body.handoff_id}

    # With the protocol named, asyncio switches Nagle's algorithm off, as `serve` has it as well.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    print(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}"}), flush=True)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listening])


def node(folder: Path) -> None:
    """Serve a node with a store on disk, as it is served by default but for the rate limits."""
    team = Team.open(folder / "node.db", gamma=0.95, mode="apply", seed=1)
    team.add("intake", to=["search", "code", "end"])
    team.add("search", to=["intake", "end"])
    team.peer("code", "http://127.0.0.1:9", accepts=PEER)
    serve(team, port=0, settings=Settings(token=TOKEN, control_rate=RATE, peer_rate=RATE))


if __name__ == "__main__":
    if sys.argv[1] == "empty":
        empty()
    else:
        node(Path(sys.argv[2]))
