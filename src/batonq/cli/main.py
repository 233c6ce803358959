"""The command `batonq`: its groups, and how errors end.

A mistake in what was asked ends with one line on stderr and exit code 2, any other failure with
one line and 1, Ctrl-C with 130. Heavy modules are imported by the commands that need them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from batonq import __version__
from batonq.base.errors import BatonqError
from batonq.cli import audit, bound, data, demo, evaluate, node, report, run

BAD_INPUT: Final = 2
FAILURE: Final = 1
INTERRUPTED: Final = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.add_typer(run.app, name="run")
app.command("report")(report.report)
app.command("bound")(bound.bound)
app.command("refine")(bound.refine)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(data.app, name="data")
app.add_typer(node.app, name="node")
app.add_typer(audit.app, name="audit")
app.command("decide")(node.decide)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"batonq {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; anywhere in the line.")
    ] = False,
) -> None:
    """Agents learn when and to whom to hand off, while one scalar crosses per handoff."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    logging.basicConfig(format="batonq: %(message)s")
    logging.getLogger("batonq").setLevel(logging.INFO)
    try:
        app([word for word in words if word != "--debug"], prog_name="batonq")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    """Print an error as one line and return the exit code."""
    line = " ".join(str(error).splitlines())
    if isinstance(error, BatonqError):
        print(f"batonq: {line}", file=sys.stderr)
        return BAD_INPUT
    print(
        f"batonq: failed: {type(error).__name__}: {line}; --debug shows where",
        file=sys.stderr,
    )
    return FAILURE
