"""Run an experiment: do the cells that are not yet done, then write rows, figures and report."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from batonq.base.errors import DataError
from batonq.base.files import Json, write_text
from batonq.study.experiment import Experiment, Summarise, Summary
from batonq.study.folder import (
    Finished,
    Identity,
    load_cell,
    load_finished,
    open_run,
    read_identity,
    save_cell,
)
from batonq.study.pool import run_cells
from batonq.study.report import write_report
from batonq.study.rows import Row, document, to_csv

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """A finished study: whose it is, what came out, and where it lies.

    Attributes:
        identity: experiment, config and cells.
        path: the report, ``report.html`` in the run folder.
        summary: headline, rows, sections.
        seconds: time of the cells, summed over them, whenever they were run.
    """

    identity: Identity
    path: Path
    summary: Summary
    seconds: float

    @property
    def rows(self) -> tuple[Row, ...]:
        """All figures."""
        return self.summary.rows

    def document(self) -> dict[str, Json]:
        """Return the object that ``--json`` prints."""
        return document(self.identity.experiment, self.identity.config, self.seconds, self.rows)


def run(experiment: Experiment, out: Path, workers: int = 1, show_progress: bool = False) -> Result:
    """Run the cells of `experiment` that `out` does not hold yet, and write everything there.

    Cells run in processes of their own, so a script calls this under
    ``if __name__ == "__main__":``. Ctrl-C stops the workers; finished cells are kept, and the
    same call goes on from there.

    Args:
        experiment: what to run.
        out: run folder; created if need be.
        workers: number of processes, at least 1.
        show_progress: draw a bar on stderr if that is a terminal.

    Raises:
        DataError: if `workers` is below 1, or `out` cannot be written or holds something else; it
            is left untouched.
        BatonqError: what a cell raised for bad input.
        CellError: if a cell failed otherwise.
    """
    if workers < 1:
        raise DataError(f"workers: {workers} given; use 1 or more")
    identity = Identity.of(experiment)
    open_run(out, identity)
    finished = load_finished(out, identity.cells)
    waiting = [cell for cell in experiment.cells if cell.key not in finished]
    if finished:
        logger.info("%s: %d of %d cells are done", out, len(finished), len(identity.cells))
    try:
        with (
            progress_bar("cells", len(identity.cells), len(finished), show_progress) as advance,
            closing(run_cells(experiment, waiting, workers)) as outcomes,
        ):
            for cell in outcomes:
                save_cell(out, cell)
                finished[cell.key] = cell
                advance()
    except KeyboardInterrupt:
        logger.warning(
            "stopped with %d of %d cells done in %s; the same command goes on from there",
            len(finished),
            len(identity.cells),
            out,
        )
        raise
    return _write(out, identity, [finished[key] for key in identity.cells], experiment.summarise)


def rebuild(folder: Path, find_summarise: Callable[[str], Summarise]) -> Result:
    """Write rows, figures and report of a finished run again, from its stored cells.

    Args:
        folder: the run folder.
        find_summarise: returns the `summarise` of an experiment's name.

    Raises:
        DataError: if `folder` is no run, is not finished, or a file of it is damaged.
    """
    identity = read_identity(folder)
    summarise = find_summarise(identity.experiment)
    cells = [cell for key in identity.cells if (cell := load_cell(folder, key)) is not None]
    missing = len(identity.cells) - len(cells)
    if missing:
        raise DataError(
            f"{folder}: {missing} of {len(identity.cells)} cells are not done; "
            "finish it with the command that began it"
        )
    return _write(folder, identity, cells, summarise)


def _write(
    folder: Path, identity: Identity, cells: Sequence[Finished], summarise: Summarise
) -> Result:
    summary = summarise(identity.config, [json.loads(cell.output) for cell in cells])
    seconds = sum(cell.seconds for cell in cells)
    write_text(folder / "results.csv", to_csv(summary.rows))
    path = write_report(folder, identity, summary, seconds)
    return Result(identity, path, summary, seconds)


@contextmanager
def progress_bar(what: str, total: int, done: int, show: bool) -> Iterator[Callable[[], None]]:
    """Yield what to call per thing finished; draws a bar on stderr if that is a terminal.

    Args:
        what: the things, in the plural.
        total: how many there are.
        done: how many are finished already.
        show: whether to draw it.
    """
    if not (show and sys.stderr.isatty()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda: bar.advance(task)
