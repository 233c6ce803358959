"""`batonq audit`: is what a store holds what was recorded, and what was it."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from batonq.node.event import Event

BROKEN: Final = 1

app = typer.Typer(
    no_args_is_help=True, help="A node's record: check it, look at it, delete bodies in it."
)

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The node's file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def verify(
    store: StorePath,
    head: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="A head noted earlier: shows that nothing was cut off."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no event was changed, removed, put in or moved; the node may go on meanwhile."""
    from batonq.node.store import audit
    from batonq.node.store.sqlite import SqliteStore

    with closing(SqliteStore.open(store, read_only=True)) as opened:
        found = audit.verify(opened, head)
    if as_json:
        typer.echo(json.dumps(found.document()))
    else:
        place = "" if found.bad is None else f" at row {found.bad}"
        typer.echo("good" if found.good else f"broken{place}: {found.why}")
        typer.echo(f"rows    {found.rows}")
        typer.echo(f"erased  {found.erased}")
        typer.echo(f"head    {found.head}")
        if found.noted is not None:
            typer.echo(f"noted   after row {found.noted}")
    if not found.good:
        raise typer.Exit(BROKEN)


@app.command()
def show(
    store: StorePath,
    handoff: Annotated[
        str | None, typer.Option(metavar="ID", help="Events of this handoff only.")
    ] = None,
    peer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Events that name this peer only.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show events; the node may go on meanwhile."""
    from batonq.cli.show import show_table
    from batonq.node.store import audit
    from batonq.node.store.sqlite import SqliteStore
    from batonq.study.experiment import Table

    with closing(SqliteStore.open(store, read_only=True)) as opened:
        events = audit.show(opened, handoff_id=handoff, peer=peer, limit=limit)
    if as_json:
        typer.echo(json.dumps([_document(event) for event in events]))
        return
    columns = ("seq", "time", "kind", "agent", "handoff", "body")
    show_table(Table("Events", columns, tuple(_line(event) for event in events)))


@app.command()
def retain(
    store: StorePath,
    days: Annotated[float, typer.Option(min=0.0, help="How long bodies are kept.")],
) -> None:
    """Delete the bodies of handoffs that are closed and had no event for so long.

    The node must be stopped. The chain stays verifiable, and what was learnt stays.
    """
    from batonq.node.store import retention
    from batonq.node.store.sqlite import SqliteStore

    with closing(SqliteStore.open(store, create=False)) as opened:
        count = retention.retain(opened, days, time.time())
    typer.echo(f"{count} bodies deleted")


@app.command()
def erase(
    store: StorePath,
    handoff: Annotated[str | None, typer.Option(metavar="ID", help="Of this handoff.")] = None,
    workflow: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of all handoffs of this workflow.")
    ] = None,
) -> None:
    """Delete the bodies of one handoff or of one workflow, as `retain` does."""
    from batonq.node.store import retention
    from batonq.node.store.sqlite import SqliteStore

    if (handoff is None) == (workflow is None):
        raise typer.BadParameter("give either --handoff or --workflow")
    with closing(SqliteStore.open(store, create=False)) as opened:
        if handoff is not None:
            count = retention.erase_handoff(opened, handoff, time.time())
        else:
            count = retention.erase_workflow(opened, str(workflow), time.time())
    typer.echo(f"{count} bodies deleted")


def _document(event: Event) -> dict[str, object]:
    return {
        "seq": event.seq,
        "at": event.at,
        "kind": event.kind,
        "agent": event.agent,
        "handoff_id": event.handoff_id,
        "body": event.body or None,
    }


def _line(event: Event) -> tuple[str, ...]:
    body = json.dumps(event.body) if event.body else "erased"
    names = (event.kind, event.agent, event.handoff_id)
    return (str(event.seq), _time(event.at), *map(_printable, names), body)


def _time(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
    except (ValueError, OverflowError, OSError):
        return f"{at:g}"


def _printable(name: str) -> str:
    """A name of others, without what could move a terminal's cursor."""
    return name if name.isprintable() else ascii(name)
