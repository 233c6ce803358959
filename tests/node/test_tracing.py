from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from threading import Thread

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from batonq.base.errors import ModelError
from batonq.node import tracing
from batonq.node.results import Decision, Settled


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)
    provider.shutdown()


def decision(
    target: str = "search", agent: str = "intake", handoff_id: str = "h1", action: str = ""
) -> Decision:
    return Decision(
        id=handoff_id,
        agent=agent,
        action=action or target,
        target=target,
        propensity=0.9,
        values={action or target: 0.25, "other": 0.1},
        masked={"vetoed": "secret reason"},
        explored=False,
        mode="apply",
        version=3,
        logged=True,
        note="SECRET note",
    )


def done(handoff_id: str, quote: float | None = None, waiting: bool = False) -> Settled:
    return Settled(handoff_id, not waiting, waiting, quote, None, False)


def named(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def own(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def test_one_trace_of_several_agents(spans: InMemorySpanExporter) -> None:
    with tracing.invocation("intake", "w1"):
        tracing.decided(decision("search"), "w1")
    with tracing.invocation("search", "w1", "h1"):
        tracing.settled(done("h1", 0.5))
        tracing.decided(decision("code", "search", "h2"), "w1")
    with tracing.invocation("code", "w1", "h2"):
        tracing.decided(decision("end", "code", "h3", "answer"), "w1")
        tracing.settled(done("h2", 0.75))
        tracing.settled(done("h3"))
    found = named(spans)
    chain = [
        "invoke_agent intake",
        "execute_tool transfer_to_search",
        "invoke_agent search",
        "execute_tool transfer_to_code",
        "invoke_agent code",
        "execute_tool answer",
    ]
    assert set(found) == set(chain)
    assert parent(found[chain[0]]) is None
    for above, below in pairwise(chain):
        assert parent(found[below]) == own(found[above])
    assert len({span.context.trace_id for span in found.values() if span.context}) == 1


def test_attributes_and_nothing_else(spans: InMemorySpanExporter) -> None:
    tracing.decided(decision(), "w1")
    tracing.settled(done("h1", 0.5))
    (span,) = spans.get_finished_spans()
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "transfer_to_search",
        "gen_ai.agent.name": "intake",
        "gen_ai.conversation.id": "w1",
        "batonq.handoff.id": "h1",
        "batonq.handoff.target": "search",
        "batonq.handoff.propensity": 0.9,
        "batonq.handoff.explored": False,
        "batonq.handoff.q": 0.25,
        "batonq.handoff.value_received": 0.5,
        "batonq.policy.version": 3,
        "batonq.mode": "apply",
    }
    assert "secret" not in span.to_json().lower()


def test_an_error_inside_leaves_no_text_in_the_span(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="the artifact"), tracing.invocation("intake"):
        raise ValueError("the artifact: SECRET")
    (span,) = spans.get_finished_spans()
    assert "SECRET" not in span.to_json()
    assert span.status.status_code is trace.StatusCode.ERROR


def test_keeping_control_is_no_transfer(spans: InMemorySpanExporter) -> None:
    tracing.decided(decision("intake", "intake", action="work"))
    tracing.settled(done("h1", 0.5))
    assert list(named(spans)) == ["execute_tool work"]


def test_a_span_waits_for_its_quote(spans: InMemorySpanExporter) -> None:
    tracing.decided(decision())
    tracing.settled(done("h1", waiting=True))
    assert not spans.get_finished_spans()
    tracing.settled(done("h1", 0.5))
    tracing.settled(done("h1", 0.9))  # again: nothing open any more
    (span,) = spans.get_finished_spans()
    assert (span.attributes or {})["batonq.handoff.value_received"] == 0.5


def test_open_spans_are_bounded(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "MOST_OPEN", 3)
    for k in range(5):
        tracing.decided(decision(handoff_id=f"h{k}"))
    ended = [(one.attributes or {})["batonq.handoff.id"] for one in spans.get_finished_spans()]
    assert ended == ["h0", "h1"]
    tracing.decided(decision(handoff_id="h4"))  # the same decision again
    assert len(spans.get_finished_spans()) == 3


def test_nothing_crosses_unless_opted_in(spans: InMemorySpanExporter) -> None:
    with tracing.invocation("intake"):
        tracing.decided(decision())
        assert tracing.outgoing_headers(False, "h1") == {}
        headers = tracing.outgoing_headers(True, "h1")
        assert list(headers) == ["traceparent"]
        with tracing.incoming(headers, propagate=False), tracing.invocation("search"):
            pass
        with tracing.incoming(headers, propagate=True), tracing.invocation("code"):
            pass
        with tracing.incoming({}, propagate=True), tracing.invocation("docs"):
            pass
        tracing.settled(done("h1", 0.5))
    found = named(spans)
    ours = own(found["execute_tool transfer_to_search"])
    assert parent(found["invoke_agent search"]) is None
    assert parent(found["invoke_agent docs"]) is None
    assert parent(found["invoke_agent code"]) == ours
    apart = {found[f"invoke_agent {name}"].context.trace_id for name in ("search", "docs")}  # type: ignore[union-attr]
    assert len(apart) == 2 and found["invoke_agent code"].context.trace_id not in apart  # type: ignore[union-attr]


@pytest.mark.parametrize("value", ["", "nonsense", "00-0-0-00", "00-" + "z" * 32 + "-1-01"])
def test_a_damaged_header_starts_a_new_trace(value: str, spans: InMemorySpanExporter) -> None:
    with tracing.incoming({"traceparent": value}, propagate=True), tracing.invocation("search"):
        pass
    assert parent(spans.get_finished_spans()[0]) is None


def test_foreign_state_is_not_passed_on(spans: InMemorySpanExporter) -> None:
    headers = {
        "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        "tracestate": "vendor=SECRET",
        "baggage": "user=SECRET",
    }
    with tracing.incoming(headers, propagate=True), tracing.invocation("search"):
        passed = tracing.outgoing_headers(True)
    assert list(passed) == ["traceparent"] and passed["traceparent"].startswith("00-" + "1" * 32)


def test_unsampled_traces_are_passed_on_as_such() -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    tracing.use(provider)
    try:
        tracing.decided(decision())
        flags = tracing.outgoing_headers(True, "h1")["traceparent"]
        assert int(flags[-2:], 16) & 1 == 0
        tracing.settled(done("h1", 0.5))
    finally:
        tracing.use(None)
        provider.shutdown()


def test_without_an_sdk_nothing_happens() -> None:
    tracing.use(None)
    tracing.decided(decision())
    with tracing.invocation("intake"):
        assert tracing.outgoing_headers(True) == {}
    tracing.settled(done("h1"))
    assert not tracing._open


def test_without_an_endpoint_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in tracing.ENDPOINTS:
        monkeypatch.delenv(one, raising=False)
    tracing.setup("node")()


class Collector(BaseHTTPRequestHandler):
    got: list[bytes]

    def do_POST(self) -> None:
        self.got.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


def test_spans_reach_a_collector() -> None:
    got: list[bytes] = []
    server = HTTPServer(("127.0.0.1", 0), type("Mine", (Collector,), {"got": got}))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        stop = tracing.setup("desk", f"http://127.0.0.1:{server.server_port}/v1/traces")
        tracing.decided(decision())
        stop()  # ends what is open and sends it
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(got) == 1
    assert b"transfer_to_search" in got[0] and b"desk" in got[0] and b"SECRET" not in got[0]


def test_a_missing_extra_is_named() -> None:
    code = """
import sys
sys.modules["opentelemetry.sdk"] = None
from batonq.base.errors import ModelError
from batonq.node import tracing
try:
    tracing.setup("node", "http://127.0.0.1:4318/v1/traces")
except ModelError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'batonq[otlp]'" in told.stdout
    assert issubclass(ModelError, Exception)


def test_no_sdk_is_imported_before_it_is_needed() -> None:
    code = "import sys, json, batonq.node.tracing; print(json.dumps(sorted(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(told.stdout)
    assert "opentelemetry.sdk" not in loaded and "numba" not in loaded
