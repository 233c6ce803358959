"""What a task hands to a study: cells to compute, and how to sum their outputs up in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from re import fullmatch
from typing import TYPE_CHECKING, Any

from batonq.base.files import Json
from batonq.study.rows import Interval, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Config = Mapping[str, Json]


@dataclass(frozen=True)
class Cell:
    """One piece of work that a worker process does on its own.

    Attributes:
        key: its name and the name of its file: letters, digits, ``.``, ``_``, ``=`` and ``-``.
        config: what `Experiment.run_cell` is given: JSON. Paths and other things that may differ
            between machines are allowed here, as they are no part of the run's identity.

    Raises:
        ValueError: if the key cannot be a file name.
    """

    key: str
    config: Config

    def __post_init__(self) -> None:
        if not fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,199}", self.key):
            raise ValueError(
                f"cell '{self.key}': a key starts with a letter or digit and has at most 200 "
                "letters, digits and . _ = -"
            )


@dataclass(frozen=True)
class Table:
    """A table of a report. An `Interval` is shown as value [low, high]; None as a dash.

    Attributes:
        caption: what it shows; the section's title if empty.
        columns: their heads.
        lines: the cells, one per column in every line.

    Raises:
        ValueError: if a line has another number of cells than there are columns.
    """

    caption: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str | float | Interval | None, ...], ...]

    def __post_init__(self) -> None:
        for line in self.lines:
            if len(line) != len(self.columns):
                raise ValueError(
                    f"table '{self.caption}': {len(line)} cells for {len(self.columns)} columns"
                )


@dataclass(frozen=True)
class Drawing:
    """A figure of a report.

    Attributes:
        name: file name without suffix, letters, digits, ``_`` and ``-``, unique in the report.
        caption: what it shows, said below it.
        alt: what it tells, for a reader who cannot see it.
        draw: returns the figure; called once per report.
    """

    name: str
    caption: str
    alt: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Section:
    """A part of a report. `text` is plain; an empty line in it starts a new paragraph."""

    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What came out of an experiment.

    Attributes:
        headline: the result in one or two sentences.
        rows: every figure.
        sections: the report's parts; the tables of the first are what the command prints.
        choices: what was chosen, and could have been chosen otherwise.
        limits: what the figures do not show.
    """

    headline: str
    rows: tuple[Row, ...]
    sections: tuple[Section, ...]
    choices: tuple[str, ...]
    limits: tuple[str, ...]


Summarise = Callable[[Config, Sequence[Any]], Summary]


@dataclass(frozen=True)
class Experiment:
    """A sweep: independent cells, and the function that sums them up.

    Attributes:
        name: the name under which the task registers its `summarise`.
        config: what the results depend on (settings, seeds, checksums of data), as JSON. A run
            folder holds results of one config only.
        cells: the work; keys are unique.
        run_cell: a module-level function that computes one cell, JSON in and JSON out, in a
            process of its own.
        summarise: given `config` and the outputs in the order of `cells`, both as read back from
            JSON, returns the summary. It computes no cell again, so that a report can be rebuilt.

    Raises:
        ValueError: if two cells have one key, or `run_cell` is not a module-level function.
    """

    name: str
    config: Config
    cells: Sequence[Cell]
    run_cell: Callable[[Config], Any]
    summarise: Summarise

    def __post_init__(self) -> None:
        if not self.cells:
            raise ValueError(f"experiment '{self.name}': no cells")
        key, count = Counter(cell.key for cell in self.cells).most_common(1)[0]
        if count > 1:
            raise ValueError(f"experiment '{self.name}': {count} cells have the key '{key}'")
        if not fullmatch(r"\w+", self.run_cell.__qualname__):
            raise ValueError(
                f"experiment '{self.name}': run_cell '{self.run_cell.__qualname__}' must be a "
                "function of a module, for workers import it"
            )
