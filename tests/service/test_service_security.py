from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ModelError, RefusedError
from batonq.service import headers as names
from batonq.service.problems import ProblemError
from batonq.service.security import Guard
from batonq.service.settings import Settings

TOKEN = "control-token-0123456789"  # noqa: S105
CODE = "peer-token-of-code-0123456789"
SEARCH = "peer-token-of-search-0123456789"


@dataclass
class Named:
    accepts: str | None


def guard(token=TOKEN, hosts=(), **peers):
    made = {name: Named(accepts) for name, accepts in peers.items()}
    return Guard(Settings(token=token, hosts=hosts), made, "desk")


def headers(**given):
    return names.read([(k.replace("_", "-").encode(), v.encode()) for k, v in given.items()])


def bearer(token, scheme="Bearer"):
    return headers(host="localhost", authorization=f"{scheme} {token}")


def refused(status, call, *args):
    with pytest.raises(ProblemError) as caught:
        call(*args)
    assert caught.value.status == status
    return caught.value


def test_tokens_say_who_calls():
    one = guard(code=CODE, search=SEARCH, mute=None)
    assert one.identify(bearer(TOKEN), "a").kind == "control"
    assert one.identify(bearer(TOKEN, "bEARER"), "a").kind == "control"
    code = one.identify(bearer(CODE), "a")
    assert (code.kind, code.name, code.agents) == ("peer", "code", {"code"})
    assert one.identify(headers(host="localhost"), "1.2.3.4").name == "1.2.3.4"


@pytest.mark.parametrize(
    "given",
    [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "", " ", "None", "ü" * 20, f"{TOKEN} {TOKEN}"],
)
def test_another_token_is_refused(given):
    error = refused(401, guard(mute=None).identify, bearer(given), "a")
    assert error.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in error.detail


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer,"])
def test_another_scheme_is_refused(scheme):
    refused(401, guard().identify, bearer(TOKEN, scheme), "a")


def test_a_wrong_token_is_refused_even_where_none_is_needed():
    refused(401, guard(token=None).identify, bearer("some-other-token-0123"), "a")


def test_one_token_may_be_that_of_several_agents_of_a_party():
    found = guard(code=CODE, review=CODE, search=SEARCH).identify(bearer(CODE), "a")
    assert found.agents == {"code", "review"}
    found.check_sender("review")
    with pytest.raises(RefusedError, match="'search'"):
        found.check_sender("search")


def test_a_peer_named_later_is_known():
    peers = {}
    one = Guard(Settings(token=TOKEN), peers, "desk")
    refused(401, one.identify, bearer(CODE), "a")
    peers["code"] = Named(CODE)
    assert one.identify(bearer(CODE), "a").name == "code"


def test_a_peer_with_the_nodes_own_token_is_refused():
    with pytest.raises(ModelError, match="node's own token"):
        guard(code=TOKEN)


@pytest.mark.parametrize("token", ["", "short", "with space 0123456789", "tab\t0123456789abcdef"])
def test_a_token_that_cannot_serve_is_refused(token):
    with pytest.raises(ModelError, match="token of local control"):
        Settings(token=token)
    with pytest.raises(ModelError, match="token of peer 'code'"):
        guard(code=token)


def test_settings_do_not_show_the_token():
    assert TOKEN not in repr(Settings(token=TOKEN))


# Who may what: control everything, a peer its routes, a viewer pages, nobody health and log in.
@pytest.mark.parametrize(
    ("path", "method", "may"),
    [
        ("/v1/health", "GET", "control peer viewer nobody"),
        ("/login", "POST", "control peer viewer nobody"),
        ("/static/dashboard.js", "GET", "control peer viewer nobody"),
        ("/v1/receive", "POST", "control peer"),
        ("/v1/declaration", "GET", "control peer viewer"),
        ("/v1/openapi.json", "GET", "control peer viewer"),
        ("/v1/decide", "POST", "control"),
        ("/v1/settle", "POST", "control"),
        ("/v1/batch", "POST", "control"),
        ("/v1/mode", "POST", "control"),
        ("/v1/handoffs/h", "GET", "control viewer"),
        ("/v1/what-comes-later", "POST", "control"),
        ("/", "GET", "control viewer"),
        ("/events", "GET", "control viewer"),
        ("/mode", "POST", "control viewer"),
        ("/metrics", "GET", "control viewer"),
        ("/what-comes-later", "GET", "control viewer"),
    ],
)
def test_who_may_call_what(path, method, may):
    one = guard(code=CODE)
    cookie = f"{one.cookie}={one.log_in(TOKEN)}"
    callers = {
        "control": one.identify(bearer(TOKEN), "a"),
        "peer": one.identify(bearer(CODE), "a"),
        "viewer": one.identify(headers(host="localhost", cookie=cookie), "a"),
        "nobody": one.identify(headers(host="localhost"), "a"),
    }
    for kind, caller in callers.items():
        assert caller.kind == kind
        if kind in may.split():
            one.admit(caller, method, path)
        else:
            refused(401 if kind == "nobody" else 403, one.admit, caller, method, path)


def test_without_a_token_local_callers_are_control_but_no_proxy():
    one = guard(token=None)
    assert one.identify(headers(host="localhost"), "127.0.0.1").kind == "control"
    for name in ("x_forwarded_for", "forwarded", "via", "x_real_ip", "x_forwarded_host"):
        refused(403, one.identify, headers(host="localhost", **{name: "10.0.0.1"}), "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8642",
        "LOCALHOST",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8642",
        "localhost.",
    ],
)
def test_a_loopback_host_is_taken(host):
    guard().check_site(headers(host=host), "POST")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "localhost@evil.example",
        "evil.example#localhost",
        "localhost:80:80",
        "::1",
        "[::1",
        "*",
        "",
    ],
)
def test_another_host_is_refused(host):
    refused(421, guard().check_site, headers(host=host), "GET")


def test_hosts_can_be_named():
    one = guard(hosts=("Node.example",))
    one.check_site(headers(host="node.example:443"), "POST")
    one.check_site(headers(host="localhost"), "POST")
    refused(421, one.check_site, headers(host="other.example"), "POST")
    guard(hosts=("*",)).check_site(headers(host="other.example"), "POST")


def test_no_host_is_refused():
    refused(400, guard().check_site, headers(), "GET")


@pytest.mark.parametrize("name", [b"host", b"authorization", b"content-type", b"origin"])
def test_a_header_that_decides_may_stand_once(name):
    refused(400, names.read, [(name, b"a"), (name, b"a")])


@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        (None, True),
        ("http://localhost:8642", True),
        ("https://localhost:8642", True),
        ("http://localhost:9999", False),
        ("http://localhost", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("localhost:8642", False),
    ],
)
def test_a_page_of_another_origin_is_refused(origin, passes):
    given = headers(host="localhost:8642", **({} if origin is None else {"origin": origin}))
    if passes:
        guard().check_site(given, "POST")
    else:
        refused(403, guard().check_site, given, "POST")
    guard().check_site(given, "GET")  # reading needs no origin; what is read stays with our page


@pytest.mark.parametrize(
    ("site", "mode", "method", "passes"),
    [
        ("same-origin", "cors", "POST", True),
        ("none", "navigate", "GET", True),
        ("cross-site", "navigate", "GET", True),  # a link to us may be followed
        ("cross-site", "navigate", "POST", False),
        ("cross-site", "no-cors", "GET", False),
        ("same-site", "cors", "POST", False),  # another port of this machine is the same site
        ("same-site", "no-cors", "GET", False),
        ("anything", "cors", "GET", False),
    ],
)
def test_what_a_browser_says_of_the_site(site, mode, method, passes):
    given = headers(host="localhost", sec_fetch_site=site, sec_fetch_mode=mode)
    if passes:
        guard().check_site(given, method)
    else:
        refused(403, guard().check_site, given, method)


def test_a_session_from_start_to_end():
    one = guard(code=CODE)
    assert one.log_in("wrong-token-0123456789") is None
    assert one.log_in(CODE) is None  # a peer's token opens no page
    value = one.log_in(TOKEN)
    given = headers(host="localhost", cookie=f"other=1; {one.cookie}={value}; more")
    viewer = one.identify(given, "a")
    assert viewer.kind == "viewer"
    assert viewer.csrf == one.identify(given, "b").csrf
    one.check_csrf(viewer, viewer.csrf)
    for wrong in (None, "", viewer.csrf + "x", "ü", one.identify(bearer(TOKEN), "a").csrf):
        refused(403, one.check_csrf, viewer, wrong)
    one.log_out(value)
    one.log_out(None)
    assert one.identify(given, "a").kind == "nobody"


def test_sessions_differ_and_are_bounded():
    one = guard()
    values = [one.log_in(TOKEN) for _ in range(101)]
    assert len(set(values)) == 101
    kinds = [
        one.identify(headers(host="localhost", cookie=f"{one.cookie}={value}"), "a").kind
        for value in (values[0], values[1], values[-1])
    ]
    assert kinds == ["nobody", "viewer", "viewer"]  # the oldest has made room


def test_a_session_ends_by_itself(monkeypatch):
    one = guard()
    given = headers(host="localhost", cookie=f"{one.cookie}={one.log_in(TOKEN)}")
    assert one.identify(given, "a").kind == "viewer"
    until, csrf = next(iter(one._sessions.values()))
    for key in one._sessions:
        one._sessions[key] = (until - 13 * 3600, csrf)
    assert one.identify(given, "a").kind == "nobody"
    assert not one._sessions


def test_nodes_of_one_machine_have_cookies_of_their_own():
    assert (
        Guard(Settings(token=TOKEN), {}, "a").cookie != Guard(Settings(token=TOKEN), {}, "b").cookie
    )


@given(st.lists(st.tuples(st.sampled_from([b"cookie", b"accept", b"via", b"x"]), st.binary())))
def test_any_header_can_be_read(pairs):
    found = names.read(pairs)
    assert set(found) <= {b"cookie", b"accept", b"via"}
    names.cookie(found, "batonq")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("abc=1", "1"),
        ("x=0; abc=1; y=2", "1"),
        ("xabc=0; abcx=0; abc = 1 ", "1"),
        ("abc=1=2", "1=2"),
        ("abc=", ""),
        ("abc", None),
        ("xabc=1", None),
        ("", None),
    ],
)
def test_a_cookie_is_found_by_its_whole_name(given, value):
    assert names.cookie({names.COOKIE: given}, "abc") == value
