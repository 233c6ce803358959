"""The same trajectory through nodes over HTTP and through `icq.train`: the same tables, exactly.

`train` learns on a finite model and records what happened. Then every agent gets a node of its own,
behind a socket, and the pipeline tells the nodes the same story over HTTP: observe mode takes the
default, which is the action that was recorded; the receiver's quote goes from node to node as an
exact float. What they have learnt must then be equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import batonq as bq
from batonq.base.machine import free_ports
from batonq.icq.clocks import Clock, power, rescaled_linear
from batonq.icq.run import Run
from batonq.node.team import Team
from batonq.service.limits import Rate
from batonq.service.run import serving
from batonq.service.settings import Settings
from batonq.smdp import durations
from batonq.smdp.model import FiniteICSMDP, from_entries

ANY = Settings(peer_rate=Rate(1e6, 1e6))


def model(seed: int, n_agents: int = 3) -> FiniteICSMDP:
    """Twelve states in nine cells; not every action is permitted, rows end, control is kept."""
    rng = np.random.default_rng(seed)
    cell = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 4, 8])
    cell_mask = rng.random((9, 3)) < 0.7
    cell_mask[:, 0] = True
    mask = cell_mask[cell]
    state, action = np.nonzero(mask)
    entries = 4 * len(state)
    return from_entries(
        agents=[f"agent{k}" for k in range(n_agents)],
        holder=cell % n_agents,
        cell=cell,
        reward=np.where(mask, rng.normal(size=mask.shape), 0.0),
        state=np.repeat(state, 4),
        action=np.repeat(action, 4),
        successor=rng.integers(0, len(cell), entries),
        probability=(rng.dirichlet(np.ones(4), len(state)) * 0.9).ravel(),
        durations=durations.geometric(rng.uniform(1, 5, entries)),
        gamma=0.9,
        mask=mask,
    )


def recorded(of: FiniteICSMDP, clock: Clock | None, most: int) -> Run:
    """A run whose last handoff ended the workflow, so that nothing is missing after it."""
    trace = bq.train(of, handoffs=most, clock=clock, record=True, seed=5).traces[0]
    last = int(np.flatnonzero(trace["receiver"] < 0)[-1])
    run = bq.train(of, handoffs=last + 1, clock=clock, record=True, seed=5)
    assert (run.traces[0] == trace[: last + 1]).all()
    return run


@contextmanager
def nodes(of: FiniteICSMDP, clock: Clock, folder: Path) -> Iterator[dict[str, tuple[Team, str]]]:
    """A node for every agent, each behind a socket: by agent, its team and its URL."""

    def permitted(cell: int) -> dict[str, str]:
        return {f"a{action}": "end" for action in np.flatnonzero(of.cell_mask[cell])}

    ports = free_ports(of.n_agents)
    urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(of.agents, ports, strict=True)}
    with ExitStack() as stack:
        teams = {}
        for name in of.agents:
            team = Team.open(
                folder / f"{name}.db",
                gamma=of.gamma,
                quote_range=(-1e6, 1e6),
                rounding="exact",
                name=name,
            )
            stack.enter_context(team)
            team.add(name, to=permitted, clock=clock)
            for other in of.agents:
                if other != name:
                    told, heard = f"{name} to {other}", f"{other} to {name}"
                    team.peer(other, urls[other], token=token(told), accepts=token(heard))
            teams[name] = team
        for name, port in zip(of.agents, ports, strict=True):
            stack.enter_context(serving(teams[name], port=port, settings=ANY))
        yield {name: (teams[name], urls[name]) for name in of.agents}


def token(of: str) -> str:
    return sha256(of.encode()).hexdigest()


def tell(http: httpx.Client, of: FiniteICSMDP, trace: np.ndarray, urls: dict[str, str]) -> None:
    """Tell the nodes what happened, handoff by handoff; their quotes must be those recorded."""
    cells = [*trace["cell"][1:], -1]
    for number, (row, after) in enumerate(zip(trace, cells, strict=True)):
        name, cell = of.agents[row["agent"]], int(row["cell"])
        ended = row["receiver"] < 0
        action = f"a{row['action']}"
        to = {f"a{one}": "end" for one in np.flatnonzero(of.cell_mask[cell])}
        to[action] = "end" if ended else of.agents[row["receiver"]]
        asked = {"agent": name, "state": cell, "to": to, "default": action}
        decision = post(http, urls[name], "decide", {**asked, "handoff_id": f"h{number}"})
        assert (decision["action"], decision["target"]) == (action, to[action])
        outcome: dict[str, Any] = {
            "handoff_id": f"h{number}",
            "reward": float(row["reward"]),
            "duration": int(row["duration"]),
        }
        outcome |= {"end": "terminal"} if ended else {"artifact": int(after)}
        settled = post(http, urls[name], "settle", outcome)
        assert settled["learnt"]
        assert settled["quote"] == (None if ended else row["quote"])


def post(http: httpx.Client, url: str, route: str, body: dict[str, Any]) -> dict[str, Any]:
    response = http.post(f"{url}/v1/{route}", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize(
    ("seed", "clock", "handoffs"),
    [(1, None, 400), (2, power(0.7), 200)],
    ids=["default clock", "power clock"],
)
def test_nodes_over_http_learn_what_train_learns(
    seed: int, clock: Clock | None, handoffs: int, tmp_path: Path
) -> None:
    of = model(seed)
    run = recorded(of, clock, handoffs)
    trace = run.traces[0]
    assert len(trace) > 0.9 * handoffs
    itself = trace["receiver"] == trace["agent"]
    assert itself.any()
    assert (trace["receiver"][~itself] >= 0).any()  # quotes crossed
    sizes = rescaled_linear(of.contraction) if clock is None else clock
    with nodes(of, sizes, tmp_path) as made, httpx.Client(timeout=30.0) as http:
        tell(http, of, trace, {name: url for name, (_, url) in made.items()})
        learnt = {name: team[name].table() for name, (team, _) in made.items()}
    for name, table in run.tables[0].items():
        for row, cell in enumerate(table.observations):
            for action in np.flatnonzero(of.cell_mask[cell]):
                found = learnt[name].get(f"{cell}", {}).get(f"a{action}", (0.0, 0))
                assert found == (table.q[row, action], table.counts[row, action])
    assert sum(n for t in learnt.values() for row in t.values() for _, n in row.values()) == len(
        trace
    )
