"""kill -9 at random moments: what was acknowledged is there, and the store opens at once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batonq.node.event import DECISION, OUTCOME, once
from batonq.node.store.sqlite import SqliteStore
from batonq.wire import chain

KILLS = 20
WRITER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from store_kinds import decide, event, settle
from batonq.node.store import openness
from batonq.node.store.sqlite import SqliteStore

openness.BATCH = 10

def say(word, seq):
    os.write(1, f"{word} {seq}\\n".encode())

store = SqliteStore.open(sys.argv[1], sys.argv[3])
say("open", store.last())
for k in range(store.last(), 10**9):
    say("decided", decide(store, f"h{k}", y="x" * (k % 700)))
    if k % 3:
        say("settled", settle(store, f"h{k}", reward=k))
    else:
        with store.transaction():
            seq = settle(store, f"h{k}", reward=k)
            store.to_send(f"h{k}", "b", {"k": k})
            quoted = store.append(event("quote", f"h{k}", quote=0.5))
        say("settled", seq)
        say("sent", quoted)
    if k % 50 == 0:
        store.keep_state("agent/a", seq, list(range(k)))
        say("state", seq)
"""


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_killed_at_random_moments_it_loses_nothing_acknowledged(tmp_path, durability):
    path, rng = tmp_path / "node.db", random.Random(5)
    acknowledged: list[tuple[str, int]] = []
    last = 0
    for _ in range(KILLS // 2):
        code = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent), durability]
        with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"open {last}\n"
            time.sleep(rng.uniform(0.0, 0.15))
            process.kill()
            lines = process.stdout.read().splitlines()
        acknowledged += [(word, int(seq)) for word, seq in map(str.split, lines)]
        last = open_and_check(path, acknowledged)
        told = max((seq for _, seq in acknowledged), default=0)
        assert last - told <= 2  # what was under way
    assert len(acknowledged) > 100


def open_and_check(path, acknowledged):
    """Open the store, which the dead process must not hold, and look for everything; its last."""
    store = SqliteStore.open(path)
    events = {one.seq: one for one in store.events()}
    kinds = {"decided": DECISION, "settled": OUTCOME, "sent": "quote"}
    for word, seq in acknowledged:
        if word in kinds:
            assert events[seq].kind == kinds[word]
    states = [seq for word, seq in acknowledged if word == "state"]
    if states:
        seq, state = store.state("agent/a")
        assert seq >= max(states)
        assert state == list(range(len(state)))
    settled = {one.handoff_id for one in events.values() if one.kind == OUTCOME}
    decided = {one.handoff_id for one in events.values() if one.kind == DECISION}
    assert set(store.open_before(float("inf"), 10**6)) == decided - settled
    assert store.count_open() == len(decided - settled)
    unsent = {one for one, _, _ in store.unsent(10**6)}
    assert unsent == {one.handoff_id for one in events.values() if one.kind == "quote"}
    for one in unsent:
        assert store.find(once(OUTCOME, one)) is not None
    verdict = chain.verify(store.rows())
    assert (verdict.bad, verdict.rows) == (None, store.last())
    store.close()
    return verdict.rows
