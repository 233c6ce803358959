"""`batonq demo`: four agents in four processes learn to hand off; one is killed on the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from batonq.demo.pipeline import Book
    from batonq.demo.run import Watch


def demo(
    seed: Annotated[int, typer.Option(help="Of requests, their outcomes, and exploring.")] = 0,
    handoffs: Annotated[
        int | None, typer.Option(help="Handoffs after which no new request begins.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything, for a look.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the nodes' folders in nodes/ of the run folder.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; by default below runs/.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Four agents in four processes learn from scratch; one is killed and started again."""
    from batonq.demo.options import HANDOFFS, QUICK, Options

    options = Options(seed, (QUICK if quick else HANDOFFS) if handoffs is None else handoffs)
    from batonq.cli.show import show_table
    from batonq.demo.experiment import perform

    with _watching(options.handoffs) as watch:
        done = perform(options, out, keep, watch)
    if as_json:
        json.dump(done.document(), sys.stdout, allow_nan=False)
        print()
        return
    print(done.result.summary.headline)
    for table in done.tables():
        show_table(table)
    if done.nodes is not None:
        print(f"nodes: {done.nodes}")
    print(done.result.path)


@contextmanager
def _watching(handoffs: int) -> Iterator[Watch]:
    """Progress on stderr if that is a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        "handoffs",
        TextColumn("{task.fields[right]}"),
    )
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with shown as progress:
        yield _Bar(progress, progress.add_task("", total=handoffs, right=""))


class _Bar:
    """Shows how far the demo has come."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def stage(self, text: str) -> None:
        """What it does now."""
        self._progress.update(self._task, description=text)

    def progress(self, book: Book) -> None:
        """How many handoffs there were, and how many of the latest requests came out right."""
        recent = list(book.recent)
        right = f"right lately: {sum(recent) / len(recent):.0%}" if recent else ""
        self._progress.update(self._task, completed=book.handoffs, right=right)
