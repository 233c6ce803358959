"""Agent: one of a node's agents, as its pipeline speaks to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from batonq.base.errors import DataError
from batonq.node import answering, deciding, seeing
from batonq.node.core import Core, Options
from batonq.node.learning import Learner
from batonq.node.limits import Costs
from batonq.node.results import Decision, Quote

_MOST_OFFERED: Final = 256  # lists of candidates remembered
To = Iterable[str] | Mapping[str, str]


class Agent:
    """One agent: what it sees, where it may hand off to, what it has learnt.

    Made by `Team.add`. Safe to use from several threads.

    Attributes:
        name: its name.
        learner: what it has learnt.
    """

    def __init__(
        self,
        core: Core,
        name: str,
        learner: Learner,
        features: seeing.Features,
        to: To | Callable[[Any], To] | None,
        text: tuple[str, ...],
        extra: seeing.Features | None,
    ) -> None:
        self.name = name
        self.learner = learner
        self._core = core
        self._features = features
        self._to = to if to is None or callable(to) else options(name, to)
        self._text = text
        self._extra = extra
        self._offered: dict[tuple[str, ...], Options] = {}

    def decide(
        self,
        state: Any,
        to: To | None = None,
        *,
        default: str | None = None,
        workflow: str | None = None,
        hops: int | None = None,
        veto: Collection[str] = (),
        costs: Mapping[str, Costs] | None = None,
        handoff_id: str | None = None,
        dry_run: bool = False,
    ) -> Decision:
        """Choose to whom to hand off; stored before it is returned.

        If anything of ours fails, the default is taken and `logged` is false.

        Args:
            state: the artifact as this agent has it; `features` is applied to it.
            to: targets, or action -> target; what `Team.add` declared by default. The agent itself
                keeps control, "end" ends the workflow.
            default: the action taken in observe mode, outside the canary share, and on failure;
                the first one by default.
            workflow: name of the request, for limits and for telling segments apart.
            hops: hops so far, where the caller counts them.
            veto: actions or targets ruled out now.
            costs: action -> what it is expected to cost, by unit, for the budget.
            handoff_id: one of the caller's, so that a repeated call gives the same decision.
            dry_run: decide without storing anything; the decision cannot be settled.

        Raises:
            DataError: for candidates that cannot be.
            ConflictError: if `handoff_id` is that of another decision.
            RefusedError: if nothing is permitted, not even the default.
        """
        asked = deciding.Question(
            state, to, default, workflow, hops, veto, costs, handoff_id, dry_run
        )
        return deciding.decide(self._core, self, asked)

    def receive(self, handoff_id: str, artifact: Any, sender: str) -> Quote:
        """Take in what was handed on and quote its value: the only way to obtain a quote.

        The answer to a handoff is given once; asked again, the same is returned.

        Raises:
            ConflictError: if the handoff was answered for another sender or artifact.
            RefusedError: if the leak budget of the sender is spent.
        """
        return answering.receive(self._core, self, handoff_id, artifact, sender)

    def table(self) -> dict[str, dict[str, tuple[float, int]]]:
        """Key of an information state -> action -> (value, number of updates).

        Raises:
            ModelError: if the agent keeps no table.
        """
        with self._core.lock:
            return self.learner.table()

    def candidates(self, to: To) -> Options:
        """What `decide` was given, as action -> target; most lists recur.

        Raises:
            DataError: if there are none, or one is no string.
        """
        if not isinstance(to, (list, tuple)):
            return options(self.name, to)
        listed = tuple(to)
        try:
            known = self._offered.get(listed)
        except TypeError:  # one of them is no string
            known = None
        if known is None:
            known = options(self.name, listed)
            if len(self._offered) >= _MOST_OFFERED:
                self._offered.clear()
            self._offered[listed] = known
        return known

    def sees(self, state: Any) -> str:
        """The key of its information state.

        Raises:
            DataError: if its features fail or cannot be kept.
        """
        try:
            seen = self._features(state)
        except Exception as error:  # the user's function may raise anything
            raise DataError(
                f"features of agent '{self.name}': failed on what it was given "
                f"({type(error).__name__}: {error})"
            ) from error
        return seeing.key(seen, self.name, self._text)

    def notes(self, state: Any) -> dict[str, Any]:
        """What is logged beside the key but not acted on."""
        return {} if self._extra is None else dict(self._extra(state))

    def permitted(self, state: Any) -> Options:
        """Actions declared for what it was given, with their targets; empty if none are."""
        if self._to is None:
            return {}
        if callable(self._to):
            return options(self.name, self._to(state))
        return self._to


def options(name: str, to: To) -> Options:
    """Candidates as action -> target.

    Raises:
        DataError: if there are none, or one is no string.
    """
    pairs = dict(to) if isinstance(to, Mapping) else {one: one for one in to}
    for action, target in pairs.items():
        for word in (action, target):
            if not isinstance(word, str) or not 0 < len(word) <= 128:
                raise DataError(
                    f"agent '{name}': {word!r} cannot be an action or a target; give a string of "
                    "1 to 128 characters"
                )
    if not pairs or isinstance(to, str):
        raise DataError(f"agent '{name}': no candidates in {to!r}; give a list of targets")
    return pairs
