import pytest
from prometheus_client.parser import text_string_to_metric_families
from served import CODE, TOKEN, client, decide, desk

from batonq.service.settings import Settings


@pytest.fixture
def node():
    with desk() as team, client(team, Settings(token=TOKEN), TOKEN) as made:
        yield made, team


def read(node):
    """Every sample by name and labels."""
    response = node.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_what_the_node_did_is_counted(node):
    one, team = node
    before = read(one)
    assert before["batonq_decisions_total",] == 0
    one.post("/v1/decide", json=decide("h-1"))
    one.post("/v1/settle", json={"handoff_id": "h-1", "artifact": {"hits": 1}})
    one.post("/v1/settle", json={"handoff_id": "h-1", "artifact": {"hits": 1}})
    one.post("/v1/decide", json=decide("h-2", "code"))
    one.post("/v1/settle", json={"handoff_id": "h-2", "artifact": {"hits": 1}})  # nobody answers
    team["intake"].decide({"kind": "bug"})  # not over HTTP
    ask = {"handoff_id": "h-9", "sender": "code", "receiver": "intake", "artifact": 1}
    ask["declaration"] = team.declaration.digest()
    headers = {"authorization": f"Bearer {CODE}"}
    assert one.post("/v1/receive", json=ask, headers=headers).status_code == 200
    found = read(one)
    expected = {
        "batonq_decisions_total": 3,
        "batonq_settled_total": 2,
        "batonq_learnt_total": 1,
        "batonq_answered_total": 1,
        "batonq_unasked_total": 1,
        "batonq_open": 2,
        "batonq_events": 6,
        "batonq_store_up": 1,
    }
    assert {name: found[name,] for name in expected} == expected
    peer = ("peer", "code")
    assert found["batonq_peer_quotes_out_total", peer] == 1
    assert found["batonq_peer_quotes_in_total", peer] == 0
    assert found["batonq_peer_failures_total", peer] == 1
    assert found["batonq_peer_quarantined", peer] == 0
    assert found["batonq_mode", ("mode", "apply")] == 1
    assert found["batonq_mode", ("mode", "bypass")] == 0


def test_requests_are_counted_by_route_not_by_path(node):
    one, _ = node
    for k in range(5):
        one.get(f"/v1/handoffs/h-{k}")
        one.get(f"/nothing/{k}")
    one.request("BREW", "/v1/health", json={})
    one.post("/v1/settle", json={})
    found = read(one)
    requests = {key[1:]: value for key, value in found.items() if key[0] == "batonq_requests_total"}
    told = {
        (dict(key)["route"], dict(key)["method"], dict(key)["status"]): value
        for key, value in requests.items()
    }
    assert told["/v1/handoffs/{handoff_id}", "GET", "404"] == 5
    assert told["other", "GET", "404"] == 5
    assert told["/v1/settle", "POST", "422"] == 1
    assert told["/v1/health", "other", "405"] == 1
    assert len(told) == 4
    seconds = ("batonq_request_seconds_count", ("route", "/v1/settle"))
    assert found[seconds] == 1


def test_neither_tokens_nor_what_callers_said_is_in_it(node):
    one, _ = node
    one.post("/v1/decide", json=decide("h-secret") | {"workflow": "w-secret"})
    one.get("/secret")
    text = one.get("/metrics").text
    for word in ("secret", TOKEN, CODE, "bug"):
        assert word not in text


def test_two_nodes_of_a_process_count_for_themselves(node):
    one, _ = node
    with desk() as other, client(other) as two:
        two.post("/v1/decide", json=decide("h-1"))
        assert read(two)["batonq_decisions_total",] == 1
    assert read(one)["batonq_decisions_total",] == 0
