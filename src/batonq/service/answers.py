"""Answers: what routes return, for the OpenAPI document. The routes write them without checking."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from batonq.service.models import HandoffId


class Answer(BaseModel):
    """What every answer has in common."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error: a problem document of RFC 9457."""

    type: Annotated[str, Field(examples=["urn:batonq:problem:conflict"])]
    title: Annotated[str, Field(examples=["Conflict"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[409])]
    detail: Annotated[str, Field(description="The thing, the value, the remedy.")]
    errors: Annotated[
        list[dict[Literal["pointer", "detail"], str]] | None,
        Field(description="Places of the body that are wrong."),
    ] = None


class Decided(Answer):
    """To whom an agent hands off, and why."""

    id: HandoffId
    agent: Annotated[str, Field(description="Who decided.")]
    action: Annotated[str, Field(description="Label of the option chosen.")]
    target: Annotated[str, Field(description='The agent it leads to; "end" ends the workflow.')]
    propensity: Annotated[float, Field(gt=0, le=1, description="Chance with which it was chosen.")]
    values: Annotated[
        dict[str, float], Field(description="What each permitted action was thought worth.")
    ]
    masked: Annotated[dict[str, str], Field(description="Actions ruled out, each with the reason.")]
    explored: Annotated[bool, Field(description="Whether chance chose against the values.")]
    mode: Literal["observe", "apply", "bypass"]
    version: Annotated[int, Field(ge=0, description="Of the policy that answered.")]
    logged: Annotated[bool, Field(description="If false, settling it does nothing.")]
    note: Annotated[str, Field(description='What else there is to say; "" if nothing.')]
    why: Annotated[str, Field(description="The reason in one sentence.")]


class Done(Answer):
    """What settling, finishing or correcting a handoff did."""

    handoff_id: HandoffId
    learnt: Annotated[bool, Field(description="Whether it has been learnt from, now or before.")]
    waiting: Annotated[bool, Field(description="Whether it waits for the receiver's quote.")]
    quote: Annotated[float | None, Field(description="The receiver's value that counted.")]
    value: Annotated[
        float | None, Field(description="The agent's value of the pair afterwards, if it learnt.")
    ]
    repeated: Annotated[
        bool, Field(description="Whether the same was done before, so that nothing was done now.")
    ]


class Quoted(Answer):
    """The one scalar: `code`, or `value` if it crosses exactly."""

    handoff_id: HandoffId
    code: Annotated[int, Field(ge=0, lt=2**16)] | None = None
    value: float | None = None
    bits: Annotated[int, Field(ge=1, le=64)]


class Results(Answer):
    """What came of each call of a batch, in order: its answer, or a problem."""

    results: list[Decided | Done | Problem]


class Scalar(Answer):
    """Range and rounding of quotes."""

    low: float
    high: float
    bits: int
    rounding: Literal["nearest", "stochastic", "exact"]


class Declared(Answer):
    """What this node's quotes mean."""

    protocol: int
    gamma: float
    time_unit: str
    reward_unit: str
    reward_scale: float
    scalar: Scalar


class Health(Answer):
    """Whether the node works; the rest is told to control only."""

    status: Annotated[Literal["ok", "failing"], Field(description="Whether its store can be read.")]
    name: str | None = None
    version: str | None = None
    mode: str | None = None
    open: Annotated[int | None, Field(description="Handoffs that are not closed.")] = None
    events: Annotated[int | None, Field(description="Number of the last event.")] = None
    agents: list[str] | None = None
    peers: list[str] | None = None


class Recorded(Answer):
    """One event of a handoff."""

    kind: str
    seq: int
    agent: str
    at: Annotated[float, Field(description="Seconds since 1970.")]
    body: dict[str, Any]


class Handoff(Answer):
    """What is recorded of a handoff, in the order it happened."""

    handoff_id: HandoffId
    learnt: Annotated[bool, Field(description="Whether it has been learnt from.")]
    waiting: Annotated[bool, Field(description="Whether it has its outcome and no quote yet.")]
    events: list[Recorded]


class Switched(Answer):
    """The mode from now on."""

    mode: Literal["observe", "apply", "bypass"]
