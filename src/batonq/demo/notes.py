"""What the demo's report explains."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

TEXTS: Final = MappingProxyType(
    {
        "learnt": (
            "A support desk of four agents: intake, search, code and review. Each sees a part of "
            "a request, and none sees what the customer really needs. Each runs in a process of "
            "its own, keeps a table of its own in a store of its own, and starts knowing nothing. "
            "A right answer is worth 1, a wrong one -0.2; work costs, and time discounts.\n\n"
            "Values are exact: the desk is a finite model, in which the agents are evaluated as "
            "they would act without exploring. The exact optimum is that of one who sees the whole "
            "request and what is hidden from all. Below it stands the best that can be done by "
            "four who see only their part: one action for each thing that an agent can be shown, "
            "the best of all such policies, found by branch and bound."
        ),
        "kill": (
            "In the middle one process gets kill -9 while requests are in its hands, and is "
            "started again from its store. The pipeline, which drives the requests, repeats what "
            "was not answered, under the same handoff_id; the other agents ask again for quotes "
            "that they could not get.\n\n"
            "The pipeline keeps a book of its own of all it was told. At the end it is held "
            "against the stores. And each store's log is worked out anew, handoff by handoff, "
            "from rewards, durations and quotes: the values must be those that the agent itself "
            "gives, to the last bit."
        ),
        "crossed": (
            "Agents reach each other through a proxy that passes bytes on and counts them. With "
            "a handoff goes the artifact, which any pipeline hands on, learning or not; its "
            "receiver answers with one learning scalar of 8 bits. The rest is protocol: which "
            "handoff, from whom, to whom, and HTTP around it. No table, no observation of another "
            "agent, no reward and no duration crosses: bodies have the fields of the protocol and "
            "no others, or they are counted as errors, and every artifact was compared with what "
            "its receiver is shown anyway."
        ),
        "policy": (
            "What each agent thinks best for each thing that it can be shown. Where the good "
            "policy never comes, little was tried and little is at stake."
        ),
        "lines": "What the demo promises, and whether this run kept it.",
    }
)

CHOICES: Final = (
    "Exploration: any action with chance 0.2, the best one otherwise, until the end. What is "
    "evaluated is the policy without exploring.",
    "Step size: 0.06, the same for ever. What a receiver quotes moves while it learns itself, and "
    "a step that shrinks from the first handoff on would follow it slowly.",
    "A new action is thought to be worth 0.5, so that it is tried.",
    "Quotes between agents are rounded to 8 bits over [-1, 1], to the nearest.",
    "Six requests are in flight at a time; which agent learns what first depends on timing, so "
    "that two runs with one seed are not the same to the last digit.",
)

LIMITS: Final = (
    "The desk is made up, and small: 25 things that an agent can be shown, 61 states.",
    "One run, one seed: no interval.",
    "All processes are on one machine and trust each other: nobody inflates quotes.",
    "kill -9 ends a process, not the machine: what a power cut does is another question, see the "
    "durability of a node's store.",
)
