"""An existing pipeline learns to hand off: first it is observed, then the policy is applied."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import batonq as bq


def answer(team: bq.Team, kind: str) -> float:
    """One request: intake hands it to search or to code, which answers it."""
    state = {"kind": kind, "text": f"a {kind} about the {random.choice(['parser', 'manual'])}"}
    handoff = team["intake"].decide(state, default=random.choice(["search", "code"]))
    team.settle(handoff.id, reward=-0.05, duration=2.0)  # the receiver's quote is carried for you
    work = team[handoff.target].decide(state)
    right = float((kind == "bug") == (handoff.target == "code"))
    team.finish(work.id, reward=right, duration=5.0)
    return right


def main() -> None:
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "desk.db"
        for mode in ("observe", "apply"):  # the store remembers what was learnt
            with bq.Team.open(store, gamma=0.95, reward_unit="answers", seed=1) as team:
                team.set_mode(mode)
                team.add("intake", lambda s: {"kind": s["kind"]}, to=["search", "code"])
                team.add("search", lambda s: {"kind": s["kind"]}, to=[bq.END])
                team.add("code", lambda s: {"kind": s["kind"]}, to=[bq.END])
                shares = [answer(team, random.choice(["bug", "question"])) for _ in range(500)]
                print(f"{mode}: {sum(shares) / len(shares):.2f} right")
                print(team["intake"].decide({"kind": "bug"}, dry_run=True).why)
        assert sum(shares) / len(shares) > 0.9


if __name__ == "__main__":
    main()
