"""`batonq report`: a finished run's tables and figures made again, or one program it found."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from batonq.base.errors import DataError


def report(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")],
    program: Annotated[
        str | None,
        typer.Option(help="Of a run of cpu: show the program found for this task.", metavar="NAME"),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--set", help="With --program: exact, widened, vectors16 ..."),
    ] = None,
    learner: Annotated[
        str | None, typer.Option(help="With --program: who wrote it, such as icq.")
    ] = None,
    seed_number: Annotated[
        int | None, typer.Option(help="With --program: number of the repetition, from 0.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="With --program: a value of the trace's inputs, decimal or 0x...; once for each.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the rows, or the program, as JSON.")
    ] = False,
) -> None:
    """Print the table of a finished run and write its report again, running nothing."""
    if program is not None:
        _show_program(run, program, (where, learner, seed_number), values or [], as_json)
        return
    if where or learner or seed_number is not None or values:
        raise DataError("set, learner, seed-number and input go with --program; give that, too")
    from batonq.cli.show import show_result
    from batonq.study.run import rebuild
    from batonq.tasks.registry import SUMMARISE, summariser

    known = {**SUMMARISE, "demo": "batonq.demo.summary:summarise"}
    show_result(rebuild(run, partial(summariser, known=known)), as_json)


def _show_program(
    run: Path,
    name: str,
    choice: tuple[str | None, str | None, int | None],
    values: list[str],
    as_json: bool,
) -> None:
    """Print one program of a run: lines and writers, proof, and trace."""
    from batonq.cli.show import show_table
    from batonq.tasks.cpu.dissection import dissect, found_in, tables, told
    from batonq.tasks.cpu.listing import chosen

    found, others = chosen(found_in(run), name, *choice)
    dissected = {**dissect(found, [_number(value) for value in values]), "others": others}
    if as_json:
        json.dump(dissected, sys.stdout, allow_nan=False)
        print()
        return
    print(f"{name}: {dissected['title']}" if dissected["title"] else name)
    print(
        f"{found.learner}, {found.where}, seed number {found.seed}, after {found.handoffs:,} "
        f"{'handoffs' if found.options else 'instructions executed'}; "
        f"other programs of this name that fit: {others}"
    )
    lines, steps = tables(dissected)
    show_table(lines)
    control = " -> ".join(f"{agent}: {what}" for agent, what in found.options)
    print(f"Control: {control}" if control else "No agents: a search wrote it.")
    proof, *rest = told(dissected)
    print(proof)
    show_table(steps)
    for line in rest:
        print(line)


def _number(text: str) -> int:
    """A whole number as it is given on the command line."""
    try:
        return int(text, 0)
    except ValueError:
        raise DataError(f"input: {text!r} is no whole number; give 12, -12 or 0xfff4") from None
