"""What the triage scenario comes to: every figure as a row, and the report around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from batonq.base.files import Json
from batonq.study.experiment import Section, Summary
from batonq.study.gaps import realised
from batonq.study.intervals import over_instances
from batonq.study.lines import counted, missed, to_reach
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.routing.options import TRIAGE
from batonq.tasks.routing.triage import reach, sections
from batonq.tasks.routing.triage.model import INTERFACES, LAST, OWN, WHOLE
from batonq.tasks.routing.triage.notes import CHOICES, LIMITS, TEXTS
from batonq.tasks.routing.triage.readings import (
    MEASURES,
    Output,
    Readings,
    scores,
)


def summarise(_config: Mapping[str, Json], outputs: Sequence[Output]) -> Summary:
    """Sum up the instances of every size."""
    readings = Readings(outputs)
    lines = reach.lines(readings)
    first = to_reach(lines, "part", TEXTS["lines"])
    return Summary(
        headline=" ".join(
            part for part in (counted(lines), _told(readings), missed(lines)) if part
        ),
        rows=tuple(_rows(readings)),
        sections=(
            Section(first.title, first.text, (*first.tables, sections.learnt(readings))),
            sections.whole(readings),
            sections.narrow(readings),
            sections.gap(readings),
            sections.terms(readings),
            *sections.graph(readings),
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def _told(readings: Readings) -> str:
    """The least accuracy and value of IC-Q over everything."""
    found = [scores(readings.of("learn", size), "icq") for size in readings.sizes("learn")]
    accuracy = min(one.accuracy.min() for one in found)
    ratio = min(one.ratio.min() for one in found)
    runs = sum(one.value.size for one in found)
    return (
        f"Least of {runs} runs of IC-Q with the whole ticket: accuracy {accuracy:.4f}, value "
        f"{ratio:.4f} of the oracle's."
    )


def _rows(readings: Readings) -> Iterator[Row]:
    for size in readings.sizes("learn"):
        yield from _learnt(size, readings.of("learn", size))
    for size in readings.sizes("narrow"):
        cells = readings.of("narrow", size)
        for interface in (LAST, OWN):
            for name in sections.NARROW:
                for metric, found in scores(cells, name, interface).figures.items():
                    yield found.row(_setting(size, interface), name, metric)
    for size in readings.sizes("gaps"):
        for interface in INTERFACES:
            yield from _gap(size, interface, readings.of("gaps", size))
    for size in readings.sizes("terms"):
        cells = readings.of("terms", size)
        for interface in (name for name in INTERFACES if name in cells[0]):
            yield from _terms(size, interface, cells)


def _setting(size: int, interface: str, of: str | None = None) -> dict[str, Scalar]:
    setting: dict[str, Scalar] = {"scenario": TRIAGE, "size": size, "interface": interface}
    return setting if of is None else {**setting, "of": of}


def _learnt(size: int, cells: Sequence[Output]) -> Iterator[Row]:
    for name, found in sections.whole_scores(cells).items():
        for metric, figure in found.figures.items():
            yield figure.row(_setting(size, WHOLE), name, metric)
        if name == "icq":
            least = _setting(size, WHOLE, "least")
            yield Row(least, name, "value_ratio", float(found.ratio.min()))
            yield Row(least, name, "accuracy", float(found.accuracy.min()))


def _gap(size: int, interface: str, cells: Sequence[Output]) -> Iterator[Row]:
    """Exact and realised gap: means over instances, then in L2(mu) each instance's."""
    for name in MEASURES:
        where = _setting(size, interface, f"gap {name}")
        exact = over_instances(cell[interface]["predicted"][name] for cell in cells)
        had = over_instances(realised(cell, interface, name).value for cell in cells)
        yield exact.row(where, "icq", "term")
        yield had.row(where, "icq", "measured")
    for cell in cells:
        where = _setting(size, interface, f"gap rms, instance {cell['number']}")
        yield Row(where, "icq", "term", cell[interface]["predicted"]["rms"])
        yield realised(cell, interface, "rms").row(where, "icq", "measured")


def _terms(size: int, interface: str, cells: Sequence[Output]) -> Iterator[Row]:
    for term in sections.TERMS:
        for kind in sections.KINDS:
            found = sections.term_figure(cells, interface, term, kind)
            exact = kind == "measured" and term in ("approximation", "interface gap")
            metric = "term" if exact else kind
            where = _setting(size, interface, term)
            yield _row(where, metric, found)


def _row(where: Mapping[str, Scalar], metric: str, found: Interval | None) -> Row:
    return Row(where, "icq", metric, None) if found is None else found.row(where, "icq", metric)
