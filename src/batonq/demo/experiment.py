"""The demo as a run like any other: its folder, its results, its report."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.demo.options import Options
from batonq.demo.run import Watch, run
from batonq.demo.summary import summarise, tables
from batonq.study.experiment import Table
from batonq.study.folder import Finished, Identity, canonical, open_run, save_cell
from batonq.study.run import Result, rebuild

NAME: Final = "demo"
CELL: Final = "run"
NODES: Final = "nodes"


@dataclass(frozen=True)
class Performed:
    """A demo that is over.

    Attributes:
        result: as of any study.
        found: all that came out, JSON.
        nodes: where the nodes' folders were kept; None if they were not.
    """

    result: Result
    found: Json
    nodes: Path | None

    def tables(self) -> tuple[Table, ...]:
        """Those for the screen."""
        return tables(self.found)

    def document(self) -> dict[str, Json]:
        """The object that ``--json`` prints: that of any study, and all the rest under "demo"."""
        return {
            **self.result.document(),
            "headline": self.result.summary.headline,
            "report": str(self.result.path),
            NAME: self.found,
        }


def perform(options: Options, out: Path | None, keep: bool, watch: Watch) -> Performed:
    """Run the demo and write results and report; a run of the same options is replaced.

    Args:
        options: how it is run.
        out: run folder; by default one below runs/.
        keep: whether the nodes' folders are kept in it.
        watch: is told how far it has come.

    Raises:
        DataError: if the folder cannot be written, or holds something else.
        NodeError: if a node does not come up, ends by itself, or refuses a call.
    """
    identity = Identity(NAME, options.to_json(), (CELL,))
    folder = out or Path("runs") / f"{NAME}-{identity.digest()}"
    open_run(folder, identity)
    kept = folder / NODES if keep else None
    if kept is not None and kept.exists():
        raise DataError(f"{kept}: is there already; delete it, or choose another folder with --out")
    began = time.monotonic()
    with TemporaryDirectory(prefix="batonq-demo-") as temporary:
        found = run(options, Path(temporary), watch)
        if kept is not None:
            shutil.copytree(temporary, kept)
    watch.stage("the report is written")
    save_cell(folder, Finished(CELL, canonical(found), time.monotonic() - began))
    return Performed(rebuild(folder, lambda _: summarise), found, kept)
