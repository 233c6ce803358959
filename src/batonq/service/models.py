"""Models: bodies of calls and answers over HTTP, for checking and for the OpenAPI document.

Numbers are numbers ("1" and true are none), names have the characters of `batonq.wire`, and a field
that is not listed is refused: a misspelt `reward` must not be taken for a reward of 0.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NAME_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.:\-]{0,127}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=128)]
HandoffId = Annotated[
    str,
    Field(
        pattern=NAME_PATTERN,
        min_length=1,
        max_length=128,
        description="Ties decision, quote and outcome of one handoff together.",
        examples=["h-20"],
    ),
]
Label = Annotated[str, Field(min_length=1, max_length=128)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e18, le=1e18)]
Amounts = Annotated[
    dict[Label, Number], Field(max_length=32, description="Unit -> amount.", examples=[{"usd": 0}])
]
Reward = Annotated[
    float,
    Field(
        allow_inf_nan=False,
        ge=-1e18,
        le=1e18,
        description="Gathered while the option ran, discounted to its start.",
        examples=[-0.2],
    ),
]
Duration = Annotated[
    float,
    Field(
        allow_inf_nan=False,
        gt=0,
        le=1e18,
        description="Of the option, in the node's units of time.",
        examples=[3],
    ),
]
MOST: Final = 256  # candidates of one decision


def _whole(value: Any) -> Any:
    """1.0 is an integer to JSON."""
    return int(value) if type(value) is float and value.is_integer() else value


class Body(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Decide(Body):
    """Ask an agent to whom to hand off."""

    agent: Annotated[Name, Field(description="Who decides.", examples=["intake"])]
    state: Annotated[
        Any,
        Field(
            description="The artifact as the agent has it; its interface picks what it sees.",
            examples=[{"kind": "bug"}],
        ),
    ]
    to: Annotated[
        Annotated[list[Label], Field(min_length=1, max_length=MOST)]
        | Annotated[dict[Label, Label], Field(min_length=1, max_length=MOST)]
        | None,
        Field(
            description="Targets, or action -> target; by default those the agent was given. "
            'The agent itself keeps control, "end" ends the workflow.',
            examples=[["search", "code"], {"ask": "search", "stop": "end"}],
        ),
    ] = None
    default: Annotated[
        Label | None,
        Field(
            description="Action taken in observe mode and if deciding fails; by default the first.",
            examples=["search"],
        ),
    ] = None
    workflow: Annotated[
        Annotated[str, Field(min_length=1, max_length=256)] | None,
        Field(description="Name of the request that this is a part of.", examples=["r-7"]),
    ] = None
    hops: Annotated[
        Annotated[int, Field(ge=0, le=2**53), BeforeValidator(_whole)] | None,
        Field(description="Handoffs so far, where the caller counts them.", examples=[2]),
    ] = None
    veto: Annotated[
        list[Label],
        Field(
            max_length=MOST, description="Actions or targets ruled out now.", examples=[["code"]]
        ),
    ] = []
    costs: Annotated[
        Annotated[dict[Label, Amounts], Field(max_length=MOST)] | None,
        Field(
            description="Action -> unit -> what it is expected to cost, for the budget.",
            examples=[{"search": {"usd": 0.01}}],
        ),
    ] = None
    handoff_id: Annotated[
        HandoffId | None,
        Field(
            description="One of the caller's: a repeated call then gives the same decision.",
            examples=["h-20"],
        ),
    ] = None
    dry_run: Annotated[
        bool, Field(description="Decide without storing anything.", examples=[False])
    ] = False


class Settle(Body):
    """What came of a handoff."""

    handoff_id: HandoffId
    reward: Reward = 0.0
    duration: Duration = 1.0
    artifact: Annotated[
        Any,
        Field(
            default=None,
            description="What is handed on; the receiver quotes it. Leave it out if the state of "
            "the decision is what is handed on.",
            examples=[{"hits": 3}],
        ),
    ]
    end: Annotated[
        Literal["terminal", "truncated"] | None,
        Field(
            description='"terminal": the workflow ended, nothing comes after. "truncated": it was '
            "broken off, and is learnt from as if it went on.",
            examples=[None],
        ),
    ] = None
    quote: Annotated[
        Number | None,
        Field(description="The receiver's, if it came by the caller's own way.", examples=[None]),
    ] = None
    costs: Amounts | None = None


class Finish(Body):
    """How a workflow ended, also after its last handoff was settled."""

    handoff_id: HandoffId
    reward: Reward = 0.0
    duration: Duration | None = None
    costs: Amounts | None = None


def _one_of_them(schema: dict[str, Any]) -> None:
    """Say in the schema what `Outcomes.something` checks."""
    schema["anyOf"] = [
        {"required": [name], "properties": {name: {"type": "number"}}}
        for name in ("reward", "duration", "realised")
    ]


class Outcomes(Body):
    """What became known later: a corrected or human reward, or what a handoff was worth."""

    model_config = ConfigDict(json_schema_extra=_one_of_them)

    handoff_id: HandoffId
    key: Annotated[
        Name,
        Field(
            description="Of this correction; one with the same key is done once.",
            examples=["review-1"],
        ),
    ]
    reward: Annotated[
        Reward | None, Field(description="The reward as it should have been, not what to add.")
    ] = None
    duration: Duration | None = None
    realised: Annotated[
        Number | None,
        Field(
            description="What came of it after it was handed on, discounted to the receiver's "
            "arrival; checks the receiver's quote.",
            examples=[1.5],
        ),
    ] = None
    source: Annotated[
        str, Field(max_length=128, description="Who says so.", examples=["reviewer"])
    ] = ""

    @model_validator(mode="after")
    def something(self) -> Self:
        """Refuse a call that tells nothing."""
        if self.reward is None and self.duration is None and self.realised is None:
            raise ValueError("give reward, duration or realised")
        return self


class Receive(Body):
    """An artifact handed on by a peer's agent, with the request to quote it."""

    handoff_id: HandoffId
    sender: Annotated[Name, Field(description="The agent that decided.", examples=["search"])]
    receiver: Annotated[
        Name, Field(description="The agent that it is handed to.", examples=["intake"])
    ]
    artifact: Annotated[Any, Field(description="What is handed on.", examples=[{"kind": "bug"}])]
    declaration: Annotated[
        str,
        Field(
            pattern="^[0-9a-f]{64}$",
            min_length=64,
            max_length=64,
            description="Digest of our declaration, by which the sender will read the answer.",
        ),
    ]


class DecideCall(Decide):
    """`/v1/decide` within a batch."""

    do: Literal["decide"]


class SettleCall(Settle):
    """`/v1/settle` within a batch."""

    do: Literal["settle"]


class FinishCall(Finish):
    """`/v1/finish` within a batch."""

    do: Literal["finish"]


class OutcomesCall(Outcomes):
    """`/v1/outcomes` within a batch."""

    do: Literal["outcomes"]


Call = Annotated[DecideCall | SettleCall | FinishCall | OutcomesCall, Field(discriminator="do")]


class Batch(Body):
    """Calls, done in order. Each is kept or refused by itself."""

    calls: Annotated[
        list[Call],
        Field(
            description='Each is the body of a route, with "do" for the route\'s name.',
            examples=[[{"do": "finish", "handoff_id": "h-20", "reward": 1}]],
        ),
    ]


class Mode(Body):
    """Another mode for the whole node."""

    mode: Annotated[
        Literal["observe", "apply", "bypass"],
        Field(
            description='"observe": the default is taken and learnt from. "apply": the policy '
            'decides. "bypass": the default is taken and nothing is kept.',
            examples=["apply"],
        ),
    ]
    by: Annotated[str, Field(max_length=128, description="Who asks.", examples=["ops"])] = ""
