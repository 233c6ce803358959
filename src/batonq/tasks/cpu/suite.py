"""The suite: 48 small programming tasks with specifications and references, in `suite.toml`.

The first 25 are the well-known ones from Hacker's Delight (H. S. Warren, 2nd edition, 2012) in the
numbering of S. Gulwani, S. Jha, A. Tiwari and R. Venkatesan (Synthesis of loop-free programs, PLDI
2011); the others are minima, sorting, clamping, selection and words of memory. References are
written by hand, as short as we could make them with the rows of `machine.table`; none reads a word
that is neither an input nor written before, although words start at 0.

With the table's rows p20, p22, p23, p24 and p25 are long, for want of a bit scan, a bit count and
the higher half of a product.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Final

from batonq.base.errors import DataError
from batonq.tasks.cpu.files import from_table
from batonq.tasks.cpu.task import Task

SHORT: Final = 6  # tasks whose references are longer are listed apart


@cache
def suite() -> tuple[Task, ...]:
    """The 48 tasks, each with the exact menu of its reference and the reference's length."""
    text = files("batonq.tasks.cpu").joinpath("suite.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)["task"]
    return tuple(from_table(table, f"suite, {table['name']}") for table in tables)


def named(name: str) -> Task:
    """The task of the suite of that name.

    Raises:
        DataError: there is none; the message lists those there are.
    """
    for task in suite():
        if task.name == name:
            return task
    raise DataError(
        f"no task is called '{name}'; there are: {', '.join(task.name for task in suite())}"
    )
