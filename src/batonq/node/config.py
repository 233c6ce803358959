"""node.toml: what `batonq node` runs, read strictly; a file holds no code and no secret."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from batonq.base.errors import DataError
from batonq.base.files import read_private
from batonq.icq import clocks
from batonq.icq.clocks import Clock
from batonq.node import seeing
from batonq.node.exploration import Exploration
from batonq.node.learning import PHASE
from batonq.node.limits import Limits
from batonq.node.team import Team
from batonq.wire.messages import LARGEST_INT

LARGEST: Final = 1 << 20  # bytes of a configuration
SHORTEST_TOKEN: Final = 16


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _real(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) < LARGEST_INT else value


Number = Annotated[float, BeforeValidator(_real)]  # 1 stands for 1.0; "1" and true do not


class Units(_Strict):
    """What rewards, durations and quotes mean; parties must agree on them."""

    gamma: Number = Field(ge=0, le=1)
    time_unit: str = "step"
    reward_unit: str = "reward"
    reward_scale: Number = 1.0
    reward_range: tuple[Number, Number] = Field(default=(-1.0, 1.0), strict=False)
    quote_range: tuple[Number, Number] | None = Field(default=None, strict=False)
    bits: int = 8
    rounding: Literal["nearest", "stochastic", "exact"] = "nearest"


class Explore(_Strict):
    """See `exploration.Exploration`."""

    epsilon: Number = 0.1
    temperature: Number | None = None
    per_hour: int | None = None
    never: list[str] = []
    canary: Number = 1.0


class Bounds(_Strict):
    """See `limits.Limits`."""

    hops: int | None = None
    visits: int | None = None
    budget: dict[str, Number] = {}


class Steps(_Strict):
    """Step sizes: a constant, or n**-power."""

    constant: Number | None = None
    power: Number | None = None


class AgentTable(_Strict):
    """One agent: which fields of the artifact it sees, and where it may hand off to."""

    fields: list[str] | None = None
    text: list[str] = []
    extra: list[str] = []
    to: list[str] | dict[str, str] | None = None
    learner: Literal["auto", "table", "linear", "neural"] = "auto"
    answers: Literal["live", "phased"] | None = None
    initial: Number = 0.0
    phase: int | None = PHASE
    steps: Steps | None = None


class PeerTable(_Strict):
    """An agent of another party."""

    url: str
    token_file: str | None = None
    accepts_file: str | None = None
    leak_bits: int | None = None
    seconds: Number = 5.0
    on_inflation: Literal["flag", "shrink", "quarantine"] = "flag"
    realised_range: tuple[Number, Number] | None = Field(default=None, strict=False)
    propagate: bool = False


class Serve(_Strict):
    """Where the HTTP service listens, and what it lets in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8642, ge=0, le=65535)
    token_file: str | None = None
    hosts: list[str] = []
    body_limit: int = Field(default=256 * 1024, ge=1024)
    peer_rate: Number = Field(default=100.0, gt=0)  # calls a second of each peer


class Tracing(_Strict):
    """OpenTelemetry: where spans go."""

    endpoint: str | None = None


class NodeConfig(_Strict):
    """Everything in node.toml."""

    name: str = "node"
    store: str = "node.db"
    mode: Literal["observe", "apply", "bypass"] = "observe"
    durability: Literal["normal", "full"] = "normal"
    ttl: Number = 3600.0
    seed: int | None = None
    units: Units
    explore: Explore = Explore()
    limits: Bounds = Bounds()
    agents: dict[str, AgentTable] = Field(min_length=1)
    peers: dict[str, PeerTable] = {}
    serve: Serve = Serve()
    tracing: Tracing = Tracing()


def read_config(path: str | Path) -> NodeConfig:
    """Read node.toml.

    Raises:
        DataError: if it is missing, not TOML, or has a field that is unknown or cannot be; the
            message names file, field and value.
    """
    source = Path(path)
    if source.is_dir():
        source = source / "node.toml"
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DataError(
            f"{source}: cannot be read ({error.strerror}); make one with: batonq node init"
        ) from error
    return parse_config(content, str(source))


def parse_config(content: bytes, source: str = "node.toml") -> NodeConfig:
    """Check the content of a configuration.

    Raises:
        DataError: as `read_config`.
    """
    if len(content) > LARGEST:
        raise DataError(f"{source}: {len(content)} bytes, at most {LARGEST}")
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{source}: not TOML ({error})") from error
    try:
        return NodeConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        value = ascii(first.get("input"))[:60]
        raise DataError(f"{source}: {where}: {first['msg'].lower()}, got {value}") from error


def open_team(config: NodeConfig, folder: Path, *, read_only: bool = False) -> Team:
    """Open the team that a configuration describes.

    Args:
        config: what `read_config` gave.
        folder: relative paths of the configuration start here: where node.toml lies.
        read_only: look only; works beside the running node.

    Raises:
        DataError, ModelError, WireError, StoreError: for a setting that cannot be, or a store that
            cannot be used.
    """
    units, explore = config.units, config.explore
    path = folder / config.store
    team = Team.open(
        None if read_only and not path.exists() else path,  # nothing has been learnt yet
        gamma=units.gamma,
        mode=config.mode,
        reward_unit=units.reward_unit,
        reward_scale=units.reward_scale,
        time_unit=units.time_unit,
        reward_range=units.reward_range,
        quote_range=units.quote_range,
        bits=units.bits,
        rounding=units.rounding,
        explore=Exploration(
            explore.epsilon,
            explore.temperature,
            explore.per_hour,
            frozenset(explore.never),
            explore.canary,
        ),
        limits=Limits(config.limits.hops, config.limits.visits, config.limits.budget),
        ttl=config.ttl,
        durability=config.durability,
        seed=config.seed,
        name=config.name,
        read_only=read_only,
    )
    try:
        for name, agent in config.agents.items():
            team.add(
                name,
                picked(agent.fields, agent.text),
                to=agent.to,
                text=tuple(agent.text),
                learner=agent.learner,
                answers=agent.answers,
                initial=agent.initial,
                phase=agent.phase,
                clock=_clock(name, agent.steps),
                extra=picked(agent.extra, []) if agent.extra else None,
            )
        for name, peer in config.peers.items():
            team.peer(
                name,
                peer.url,
                token=secret(folder, peer.token_file, f"peers.{name}.token_file"),
                accepts=secret(folder, peer.accepts_file, f"peers.{name}.accepts_file"),
                leak_bits=peer.leak_bits,
                seconds=peer.seconds,
                on_inflation=peer.on_inflation,
                realised_range=peer.realised_range,
                propagate=peer.propagate,
            )
    except BaseException:
        team.close()
        raise
    return team


def _clock(name: str, steps: Steps | None) -> Clock | None:
    if steps is None or (steps.constant is None and steps.power is None):
        return None
    if steps.constant is not None and steps.power is not None:
        raise DataError(f"agents.{name}.steps: give constant or power, not both")
    if steps.constant is not None:
        return clocks.constant(steps.constant)
    assert steps.power is not None  # noqa: S101 - one of them is given
    return clocks.power(steps.power)


def picked(fields: Sequence[str] | None, text: Sequence[str]) -> seeing.Features:
    """The interface that shows these fields of an artifact, dots leading into nested objects.

    A field that is not there is None. Without `fields` the whole artifact is seen.
    """
    if fields is None:
        return seeing.as_it_is
    names = [*fields, *text]

    def features(artifact: Any) -> dict[str, Any]:
        seen = {name: _at(artifact, name) for name in names}
        return {
            name: "" if value is None and name in text else value for name, value in seen.items()
        }

    return features


def _at(artifact: Any, name: str) -> Any:
    if isinstance(artifact, Mapping) and name in artifact:
        return artifact[name]
    value = artifact
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def secret(folder: Path, name: str | None, what: str) -> str | None:
    """The token in a file; None if no file is named.

    Raises:
        DataError: if it cannot be read, is too short, or others may read it.
    """
    if name is None:
        return None
    path = folder / name
    try:
        token = read_private(path).strip()
    except DataError as error:
        raise DataError(f"{what}: {error}") from error
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise DataError(
            f"{what}: {path}: holds no token of {SHORTEST_TOKEN} or more characters; make one "
            "with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return token
