import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from served import CODE, TOKEN, client, decide, desk

from batonq.node import tracing
from batonq.service.settings import Settings

TRACE = 0xA0B1C2D3E4F5A0B1C2D3E4F5A0B1C2D3
SPAN = 0xA0B1C2D3E4F5A0B1
PARENT = {"traceparent": f"00-{TRACE:032x}-{SPAN:016x}-01"}


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)
    provider.shutdown()


def one(spans, name):
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found


def test_the_pipelines_trace_goes_on(spans):
    with desk() as team, client(team) as node:
        node.post("/v1/decide", json=decide("h-1"), headers=PARENT)
        node.post("/v1/settle", json={"handoff_id": "h-1", "artifact": {"hits": 1}})
        node.post("/v1/decide", json=decide("h-2", "end"))
        node.post("/v1/finish", json={"handoff_id": "h-2"})
    span = one(spans, "execute_tool transfer_to_search")
    assert (span.context.trace_id, span.parent.span_id) == (TRACE, SPAN)
    other = one(spans, "execute_tool end")
    assert other.parent is None
    assert other.context.trace_id != TRACE


@pytest.mark.parametrize("token", [TOKEN, CODE])
@pytest.mark.parametrize("opted_in", [True, False])
def test_a_peers_trace_goes_on_only_if_it_was_opted_in(spans, token, opted_in):
    with desk() as team, client(team, Settings(token=TOKEN), token) as node:
        team.peers["code"].propagate = opted_in
        ask = {"handoff_id": "h-9", "sender": "code", "receiver": "intake", "artifact": "secret"}
        ask["declaration"] = team.declaration.digest()
        assert node.post("/v1/receive", json=ask, headers=PARENT).status_code == 200
    span = one(spans, "invoke_agent intake")
    assert (span.context.trace_id == TRACE) is opted_in
    assert (span.parent is not None) is opted_in
    assert "secret" not in span.to_json()
