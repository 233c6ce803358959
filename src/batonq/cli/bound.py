"""`batonq bound` and `batonq refine`: the three terms, and which field to reveal next."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batonq.base.errors import DataError

if TYPE_CHECKING:
    from batonq.icq.log import Log
    from batonq.icq.run import Run
    from batonq.smdp.model import FiniteICSMDP

Source = Annotated[
    Path,
    typer.Argument(
        help="A finite model, one agent's log, a node's store, or (for bound) a run.",
        metavar="MODEL|LOG",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn at random.")]


def bound(
    source: Source,
    run: Annotated[
        Path | None, typer.Option(help="With a model: a run on it, to be measured.", metavar="RUN")
    ] = None,
    handoffs: Annotated[
        int, typer.Option(help="With a model: handoffs the certificate may use.")
    ] = 1_000_000,
    delta: Annotated[float, typer.Option(help="Chance that the certificate fails.")] = 0.05,
    oscillation: Annotated[
        float | None,
        typer.Option(help="Declared bound h on what a cell hides, for the certificate."),
    ] = None,
    scalars: Annotated[int, typer.Option(help="Scalars a handoff, 1 or 2.")] = 1,
    agent: Annotated[
        str | None, typer.Option(help="Of a node's store: whose log; the only one by default.")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Print approximation, interface gap and residual: measured, estimated, certified."""
    from batonq.bound.terms import bound as terms_of
    from batonq.icq.run import Run

    given = _read(source, agent)
    if run is not None and (isinstance(given, Run) or not hasattr(given, "n_states")):
        raise DataError(f"--run: {source} is not a model, so no run on it can be measured")
    found = terms_of(
        given,
        run=None if run is None else Run.load(run),
        handoffs=handoffs,
        delta=delta,
        oscillation=oscillation,
        scalars=scalars,
        seed=seed,
    )
    typer.echo(json.dumps(found.document(), allow_nan=False) if as_json else str(found))


def refine(
    source: Source,
    field: Annotated[
        list[str] | None,
        typer.Option(help="A field to consider; may be repeated; all that are there by default."),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Whom to reveal it to; everybody (model) or the log's agent by default."),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say which field to reveal next, what that removes of the gap, or that nothing helps."""
    from batonq.bound.refine import refine as field_to_reveal
    from batonq.icq.run import Run

    given = _read(source, agent)
    if isinstance(given, Run):
        raise DataError(f"{source}: a run has no fields; give a model or one agent's log")
    found = field_to_reveal(given, field, agent=agent, seed=seed)
    if not as_json:
        typer.echo(str(found))
        return
    candidates = [
        {key: _finite(value) for key, value in vars(one).items()} for one in found.candidates
    ]
    typer.echo(json.dumps({**vars(found), "candidates": candidates}, allow_nan=False))


def _finite(value: float | str | None) -> float | str | None:
    """JSON has no infinity: what is infinite is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(source: Path, agent: str | None = None) -> FiniteICSMDP | Run | Log:
    """Read a file of batonq's, whichever it is; of a node's store, the log of `agent`."""
    from batonq.base.files import schema_of
    from batonq.icq import log, run
    from batonq.node.store.schema import is_database
    from batonq.smdp import model

    if is_database(source):
        from batonq.node.logs.export import read_log

        return read_log(source, agent)
    schema = schema_of(source)
    if schema == model.SCHEMA:
        return model.FiniteICSMDP.load(source)
    if schema == log.SCHEMA:
        return log.Log.open(source)
    if schema == run.SCHEMA:
        return run.Run.load(source)
    raise DataError(f"{source}: holds '{schema}'; give a finite model, a log or a run")
