"""`batonq data`: the data files and models' weights, where they come from and where they lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from batonq.base.weights import Weights

app = typer.Typer(
    no_args_is_help=True, help="Data files and models' weights: sources, licences, checksums."
)

Folder = Annotated[
    Path | None, typer.Option("--data", help="Folder of the data files; else BATONQ_DATA.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_files(
    data: Folder = None,
    as_json: AsJson = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read models' weights too; seconds for each.")
    ] = False,
) -> None:
    """List data files and models: where they lie, whether they are intact, source and licence.

    Of a model's weights only the size is compared, unless --check is given.
    """
    from batonq.base import weights
    from batonq.base.data import listing
    from batonq.cli.show import show_table
    from batonq.study.experiment import Table

    lines = (*listing(data), *weights.listing(data, check))
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
            "Data files and models",
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
    """Print where a data file or a model's weights lie."""
    from batonq.base import weights
    from batonq.base.data import locate

    typer.echo(locate(name, data) if _weights(name) is None else weights.locate(name, data))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name that `data list` shows as fetchable.")],
    data: Folder = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Fetch from here, laid out as the source's own host."),
    ] = None,
) -> None:
    """Fetch a data file or a model's weights, check them, and print where they were put.

    Weights are 0.5 to 1.1 GB; a fetch that was broken off goes on where it was.
    """
    from batonq.base import fetch as files
    from batonq.base import weights
    from batonq.base.data import VARIABLE, given_folder
    from batonq.base.errors import DataError

    model = _weights(name)
    folder = given_folder(data)
    if folder is None:
        raise DataError(f"{name}: no folder to put it in; give --data DIR or {VARIABLE}=DIR")
    if model is not None:
        with _bar(name, model.size) as watch:
            place = weights.fetch(model, folder, host=host or weights.HOST, watch=watch)
        typer.echo(place)
        return
    fetched = files.fetch(name, folder, host=host or files.HOST)
    if not fetched.verified:
        typer.echo(
            f"batonq: {name}: the source's content differs from what the project was made with; "
            "figures may differ",
            err=True,
        )
    typer.echo(fetched.path)


def _weights(name: str) -> Weights | None:
    """Return the model called `name`, or None for a data file.

    Raises:
        DataError: if it is neither; the message lists both.
    """
    from batonq.base.data import FILES
    from batonq.base.errors import DataError
    from batonq.base.weights import WEIGHTS

    if name not in FILES and name not in WEIGHTS:
        names = ", ".join((*FILES, *WEIGHTS))
        raise DataError(f"no data file is called '{name}'; there are: {names}")
    return WEIGHTS.get(name)


@contextmanager
def _bar(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """Yield what to tell the bytes that are there; draws a bar on stderr if it is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with shown as progress:
        task = progress.add_task(name, total=size)
        yield lambda there: progress.update(task, completed=there)


def _short(source: str) -> str:
    """Return owner/name@commit with eight digits of the commit, if there is one."""
    name, at, commit = source.partition("@")
    return f"{name}{at}{commit[:8]}"
