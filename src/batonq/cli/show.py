"""How a result is shown: tables for readers, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    from batonq.study.experiment import Table
    from batonq.study.run import Result


def show_result(result: Result, as_json: bool) -> None:
    """Print a result on stdout: its JSON object, or its first tables and the report's path."""
    if as_json:
        json.dump(result.document(), sys.stdout, allow_nan=False)
        print()
        return
    from batonq.study.tables import pivot

    summary = result.summary
    print(summary.headline)
    first = summary.sections[0].tables if summary.sections else ()
    for table in first or (pivot(summary.rows),):
        show_table(table)
    print(result.path)


def show_table(table: Table) -> None:
    """Print a table on stdout, in full width if that is not a terminal."""
    from batonq.study.tables import is_number, text

    rich_table = RichTable(title=table.caption, title_justify="left")
    for index, name in enumerate(table.columns):
        numbers = bool(table.lines) and is_number(table.lines[0][index])
        rich_table.add_column(Text(name), justify="right" if numbers else "left")
    for line in table.lines:
        rich_table.add_row(*(Text(text(cell)) for cell in line))
    console = Console()
    if not console.is_terminal:
        wide = console.options.update(width=10_000)
        console.width = Measurement.get(console, wide, rich_table).maximum
    console.print(rich_table)
