"""Importing: handoffs of an older log, for estimates; what a node has learnt stays as it is.

A log may lack what nobody wrote down. What is missing stays missing: it is never filled in, and
`Imported` says what cannot be estimated without it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from batonq.base.errors import BatonqError, DataError, WireError
from batonq.base.files import Json
from batonq.node import seeing
from batonq.node.event import DECISION, IMPORT, DuplicateError, Event, Store, once
from batonq.node.limits import END
from batonq.node.logs.imported import Imported, Trace
from batonq.node.standing import TERMINAL, TRUNCATED
from batonq.wire import messages

LONGEST: Final = 1 << 20  # bytes of a line
TOGETHER: Final = 1_000  # records of one transaction
PLAIN: Final = ("agent", "action", "target", "workflow", "end", "handoff_id", "default", "y")
NUMBERS: Final = ("reward", "duration", "propensity", "quote", "at")
FIELDS: Final = (*PLAIN, *NUMBERS, "observation", "permitted")
PREFIX: Final = "observation."  # of a CSV column that holds one field of the observation

Sees = Callable[[str, Any], str]  # from agent and observation to the key of its information state


def read_traces(
    path: str | Path, *, sees: Sees | None = None, text: Sequence[str] = ("text",)
) -> list[Trace]:
    """Read a log of handoffs: JSON lines, or CSV with a header if its name ends in `.csv`.

    Each record has `agent`, `action`, `reward`, and `observation` (what the agent saw) or `y` (its
    key as a node writes it). It may have `target` (by default the action), `duration`,
    `propensity`, `quote`, `workflow`, `end`, `permitted`, `default`, `at` and `handoff_id`. Nothing
    else is let in. An empty cell of a CSV, and null, mean that it is not known. In a CSV,
    `observation` is a cell of JSON, or columns `observation.<field>` hold its fields.

    Args:
        path: the file, in order of time.
        sees: from agent and observation to the key; by default the observation as it is.
        text: fields of the observation that hold free text, hashed and not kept.

    Raises:
        DataError: naming file, line and field of the first thing that cannot be.
    """
    source = Path(path)
    tabular = source.suffix.lower() == ".csv"
    see = sees or (lambda agent, seen: seeing.key(seen, agent, text))
    traces: list[Trace] = []
    try:
        for line, raw in _rows(source) if tabular else _lines(source):
            try:
                given = _cells(raw) if isinstance(raw, dict) else messages.parse(raw, LONGEST)
                traces.append(_trace(given, see, f"{source.name}:{line}"))
            except BatonqError as error:
                raise DataError(f"{source}: line {line}: {error}") from error
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror})") from error
    if not traces:
        raise DataError(f"{source}: holds no records")
    return traces


def import_into(store: Store, traces: Sequence[Trace], now: float) -> Imported:
    """Keep records as events of a node's store; each once, however often the file is imported.

    A record counts as the same if it has the same `handoff_id`, or without one the same file name,
    line and content. Records of handoffs that this node decided itself are left out.

    Args:
        store: where to.
        traces: what `read_traces` gave.
        now: seconds since 1970.

    Raises:
        StoreError: if the medium fails; what was imported before stays, and importing again goes
            on there.
    """
    added: list[Trace] = []
    repeated = own = 0
    rest = iter(traces)
    while batch := list(islice(rest, TOGETHER)):
        with store.transaction():
            for trace in batch:
                key = once(IMPORT, trace.handoff_id)
                if store.find(once(DECISION, trace.handoff_id)) is not None:
                    own += 1
                    continue
                try:
                    store.append(
                        Event(IMPORT, trace.agent, trace.handoff_id, key, now, trace.body())
                    )
                except DuplicateError:
                    repeated += 1
                else:
                    added.append(trace)
    return Imported.of(added, repeated, own)


def _lines(source: Path) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line that is not blank."""
    with source.open("rb") as file:
        number = 0
        while content := file.readline(LONGEST + 2):
            number += 1
            if content.strip():
                yield number, content.rstrip(b"\r\n")


def _rows(source: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells, by column, of each row below the header."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            twice = {name for name in header if header.count(name) > 1}
            if twice:
                raise DataError(f"{source}: line 1: column {min(twice)!a} stands twice")
            for row in reader:
                if row and len(row) != len(header):
                    raise DataError(
                        f"{source}: line {reader.line_num}: {len(row)} cells, the header has "
                        f"{len(header)}"
                    )
                if row:
                    yield reader.line_num, dict(zip(header, row, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{source}: line {reader.line_num + 1}: {error}") from error


def _cells(row: dict[str, str]) -> dict[str, Json]:
    """Cells of a CSV as a record; a cell of numbers that is none stays text and is refused."""
    given: dict[str, Json] = {}
    seen: dict[str, Json] = {}
    for name, cell in row.items():
        if name.startswith(PREFIX):
            seen[name.removeprefix(PREFIX)] = _guess(cell)
        elif not cell:
            continue
        elif name in NUMBERS:
            given[name] = _guess(cell)
        elif name in ("observation", "permitted"):
            given[name] = messages.parse(cell.encode(), LONGEST)
        else:
            given[name] = cell
    if seen:
        if "observation" in given:
            raise WireError("observation: give one cell of JSON or columns of fields, not both")
        given["observation"] = seen
    return given


def _guess(cell: str) -> Json:
    """A number, true, false or null if it is written as one, else text; empty is null."""
    try:
        value = messages.parse(cell.strip().encode(), LONGEST) if cell.strip() else None
    except WireError:
        return cell
    return value if value is None or isinstance(value, bool | int | float) else cell


def _trace(given: Json, sees: Sees, source: str) -> Trace:
    if not isinstance(given, dict):
        raise DataError("is no object; give one record a line")
    unknown = sorted(name for name in given if name not in FIELDS)
    if unknown:
        raise DataError(f"has the unknown field {unknown[0]!a}; there are {', '.join(FIELDS)}")
    known = {name: value for name, value in given.items() if value is not None}
    for name in ("agent", "action", "reward"):
        if name not in known:
            raise DataError(f"lacks '{name}'")
    for name in NUMBERS:
        if name in known:
            known[name] = _number(known[name], name)
    if known.get("duration", 1.0) <= 0:
        raise DataError(f"duration: {known['duration']:g} is not above 0")
    if not 0 < known.get("propensity", 1.0) <= 1:
        raise DataError(f"propensity: {known['propensity']:g} is not in (0, 1]")
    agent = messages.check_name(known["agent"], "agent")
    action, end, receiver = _whither(known)
    if end == TERMINAL and "quote" in known:
        raise DataError("quote: a workflow that ended has none; leave it out")
    _check_permitted(known, action)
    return Trace(
        handoff_id=_identity(known, given, source),
        agent=agent,
        y=_key(known, agent, sees),
        action=action,
        receiver=receiver,
        end=end,
        reward=known["reward"],
        duration=known.get("duration"),
        propensity=known.get("propensity"),
        quote=known.get("quote"),
        workflow=_text(known, "workflow"),
        permitted=None if "permitted" not in known else tuple(known["permitted"]),
        default=_text(known, "default"),
        at=known.get("at"),
        source=source,
    )


def _whither(known: dict[str, Json]) -> tuple[str, str | None, str | None]:
    """Action, end and receiver."""
    action = messages.check_name(known["action"], "action")
    end = known.get("end")
    if end not in (None, TERMINAL, TRUNCATED):
        raise DataError(f"end: {end!a} is neither 'terminal' nor 'truncated'; leave it out")
    target = messages.check_name(known.get("target", action), "target")
    if target == END:
        if end == TRUNCATED:
            raise DataError("end: 'truncated', but the target is 'end'; one of them is wrong")
        end = TERMINAL
    return action, end, None if end == TERMINAL else target


def _check_permitted(known: dict[str, Json], action: str) -> None:
    permitted = known.get("permitted", [action])
    if not isinstance(permitted, list):
        raise DataError("permitted: is no list of actions")
    for one in permitted:
        messages.check_name(one, "permitted")
    if action not in permitted:
        raise DataError(f"permitted: lacks '{action}', the action that was taken")


def _key(known: dict[str, Json], agent: str, sees: Sees) -> str:
    if ("y" in known) == ("observation" in known):
        raise DataError("give one of 'observation' and 'y'")
    if "observation" in known:
        return sees(agent, known["observation"])
    y = _text(known, "y") or ""
    try:
        same = seeing.key(json.loads(y), agent, ())
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise DataError("y: is no key as a node writes it; give 'observation'") from error
    if same != y:
        raise DataError(f"y: a node would write {same[:80]}; give that, or 'observation'")
    return y


def _identity(known: dict[str, Json], given: dict[str, Json], source: str) -> str:
    if "handoff_id" in known:
        return messages.check_name(known["handoff_id"], "handoff_id")
    content = json.dumps([source, given], sort_keys=True)
    return f"import-{hashlib.sha256(content.encode()).hexdigest()[:32]}"


def _number(value: Json, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{name}: {ascii(value)[:40]} is not a finite number")
    return float(value)


def _text(known: dict[str, Json], name: str) -> str | None:
    value = known.get(name)
    if value is not None and not (isinstance(value, str) and value):
        raise DataError(f"{name}: {ascii(value)[:40]} is no text")
    return value
