"""Who gets through to a served node: tokens, peers, browsers, other sites, too many calls."""

import re
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
from served import CODE, TOKEN, client, decide, desk, problem

from batonq.service.limits import Rate
from batonq.service.settings import Settings

ROUTES = {
    "/v1/health": ("GET", None),
    "/v1/declaration": ("GET", None),
    "/v1/openapi.json": ("GET", None),
    "/v1/receive": ("POST", {}),
    "/v1/decide": ("POST", {}),
    "/v1/settle": ("POST", {}),
    "/v1/finish": ("POST", {}),
    "/v1/outcomes": ("POST", {}),
    "/v1/batch": ("POST", {}),
    "/v1/mode": ("POST", {}),
    "/v1/handoffs/h-1": ("GET", None),
    "/metrics": ("GET", None),
    "/": ("GET", None),
    "/peers": ("GET", None),
    "/login": ("GET", None),
    "/static/dashboard.css": ("GET", None),
}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def node():
    settings = Settings(token=TOKEN, nobody_rate=Rate(1000, 1000))
    with desk() as team, client(team, settings) as made:
        yield made


@pytest.fixture(scope="module")
def unguarded():
    with desk() as team, client(team) as made:
        yield made


@pytest.mark.parametrize(
    ("token", "passes"),
    [
        (TOKEN, set(ROUTES)),
        (
            CODE,
            {"/v1/health", "/v1/declaration", "/v1/openapi.json", "/v1/receive", "/login"}
            | {"/static/dashboard.css"},
        ),
        (None, {"/v1/health", "/login", "/static/dashboard.css"}),
        ("wrong-token-0123456789", set()),
    ],
)
def test_every_route_with_every_token(node, token, passes):
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    through = set()
    for path, (method, body) in ROUTES.items():
        response = node.request(method, path, json=body, headers=headers)
        if response.status_code in (401, 403):
            problem(response)
            assert ("www-authenticate" in response.headers) == (response.status_code == 401)
            assert response.status_code == (403 if token == CODE else 401)
        else:
            through.add(path)
    assert through == passes


def test_without_a_token_everything_is_open_to_local_callers(unguarded):
    for path, (method, body) in ROUTES.items():
        response = unguarded.request(method, path, json=body)
        assert response.status_code not in (401, 403), path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:80"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"x-forwarded-for": "10.0.0.1"}, 403),
        ({"forwarded": "for=10.0.0.1"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_other_sites_do_not_reach_an_unguarded_node(unguarded, headers, status):
    response = unguarded.post(
        "/v1/mode",
        content=b'{"mode": "bypass"}',
        headers={"content-type": "application/json"} | headers,
    )
    assert response.status_code == status
    problem(response)
    assert unguarded.get("/v1/health").json()["mode"] == "apply"
    assert "access-control-allow-origin" not in response.headers


def test_a_browser_asking_ahead_gets_no_leave(unguarded):
    response = unguarded.options(
        "/v1/mode",
        headers={
            "origin": "http://evil.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


def form_token(page):
    return re.search(r'name="csrf" value="([^"]+)"', page)[1]


def test_a_browser_logs_in_acts_and_logs_out(node):
    with httpx.Client(base_url=node.base_url, headers={"accept": "text/html"}) as browser:
        first = browser.get("/")
        assert (first.status_code, first.headers["location"]) == (303, "/login")
        page = browser.get("/login")
        assert "script" not in page.headers["content-security-policy"]
        body = {"token": "wrong-token-0123456789", "csrf": form_token(page.text)}
        wrong = browser.post("/login", data=body)
        assert wrong.status_code == 401
        assert "set-cookie" not in wrong.headers
        body = {"token": TOKEN, "csrf": form_token(wrong.text)}
        assert browser.post("/login", data=body | {"csrf": "guessed"}).status_code == 403
        done = browser.post("/login", data=body)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        cookie = done.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        overview = browser.get("/")
        assert overview.status_code == 200
        assert TOKEN not in overview.text
        csrf = form_token(overview.text)
        assert browser.post("/mode", data={"mode": "observe"}).status_code == 403
        assert browser.post("/mode", data={"mode": "observe", "csrf": csrf}).status_code == 303
        assert browser.get("/v1/declaration").status_code == 200
        stolen = browser.post("/v1/mode", json={"mode": "apply"}, headers={"x-csrf-token": csrf})
        assert stolen.status_code == 403
        session = dict(browser.cookies)
        assert browser.post("/logout", data={"csrf": csrf}).status_code == 303
        old = httpx.get(f"{node.base_url}/", cookies=session, headers={"accept": "text/html"})
        assert old.status_code == 303
    control = {"authorization": f"Bearer {TOKEN}"}
    assert node.get("/v1/health", headers=control).json()["mode"] == "observe"


def test_a_program_is_not_sent_to_the_page(node):
    assert node.get("/").status_code == 401
    assert node.get("/v1/decide", headers={"accept": "text/html"}).status_code == 401


def test_the_cookie_of_a_named_host_needs_tls():
    settings = Settings(token=TOKEN, hosts=("node.example",))
    with desk() as team, client(team, settings) as node:
        named = {"host": "node.example", "accept": "text/html"}
        csrf = form_token(node.get("/login", headers=named).text)
        done = node.post("/login", data={"token": TOKEN, "csrf": csrf}, headers=named)
        assert "secure" in done.headers["set-cookie"].lower()


def test_a_flood_is_refused_and_told_how_long_to_wait():
    settings = Settings(token=TOKEN, control_rate=Rate(2, 5), peer_rate=Rate(0.1, 2))
    with desk() as team, client(team, settings) as node:
        control, code = ({"authorization": f"Bearer {one}"} for one in (TOKEN, CODE))
        answers = [node.get("/v1/declaration", headers=code) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 429, 429]
        problem(answers[-1])
        assert int(answers[-1].headers["retry-after"]) in range(1, 11)
        # others are not held up by it
        assert node.get("/v1/declaration", headers=control).status_code == 200
        calls = [{"do": "finish", "handoff_id": "h"}] * 4
        batches = [
            node.post("/v1/batch", json={"calls": calls}, headers=control).status_code
            for _ in range(2)
        ]
        assert batches == [200, 429]  # each call of a batch counts


def test_guessing_tokens_is_slowed_down_but_the_right_one_gets_through():
    settings = Settings(token=TOKEN, nobody_rate=Rate(0.1, 3))
    with desk() as team, client(team, settings) as node:
        guesses = [
            node.get("/metrics", headers={"authorization": f"Bearer {k:020}"}).status_code
            for k in range(5)
        ]
        assert guesses == [401, 401, 401, 429, 429]
        assert node.get("/v1/health").status_code == 429
        right = node.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert right.status_code == 200


def test_a_large_body_is_refused_before_and_while_it_comes():
    settings = Settings(body_limit=1_000)
    with desk() as team, client(team, settings) as node:
        body = b'{"handoff_id": "h", "artifact": "' + b"x" * 2_000 + b'"}'
        json_type = {"content-type": "application/json"}
        for content in (body, iter([body[:500], body[500:]])):  # the second without a length
            response = node.post("/v1/settle", content=content, headers=json_type)
            assert response.status_code == 413
            assert "1000" in problem(response)
        assert node.post("/v1/settle", content=b'{"handoff_id": "h"}', headers=json_type)


def test_a_body_that_does_not_come_is_given_up():
    settings = Settings(body_seconds=0.1)
    with desk() as team, client(team, settings) as node:
        place = urlsplit(str(node.base_url))
        with socket.create_connection((place.hostname, place.port), timeout=5) as slow:
            slow.sendall(
                b"POST /v1/settle HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
            )
            assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
        # nor does one who hangs up in the middle leave anything behind
        with socket.create_connection((place.hostname, place.port), timeout=5) as gone:
            gone.sendall(
                b"POST /v1/settle HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
            )
        time.sleep(0.05)
        assert node.get("/v1/health").status_code == 200


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: localhost\r\nHost: evil.example\r\n",
        b"",
        b"Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        b"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"Host: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Host: localhost\r\nX-Large: " + b"x" * 40_000 + b"\r\n",
    ],
    ids=["two hosts", "no host", "two tokens", "two lengths", "length and chunks", "large headers"],
)
def test_what_can_be_read_in_two_ways_is_refused(unguarded, lines):
    place = urlsplit(str(unguarded.base_url))
    with socket.create_connection((place.hostname, place.port), timeout=5) as raw:
        raw.sendall(
            b"POST /v1/mode HTTP/1.1\r\nContent-Type: application/json\r\n" + lines + b"\r\n{}"
        )
        answer = raw.recv(65_536)
    assert answer == b"" or int(answer.split(b" ")[1]) // 100 == 4
    assert unguarded.get("/v1/health").status_code == 200


def test_a_decision_needs_no_more_than_the_token(node):
    response = node.post(
        "/v1/decide", json=decide("h-77"), headers={"authorization": f"bearer {TOKEN}"}
    )
    assert response.status_code == 200
