"""`batonq data`: the data files, where they come from and where they lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Data files: sources, licences, checksums.")

Folder = Annotated[
    Path | None, typer.Option("--data", help="Folder of the data files; else BATONQ_DATA.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_files(data: Folder = None, as_json: AsJson = False) -> None:
    """List the data files: where they lie, whether they are intact, source and licence."""
    from batonq.base.data import listing
    from batonq.cli.show import show_table
    from batonq.study.experiment import Table

    lines = listing(data)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "name": line.file.name,
                        "state": line.state,
                        "path": None if line.found is None else str(line.found),
                        "sha256": line.file.sha256,
                        "content_sha256": line.file.content_sha256,
                        "licence": line.file.licence,
                        "sources": line.file.sources,
                        "fetchable": line.file.fetchable,
                        "holds": line.file.holds,
                    }
                    for line in lines
                ]
            )
        )
        return
    columns = ("name", "state", "fetch", "licence", "holds", "sources")
    show_table(
        Table(
            "Data files",
            columns,
            tuple(
                (
                    line.file.name,
                    line.state,
                    "yes" if line.file.fetchable else "no",
                    line.file.licence,
                    line.file.holds,
                    ", ".join(_short(source) for source in line.file.sources),
                )
                for line in lines
            ),
        )
    )


@app.command()
def path(
    name: Annotated[str, typer.Argument(help="A name that `data list` shows.")],
    data: Folder = None,
) -> None:
    """Print where a data file lies."""
    from batonq.base.data import locate

    typer.echo(locate(name, data))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name that `data list` shows as fetchable.")],
    data: Folder = None,
) -> None:
    """Fetch a data file from its public source, check it, and print where it was put."""
    from batonq.base.data import VARIABLE, given_folder
    from batonq.base.errors import DataError
    from batonq.base.fetch import fetch as fetch_file

    folder = given_folder(data)
    if folder is None:
        raise DataError(f"{name}: no folder to put it in; give --data DIR or {VARIABLE}=DIR")
    fetched = fetch_file(name, folder)
    if not fetched.verified:
        typer.echo(
            f"batonq: {name}: the source's content differs from what the project was made with; "
            "figures may differ",
            err=True,
        )
    typer.echo(fetched.path)


def _short(source: str) -> str:
    """Return owner/name@commit with eight digits of the commit."""
    name, _, commit = source.partition("@")
    return f"{name}@{commit[:8]}"
