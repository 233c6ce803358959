"""The process pool: cells go in as JSON text and come back as JSON text, one after another."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from typing import Any, Final

from batonq.base.errors import BatonqError
from batonq.study.experiment import Cell, Config, Experiment
from batonq.study.folder import Finished, canonical

BLAS_THREADS: Final = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class CellError(RuntimeError):
    """A cell ended in an error that is not the user's, or its worker process died."""


def run_cells(
    experiment: Experiment, cells: Sequence[Cell], workers: int
) -> Generator[Finished, None, None]:
    """Run `cells` in `workers` processes and yield each as it finishes.

    Every cell runs in a worker, even with one worker, and linear algebra there uses one thread:
    so the numbers do not depend on the number of workers. If the iteration is left early, the
    workers are stopped at once.

    Raises:
        BatonqError: what a cell raised for bad input, with the cell's key.
        CellError: if a cell failed otherwise, or a worker died.
    """
    if not cells:
        return
    earlier = set(active_children())
    waiting = iter(cells)
    running: dict[Future[str], Cell] = {}
    with _one_blas_thread(), _pool(min(workers, len(cells))) as pool:
        try:
            while True:
                for cell in islice(waiting, workers - len(running)):
                    task = pool.submit(_work, experiment.run_cell, canonical(cell.config))
                    running[task] = cell
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for task in done:
                    yield _finished(running[task].key, task)
                    del running[task]
        except BrokenProcessPool as error:
            keys = " or ".join(cell.key for cell in running.values())
            raise CellError(
                f"a worker process died, killed or out of memory, in cell {keys}; "
                "run the same command again, with fewer --workers, to do the rest"
            ) from error
        finally:
            if running:
                for process in set(active_children()) - earlier:
                    process.terminate()


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(run_cell: Any, config: str) -> str:
    """Run one cell in a worker. Errors come back as JSON too, as not all of them can be sent."""
    started = time.perf_counter()
    arguments: Config = json.loads(config)
    try:
        output = canonical(run_cell(arguments))
    except Exception as error:
        return canonical(
            {
                "name": type(error).__name__,
                "message": str(error),
                "input": isinstance(error, BatonqError),
                "traceback": traceback.format_exc(),
            }
        )
    return canonical({"output": output, "seconds": round(time.perf_counter() - started, 3)})


def _finished(key: str, task: Future[str]) -> Finished:
    answer = json.loads(task.result())
    if "output" in answer:
        return Finished(key, answer["output"], answer["seconds"])
    if answer["input"]:
        raise BatonqError(f"{answer['message']} (in cell {key})")
    failure = CellError(
        f"cell {key} failed: {answer['name']}: {answer['message']}; finished cells are kept"
    )
    failure.add_note(answer["traceback"])
    raise failure


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Let processes started meanwhile use one thread in linear algebra, unless the user says."""
    added = {name: "1" for name in BLAS_THREADS if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
