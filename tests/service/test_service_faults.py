"""What a served node does when a peer, its store, or itself fails."""

import asyncio
import socket
import time
from contextlib import contextmanager
from threading import Thread

import httpx
import pytest
from served import client, decide, desk, problem

from batonq.icq.clocks import sample_mean
from batonq.node.event import EXPIRY
from batonq.node.team import Team
from batonq.service.app import application
from batonq.service.run import serving
from batonq.service.settings import Settings
from batonq.service.tending import LONGEST_PAUSE, round_of
from batonq.wire import chain

TOKEN_OF_DESK = "token-that-desk-shows-0123456789"  # noqa: S105
SOON = Settings(retry_seconds=0.05)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def coder(accepts=TOKEN_OF_DESK):
    """The other party: its agent `code` is worth 1 at what it gets."""
    team = Team.open(None, gamma=0.5, rounding="exact", name="coder")
    team.add("code", to=["end"], clock=sample_mean())
    team.peer("intake", "http://127.0.0.1:9", accepts=accepts)
    first = team["code"].decide({"task": 1}, to=["end"])
    team.finish(first.id, reward=1.0)
    return team


@contextmanager
def pipeline(url, settings=SOON, token=TOKEN_OF_DESK, **options):
    with Team.open(None, gamma=0.5, mode="apply", explore=0.0, **options) as team:
        team.add("intake", clock=sample_mean())
        team.peer("code", url, token=token)
        with client(team, settings) as node:
            yield node, team


def handed(node, name="h-1", task=1):
    assert node.post("/v1/decide", json=decide(name, "code")).status_code == 200
    body = {"handoff_id": name, "reward": 1, "artifact": {"task": task}}
    answer = node.post("/v1/settle", json=body)
    assert answer.status_code == 200
    return answer.json()


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_quote_crosses_between_two_nodes():
    with coder() as theirs, serving(theirs) as url, pipeline(url) as (node, team):
        done = handed(node)
        assert (done["learnt"], done["quote"], done["value"]) == (True, 1.0, 1.5)
        assert theirs.peers["intake"].answered == team.peers["code"].asked == 1


def test_a_peer_that_is_down_is_asked_again(caplog):
    port = free_port()
    with pipeline(f"http://127.0.0.1:{port}") as (node, team):
        done = handed(node)
        assert (done["learnt"], done["waiting"], done["quote"]) == (False, True, None)
        assert node.get("/v1/handoffs/h-1").json()["waiting"] is True
        assert node.get("/v1/health").json()["open"] == 1
        again = node.post(
            "/v1/settle", json={"handoff_id": "h-1", "reward": 1, "artifact": {"task": 1}}
        )
        assert (again.json()["repeated"], again.json()["waiting"]) == (True, True)
        with coder() as theirs, serving(theirs, port=port):
            until(lambda: team.counts.learnt == 1)
        assert team["intake"].table()['{"kind":"bug"}']["code"] == (1.5, 1)
        assert node.get("/v1/health").json()["open"] == 0


def test_a_peer_that_refuses_is_waited_for_until_it_expires():
    with coder(accepts="another-token-0123456789") as theirs, serving(theirs) as url:
        with pipeline(url, ttl=0.3) as (node, team):
            assert handed(node)["waiting"] is True
            until(lambda: team.store.count_open() == 0)
            kinds = [one["kind"] for one in node.get("/v1/handoffs/h-1").json()["events"]]
            assert kinds == ["decision", "outcome", EXPIRY]
            assert team.counts.learnt == 0  # nothing was known, and a missing quote is never 0
        assert theirs.peers["intake"].answered == 0


def test_a_batch_asks_a_peer_for_many_quotes_at_once():
    with coder() as theirs, serving(theirs) as url, pipeline(url) as (node, team):
        calls = []
        for k in range(100):
            calls.append({"do": "decide", **decide(f"h-{k}", "code")})
            calls.append({"do": "settle", "handoff_id": f"h-{k}", "artifact": {"task": 1}})
        results = node.post("/v1/batch", json={"calls": calls}, timeout=30).json()["results"]
        assert [one["handoff_id"] for one in results[1::2]] == [f"h-{k}" for k in range(100)]
        assert all(one["learnt"] and one["quote"] == 1.0 for one in results[1::2])
        assert team["intake"].table()['{"kind":"bug"}']["code"] == (0.5, 100)
        assert theirs.peers["intake"].answered == 100


def test_retries_wait_longer_and_longer_while_nobody_answers():
    async def pauses():
        pause, found = 1.0, []
        for _ in range(8):
            pause = await round_of(team, 1.0, pause)
            found.append(pause)
        return found

    with Team.open(None, gamma=0.5) as team:
        team.add("intake")
        team.peer("code", f"http://127.0.0.1:{free_port()}")
        assert asyncio.run(pauses()) == [1.0] * 8  # nothing waits
        decision = team["intake"].decide({"kind": "bug"}, to=["code"])
        team.settle(decision.id, artifact={"task": 1})
        found = asyncio.run(pauses())
    assert found == [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_a_full_store_is_told_and_what_was_kept_goes_on(tmp_path, caplog):
    with desk(tmp_path / "desk.db") as team, client(team) as node:
        for k in range(20):
            assert node.post("/v1/decide", json=decide(f"h-{k}")).json()["logged"]
        base = team.store._base
        pages = base.execute("PRAGMA page_count").fetchone()[0]
        base.execute(f"PRAGMA max_page_count={pages}")
        done = {}
        for k in range(20):
            body = {"handoff_id": f"h-{k}", "reward": 1, "artifact": {"hits": "x" * 2_000}}
            done[k] = node.post("/v1/settle", json=body).status_code
        assert set(done.values()) <= {200, 503}
        lost = [k for k, status in done.items() if status == 503]
        assert lost
        refused = node.post("/v1/finish", json={"handoff_id": f"h-{lost[0]}"})
        assert refused.status_code == 503
        assert str(tmp_path) not in problem(refused)
        # requests go on by their default, and the switch works, though it is not kept
        decision = node.post("/v1/decide", json=decide("h-90") | {"state": {"k": "y" * 3_000}})
        assert (decision.status_code, decision.json()["logged"]) == (200, False)
        switched = node.post("/v1/mode", json={"mode": "bypass", "by": "z" * 128})
        assert switched.status_code in (200, 503)
        assert team.mode == "bypass"
        assert node.get("/v1/health").status_code == 200
        assert node.get("/metrics").status_code == 200

        base.execute("PRAGMA max_page_count=1073741823")
        for k in range(20):  # all again: what was kept is repeated, what was lost is done now
            body = {"handoff_id": f"h-{k}", "reward": 1, "artifact": {"hits": "x" * 2_000}}
            answer = node.post("/v1/settle", json=body)
            assert answer.status_code == 200
            assert answer.json()["repeated"] is (k not in lost)
        assert team["intake"].table()['{"kind":"bug"}']["search"] == (1.0, 20)
        assert chain.verify(team.store.rows()).bad is None
        table = team["intake"].table()
    with desk(tmp_path / "desk.db") as team:
        assert team["intake"].table() == table


def test_a_store_that_cannot_be_read_shows_in_health_and_metrics(tmp_path):
    with desk(tmp_path / "desk.db") as team, client(team) as node:
        node.post("/v1/decide", json=decide("h-1"))
        team.store._base._connection.close()
        answer = node.get("/v1/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "failing")
        assert "batonq_store_up 0.0" in node.get("/metrics").text
        settled = node.post("/v1/settle", json={"handoff_id": "h-1", "artifact": 1})
        assert settled.status_code == 503
        problem(settled)


def test_a_fault_of_ours_shows_nothing(caplog):
    with desk() as team:
        app = application(team)

        @app.post("/v1/fault")
        async def fault() -> None:
            raise KeyError("the artifact's secret")

        async def call():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
                return await one.post("/v1/fault", json={})

        response = asyncio.run(call())
    assert response.status_code == 500
    assert "secret" not in problem(response)
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_many_threads_of_callers_learn_each_handoff_once(tmp_path):
    """Every call is sent by three callers at once: each is done once."""
    with desk(tmp_path / "desk.db") as team, serving(team) as url:
        wrong = []

        def caller():
            with httpx.Client(base_url=url) as one:
                for k in range(40):
                    bodies = {
                        "decide": decide(f"h-{k}"),
                        "settle": {"handoff_id": f"h-{k}", "reward": 1, "artifact": {"hits": k}},
                        "outcomes": {"handoff_id": f"h-{k}", "key": "k", "reward": 3},
                    }
                    for route, body in bodies.items():
                        answer = one.post(f"/v1/{route}", json=body)
                        if answer.status_code != 200:
                            wrong.append(answer.text)

        callers = [Thread(target=caller) for _ in range(3)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()
        assert not wrong
        assert team["intake"].table()['{"kind":"bug"}']["search"] == (pytest.approx(3.0), 40)
        assert team.counts.learnt == 40
        assert chain.verify(team.store.rows()).bad is None


def test_with_threads_the_answers_are_the_same(tmp_path):
    team = desk(tmp_path / "desk.db", durability="full")
    with team, client(team, Settings(threads=True)) as node:
        node.post("/v1/decide", json=decide("h-1"))
        body = {"handoff_id": "h-1", "reward": 1, "duration": 2, "artifact": {"hits": 1}}
        assert node.post("/v1/settle", json=body).json()["value"] == 1.0
        late = {"do": "outcomes", "handoff_id": "h-1", "key": "k", "reward": 2, "realised": 0}
        calls = [late, {"do": "settle", **body}, {"do": "finish", "handoff_id": "h-0"}]
        results = node.post("/v1/batch", json={"calls": calls}).json()["results"]
        assert results[0]["value"] == 2.0
        assert results[1]["repeated"] is True
        assert results[2]["status"] == 404
