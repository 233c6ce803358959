"""Metrics: what a node did, for Prometheus. Names in labels come from the configuration only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from batonq.node.core import MODES
from batonq.node.team import Team
from batonq.service.operations import numbers

_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_COUNTS: Final = (
    ("decisions", "Decisions stored"),
    ("explored", "Decisions that chance took against the values"),
    ("settled", "Outcomes stored"),
    ("learnt", "Handoffs learnt from"),
    ("answered", "Quotes given"),
    ("clamped", "Own quotes outside the declared range"),
    ("failures", "Decisions that fell back on the default because something failed"),
    ("unasked", "Quotes that a peer did not give at once"),
)
_PEER: Final = (
    ("quotes_in", "asked", "Quotes got from the peer"),
    ("quotes_out", "answered", "Quotes given to the peer"),
    ("strikes", "strikes", "Answers of the peer that could not be accepted"),
    ("failures", "failures", "Times the peer could not be reached"),
)


class Metrics:
    """The metrics of one application, with a registry of their own.

    Args:
        team: what it did is read when the metrics are.
    """

    def __init__(self, team: Team) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Team(team))
        self._requests = Counter(
            "batonq_requests",
            "Requests answered",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "batonq_request_seconds",
            "Time to answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._of: dict[tuple[str, str, int], Counter] = {}
        self._seconds: dict[str, Histogram] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. Status 0: the caller left before it was answered."""
        key = route, method if method in ("GET", "POST") else "other", status
        counter = self._of.get(key)
        if counter is None:
            counter = self._of[key] = self._requests.labels(key[0], key[1], str(status))
        counter.inc()
        histogram = self._seconds.get(route)
        if histogram is None:
            histogram = self._seconds[route] = self._latency.labels(route)
        histogram.observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """What Prometheus reads, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Team:
    """Reads a team's own counts, which other callers than HTTP move as well."""

    def __init__(self, team: Team) -> None:
        self._team = team

    def describe(self) -> list[Metric]:
        """Nothing: names are known when they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Of prometheus_client."""
        counts = self._team.counts
        for name, told in _COUNTS:
            yield CounterMetricFamily(f"batonq_{name}", told, value=getattr(counts, name))
        for name, attribute, told in _PEER:
            family = CounterMetricFamily(f"batonq_peer_{name}", told, labels=["peer"])
            for peer in list(self._team.peers.values()):
                family.add_metric([peer.name], getattr(peer, attribute))
            yield family
        quarantined = GaugeMetricFamily(
            "batonq_peer_quarantined", "Nothing is handed to the peer", labels=["peer"]
        )
        for peer in list(self._team.peers.values()):
            quarantined.add_metric([peer.name], float(peer.quarantined))
        yield quarantined
        mode = GaugeMetricFamily("batonq_mode", "1 for the mode the node is in", labels=["mode"])
        for one in MODES:
            mode.add_metric([one], float(self._team.mode == one))
        yield mode
        yield from self._stored()

    def _stored(self) -> Iterator[Metric]:
        found = numbers(self._team)
        up = float(found is not None)
        yield GaugeMetricFamily("batonq_store_up", "Whether the store can be read", value=up)
        if found is not None:
            yield GaugeMetricFamily("batonq_events", "Number of the last event", value=found[0])
            yield GaugeMetricFamily("batonq_open", "Handoffs that are not closed", value=found[1])
