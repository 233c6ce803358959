"""Nodes that are killed, and calls that are dropped, doubled, delayed: is anything lost or doubled?

Four processes, each a node with one agent and an SQLite store, learn from workflows that wander
among them at random. Between the pipeline and the nodes, and between the nodes, stands a proxy that
drops requests and answers, sends requests twice, late, in another order, or long after; nodes are
killed with -9 at random and started again. One of them gives handoffs up that wait for more than a
few seconds. A referee process is told of every call before it is made and of every answer. In the
end all nodes are killed, and the referee holds their stores to what was answered, and their tables
to a replay of its own.

`python -m benchmarks.chaos --seed S --handoffs N` for other sizes; its exit status is 1 if anything
was violated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from batonq.base.machine import free_ports
from batonq.icq.clocks import Clock, rescaled_linear
from batonq.node.store.sqlite import DURABILITY
from batonq.wire.scalar import range_from_reward
from benchmarks._chaos_http import HOST, exchange, parse, request
from benchmarks._chaos_pipeline import Pipeline, Tell, World
from benchmarks._chaos_processes import Nodes, Talker
from benchmarks._chaos_proxy import (
    CHANCES,
    DELAY,
    DROP_REQUEST,
    DROP_RESPONSE,
    DUPLICATE,
    REORDER,
    STALE,
)

FAULTS: Final = (
    "kill -9",
    "restart",
    DUPLICATE,
    STALE,
    DROP_REQUEST,
    DROP_RESPONSE,
    DELAY,
    REORDER,
)
DONE: Final = (
    "handoffs",
    "seconds",
    "requests",
    "retries",
    "waited",
    "corrections",
    "contradictions",
    "repeated",
    "early",
    "left",
)
STORED: Final = ("decision", "outcome", "quote", "answer", "revision", "expiry")
VIOLATIONS: Final = (
    "lost",
    "doubled",
    "invented",
    "replay",
    "table",
    "open",
    "quotes",
    "ledger",
    "told",
)
LONG, SHORT = 3600.0, 4.0  # seconds a handoff may wait: long, and short at the last of the nodes
TRANSCRIPT: Final = "told.jsonl"
AGENTS: Final = ("intake", "search", "code", "review")
MODES: Final = ("apply", "observe", "apply", "observe")  # by agent


@dataclass(frozen=True)
class Plan:
    """How long and how wild.

    Attributes:
        handoffs: decisions asked for, at least.
        seed: of workflows, faults and kills; their interleaving is up to the machine.
        every: mean seconds from a node's being up to the next kill.
        kills: how many at most; None: as many as there is time for.
        at_once: workflows under way.
        cells: different artifacts.
        gamma: discount per step.
        bits: of a quote.
        agents: how many, each on a node of its own; at most 4.
        durability: of the stores; with "full" calls run in threads, as `batonq node serve` does.
        chances: of each fault of the proxy, per request.
    """

    handoffs: int = 50_000
    seed: int = 0
    every: float = 2.0
    kills: int | None = None
    at_once: int = 256
    cells: int = 6
    gamma: float = 0.9
    bits: int = 8
    agents: int = 4
    durability: str = "normal"
    chances: dict[str, float] = field(default_factory=lambda: dict(CHANCES))

    @property
    def clock(self) -> Clock:
        """Step sizes of all agents."""
        return rescaled_linear(self.gamma)


QUICK: Final = Plan(handoffs=800, every=1.0, at_once=32)


def storm(plan: Plan, folder: Path) -> dict[str, Any]:
    """Run it; returns events by kind and the referee's verdict.

    Args:
        plan: how long and how wild.
        folder: where stores and logs go, and all that the referee is told, as JSON lines.
    """
    agents = AGENTS[: plan.agents]
    ports = free_ports(2 * len(agents))
    ports, doors = ports[: len(agents)], ports[len(agents) :]
    by_agent = dict(zip(agents, doors, strict=True))
    world = World(by_agent, plan.cells)
    configs = {
        agent: {
            "agent": agent,
            "store": str(folder / f"{agent}.db"),
            "port": port,
            "actions": world.actions(agent),
            "gamma": plan.gamma,
            "clock": list(plan.clock),
            "mode": mode,
            "bits": plan.bits,
            "rounding": "nearest",
            "durability": plan.durability,
            "seed": plan.seed,
            "ttl": SHORT if agent == agents[-1] else LONG,
            "peers": {to: f"http://{HOST}:{by_agent[to]}" for to in agents if to != agent},
        }
        for agent, port, mode in zip(agents, ports, MODES, strict=False)
    }
    routes = dict(zip(doors, ports, strict=True))
    proxy = Talker(
        "_chaos_proxy",
        json.dumps({"routes": routes, "seed": plan.seed, "chances": plan.chances}),
    )
    referee = Talker("_chaos_referee")
    transcript = (folder / TRANSCRIPT).open("w")

    def tell(line: dict[str, Any]) -> None:
        told = json.dumps(line)
        transcript.write(told + "\n")
        referee.tell(told)

    nodes = Nodes(configs, folder / "nodes.log", plan.seed, Counter())
    try:
        return asyncio.run(_run(plan, world, nodes, proxy, tell, referee))
    finally:
        nodes.end_all()
        proxy.kill()
        referee.kill()
        transcript.close()


async def _run(
    plan: Plan, world: World, nodes: Nodes, proxy: Talker, tell: Tell, referee: Talker
) -> dict[str, Any]:
    proxy.hear()
    for agent in nodes.configs:
        nodes.start(agent)
    for agent in nodes.configs:
        await nodes.up(agent)
    pipeline = Pipeline(world, tell, plan.seed)
    begun = time.perf_counter()
    killer = asyncio.create_task(nodes.kill_at_random(plan.every, plan.kills))
    wandering = asyncio.create_task(pipeline.wander(plan.handoffs, plan.at_once))
    await asyncio.wait([killer, wandering], return_when=asyncio.FIRST_COMPLETED)
    if killer.done() and not wandering.done():
        killer.result()  # raises, if it failed
    await wandering
    seconds = time.perf_counter() - begun
    killer.cancel()
    await asyncio.gather(killer, return_exceptions=True)
    await nodes.recover()
    proxy.tell("calm")
    proxy.hear()
    await pipeline.quoted()
    live = {agent: await _live(agent, nodes, plan, world) for agent in nodes.configs}
    nodes.end_all()
    faults = json.loads(proxy.end())
    tables = nodes.tables()
    told = {
        agent: {
            "store": config["store"],
            "actions": list(config["actions"]),
            "table": tables[agent],
            "live": live[agent],
        }
        for agent, config in nodes.configs.items()
    }
    crosses = [*range_from_reward(-1.0, 1.0, plan.gamma), plan.bits, "nearest"]
    learning = {"clock": list(plan.clock), "gamma": plan.gamma, "scalar": crosses}
    tell({"is": "check", "nodes": told, **learning})
    verdict = json.loads(referee.hear())
    asked = {**pipeline.counts, "requests": faults.pop("requests")}
    return {"seconds": seconds, **nodes.counts, **faults, **asked, **verdict}


async def _live(agent: str, nodes: Nodes, plan: Plan, world: World) -> dict[str, dict[str, float]]:
    """What a running node thinks of every artifact: its values by cell."""
    found = {}
    for cell in range(plan.cells):
        body = {
            "agent": agent,
            "state": {"cell": cell},
            "to": world.actions(agent),
            "default": "answer",
            "dry_run": True,
        }
        message = request("POST", "/v1/decide", body)
        status, answer = parse(await exchange(nodes.configs[agent]["port"], message, 10.0))
        assert status == 200, answer
        found[json.dumps({"cell": cell}, separators=(",", ":"))] = answer["values"]
    return found


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The result as rows for people: what was done to them, what they did, what was found."""
    faults = {kind: result.get(kind, 0) for kind in FAULTS}
    return [
        {"faults": sum(faults.values()), **faults},
        {name: result.get(name, 0) for name in DONE},
        {name: result["events"].get(name, 0) for name in STORED}
        | {name: result[name] for name in ("learnt", "still_open", "rows_verified")},
        {name: result[name] for name in ("violations", *VIOLATIONS)},
        *({"violation": one} for one in result["shown"]),
    ]


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows of a run; raises SystemExit if anything was violated."""
    result = chaos(QUICK if quick else Plan())
    if result["violations"]:
        print(json.dumps(result, indent=1), file=sys.stderr)
        raise SystemExit(1)
    return rows(result)


def chaos(plan: Plan) -> dict[str, Any]:
    """A run in a folder of its own, which is kept if anything was violated."""
    folder = Path(tempfile.mkdtemp(prefix="batonq-chaos-"))
    result = storm(plan, folder)
    if result["violations"]:
        print(f"stores and logs are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small: does it run at all?")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--handoffs", type=int, help="decisions asked for, at least")
    parser.add_argument("--every", type=float, help="mean seconds between kills")
    parser.add_argument("--durability", choices=DURABILITY, help="of the stores")
    chosen = parser.parse_args(arguments)
    plan = replace(QUICK if chosen.quick else Plan(), seed=chosen.seed)
    options = ("handoffs", "every", "durability")
    given = {name: value for name in options if (value := getattr(chosen, name))}
    result = chaos(replace(plan, **given))
    for row in rows(result):
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
