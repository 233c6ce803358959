"""Tracing with OpenTelemetry: who handed off to whom, as spans of the owner's own trace.

`execute_tool transfer_to_X` lies under `invoke_agent A` and is the parent of `invoke_agent X`. A
span holds names, numbers and ids: no artifact, observation, text or token. Nothing is recorded
until the process configures an SDK, or `setup` does. Towards other parties trace context is passed
on or taken over only where that was asked for: a shared trace is a joint trajectory.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from batonq.base.errors import ModelError
from batonq.node.limits import END
from batonq.node.results import Decision, Settled

NAME: Final = "batonq"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
MOST_OPEN: Final = 4_096  # spans of handoffs not settled; the oldest is ended when there are more
HEADER: Final = "traceparent"  # `tracestate` and `baggage` carry what others put there: never sent

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer(NAME)
_open: OrderedDict[str, trace.Span] = OrderedDict()
_lock = Lock()


def use(provider: trace.TracerProvider | None) -> None:
    """Take another provider of spans than the process's own; None: that one."""
    global _tracer
    with _lock:
        _open.clear()
    _tracer = trace.get_tracer(NAME, tracer_provider=provider)


def setup(name: str, endpoint: str | None = None) -> Callable[[], None]:
    """Send spans to a collector by OTLP over HTTP; returns what flushes and stops it.

    The standard variables `OTEL_*` are heeded. Without an endpoint nothing is set up.

    Args:
        name: of the node, as `service.name`; `OTEL_SERVICE_NAME` goes first.
        endpoint: URL that spans are posted to; by default the variables tell.

    Raises:
        ModelError: if an endpoint is given but the extra `otlp` is not installed.
    """
    if endpoint is None and not any(os.environ.get(one) for one in ENDPOINTS):
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ModelError(
            "tracing: an OTLP endpoint is given, but its exporter is not installed; run: "
            "pip install 'batonq[otlp]', or unset " + " and ".join(ENDPOINTS)
        ) from error
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": name}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    use(provider)

    def stop() -> None:
        _end_all()
        provider.shutdown()
        use(None)

    return stop


@contextmanager
def invocation(
    agent: str, workflow: str | None = None, handoff_id: str | None = None
) -> Iterator[None]:
    """A span `invoke_agent <agent>` around what an agent does.

    Args:
        agent: its name.
        workflow: name of the request, if known.
        handoff_id: of the handoff by which it got control; if this process decided it, the span
            lies under that of the transfer, else under the current one.
    """
    with _lock:
        transfer = None if handoff_id is None else _open.get(handoff_id)
    under = None if transfer is None else trace.set_span_in_context(transfer)
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent}
    if workflow is not None:
        attributes["gen_ai.conversation.id"] = workflow
    if handoff_id is not None:
        attributes["batonq.handoff.id"] = handoff_id
    with _tracer.start_as_current_span(
        f"invoke_agent {agent}",
        under,
        attributes=attributes,
        record_exception=False,  # nor its text as the status: it may quote the artifact
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException:
            span.set_status(trace.StatusCode.ERROR)
            raise


def decided(decision: Decision, workflow: str | None = None) -> None:
    """Start the span of a handoff, under the current one; it ends when it is settled.

    It is called `execute_tool transfer_to_X`, or after the action where control is kept or ends.
    Costs next to nothing where no SDK is configured.
    """
    span = _tracer.start_span("execute_tool")
    if span is trace.INVALID_SPAN:
        return
    if span.is_recording():
        moves = decision.target not in (decision.agent, END)
        tool = f"transfer_to_{decision.target}" if moves else decision.action
        span.update_name(f"execute_tool {tool}")
        span.set_attributes(_attributes(decision, workflow, tool))
    _keep(decision.id, span)


def settled(result: Settled) -> None:
    """Say what quote came, and end the span unless it still waits for one."""
    if not _open:
        return
    with _lock:
        span = _open.get(result.handoff_id)
        if span is not None and not result.waiting:
            del _open[result.handoff_id]
    if span is None:
        return
    if result.quote is not None:
        span.set_attribute("batonq.handoff.value_received", result.quote)
    if not result.waiting:
        span.end()


def outgoing_headers(propagate: bool, handoff_id: str | None = None) -> dict[str, str]:
    """Headers that let a receiver go on with this trace; none unless `propagate`.

    Args:
        propagate: whether the receiving party was opted in.
        handoff_id: of the handoff that is sent; the current span's context by default.
    """
    if not propagate:
        return {}
    with _lock:
        span = None if handoff_id is None else _open.get(handoff_id)
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, None if span is None else trace.set_span_in_context(span))
    return {HEADER: carrier[HEADER]} if HEADER in carrier else {}


@contextmanager
def incoming(headers: Mapping[str, str], propagate: bool) -> Iterator[None]:
    """Spans inside go on with the caller's trace if `propagate`, else they start their own.

    Args:
        headers: of the request, with lower-case names.
        propagate: true for the node's own pipeline, and for a party that was opted in.
    """
    carrier = {HEADER: headers[HEADER]} if propagate and HEADER in headers else {}
    token = contexts.attach(_propagator.extract(carrier, contexts.Context()))
    try:
        yield
    finally:
        contexts.detach(token)


def _attributes(
    decision: Decision, workflow: str | None, tool: str
) -> dict[str, str | bool | int | float]:
    known: dict[str, str | bool | int | float] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.agent.name": decision.agent,
        "batonq.handoff.id": decision.id,
        "batonq.handoff.target": decision.target,
        "batonq.handoff.propensity": decision.propensity,
        "batonq.handoff.explored": decision.explored,
        "batonq.policy.version": decision.version,
        "batonq.mode": decision.mode,
    }
    if workflow is not None:
        known["gen_ai.conversation.id"] = workflow
    value = decision.values.get(decision.action)
    if value is not None:
        known["batonq.handoff.q"] = value
    return known


def _keep(handoff_id: str, span: trace.Span) -> None:
    with _lock:
        before = _open.pop(handoff_id, None)
        _open[handoff_id] = span
        oldest = _open.popitem(last=False)[1] if len(_open) > MOST_OPEN else None
    for one in (before, oldest):
        if one is not None:
            one.end()


def _end_all() -> None:
    with _lock:
        spans = list(_open.values())
        _open.clear()
    for span in spans:
        span.end()
