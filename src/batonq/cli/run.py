"""`batonq run`: the experiments, each a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batonq.cli.live import (
    BaseUrl,
    CacheFile,
    Checker,
    KeyEnv,
    KeyFile,
    Live,
    MaxCost,
    MaxTokens,
    Models,
    More,
    PlainHttp,
    PriceFiles,
    Prompts,
    Questions,
    Record,
    Split,
    Subject,
    Threads,
    run_live,
    unused,
)

if TYPE_CHECKING:
    from batonq.study.experiment import Experiment

Quick = Annotated[bool, typer.Option("--quick", help="Less of everything, for a look.")]
Seeds = Annotated[int | None, typer.Option(help="Number of seeds.")]
Out = Annotated[
    Path | None, typer.Option(help="Run folder; by default below runs/.", metavar="DIR")
]
Data = Annotated[
    Path | None, typer.Option(help="Folder of the data files; else BATONQ_DATA.", metavar="DIR")
]
Workers = Annotated[int | None, typer.Option(help="Number of processes; by default one per core.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")]

app = typer.Typer(no_args_is_help=True, help="Run an experiment; the same command resumes it.")


@app.callback()
def _group() -> None:
    """Run an experiment; the same command resumes it."""


@app.command()
def maths(
    more: More = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="gsm8k, mmlu, mathqa or generated. By default generated, or gsm8k if data are "
            "given."
        ),
    ] = None,
    scenario: Annotated[str, typer.Option(help="static or drift.")] = "static",
    pool: Annotated[
        list[str] | None,
        typer.Option(
            help="all, no4omini; local or local3 (recorded answers of local models, by itself); "
            "may be repeated; default all but the local ones."
        ),
    ] = None,
    parse: Annotated[
        list[str] | None,
        typer.Option(help="extracted or source; may be repeated; default both for gsm8k."),
    ] = None,
    interface: Annotated[
        str | None,
        typer.Option(
            help="board, answers, counts or own; default board, for drift and --live answers."
        ),
    ] = None,
    price: Annotated[
        list[float] | None,
        typer.Option("--lambda", help="Accuracy given for one unit of cost; may be repeated."),
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Folds over questions, 2 or more.")] = None,
    recorded: Annotated[
        Path | None,
        typer.Option(help="Pool local: folder that --record wrote.", metavar="DIR"),
    ] = None,
    quick: Quick = False,
    seeds: Seeds = None,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    out: Out = None,
    data: Data = None,
    workers: Workers = None,
    as_json: AsJson = False,
    live: Live = False,
    models: Models = None,
    record: Record = None,
    questions: Questions = None,
    split: Split = None,
    subject: Subject = None,
    prompts: Prompts = None,
    checker: Checker = None,
    max_tokens: MaxTokens = None,
    base_url: BaseUrl = None,
    key_env: KeyEnv = None,
    key_file: KeyFile = None,
    plain_http: PlainHttp = False,
    prices: PriceFiles = None,
    max_cost: MaxCost = None,
    cache: CacheFile = None,
    threads: Threads = None,
) -> None:
    """Language models solve maths together: learn whom to ask, when to stop, what to submit."""
    from batonq.base.data import given_folder

    if dataset is None:
        dataset = "generated" if given_folder(data) is None else "gsm8k"
    common: dict[str, Any] = {"dataset": dataset, "seed": seed, "data": data, "quick": quick}
    told = {
        "models": [*(models or ()), *(more or ())],
        "questions": questions,
        "split": split,
        "subject": subject,
        "prompt": prompts,
        "checker": checker,
        "max-tokens": max_tokens,
        "base-url": base_url,
        "key-env": key_env,
        "key-file": key_file,
        "plain-http": plain_http,
        "prices": prices,
        "max-cost": max_cost,
        "cache": cache,
        "threads": threads,
    }
    if live:
        static = {"scenario": scenario != "static", "pool": pool, "parse": parse, "folds": folds}
        unused(
            "with --live",
            {**static, "recorded": recorded, "seeds": seeds, "workers": workers},
        )
        learning = {"interface": interface, "lambda": price, "record": record, "out": out}
        run_live({**common, **told, **learning}, as_json)
        return
    unused("without --live", {**told, "record": record})
    from batonq.tasks.maths.experiment import experiment
    from batonq.tasks.maths.options import MathsOptions

    given: dict[str, Any] = {
        "pools": pool and tuple(pool),
        "parses": parse and tuple(parse),
        "interface": interface,
        "prices": price and tuple(price),
        "folds": folds,
        "recorded": recorded,
        "seeds": seeds,
    }
    chosen = MathsOptions(
        scenario=scenario,
        **common,
        **{key: value for key, value in given.items() if value is not None},
    )
    if dataset == "generated" and not chosen.local:
        print(
            "Data: word problems from batonq's own generator, answered by simulated solvers of "
            "known skill; give --data DIR for recorded models.",
            file=sys.stderr if as_json else sys.stdout,
        )
    _run(experiment(chosen), f"maths-{dataset}-{scenario}", out, workers, as_json)


@app.command()
def synthetic(
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help="gap, reveal, mixing, mixing_zero_gap, horizon, durations, agents, width_flips, "
            "width_rms or neural_mixing; may be repeated; default all."
        ),
    ] = None,
    quick: Quick = False,
    seeds: Seeds = None,
    seed: Annotated[int, typer.Option(help="Of the model and of all that is drawn.")] = 0,
    out: Out = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """One term of the bound moved at a time, on models whose solution is known."""
    from batonq.tasks.synthetic.experiment import experiment
    from batonq.tasks.synthetic.options import SyntheticOptions

    options = SyntheticOptions(tuple(axis or ()), seeds, seed, quick)
    _run(experiment(options), "synthetic", out, workers, as_json)


@app.command()
def routing(
    scenario: Annotated[
        str, typer.Option(help="triage, static, jitter, load, failure or shift.")
    ] = "triage",
    graph: Annotated[
        list[str] | None,
        typer.Option(
            help="NSFNET, random-N, a name of `batonq data list`, or a GraphML file; may be "
            "repeated. By default NSFNET and random-30, with data all the scenario's networks."
        ),
    ] = None,
    rho: Annotated[
        list[float] | None,
        typer.Option(
            help="Use of the busiest link if all took shortest paths; may be repeated; default "
            ".5, .9 and 1.2, for failure .5, for shift .9."
        ),
    ] = None,
    quick: Quick = False,
    seeds: Seeds = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    out: Out = None,
    data: Data = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Requests are triaged among specialists, and routers learn where to pass packets on."""
    from batonq.tasks.routing.experiment import experiment
    from batonq.tasks.routing.options import RoutingOptions

    options = RoutingOptions(
        scenario, tuple(graph or ()), tuple(rho or ()), seeds, seed, data, quick
    )
    _run(experiment(options), f"routing-{scenario}", out, workers, as_json)


@app.command()
def cpu(
    scenario: Annotated[str, typer.Option(help="shared or suite.")] = "shared",
    program: Annotated[
        list[str] | None,
        typer.Option(
            help="A task of the suite, or a specification file (TOML); may be repeated. For the "
            "scenario suite; by default all its tasks."
        ),
    ] = None,
    quick: Quick = False,
    seeds: Seeds = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    out: Out = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Specialists write assembly together, judged by an emulator of the CPU and a prover."""
    from batonq.tasks.cpu.experiment import experiment
    from batonq.tasks.cpu.options import CpuOptions

    options = CpuOptions(scenario, tuple(program or ()), seeds, seed, quick)
    _run(experiment(options), f"cpu-{scenario}", out, workers, as_json)


def _run(
    experiment: Experiment, name: str, out: Path | None, workers: int | None, as_json: bool
) -> None:
    """Run an experiment in `out`, or in a folder of its own below runs/, and show the result."""
    from batonq.base.machine import cores
    from batonq.cli.show import show_result
    from batonq.study.folder import Identity
    from batonq.study.run import run

    folder = out or Path("runs") / f"{name}-{Identity.of(experiment).digest()}"
    count = cores() if workers is None else workers
    show_result(run(experiment, folder, count, show_progress=True), as_json)
