"""How to read the report, what was chosen, and what the figures do not show."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lines": "A request with hidden facets goes from agent to agent until one knows which "
        "specialist can help. Agent k measures facet k. Value is the discounted chance of ending "
        "with the right specialist, accuracy that chance. Both are exact for the greedy policy of "
        "what was learnt. Intervals are over instances, of means over seeds.",
        "whole": "Agents see all that is on the ticket. The oracle is exact value iteration on "
        "(holder, ticket); `fixed` asks in the best fixed order until the specialist is sure. The "
        "centralised learner keeps one table of what holders see. As no two holders share a "
        "cell, its numbers are those of IC-Q to the last digit, so it is run at small sizes only.",
        "narrow": "Behind `last` a holder sees its own facet, who handed it the ticket, and the "
        "sender's facet; behind `own` only its own facet. Everybody but the centralised "
        "learner, which sees the joint state, is behind the interface. `feasible` is the best "
        "policy found of those that see no more, by local search from the policies learnt and "
        "from random ones: a lower bound of the best. Monte Carlo does not trust what a receiver "
        "answers of what it cannot see, and can be better here.",
        "gap": "The behaviour is uniform, as what IC-Q tends to behind a lossy interface depends "
        "on it. Exact: Q* - Qhat* o psi by exact solution. Realised: the distance of trained "
        "tables from Q*. In L2(mu) it is the root of the mean product of the errors of two "
        "different seeds, so that noise, which is independent, does not add to it; its interval "
        "is over seeds, by the jackknife. The sup is read where the exact one is largest. The "
        "loss is that of the policy greedy in Qhat*, or in the tables, which flips where two "
        "actions are nearly tied. Neither need be monotone by theory; how often each was is said "
        "under the lines to reach.",
        "terms": "The three terms under the uniform behaviour, means over instances. A table has "
        "no approximation term; the gap is exact. The estimate of the residual is asymptotic, "
        "never a guarantee; it is not available where two actions are tied, as they are "
        "where two agents have to be asked in any case and either may be first. The certificate "
        "is Theorem S with one scalar; behind a lossy interface it is given h, computed from the "
        "model, which is 1 here, so that it says nothing. At size 4 the whole ticket has some "
        "4,900 pairs, for which the estimate would take minutes; it is left out.",
        "graph": "Mean number of decisions per request under the policy that IC-Q learnt on one "
        "instance: handoffs, measurements (an agent keeps control), and the end at a specialist.",
    }
)
CHOICES: Final = (
    "Facets: one has three values, the others two. A request is of one of two hidden types; given "
    "the type facets are independent, with weights uniform on [.5, 1.5] before normalisation.",
    "The right specialist, of 4, is a leaf of a random decision tree: every facet once, in random "
    "order, then half as many again, at random leaves.",
    "A request arrives at any triage agent with equal chance. To measure is a decision of its own, "
    "in which the agent keeps control; it is forced where the holder's facet is not on the ticket, "
    "as an agent that passes on what it could measure in its turn was thought less natural.",
    "To measure takes a geometric number of steps, with a mean for each agent and value uniform on "
    "[1, 6]; to hand to a triage agent takes one step; a specialist ends the workflow at once. "
    "gamma is .98.",
    "The reward at the end is the chance, given the ticket, that the specialist is right: its "
    "expectation, not a draw. States are information states, so that nothing hidden is sampled.",
    "Instances whose oracle sometimes guesses are drawn again, as are those where a fixed order "
    "comes to 99.5 % of the oracle: at 3 facets most, else few. So the value of `fixed` is below "
    "that of a fixed order on all instances that could be drawn, most so at 3 facets.",
    "The sender's name is part of the ticket, so that `last` shows less than `whole`. No value "
    "depends on it. Where only the whole ticket is learnt it is left out, which makes the model "
    "K / 2 times smaller.",
    "All learners: epsilon-greedy with epsilon .3, values started at 1, steps 1 / (1 + .1 n), "
    "equal numbers of handoffs. With the default steps 1 / (1 + .02 n), of the contraction .98, 2 "
    "to 6 of 50 runs at sizes 5 to 8 ended with a guess where the oracle asks, on a rare ticket; a "
    "start at 0 needs several times more handoffs. Size 6 was given 8 instead of 4 million "
    "handoffs after a first run had left one of 50 at an accuracy of .9995.",
    "The gap and the terms are about the uniform behaviour, the default steps and a start at 0.",
)
LIMITS: Final = (
    "One family of problems, of our own making, with exact chances as rewards; one facet has three "
    "values, the others two.",
    "`feasible` is not the best of all policies behind its interface, and leaves out random ones, "
    "which can be better where a fixed one goes round in circles.",
    "Behind a lossy interface nothing is claimed of the policy that IC-Q ends with: its loss "
    "depends on behaviour, start and seed.",
    "The exact gap needs the model. Nobody has it for a real desk.",
)
