"""`batonq node`: make, run and look after a node."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batonq.base.errors import DataError, WireError

if TYPE_CHECKING:
    from batonq.node.config import NodeConfig
    from batonq.node.team import Team

app = typer.Typer(no_args_is_help=True, help="A node: the agents of one team, learning online.")

Config = Annotated[
    Path, typer.Argument(help="node.toml, or the folder it lies in.", metavar="[CONFIG]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path("node.toml")


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Where to make it.")] = Path(),
    agent: Annotated[
        list[str] | None, typer.Option(help="Name of an agent; may be repeated.")
    ] = None,
    gamma: Annotated[float, typer.Option(help="Discount per unit of time, in (0, 1).")] = 0.95,
) -> None:
    """Write a node.toml to start from, and a token for local control."""
    from batonq.node.init import write_node

    made = write_node(folder, tuple(agent or ("intake", "search")), gamma)
    for path in made:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: look at {made[0]}, then run: batonq node serve {made[0]}")


@app.command("serve")
def serve(
    config: Config = HERE,
    host: Annotated[str | None, typer.Option(help="Address; that of node.toml by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
) -> None:
    """Run a node: HTTP for the pipeline and peers, and the dashboard."""
    from batonq.node import tracing
    from batonq.service.limits import Rate
    from batonq.service.run import serve as serve_team
    from batonq.service.settings import Settings

    read, team = _opened(config)
    stop = tracing.setup(read.name, read.tracing.endpoint)
    from batonq.node.config import secret

    try:
        settings = Settings(
            token=secret(_folder(config), read.serve.token_file, "serve.token_file"),
            hosts=tuple(read.serve.hosts),
            body_limit=read.serve.body_limit,
            peer_rate=Rate(read.serve.peer_rate, max(1.0, 2 * read.serve.peer_rate)),
            threads=read.durability == "full",
        )
        serve_team(
            team,
            read.serve.host if host is None else host,
            read.serve.port if port is None else port,
            settings=settings,
        )
    finally:
        stop()
        team.close()


@app.command("peers")
def peers(
    config: Config = HERE,
    check: Annotated[
        bool, typer.Option("--check", help="Ask each for its declaration, and compare.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show peers: what crossed, what is left of the leak budget, how far they are trusted."""
    from batonq.cli.show import show_table
    from batonq.node.peers import trust
    from batonq.study.experiment import Table

    _, team = _opened(config, read_only=True)
    rows: list[dict[str, Any]] = []
    with team:
        bits = team.declaration.scalar.bits
        for peer in team.peers.values():
            evidence = trust.evidence(peer.terms, peer.ledger)
            rows.append(
                {
                    "peer": peer.name,
                    "url": peer.url,
                    "quotes_in": peer.asked,
                    "quotes_out": peer.answered,
                    "bits_out": peer.answered * bits,
                    "leak_bits": peer.leak_bits,
                    "standing": "quarantined" if peer.quarantined else evidence["standing"],
                    "evidence": evidence,
                    **({"declaration": _checked(team, peer.name)} if check else {}),
                }
            )
    if as_json:
        typer.echo(json.dumps(rows))
        return
    columns = ["peer", "url", "quotes_in", "quotes_out", "bits_out", "leak_bits", "standing"]
    columns += ["declaration"] if check else []
    cells = tuple(
        tuple("no cap" if row[name] is None else str(row[name]) for name in columns) for row in rows
    )
    show_table(Table("Peers", tuple(columns), cells))


@app.command("doctor")
def doctor(
    config: Config = HERE,
    half_width: Annotated[
        float, typer.Option(help="Half-width of the interval to plan for, in reward units.")
    ] = 0.1,
    as_json: AsJson = False,
) -> None:
    """Say what is misconfigured, what rounding adds, and how many handoffs an interval needs."""
    from batonq.node.doctor.checkup import checkup

    read, team = _opened(config, read_only=True)
    with team:
        findings = checkup(team, read, _folder(config), half_width)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings]))
        return
    for one in findings:
        typer.echo(f"{one.level:>7}  {one.what}")
        if one.remedy:
            typer.echo(f"{'':>7}  -> {one.remedy}")


@app.command("import")
def import_(
    traces: Annotated[Path, typer.Argument(help="Older log: JSON lines or CSV.")],
    config: Config = HERE,
    as_json: AsJson = False,
) -> None:
    """Take older traces into the store, and say what can be estimated from them."""
    from batonq.node.logs.importing import import_into, read_traces

    _, team = _opened(config)
    with team:
        records = read_traces(traces, sees=lambda agent, seen: team[agent].sees(seen))
        done = import_into(team.store, records, team.core.clock())
    typer.echo(json.dumps(asdict(done)) if as_json else str(done))


def decide(
    config: Config,
    agent: Annotated[str, typer.Option(help="Which agent decides.")],
    state: Annotated[str, typer.Option(help="The artifact as it has it, as JSON.")],
    to: Annotated[
        list[str] | None, typer.Option(help="A target; may be repeated; node.toml's by default.")
    ] = None,
    default: Annotated[str | None, typer.Option(help="The usual route.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Name of the request.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Store nothing; works beside a running node.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print values and reasons.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide once from the command line: to whom would this agent hand off, and why?"""
    from batonq.cli.show import show_table
    from batonq.study.experiment import Table

    try:
        artifact = json.loads(state)
    except json.JSONDecodeError as error:
        raise DataError(f"--state: not JSON at column {error.colno} ({error.msg})") from error
    _, team = _opened(config, read_only=dry_run)
    with team:
        made = team[agent].decide(
            artifact, to or None, default=default, workflow=workflow, dry_run=dry_run
        )
        counts = {
            action: team[agent].learner.values(y).next_count(y, action) - 1
            for y in (team[agent].sees(artifact),)
            for action in made.values
        }
    if as_json:
        typer.echo(json.dumps({**made.document(), "counts": counts}))
        return
    typer.echo(made.target)
    if explain:
        typer.echo(f"why: {made.why}")
        rows = [(one, f"{value:.4g}", str(counts[one]), "") for one, value in made.values.items()]
        rows += [(one, "", "", reason) for one, reason in made.masked.items()]
        columns = ("action", "value", "learnt from", "not permitted")
        show_table(Table(f"Agent '{agent}', version {made.version}", columns, tuple(rows)))
    if not dry_run:
        typer.echo(f"handoff_id: {made.id}")


def _folder(config: Path) -> Path:
    return config if config.is_dir() else config.parent


def _opened(config: Path, read_only: bool = False) -> tuple[NodeConfig, Team]:
    from batonq.node.config import open_team, read_config

    read = read_config(config)
    return read, open_team(read, _folder(config), read_only=read_only)


def _checked(team: Team, name: str) -> str:
    """Whether a peer's declaration can be had and agrees with ours."""
    try:
        team.peers[name].greet(team.declaration)
    except WireError as error:
        return str(error)
    return "agrees"
