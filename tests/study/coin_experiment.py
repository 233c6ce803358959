"""A small real experiment for the tests: coins of known bias, tossed; each cell is one coin."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from batonq.base.errors import DataError
from batonq.study.experiment import Cell, Experiment

LEARNERS = ("icq", "majority", "agreement", "no_scalar")
BIASES = (0.8, 0.7, 0.75, 0.5)


def experiment(
    seeds: int = 3, tosses: int = 200, log: Path | None = None, wait: float = 0.0, trouble: str = ""
) -> Experiment:
    """Cells log their start in `log`, last `wait` seconds, and fail if they are of `trouble`."""
    config = {"seeds": seeds, "tosses": tosses, "bias": list(BIASES)}
    cells = [
        Cell(
            f"{learner}-seed={seed}",
            {
                "learner": learner,
                "bias": bias,
                "seed": seed,
                "tosses": tosses,
                "log": str(log) if log else None,
                "wait": wait,
                "trouble": trouble,
            },
        )
        for learner, bias in zip(LEARNERS, BIASES, strict=True)
        for seed in range(seeds)
    ]
    return Experiment("coin", config, cells, toss, summarise)


def toss(config):
    name = f"{config['learner']}-{config['seed']}"
    if config["log"]:
        with Path(config["log"]).open("a") as file:
            file.write(f"{name}\n")
    time.sleep(config["wait"])
    match config["trouble"].partition(":"):
        case (kind, _, cell) if cell == name:
            fail(kind)
    rng = np.random.default_rng([config["seed"], round(100 * config["bias"])])
    heads = rng.random(config["tosses"]) < config["bias"]
    return {"learner": config["learner"], "heads": heads.astype(int).tolist()}


def fail(kind):
    match kind:
        case "input":
            raise DataError("coin.csv: no such file; give --data")
        case "bug":
            raise ZeroDivisionError("the coin fell on its edge")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)


def summarise(config, outputs):
    from coin_summary import summarise as summarise_coins  # workers need no figures

    return summarise_coins(config, outputs)
