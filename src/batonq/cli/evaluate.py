"""`batonq evaluate`: what another policy of one agent would be worth, from its own records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from batonq.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from batonq.base.files import Json
    from batonq.bound.offpolicy_policies import Matrix, Policy
    from batonq.bound.segments import SegmentTable

REST: Final = "*"  # in a policy file: all observations that it does not name
ALL: Final = "all"


def evaluate(
    source: Annotated[
        Path,
        typer.Argument(help="A log as log.save wrote it, or a node's store.", metavar="LOG"),
    ],
    policy: Annotated[
        str,
        typer.Option(
            help="uniform; greedy (in the values logged with each decision); default (the one "
            "named with each decision); fixed:ACTION; or a JSON file {observation: action or "
            '{action: chance}}, "*" for all others.',
            metavar="POLICY",
        ),
    ],
    agent: Annotated[
        str | None, typer.Option(help="Whose policy; the only agent by default.")
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(help="Discount the records are expected to have.")
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="dr, snips, fqe or all.", metavar="ESTIMATOR")
    ] = ALL,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    drawn: Annotated[
        bool,
        typer.Option(
            "--drawn",
            help="Leave out segments whose first decision was not drawn by chance: what was "
            "recorded in observe mode, or imported without propensities.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a policy would be worth, with intervals, or what the records lack."""
    from batonq.bound import offpolicy, segments

    table = _read(source, agent)
    if drawn:
        table = segments.drawn(table)
    found = offpolicy.evaluate(
        table,
        policy_of(table, policy),
        gamma=gamma,
        estimator=None if estimator == ALL else estimator,
        confidence=confidence,
    )
    typer.echo(json.dumps(found.document(), allow_nan=False) if as_json else str(found))


def policy_of(table: SegmentTable, text: str) -> Policy | Matrix:
    """The policy that a text names.

    Raises:
        DataError: if it names none.
    """
    from batonq.bound import offpolicy_policies as policies

    named = {
        "uniform": policies.as_permitted,
        "greedy": policies.as_valued,
        "default": policies.as_default,
    }
    if text in named:
        return named[text](table)
    names = {str(name): name for name in table.actions}
    kind, _, action = text.partition(":")
    if kind == "fixed" and action:
        return policies.fixed(_action(names, action))
    path = Path(text)
    if not path.is_file():
        raise DataError(
            f"policy '{text}': is no file, nor uniform, greedy, default or fixed:ACTION"
        )
    return _from_file(table, path, names)


def _read(source: Path, agent: str | None) -> SegmentTable:
    """The segments in a file, whichever kind it is."""
    from batonq.node.store.schema import is_database

    if is_database(source):
        from batonq.node.logs.export import read_segments

        return read_segments(source, agent).table()
    from batonq.bound.segments import table_of_log
    from batonq.icq.log import Log

    return table_of_log(Log.open(source, agent))


def _from_file(table: SegmentTable, path: Path, names: dict[str, Hashable]) -> Policy:
    from batonq.base.files import read_json

    given = read_json(path)
    if not isinstance(given, dict) or not given:
        raise DataError(f"{path}: holds no policy; write {{observation: action}}")
    told = {_canonical(key): _chances(path, value, names) for key, value in given.items()}
    found = {}
    for y in table.observations:
        key = _canonical(y) if isinstance(y, str) else _written(y)
        if key in told or REST in told:
            found[y] = told.get(key) or told[REST]
    return found


def _chances(path: Path, value: Json, names: dict[str, Hashable]) -> dict[Any, float]:
    if not isinstance(value, dict):
        return {_action(names, str(value)): 1.0}
    for chance in value.values():
        if isinstance(chance, bool) or not isinstance(chance, int | float):
            raise DataError(f"{path}: {chance!r} is no chance; write {{action: chance}}")
    return {_action(names, action): float(chance) for action, chance in value.items()}


def _action(names: dict[str, Hashable], action: str) -> Hashable:
    if action not in names:
        raise DataError(f"policy: action '{action}' is none of the records': {', '.join(names)}")
    return names[action]


def _canonical(text: str) -> str:
    """One way of writing an observation, whatever the order of its fields and its spaces."""
    try:
        return _written(json.loads(text))
    except ValueError:
        return text


def _written(value: Json) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
