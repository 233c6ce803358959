"""The operator's dashboard, served by the real application over real sockets."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from batonq.node.overview.view import Edge
from batonq.node.team import END, Team
from batonq.service.dashboard import charts, dashboard, rendering
from batonq.service.run import serving
from batonq.service.settings import Settings

EVIL = "<script>alert(1)</script>"
TOKEN = "a-token-of-the-node-0123456789"  # noqa: S105 - of a node that lives for a second
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Elements with attributes and text, and whether tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def opened(**options: Any) -> Team:
    team = Team.open(None, gamma=0.9, mode="apply", seed=1, explore=0.0, name="desk", **options)
    team.add("intake", to=["code", "far", END])
    team.add("code", to=[END])
    team.peer("far", "http://127.0.0.1:9", leak_bits=80)
    return team


@pytest.fixture
def team() -> Iterator[Team]:
    with opened() as made:
        yield made


@pytest.fixture
def client(team: Team) -> Iterator[httpx.Client]:
    with serving(team) as url, httpx.Client(base_url=url, timeout=10) as made:
        yield made


def handoff(team: Team, kind: str = "bug", **options: Any) -> str:
    made = team["intake"].decide({"kind": kind}, veto=["far", END], **options)
    team.settle(made.id, -0.25, 2.0, artifact={"kind": kind})
    return made.id


def csrf(text: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', text)
    assert found
    return found[1]


def test_the_overview_says_it_all_without_a_script(team: Team, client: httpx.Client) -> None:
    first = handoff(team, workflow="w1")
    response = client.get("/")
    assert response.status_code == 200
    page = Page(response.text)
    for words in (
        "decisions 1",
        "Handoff graph",
        "Reward per handoff",
        "Mean |TD error|",
        "intake → code",
        "not permitted: far: vetoed by the caller",
        "kind: bug",
        "Rounding quotes adds at most",
        "0 of 80",
        "the policy decides",
    ):
        assert words in page.text, words
    assert {"href": f"/handoffs/{first}", "data-key": f"handoff-{first}"} in page.all("a")
    assert len(page.all("svg")) >= 2
    live = next(one for one in page.all("span") if "data-stream" in one)
    assert "hidden" in live  # what needs the script shows only with it
    actions = {one["action"] for one in page.all("form")}
    assert actions == {"/mode", "/peers/far/quarantine"}


@pytest.mark.parametrize("path", ["/", "/peers", "/agents/intake", "/agents/nobody", "/handoffs/x"])
def test_every_page_has_a_strict_policy_and_keeps_to_it(
    team: Team, client: httpx.Client, path: str
) -> None:
    handoff(team)
    response = client.get(path)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    page = Page(response.text)
    (script,) = page.all("script")
    assert script["src"] == f"/static/dashboard.js?{rendering.release()}"
    assert not page.all("style")
    for _, attributes in page.elements:
        assert not {"style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action"):
            assert not (attributes.get(name) or "").startswith(("http", "//", "javascript"))


def test_whatever_was_decided_on_is_escaped() -> None:
    with Team.open(None, gamma=0.9, seed=1, name=f"desk {EVIL}") as team:
        team.add("intake", extra=lambda _: {EVIL: EVIL})
        team.peer("far", "http://127.0.0.1:9")
        made = team["intake"].decide(
            {"kind": EVIL, EVIL: "&<>\"'"},
            to={f"go {EVIL}": f"to {EVIL}", END: END, "other": "far"},
            workflow=EVIL,
            veto=["other"],
            handoff_id=f"id {EVIL}/..?#",
        )
        team.settle(made.id, 0.0, 1.0, quote=0.5)
        team.revise(made.id, key=EVIL, reward=0.1, source=EVIL)
        with serving(team) as url, httpx.Client(base_url=url) as client:
            links = [str(one["href"]) for one in Page(client.get("/").text).all("a")]
            link = next(one for one in links if one.startswith("/handoffs/"))
            for path in ("/", "/agents/intake", f"/agents/intake?q={EVIL}", link, "/peers"):
                response = client.get(path)
                assert response.status_code == 200, path
                page = Page(response.text)
                assert [one.get("src") for one in page.all("script")] != [None]
                assert len(page.all("script")) == 1
                assert "<script>alert" not in response.text
            whole = Page(client.get(link).text).text
            assert whole.count(EVIL) >= 6
            with client.stream("GET", "/events") as stream:
                news = next(parts_of(stream))
            assert "<script" not in "".join(news.values())


def parts_of(stream: httpx.Response) -> Iterator[dict[str, str]]:
    """What a stream sends, part by part."""
    for line in stream.iter_lines():
        if line.startswith("data: ") and line != "data: {}":
            yield json.loads(line.removeprefix("data: "))


def test_the_stream_sends_all_then_what_changes_about_once_a_second(
    team: Team, client: httpx.Client
) -> None:
    handoff(team)
    with client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        news = parts_of(stream)
        first = next(news)
        assert set(first) == {"status", "graph", "curve", "decisions", "peers", "terms"}
        begin = time.monotonic()
        made = handoff(team)
        later: dict[str, str] = {}
        while made not in later.get("decisions", ""):
            later |= next(news)
        assert time.monotonic() - begin < 5
        assert "peers" not in later  # nothing of them changed
        for html in later.values():
            Page(html)


@pytest.mark.parametrize("query", ["page=peers", "page=agent&name=intake"])
def test_other_pages_have_a_stream_too(client: httpx.Client, query: str) -> None:
    with client.stream("GET", f"/events?{query}") as stream:
        assert len(next(parts_of(stream))) == 1


@pytest.mark.parametrize("query", ["page=none", "page=agent&name=nobody"])
def test_a_stream_of_nothing_is_not_found(client: httpx.Client, query: str) -> None:
    assert client.get(f"/events?{query}").status_code == 404


def test_streams_end_when_the_server_stops(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batonq.service.run._GRACE", 120)
    ended = threading.Event()

    def listen(url: str, began: threading.Event) -> None:
        with httpx.Client(base_url=url) as client, client.stream("GET", "/events") as stream:
            for _ in parts_of(stream):
                began.set()
        ended.set()

    began = threading.Event()
    with serving(team) as url:
        thread = threading.Thread(target=listen, args=(url, began), daemon=True)
        thread.start()
        assert began.wait(10)
        begin = time.monotonic()
    assert time.monotonic() - begin < 60  # less than the server's patience with open calls
    assert ended.wait(5)
    thread.join()


def test_the_heartbeat_comes_when_nothing_changes(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batonq.service.dashboard.stream.EVERY", 0.2)
    monkeypatch.setattr("batonq.service.dashboard.stream.BEAT", 0.3)
    with client.stream("GET", "/events?page=peers") as stream:
        begin = time.monotonic()
        for line in stream.iter_lines():
            if line == "event: beat":
                break
        assert time.monotonic() - begin < 5


def test_streams_are_limited(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batonq.service.dashboard.stream.MOST", 1)
    with client.stream("GET", "/events") as stream:
        news = parts_of(stream)
        next(news)
        assert client.get("/events").status_code == 403
    time.sleep(1.5)  # the first one's end is noticed when it next has something to say
    with client.stream("GET", "/events?page=peers") as stream:
        assert stream.status_code == 200


def test_the_mode_is_changed_by_a_form(team: Team, client: httpx.Client) -> None:
    token = csrf(client.get("/").text)
    response = client.post("/mode", data={"mode": "bypass", "csrf": token})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert team.mode == "bypass"
    page = Page(client.get("/").text)
    pressed = [one["value"] for one in page.all("button") if one.get("aria-pressed") == "true"]
    assert pressed == ["bypass"]
    events = [one for one in team.store.events() if one.kind == "mode"]
    assert [one.body for one in events] == [{"mode": "bypass", "by": "control"}]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/mode", {"mode": "bypass"}),
        ("/promote", {"agent": "intake"}),
        ("/rollback", {"agent": "intake", "version": "1"}),
        ("/peers/far/quarantine", {"x": "y"}),
        ("/peers/far/release", {"x": "y"}),
    ],
)
def test_nothing_is_done_without_the_token_of_the_page(
    team: Team, client: httpx.Client, path: str, fields: dict[str, str]
) -> None:
    before = team.store.last()
    for more in ({}, {"csrf": ""}, {"csrf": "x" * 43}):
        response = client.post(path, data=fields | more)
        assert response.status_code == 403
    assert (team.store.last(), team.mode) == (before, "apply")
    assert not team.peers["far"].quarantined


def test_the_routes_refuse_by_themselves_too(team: Team) -> None:
    """Without the gate around them, as they might be mounted elsewhere."""

    def anyone(request: Request) -> None:
        pass

    app = FastAPI()
    app.include_router(dashboard(team, anyone, lambda request: "right"))

    async def ask(token: str) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            response = await client.post("/mode", data={"mode": "bypass", "csrf": token})
            return response.status_code

    import asyncio

    assert asyncio.run(ask("wrong")) == 403
    assert team.mode == "apply"
    assert asyncio.run(ask("right")) == 303
    assert team.mode == "bypass"


def test_a_viewer_that_is_not_let_in_sees_nothing(team: Team) -> None:
    class TurnedError(Exception):
        pass

    def nobody(request: Request) -> None:
        raise TurnedError

    app = FastAPI()
    app.include_router(dashboard(team, nobody, lambda request: "x"))

    async def ask(path: str) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return (await client.get(path)).status_code

    import asyncio

    for path in ("/", "/peers", "/agents/intake", "/handoffs/x", "/events"):
        with pytest.raises(TurnedError):
            asyncio.run(ask(path))
    assert asyncio.run(ask("/static/dashboard.css")) == 200


def test_with_a_token_a_browser_logs_in_first(team: Team) -> None:
    with serving(team, settings=Settings(token=TOKEN)) as url, httpx.Client(base_url=url) as client:
        asks = {"accept": "text/html"}
        assert client.get("/", headers=asks).headers["location"] == "/login"
        assert client.get("/events").status_code == 401
        assert client.get("/static/dashboard.css").status_code == 200
        form = client.get("/login").text
        done = client.post("/login", data={"token": TOKEN, "csrf": csrf(form)})
        assert done.status_code == 303
        shown = client.get("/", headers=asks)
        assert shown.status_code == 200
        assert TOKEN not in shown.text
        assert client.post("/mode", data={"mode": "observe"}).status_code == 403
        fields = {"mode": "observe", "csrf": csrf(shown.text)}
        assert client.post("/mode", data=fields).status_code == 303
        assert team.mode == "observe"
        with client.stream("GET", "/events") as stream:
            assert csrf(next(parts_of(stream))["status"]) == csrf(shown.text)
        assert "/logout" in [one["action"] for one in Page(shown.text).all("form")]
        client.post("/logout", data={"csrf": csrf(shown.text)})
        assert client.get("/", headers=asks).headers["location"] == "/login"


def test_versions_are_promoted_and_gone_back_to(team: Team, client: httpx.Client) -> None:
    handoff(team)
    token = csrf(client.get("/agents/intake").text)
    for _ in range(2):
        done = client.post("/promote", data={"agent": "intake", "csrf": token})
        assert (done.status_code, done.headers["location"]) == (303, "/agents/intake")
    done = client.post("/rollback", data={"agent": "intake", "version": "1", "csrf": token})
    assert done.status_code == 303
    assert team["intake"].learner.answering_version == 1
    text = Page(client.get("/agents/intake").text).text
    assert "answers from version 1" in text
    assert "1 answers" in text
    assert "rollback 1" in text
    for version, status in (("9", 404), ("x", 422), ("-1", 422), ("9" * 12, 422), ("", 422)):
        fields = {"agent": "intake", "version": version, "csrf": token}
        response = client.post("/rollback", data=fields)
        assert response.status_code == status, version
        assert "text/html" in response.headers["content-type"]
    assert client.post("/promote", data={"agent": "none", "csrf": token}).status_code == 404
    assert client.post("/mode", data={"mode": "off", "csrf": token}).status_code == 422


def test_a_peer_is_quarantined_and_released(team: Team, client: httpx.Client) -> None:
    token = csrf(client.get("/").text)
    done = client.post("/peers/far/quarantine", data={"csrf": token})
    assert (done.status_code, done.headers["location"]) == (303, "/peers")
    assert team.peers["far"].quarantined
    page = Page(client.get("/peers").text)
    assert "quarantined" in page.text
    assert [one["action"] for one in page.all("form")] == ["/peers/far/release"]
    client.post("/peers/far/release", data={"csrf": token})
    assert not team.peers["far"].quarantined
    assert client.post("/peers/none/release", data={"csrf": token}).status_code == 404


def test_an_agents_table_is_searched_sorted_and_paged(team: Team, client: httpx.Client) -> None:
    for k in range(120):
        team.settle(team["code"].decide({"k": f"s{k:03}"}).id, float(k % 7), 1.0)
    page = Page(client.get("/agents/code").text)
    assert "120 of 120 information states, page 1 of 3" in page.text
    assert [one["href"] for one in page.all("a") if one.get("rel") == "next"] == [
        "?q=&sort=count&page=2"
    ]
    last = Page(client.get("/agents/code?page=99&sort=state").text)
    assert "page 3 of 3" in last.text
    assert "k: s119" in last.text
    assert "k: s000" not in last.text
    top = Page(client.get("/agents/code?sort=value").text).text
    assert top.index("k: s006") < top.index("k: s005")
    found = Page(client.get("/agents/code?q=S01&sort=nonsense").text)
    assert "10 of 120 information states" in found.text
    assert next(one for one in found.all("input") if one.get("id") == "q")["value"] == "S01"
    assert client.get("/agents/code?page=0").status_code == 422


def test_values_that_are_no_table_are_said_to_be_none(team: Team, client: httpx.Client) -> None:
    words = team.add("words", to=[END])
    team.finish(words.decide({"text": "secret words of a customer"}).id, reward=1.0)
    text = client.get("/agents/words").text
    assert "learns linear values, not a table" in text
    for path in ("/", "/agents/words"):
        assert "secret" not in client.get(path).text
    assert "text of 9 hashed words and pairs" in Page(client.get("/").text).text


def test_all_that_is_known_of_a_handoff(team: Team, client: httpx.Client) -> None:
    made = handoff(team, workflow="w7")
    team.revise(made, key="human", reward=0.5, source="review")
    page = Page(client.get(f"/handoffs/{made}").text)
    for words in (
        "intake chose code",
        "workflow w7",
        "kind: bug",
        "code taken",
        "human" and "review",
    ):
        assert words in page.text, words
    kinds = [word for word in page.words if word in ("decision", "outcome", "revision")]
    assert kinds == ["decision", "outcome", "revision"]
    assert "vetoed by the caller" in page.text


def test_what_is_erased_leaves_the_page_of_its_handoff(team: Team, client: httpx.Client) -> None:
    made = handoff(team, kind="a-personal-thing")
    assert "a-personal-thing" in client.get(f"/handoffs/{made}").text
    team.store.forget(team.store.last(), [made])
    text = client.get(f"/handoffs/{made}").text
    assert "a-personal-thing" not in text
    assert "erased" in text


def test_static_files_may_be_kept_and_nothing_else_is_there(client: httpx.Client) -> None:
    for name, media in rendering.STATIC.items():
        response = client.get(f"/static/{name}")
        assert response.headers["content-type"] == media
        assert "max-age" in response.headers["cache-control"]
    for name in ("none", "..%2Froutes.py", "dashboard.css%00"):
        assert client.get(f"/static/{name}").status_code == 404


def test_a_mode_that_cannot_be_stored_is_in_force_and_the_page_says_so(tmp_path: Any) -> None:
    team = Team.open(tmp_path / "node.db", gamma=0.9)
    team.add("intake", to=[END])
    with serving(team) as url, httpx.Client(base_url=url) as client:
        token = csrf(client.get("/").text)
        team.store.close()
        response = client.post("/mode", data={"mode": "bypass", "csrf": token})
        assert response.status_code == 503
        assert "in force" in response.text
        assert str(tmp_path) not in response.text
        assert team.mode == "bypass"
        page = client.get("/")
        assert page.status_code == 200
        assert "store: cannot be read" in Page(page.text).text


@pytest.mark.parametrize("path", ["/", "/peers", "/agents/intake"])
def test_pages_can_be_used_by_keyboard_and_read_aloud(
    team: Team, client: httpx.Client, path: str
) -> None:
    handoff(team)
    page = Page(client.get(path).text)
    assert page.all("html") == [{"lang": "en-GB"}]
    assert len(page.all("h1")) == 1
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    labelled = {one["for"] for one in page.all("label")}
    for one in page.all("input") + page.all("select"):
        assert one.get("type") == "hidden" or one["id"] in labelled
    for one in page.all("svg"):
        assert one["role"] == "img"
        assert one["aria-label"]
    for one in page.all("div"):
        if one.get("class", "").startswith("scroll"):  # can be scrolled, so can be reached
            assert (one["tabindex"], one["role"]) == ("0", "region")
            assert one["aria-label"]
    for _, one in page.elements:
        assert one.get("tabindex") in (None, "0", "-1")
        target = one.get("aria-labelledby")
        assert target is None or target in ids
    assert any(one.get("class") == "skip" for one in page.all("a"))
    assert any(one.get("aria-current") == "page" for one in page.all("a"))


def luminance(colour: tuple[float, float, float]) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colours(block: str) -> dict[str, tuple[float, float, float]]:
    found = re.findall(r"--([\w-]+): #([0-9a-f]{3,6})\b", block)
    whole = {k: "".join(2 * c for c in v) if len(v) == 3 else v for k, v in found}
    return {
        k: (int(v[:2], 16) / 255, int(v[2:4], 16) / 255, int(v[4:], 16) / 255)
        for k, v in whole.items()
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_that_of_wcag_aa(scheme: str) -> None:
    style = resources.files("batonq.service.dashboard").joinpath("static/dashboard.css").read_text()
    light, dark = style.split("@media (prefers-color-scheme: dark)")[:2]
    of = colours(light if scheme == "light" else dark.split("* {")[0])
    for paper in ("paper", "tint"):
        for ink in ("ink", "soft", "link", "good", "warn", "bad"):
            assert contrast(of[ink], of[paper]) >= 4.5, (ink, paper)
        for edge in ("edge", "link", *(f"series-{k}" for k in range(8))):
            assert contrast(of[edge], of[paper]) >= 3, (edge, paper)
    assert contrast(of["paper"], of["link"]) >= 4.5  # the button pressed
    for k in range(8):  # words on a band of the graph
        band = tuple(
            0.38 * c + 0.62 * p for c, p in zip(of[f"series-{k}"], of["paper"], strict=True)
        )
        assert contrast(of["ink"], (band[0], band[1], band[2])) >= 4.5, k


# Charts


def test_the_graph_keeps_shares_and_stays_inside() -> None:
    edges = [
        Edge("a", "b", 6, 0.75, 0.5),
        Edge("a", "end", 2, 0.25, None),
        Edge("b", "b", 4, 1.0, 0.1),
        Edge("b", "old", 9, 0.0, None),
    ]
    made = charts.graph(edges)
    assert made is not None
    assert [one.name for one in made.sources] == ["b", "a"]  # most decisions first
    by_name = {one.name: one for one in made.targets}
    assert by_name["b"].height == pytest.approx(1.75 * charts.BAND)
    assert made.left_out == 1  # no share of the recent decisions: only in the table
    for one in made.targets:
        assert one.y >= 0
        assert one.y + one.height <= made.height
    assert [one.text for one in made.ribbons if one.edge.target == END] == ["25%"]
    assert charts.graph([]) is None
    many = [Edge(f"a{k}", f"t{k}", 1, 1.0, None) for k in range(40)]
    drawn = charts.graph(many)
    assert drawn is not None
    assert len(drawn.sources) == charts.MOST_AGENTS
    assert drawn.left_out == 40 - charts.MOST_AGENTS


def test_a_line_goes_through_its_points() -> None:
    made = charts.line([0.0, 10.0, 20.0], [0.0, None, 1.0], "outcomes")
    assert made is not None
    assert [round(x, 6) for x, _, _ in made.dots] == [charts.LEFT, charts.WIDTH - charts.RIGHT]
    assert [y for _, y, _ in made.dots] == [made.bottom, charts.TOP]
    assert made.y_ticks[0][1] == "0"
    assert made.y_ticks[-1][1] == "1"
    assert charts.line([1.0], [None], "outcomes") is None
    flat = charts.line([1.0, 2.0], [3.0, 3.0], "outcomes")
    assert flat is not None
    assert charts.TOP < flat.dots[0][1] < flat.bottom


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 1.0, [0.0, 0.5, 1.0]),
        (-0.3, 0.4, [-0.5, -0.25, 0.0, 0.25, 0.5]),
        (0.0, 3.0, [0.0, 1.0, 2.0, 3.0]),
        (120.0, 480.0, [0.0, 200.0, 400.0, 600.0]),
    ],
)
def test_ticks_are_round_and_hold_the_range(low: float, high: float, wanted: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0.0, "0"), (-0.25, "−0.25"), (1234567.0, "1,234,567"), (0.123456, "0.1235"), (1e-7, "1e−07")],
)
def test_figures_in_words(number: float, words: str) -> None:
    assert rendering.figure(number) == words
