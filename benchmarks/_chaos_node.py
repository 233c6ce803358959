"""One node of the chaos benchmark, as a process of its own.

`python -m benchmarks._chaos_node serve CONFIG` serves until it is stopped. With `tables CONFIGS` it
opens the stores that are left, prints what each agent has learnt as JSON, and ends.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from batonq.icq.clocks import Clock
from batonq.node.team import Team
from batonq.service.limits import Rate
from batonq.service.run import serve
from batonq.service.settings import Settings

ANY: Final = Rate(1e6, 1e6)  # the storm is not to be kept away


def opened(config: dict[str, Any]) -> Team:
    """The team of a configuration: one agent, the others as peers."""
    team = Team.open(
        config["store"],
        gamma=config["gamma"],
        mode=config["mode"],
        time_unit="step",
        reward_range=(-1.0, 1.0),
        bits=config["bits"],
        rounding=config["rounding"],
        explore=0.2,
        ttl=config["ttl"],
        durability=config["durability"],
        seed=config["seed"],
        name=config["agent"],
    )
    agent = config["agent"]
    team.add(agent, to=config["actions"], learner="table", clock=Clock(*config["clock"]))
    for name, url in config["peers"].items():
        team.peer(name, url, token=_token(agent, name), accepts=_token(name, agent))
    return team


def _token(sender: str, receiver: str) -> str:
    """What one node shows another; a real one could not be guessed."""
    return f"chaos-{sender}-to-{receiver}".ljust(32, "-")


def served(config: dict[str, Any]) -> None:
    """Serve a node until it is stopped."""
    settings = Settings(peer_rate=ANY, threads=config["durability"] == "full")
    serve(opened(config), port=config["port"], settings=settings)


def table(config: dict[str, Any]) -> dict[str, dict[str, tuple[float, int]]]:
    """What the agent of a node has learnt, by the store that is left of it."""
    with opened(config) as team:
        return team[config["agent"]].table()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        served(json.loads(sys.argv[2]))
    else:
        print(json.dumps({name: table(one) for name, one in json.loads(sys.argv[2]).items()}))
