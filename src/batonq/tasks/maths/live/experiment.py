"""A live run from its options to its report, and a recording of every answer.

The run folder is that of any study with one cell. A run that was stopped is stored and reported as
what it is, partial; the same command then plays it again from its cache of calls, where everything
made so far is free, and goes on.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batonq.base.data import content_sha256, locate
from batonq.base.errors import BatonqError, CallError, DataError, SpentError
from batonq.base.files import Json, make_folder
from batonq.bound.from_records import of_log
from batonq.llm.cache import Cache
from batonq.llm.calls import Calls
from batonq.llm.keys import read_key
from batonq.llm.models import open_models, prices_of
from batonq.llm.prices import Price, load_prices
from batonq.study.experiment import Table
from batonq.study.folder import Finished, Identity, canonical, load_cell, open_run, save_cell
from batonq.study.rows import SCHEMA, Interval
from batonq.study.run import Result, progress_bar, rebuild
from batonq.tasks.maths.live.answers import Answer, Model, chunks, read_chunks
from batonq.tasks.maths.live.asking import prompt_of
from batonq.tasks.maths.live.environment import LiveEnvironment, hearing
from batonq.tasks.maths.live.online import Played, play
from batonq.tasks.maths.live.prompts import prompt
from batonq.tasks.maths.live.questions import Question
from batonq.tasks.maths.live.record import record, standing
from batonq.tasks.maths.live.session import Session
from batonq.tasks.maths.live.settings import HOW_TO, LiveOptions, Team, strongest, team
from batonq.tasks.maths.live.summary import summarise
from batonq.tasks.maths.prices import FILE

NAME: Final = "maths_live"
RECORDING: Final = "maths_recording"
CELL: Final = "online"
CACHE: Final = Path("runs") / "calls.db"
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "generated": (),
    "gsm8k": ("gsm8k",),
    "mathqa": ("mathqa",),
    "mmlu": ("mmlu_math",),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """Who answers, and what may be spent on it; no result depends on anything here but the models.

    Attributes:
        models: as `open_models` takes them.
        base_url: of models that are named alone.
        key_variable: environment variable that holds the key.
        key_file: file that holds it.
        prices: price files, beside that of the recorded answers.
        max_cost: the most that all calls in the cache may cost, in the unit of the prices.
        cache: where calls are kept.
        threads: threads that a local model computes with.
        plain: whether http without encryption will do for other machines than this one.

    Raises:
        DataError: if there are no models.
    """

    models: tuple[str, ...]
    base_url: str | None = None
    key_variable: str | None = None
    key_file: Path | None = None
    prices: tuple[Path, ...] = ()
    max_cost: float | None = None
    cache: Path = CACHE
    threads: int = 1
    plain: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise DataError(HOW_TO)
        if self.threads < 1:
            raise DataError(f"threads: {self.threads} given; use 1 or more")
        if self.max_cost is not None and not self.max_cost >= 0:
            raise DataError(f"max-cost: {self.max_cost} given; use 0 or more")


@dataclass(frozen=True)
class Opened:
    """Models that are ready to be asked, and the price of each by its label."""

    session: Session
    prices: Mapping[str, Price]

    def checker(self, wanted: str | None) -> str:
        """Label of the model that checks."""
        models = self.session.models
        return strongest(models, [self.prices[one.label].output for one in models], wanted)

    def cost(self, answer: Answer) -> float:
        """What an answer cost, in the unit of the prices."""
        return self.prices[answer.call.model].cost(answer.tokens_in, answer.tokens_out)


@contextmanager
def opened(sources: Sources, longest: int | None = None) -> Iterator[Opened]:
    """Open models and cache, and close them afterwards.

    Args:
        sources: who answers.
        longest: tokens of the longest reply to any prompt; None: each prompt has its own.

    Raises:
        DataError: if a model, its price, the key or the cache cannot be had.
    """
    key = read_key(sources.key_variable, sources.key_file)
    known = load_prices((FILE, *sources.prices))
    with ExitStack() as stack:
        clients = open_models(
            sources.models, key, sources.base_url, sources.threads, plain=sources.plain
        )
        for client in clients:
            stack.callback(client.close)
        prices = prices_of(clients, known)
        cache = stack.enter_context(Cache(sources.cache))
        models = [
            Model(one.label, one.model, prices[one.model].parameters, one.url) for one in clients
        ]
        session = Session(Calls(clients, cache, prices, sources.max_cost), models, longest)
        yield Opened(session, {one.label: prices[one.model] for one in clients})


@dataclass(frozen=True)
class Live:
    """A live run: what it came to, and why it was stopped before its end, if it was."""

    result: Result
    stopped: BatonqError | None


@dataclass(frozen=True)
class Recording:
    """A recording: how each call did, where it lies, and why it was stopped, if it was.

    Attributes:
        table: each call by itself.
        dataset: whose questions.
        folder: of the files.
        local: whether all models are local, whose cost a replay knows.
        stopped: None if all questions were recorded.
    """

    table: Table
    dataset: str
    folder: Path
    local: bool
    stopped: BatonqError | None

    @property
    def replay(self) -> str:
        """How to go on from here."""
        if not self.local:
            return f"Recorded in {self.folder}; a replay needs local models, whose cost it knows."
        return (
            f"Replay it: batonq run maths --dataset {self.dataset} --pool local "
            f"--recorded {self.folder}"
        )

    def document(self) -> dict[str, Json]:
        """The object that --json prints."""
        calls = [
            {
                name: vars(one) if isinstance(one, Interval) else one
                for name, one in zip(self.table.columns, line, strict=True)
            }
            for line in self.table.lines
        ]
        stopped = None if self.stopped is None else str(self.stopped)
        return {"schema": SCHEMA, "experiment": RECORDING, "stopped": stopped, "calls": calls}


def run_live(
    options: LiveOptions,
    sources: Sources,
    out: Path | None = None,
    show_progress: bool = False,
) -> Live:
    """Play a run, or what is left of it, and write its folder.

    Args:
        options: what is run.
        sources: who answers.
        out: the run folder; None: one of its own below runs/.
        show_progress: draw a bar on stderr if that is a terminal.

    Raises:
        DataError: if models, data or folder cannot be used.
    """
    questions = options.load()[: options.count]
    with opened(sources, options.max_tokens) as ready:
        members = team(ready.session.models, options.prompts, ready.checker(options.checker))
        identity = Identity(NAME, _plain(_config(options, ready, members, questions)), (CELL,))
        folder = out or Path("runs") / f"maths-live-{options.dataset}-{identity.digest()}"
        open_run(folder, identity)
        if _is_finished(folder):
            return Live(rebuild(folder, lambda _: summarise), None)
        started = time.perf_counter()
        environment = LiveEnvironment(
            questions, members, hearing(ready.session), options.price, options.interface
        )
        with progress_bar("questions", len(questions), 0, show_progress) as advance:
            played = play(environment, options.seed, advance)
    output = canonical(_output(environment, members, played))
    save_cell(folder, Finished(CELL, output, round(time.perf_counter() - started, 3)))
    _save_logs(folder, played)
    return Live(rebuild(folder, lambda _: summarise), played.stopped)


def record_live(
    options: LiveOptions,
    sources: Sources,
    folder: Path,
    show_progress: bool = False,
) -> Recording:
    """Record every call at the first questions; returns how each call did.

    Args:
        options: what is asked; interface, lambda, prompts and seed are not used.
        sources: who answers.
        folder: of the files of answers.
        show_progress: draw a bar on stderr if that is a terminal.

    Raises:
        DataError: if models, data or folder cannot be used.
    """
    if options.split != "test":
        raise DataError(
            f"split: '{options.split}' cannot be recorded, as a replay takes the answers for those "
            "to the test's questions; leave --split out"
        )
    questions = options.load()[: options.count]
    with opened(sources, options.max_tokens) as ready:
        stopped: BatonqError | None = None
        try:
            with progress_bar("questions", len(questions), 0, show_progress) as advance:
                record(
                    options.dataset,
                    questions,
                    ready.session.models,
                    ready.session,
                    folder,
                    advance,
                    ready.checker(options.checker),
                )
        except (CallError, SpentError) as error:
            stopped = error
        asked = {question.key for question in questions}
        there = read_chunks(chunks(folder, options.dataset))[1]
        answers = [answer for answer in there if answer.question in asked]
        table = standing(answers, questions, ready.cost, ready.session.calls.unit)
    local = all(model.parameters is not None for model in ready.session.models)
    return Recording(table, options.dataset, folder, local, stopped)


def _config(
    options: LiveOptions,
    ready: Opened,
    members: Team,
    questions: Sequence[Question],
) -> dict[str, Json]:
    """What the results depend on."""
    files = {name: locate(name, options.data) for name in FILES[options.dataset]}
    used = [prompt_of(call, one) for call in members.calls for one in questions]
    prompts = {f"{one.name}.v{one.version}": one.sha256 for one in (prompt("system"), *used)}
    return {
        "dataset": options.dataset,
        "split": options.split,
        "subjects": list(options.subjects),
        "questions": len(questions),
        "interface": options.interface,
        "lambda": options.price,
        "seed": options.seed,
        "models": [
            {**vars(model), **_price(ready.prices[model.label])} for model in ready.session.models
        ],
        "unit": ready.session.calls.unit,
        "calls": [call.name for call in members.calls],
        "max_tokens": options.max_tokens,
        "prompts": dict(sorted(prompts.items())),
        "files": {name: content_sha256(path) for name, path in files.items()},
    }


def _price(price: Price) -> dict[str, Json]:
    return {name: getattr(price, name) for name in ("input", "output", "date", "source")}


def _output(environment: LiveEnvironment, members: Team, played: Played) -> Json:
    return {
        "agents": list(environment.agents),
        "calls": [call.name for call in members.calls],
        "owner": list(members.owner),
        "learning": played.learning,
        "crossed": played.crossed,
        "stopped": "" if played.stopped is None else str(played.stopped),
        "episodes": [one.to_json(environment.heard[one.place]) for one in played.episodes],
        "decisions": {name: len(log) for name, log in played.logs.items()},
        "terms": {name: of_log(log).document() for name, log in played.logs.items() if len(log)},
    }


def _save_logs(folder: Path, played: Played) -> None:
    """Each agent's log and the learnt tables, as `batonq bound` reads them."""
    logs = make_folder(folder / "logs")
    played.run.save(folder / "run.npz")
    for name, log in played.logs.items():
        if len(log):
            log.save(logs / f"{name}.npz")


def _is_finished(folder: Path) -> bool:
    """Whether all questions were played; a damaged or partial cell is played again."""
    try:
        cell = load_cell(folder, CELL)
    except DataError as error:
        logger.warning("%s", error)
        return False
    return cell is not None and not json.loads(cell.output)["stopped"]


def _plain(config: dict[str, Json]) -> Json:
    return json.loads(canonical(config))
