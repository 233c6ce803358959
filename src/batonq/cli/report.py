"""`batonq report`: tables and figures of a finished run, made again from its stored cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Print the table of a finished run and write its report again, running nothing."""
    from batonq.cli.show import show_result
    from batonq.study.run import rebuild
    from batonq.tasks.registry import summariser

    show_result(rebuild(run, summariser), as_json)
