"""Calls made up from the OpenAPI document by schemathesis, against a node on a socket.

What is counted, and what is held against the answers, stands in `benchmarks._schemathesis_cases`.
Afterwards the state is checked: the hash chain, the number of open handoffs, and that a store
opened anew gives the same tables. Rounds go on until the time is over; each has other calls.

`python -m benchmarks.schemathesis_run --minutes M` for another time; its exit status is 1 if
anything was wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Final

from batonq.node.event import DECISION, EXPIRY, OUTCOME, QUOTE
from batonq.node.team import Team
from batonq.service.limits import Rate
from batonq.service.run import serving
from batonq.service.settings import Settings
from batonq.wire import chain
from benchmarks import _schemathesis_cases as cases

MINUTES: Final = 30.0
TOKEN: Final = "control-token-of-the-benchmark"  # noqa: S105 - guards nothing
UNLIMITED: Final = Rate(1e9, 1e9)


def opened(folder: str) -> Team:
    """The node that is called: with a peer that nobody answers for."""
    team = Team.open(Path(folder) / "node.db", gamma=0.9, mode="apply", seed=1)
    for name, to in cases.AGENTS.items():
        team.add(name, to=list(to))
    team.peer(cases.PEER, "http://127.0.0.1:9", accepts="peer-token-of-the-benchmark")
    return team


def run(quick: bool, minutes: float = MINUTES) -> list[dict[str, Any]]:
    """One row: calls of each kind, the share that succeeded, and what was wrong."""
    warnings.simplefilter("ignore")  # of the tool, about its own parts
    examples = 5 if quick else 50
    begin = time.monotonic()
    settings = Settings(
        token=TOKEN, control_rate=UNLIMITED, peer_rate=UNLIMITED, nobody_rate=UNLIMITED
    )
    with tempfile.TemporaryDirectory() as folder:
        with opened(folder) as team, serving(team, settings=settings) as url:
            found = cases.Run(url, TOKEN, team.declaration.digest(), random.Random(1))
            rounds = 0
            while rounds == 0 or (not quick and time.monotonic() - begin < 60 * minutes):
                cases.a_round(found, cases.document(found), examples, rounds)
                cases.flows(found, cases.document(found), examples, rounds)
                rounds += 1
            state = state_of(team)
        with opened(folder) as team:
            wrong = found.wrong + differences(state, state_of(team))
    filled = [(key, n) for key, n in found.counts.items() if key[0] != "free"]
    free = {kind: n for (name, kind), n in found.counts.items() if name == "free"}
    return [
        {
            "rounds": rounds,
            "seconds": time.monotonic() - begin,
            "filled": sum(n for _, n in filled),
            "succeeded": found.share(),
            "allowed": free.get("positive", 0),
            "not_allowed": free.get("negative", 0),
            "in_flows": sum(n for kind, n in free.items() if kind.startswith("flow")),
            "decisions": state["decisions"],
            "wrong": len(wrong),
            "first": wrong[0] if wrong else "",
            "refused": found.refused[0][:300] if found.refused else "",
        }
    ]


def state_of(team: Team) -> dict[str, Any]:
    """What must be the same after the store is opened again."""
    decided, closed = set(), set()
    outcomes, ended = set(), set()
    for event in team.store.events():
        name = event.handoff_id
        if event.kind == DECISION:
            decided.add(name)
        elif event.kind == OUTCOME:
            outcomes.add(name)
            if "target" in event.body:  # it was learnt from
                closed.add(name)
        elif event.kind == QUOTE:
            ended.add(name)
        elif event.kind == EXPIRY:
            closed.add(name)
    closed |= outcomes & ended
    return {
        "tables": {name: agent.table() for name, agent in team.agents.items()},
        "decisions": len(decided),
        "open": team.store.count_open(),
        "open by the events": len(decided - closed),
        "chain": chain.verify(team.store.rows()).why,
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is wrong with a state."""
    found = [name for name in before if before[name] != after[name]]
    wrong = [f"{name}: differs once the store is opened again" for name in found]
    if before["open"] != before["open by the events"]:
        wrong.append(f"open: {before['open']}, by the events {before['open by the events']}")
    if before["chain"]:
        wrong.append(f"chain: {before['chain']}")
    return wrong


def main() -> int:
    """Run for a time; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.schemathesis_run", description=__doc__
    )
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--quick", action="store_true", help="one small round")
    chosen = parser.parse_args()
    rows = run(chosen.quick, chosen.minutes)
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    return 1 if any(row["wrong"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
