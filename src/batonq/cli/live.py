"""`batonq run maths --live`: its options, and live models asked on-line or to be recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batonq.base.errors import DataError

if TYPE_CHECKING:
    from batonq.tasks.maths.live.experiment import Recording, Sources
    from batonq.tasks.maths.live.settings import LiveOptions

_PANEL = "With --live"

More = Annotated[list[str] | None, typer.Argument(help="More models.", hidden=True)]
Live = Annotated[
    bool,
    typer.Option("--live", help="Ask real models, and learn on-line.", rich_help_panel=_PANEL),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        help="A .gguf file, NAME@URL, or NAME with --base-url; more after it, or with commas.",
        metavar="MODEL",
        rich_help_panel=_PANEL,
    ),
]
Record = Annotated[
    Path | None,
    typer.Option(
        help="Ask every agent every question, and write the answers here.",
        metavar="DIR",
        rich_help_panel=_PANEL,
    ),
]
Questions = Annotated[
    int | None,
    typer.Option(help="How many; by default 200, with --quick 20.", rich_help_panel=_PANEL),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Of the data set: test, train or dev; by default test.", rich_help_panel=_PANEL
    ),
]
Subject = Annotated[
    list[str] | None,
    typer.Option(help="Only questions of it; may be repeated.", rich_help_panel=_PANEL),
]
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        help="direct, step, reread or program; may be repeated; by default all.",
        rich_help_panel=_PANEL,
    ),
]
Checker = Annotated[
    str | None,
    typer.Option(
        help="Which model checks; by default the largest, or the dearest.",
        metavar="NAME",
        rich_help_panel=_PANEL,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        help="Of the longest reply; models that reason at length need thousands. "
        "By default 24 to 320, by the prompt.",
        rich_help_panel=_PANEL,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="Of an OpenAI-compatible endpoint.", metavar="URL", rich_help_panel=_PANEL),
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        help="Environment variable that holds its key.",
        metavar="VARIABLE",
        rich_help_panel=_PANEL,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="File that holds its key.", metavar="FILE", rich_help_panel=_PANEL),
]
PlainHttp = Annotated[
    bool,
    typer.Option(
        "--plain-http",
        help="Allow http without encryption to another machine.",
        rich_help_panel=_PANEL,
    ),
]
PriceFiles = Annotated[
    list[Path] | None,
    typer.Option(help="Price file; may be repeated.", metavar="FILE", rich_help_panel=_PANEL),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        help="The most that all calls in the cache may cost, in the unit of the prices.",
        rich_help_panel=_PANEL,
    ),
]
CacheFile = Annotated[
    Path | None,
    typer.Option(
        help="The calls made; by default runs/calls.db.", metavar="FILE", rich_help_panel=_PANEL
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="With which a local model computes; by default 1.", rich_help_panel=_PANEL),
]


def unused(when: str, given: Mapping[str, object]) -> None:
    """Raise a DataError if an option was given that has no meaning here."""
    for name, value in given.items():
        if value not in (None, False, []):
            raise DataError(f"--{name} is not used {when}; leave it out")


def run_live(given: Mapping[str, Any], as_json: bool) -> None:
    """Ask live models, on-line or to record, and show what came of it.

    Args:
        given: the options by their names.
        as_json: whether to show it as JSON.

    Raises:
        BatonqError: why it was stopped before its end, after what was done is shown.
    """
    from batonq.cli.show import show_result
    from batonq.tasks.maths.live import experiment

    options, sources = _options(given), _sources(given)
    if given["record"] is not None:
        done = experiment.record_live(options, sources, given["record"], show_progress=True)
        _show_recording(done, as_json)
        stopped = done.stopped
    else:
        found = experiment.run_live(options, sources, given["out"], show_progress=True)
        show_result(found.result, as_json)
        stopped = found.stopped
    if stopped is not None:
        raise stopped


def _options(given: Mapping[str, Any]) -> LiveOptions:
    from batonq.tasks.maths.live.settings import LiveOptions

    price = given["lambda"] or [None]
    if len(price) > 1:
        raise DataError("--lambda is given once with --live, as each question is asked once")
    return LiveOptions(
        **_known(
            dataset=given["dataset"],
            questions=given["questions"],
            split=given["split"],
            subjects=given["subject"] and tuple(given["subject"]),
            prompts=given["prompt"] and tuple(given["prompt"]),
            checker=given["checker"],
            max_tokens=given["max-tokens"],
            interface=given["interface"],
            price=price[0],
            seed=given["seed"],
            data=given["data"],
            quick=given["quick"],
        )
    )


def _sources(given: Mapping[str, Any]) -> Sources:
    from batonq.tasks.maths.live.experiment import Sources

    return Sources(
        **_known(
            models=tuple(part for one in given["models"] for part in one.split(",") if part),
            base_url=given["base-url"],
            key_variable=given["key-env"],
            key_file=given["key-file"],
            prices=given["prices"] and tuple(given["prices"]),
            max_cost=given["max-cost"],
            cache=given["cache"],
            threads=given["threads"],
            plain=given["plain-http"],
        )
    )


def _known(**options: Any) -> dict[str, Any]:
    """The options that were given; the others have defaults."""
    return {name: value for name, value in options.items() if value is not None}


def _show_recording(done: Recording, as_json: bool) -> None:
    from batonq.cli.show import show_table

    if as_json:
        typer.echo(json.dumps(done.document(), allow_nan=False))
        return
    show_table(done.table)
    print(done.replay)
