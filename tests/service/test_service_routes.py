"""Every route on a real socket, against cases solved by hand (gamma 1/2, step sizes 1/n)."""

import json

import httpx
import pytest
from served import CODE, TOKEN, client, decide, desk, problem

from batonq.service.settings import Settings


@pytest.fixture
def team(tmp_path):
    with desk(tmp_path / "desk.db") as made:
        yield made


@pytest.fixture
def node(team):
    with client(team) as made:
        yield made


def ok(response):
    assert response.status_code == 200, response.text
    return response.json()


def post(node, route, **body):
    return node.post(f"/v1/{route}", json=body)


def test_a_workflow_by_hand(node, team):
    first = ok(post(node, "decide", **decide("h-1")))
    assert (first["id"], first["target"], first["propensity"]) == ("h-1", "search", 1.0)
    assert first["why"] == "the only one permitted"
    # search, at what it gets, is worth 0 so far: 1 + 0.5^2 * 0
    done = ok(post(node, "settle", handoff_id="h-1", reward=1, duration=2, artifact={"hits": 1}))
    assert done == {
        "handoff_id": "h-1",
        "learnt": True,
        "waiting": False,
        "quote": 0.0,
        "value": 1.0,
        "repeated": False,
    }
    ok(post(node, "decide", **decide("h-2", "end", "search") | {"state": {"hits": 1}}))
    assert ok(post(node, "finish", handoff_id="h-2", reward=4))["value"] == 4.0
    # now search is worth 4 there: the mean of 1 and 1 + 0.25 * 4
    ok(post(node, "decide", **decide("h-3")))
    done = ok(post(node, "settle", handoff_id="h-3", reward=1, duration=2, artifact={"hits": 1}))
    assert (done["quote"], done["value"]) == (4.0, 1.5)
    assert team["intake"].table() == {'{"kind":"bug"}': {"search": (1.5, 2)}}


def test_a_decision_with_a_name_is_made_once(node, team):
    before = ok(post(node, "decide", **decide("h-1")))
    again = ok(post(node, "decide", **decide("h-1")))
    assert again == before
    other = post(node, "decide", **decide("h-1") | {"state": {"kind": "question"}})
    assert other.status_code == 409
    assert "another decision" in problem(other)
    assert team.counts.decisions == 1


def test_the_same_outcome_twice_is_learnt_once(node, team):
    ok(post(node, "decide", **decide("h-1")))
    body = {"handoff_id": "h-1", "reward": 1, "duration": 2, "artifact": {"hits": 1}}
    assert ok(post(node, "settle", **body))["repeated"] is False
    again = ok(post(node, "settle", **body))
    assert (again["repeated"], again["learnt"], again["quote"]) == (True, True, 0.0)
    other = post(node, "settle", **body | {"reward": 2})
    assert other.status_code == 409
    assert "settled with reward 1" in problem(other)
    assert team["intake"].table()['{"kind":"bug"}']["search"] == (1.0, 1)


def test_outcomes_correct_once_per_key(node, team):
    ok(post(node, "decide", **decide("h-1", "end")))
    ok(post(node, "finish", handoff_id="h-1", reward=1))
    body = {"handoff_id": "h-1", "key": "review", "reward": 3, "source": "reviewer"}
    assert ok(post(node, "outcomes", **body))["value"] == 3.0
    assert ok(post(node, "outcomes", **body))["repeated"] is True
    assert post(node, "outcomes", **body | {"reward": 5}).status_code == 409
    assert ok(post(node, "outcomes", **body | {"key": "appeal", "reward": 5}))["value"] == 5.0
    assert team["intake"].table()['{"kind":"bug"}']["end"] == (5.0, 1)


def test_what_a_handoff_was_worth_can_be_told(node):
    ok(post(node, "decide", **decide("h-1")))
    ok(post(node, "settle", handoff_id="h-1", artifact={"hits": 1}))
    told = ok(post(node, "outcomes", handoff_id="h-1", key="k", realised=0.25))
    assert (told["learnt"], told["waiting"], told["repeated"]) == (True, False, False)
    told = ok(post(node, "outcomes", handoff_id="h-1", key="k", realised=0.25))
    assert told["repeated"] is True
    both = post(node, "outcomes", handoff_id="h-1", key="l", realised=0.5, reward=9)
    assert both.status_code == 409  # and neither is done
    assert "0.25" in problem(both)
    kinds = [one["kind"] for one in ok(node.get("/v1/handoffs/h-1"))["events"]]
    assert kinds == ["decision", "outcome", "realised"]


def test_calls_out_of_order_change_nothing(node, team):
    for route, body in {
        "settle": {"handoff_id": "h-1", "reward": 1},
        "finish": {"handoff_id": "h-1", "reward": 1},
        "outcomes": {"handoff_id": "h-1", "key": "k", "reward": 1},
    }.items():
        response = post(node, route, **body)
        assert response.status_code == 404
        assert "h-1" in problem(response)
    ok(post(node, "decide", **decide("h-1")))
    early = post(node, "outcomes", handoff_id="h-1", key="k", reward=1)
    assert early.status_code == 409
    assert team.counts.settled == 0
    assert node.get("/v1/handoffs/h-9").status_code == 404
    assert ok(post(node, "settle", handoff_id="h-1", artifact={"hits": 1}))["learnt"]


def ask(team, name="h-9", **more):
    body = {"handoff_id": name, "sender": "code", "receiver": "intake", "artifact": {"kind": "bug"}}
    return {**body, "declaration": team.declaration.digest(), **more}


def test_a_quote_is_given_once_and_the_same(node, team):
    with httpx.Client(base_url=node.base_url, headers={"authorization": f"Bearer {CODE}"}) as code:
        first = ok(code.post("/v1/receive", json=ask(team)))
        # 0 in the range [-2, 2] is 127.5 of 255, rounded up
        assert first == {"handoff_id": "h-9", "code": 128, "bits": 8}
        assert ok(code.post("/v1/receive", json=ask(team))) == first
        assert team.peers["code"].answered == 1
        for other in ({"artifact": {"kind": "question"}}, {"receiver": "search"}):
            assert code.post("/v1/receive", json=ask(team, **other)).status_code == 409
        units = code.post("/v1/receive", json=ask(team, "h-10", declaration="0" * 64))
        assert units.status_code == 403
        assert "declaration" in problem(units)
        unknown = code.post("/v1/receive", json=ask(team, "h-10", receiver="nobody"))
        assert unknown.status_code == 404
        forged = code.post("/v1/receive", json=ask(team, "h-10", sender="search"))
        assert forged.status_code == 403
        assert "search" in problem(forged)
    assert team.peers["code"].answered == 1


def test_an_exact_quote_is_a_value(tmp_path):
    with desk(tmp_path / "exact.db", rounding="exact") as team, client(team) as node:
        answer = ok(node.post("/v1/receive", json=ask(team)))
    assert answer == {"handoff_id": "h-9", "value": 0.0, "bits": 64}


def test_an_artifact_that_cannot_be_read_is_not_described(tmp_path):
    with desk(tmp_path / "desk.db") as team:
        team.add("strict", features=lambda artifact: artifact["secret field"], to=["end"])
        with client(team) as node:
            response = node.post("/v1/receive", json=ask(team, receiver="strict"))
    assert response.status_code == 422
    assert problem(response) == "artifact: agent 'strict' cannot read it"


def test_a_batch_is_done_in_order_each_by_itself(node, team):
    calls = [
        {"do": "decide", **decide("h-1")},
        {"do": "settle", "handoff_id": "h-0", "reward": 1},  # of no decision
        {"do": "settle", "handoff_id": "h-1", "reward": 1, "artifact": {"hits": 1}},
        {"do": "decide", **decide("h-2", agent="nobody")},
        {"do": "settle", "handoff_id": "h-1", "reward": 2, "artifact": {"hits": 1}},
        {"do": "outcomes", "handoff_id": "h-1", "key": "k", "reward": 3},
        {"do": "decide", **decide("h-3", "end")},
        {"do": "finish", "handoff_id": "h-3", "reward": 4},
    ]
    results = ok(node.post("/v1/batch", json={"calls": calls}))["results"]
    assert [one.get("status", 200) for one in results] == [200, 404, 200, 404, 409, 200, 200, 200]
    table = team["intake"].table()['{"kind":"bug"}']
    assert table == {"search": (3.0, 1), "end": (4.0, 1)}
    again = ok(node.post("/v1/batch", json={"calls": calls}))["results"]
    assert [one.get("status", 200) for one in again] == [200, 404, 200, 404, 409, 200, 200, 200]
    assert [one["repeated"] for one in again if "repeated" in one] == [True, True, True]
    assert team["intake"].table()['{"kind":"bug"}'] == table


def test_a_batch_with_a_malformed_call_does_nothing(node, team):
    calls = [
        {"do": "decide", **decide("h-1")},
        {"do": "settle", "handoff_id": "h-1", "reward": "1"},
    ]
    response = node.post("/v1/batch", json={"calls": calls})
    assert response.status_code == 422
    assert "/calls/1" in problem(response)
    assert team.counts.decisions == 0


def test_a_batch_has_a_limit(team):
    settings = Settings(batch_limit=2)
    with client(team, settings) as node:
        calls = [{"do": "finish", "handoff_id": f"h-{k}"} for k in range(3)]
        response = node.post("/v1/batch", json={"calls": calls})
        assert response.status_code == 413
        assert "at most 2" in problem(response)
        assert ok(node.post("/v1/batch", json={"calls": calls[:2]}))["results"][0]["status"] == 404
        assert ok(node.post("/v1/batch", json={"calls": []})) == {"results": []}


def test_a_dry_run_keeps_nothing(node, team):
    found = ok(post(node, "decide", **decide("h-1", dry_run=True)))
    assert found["logged"] is False
    assert team.store.last() == 0


def test_the_mode_can_be_switched(node, team):
    assert ok(post(node, "mode", mode="bypass", by="ops")) == {"mode": "bypass"}
    assert ok(post(node, "decide", **decide("h-1")))["logged"] is False
    assert ok(node.get("/v1/health"))["mode"] == "bypass"
    assert post(node, "mode", mode="sleep").status_code == 422
    assert team.mode == "bypass"


def test_health_and_declaration(node, team):
    found = ok(node.get("/v1/health"))
    assert (found["status"], found["name"], found["open"]) == ("ok", "desk", 0)
    assert (found["agents"], found["peers"]) == (["intake", "search"], ["code"])
    assert ok(node.get("/v1/declaration")) == team.declaration.document()


WRONG = {
    "nothing": b"",
    "no object": b"[]",
    "a word": b'"h"',
    "not JSON": b"{handoff_id: h}",
    "cut off": b'{"handoff_id": "h',
    "NaN": b'{"handoff_id": "h", "reward": NaN}',
    "infinite": b'{"handoff_id": "h", "reward": -Infinity}',
    "too large": b'{"handoff_id": "h", "reward": 1e999}',
    "beyond bounds": b'{"handoff_id": "h", "reward": 1e200}',
    "a long integer": b'{"handoff_id": "h", "reward": ' + b"9" * 5_000 + b"}",
    "a text for a number": b'{"handoff_id": "h", "reward": "1"}',
    "true for a number": b'{"handoff_id": "h", "reward": true}',
    "a list for a number": b'{"handoff_id": "h", "reward": [1]}',
    "null for a number": b'{"handoff_id": "h", "reward": null}',
    "no duration": b'{"handoff_id": "h", "duration": 0}',
    "a time that runs back": b'{"handoff_id": "h", "duration": -1}',
    "no name": b'{"reward": 1}',
    "an empty name": b'{"handoff_id": ""}',
    "a number for a name": b'{"handoff_id": 7}',
    "a path for a name": b'{"handoff_id": "../../etc/passwd"}',
    "a long name": b'{"handoff_id": "' + b"h" * 129 + b'"}',
    "a name with a line": b'{"handoff_id": "h\\n"}',
    "an unknown end": b'{"handoff_id": "h", "end": "never"}',
    "an unknown field": b'{"handoff_id": "h", "rewrd": 1}',
    "a key twice": b'{"handoff_id": "h", "reward": 1, "reward": 2}',
    "half a character": b'{"handoff_id": "h", "artifact": "\\ud800"}',
    "not UTF-8": b'{"handoff_id": "h", "artifact": "\xff"}',
    "UTF-16": '{"handoff_id": "h"}'.encode("utf-16"),
    "a mark ahead": b'\xef\xbb\xbf{"handoff_id": "h"}',
    "deep": b'{"handoff_id": "h", "artifact": ' + b"[" * 100 + b"]" * 100 + b"}",
    "very deep": b'{"handoff_id": "h", "artifact": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "two documents": b'{"handoff_id": "h"}{"handoff_id": "h"}',
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_malformed_body_is_refused(shared, body):
    node, team = shared
    response = node.post("/v1/settle", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    problem(response)
    assert team.store.last() == 0


@pytest.fixture(scope="module")
def shared():
    with desk() as team, client(team) as made:
        yield made, team


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"agent": None}, "/agent"),
        ({"to": []}, "/to"),
        ({"to": {}}, "/to"),
        ({"to": ["a", "a\x00" * 65]}, "/to"),
        ({"to": {"a": 1}}, "/to"),
        ({"to": "search"}, "/to"),
        ({"to": [f"t{k}" for k in range(257)]}, "/to"),
        ({"default": "nowhere"}, "nowhere"),
        ({"hops": -1}, "/hops"),
        ({"hops": 1.5}, "/hops"),
        ({"veto": "search"}, "/veto"),
        ({"costs": {"search": 1}}, "/costs/search"),
        ({"costs": {"search": {"usd": float("1e200")}}}, "/costs/search/usd"),
        ({"dry_run": "yes"}, "/dry_run"),
        ({"workflow": ""}, "/workflow"),
        ({"handoff_id": "-h"}, "/handoff_id"),
    ],
)
def test_a_decision_that_cannot_be_names_the_place(shared, change, place):
    node, team = shared
    response = node.post("/v1/decide", json=decide("h-1") | change)
    assert response.status_code == 422
    assert place in problem(response)
    assert team.store.last() == 0


def test_a_vetoed_decision_is_refused(shared):
    node, team = shared
    response = node.post("/v1/decide", json=decide("h-1", veto=["search"]))
    assert response.status_code == 403
    assert "vetoed" in problem(response)
    assert team.store.last() == 0


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/nothing", "GET", 404),
        ("/nothing", "GET", 404),
        ("/v1/decide/", "POST", 404),
        ("/v1/settle", "GET", 405),
        ("/v1/settle", "PUT", 405),
        ("/v1/health", "DELETE", 405),
        ("/v1/settle", "OPTIONS", 405),
        ("/v1/settle", "BREW", 405),
        ("/docs", "GET", 404),
        ("/openapi.json", "GET", 404),
    ],
)
def test_other_routes_and_methods(shared, path, method, status):
    node, _ = shared
    response = node.request(method, path, headers={"content-type": "application/json"})
    assert response.status_code == status
    problem(response)
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/jsonx"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_a_body_that_is_no_json_is_not_read(shared, headers):
    node, _ = shared
    response = node.post("/v1/settle", content=b'{"handoff_id": "h"}', headers=headers)
    assert response.status_code == 415
    problem(response)


def test_json_may_name_its_encoding(shared):
    node, _ = shared
    response = node.post(
        "/v1/settle",
        content=json.dumps({"handoff_id": "h-1"}),
        headers={"content-type": 'Application/JSON; charset="UTF-8"'},
    )
    assert response.status_code == 404  # it was read


def test_responses_are_not_kept_nor_guessed_at(shared):
    node, _ = shared
    for path in ("/v1/health", "/v1/declaration", "/metrics", "/", "/login", "/nothing"):
        headers = node.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
    page = node.get("/").headers
    assert "frame-ancestors 'none'" in page["content-security-policy"]
    assert page["x-frame-options"] == "DENY"


def test_both_kinds_of_token_are_of_use(team):
    with client(team, Settings(token=TOKEN), TOKEN) as node:
        ok(post(node, "decide", **decide("h-1")))
        node.headers["authorization"] = f"Bearer {CODE}"
        assert ok(node.get("/v1/declaration"))
        assert post(node, "decide", **decide("h-2")).status_code == 403
