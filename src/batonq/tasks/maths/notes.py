"""What was chosen in the maths experiment, and what its figures do not show."""

from typing import Final

CHOICES: Final = (
    "Agents: one per model, its prompts are its work actions; a closer holds the question first, "
    "opens and submits. After working an agent works again, hands to a model with an unused prompt "
    "or to the closer. No call is made twice; an attempt without an answer can be handed on from, "
    "not submitted; ties go to the earlier call of the pool.",
    "Pools of five calls, named by vendor, price and kind of reasoning before any held-out fold "
    "was looked at here; how single models and a prototype's rules do on these questions was "
    "known.",
    "IC-Q here is linear and phased with frozen answers: the replay covers every move at every "
    "training question, and as no call is made twice one pass from the last decision back to the "
    "first is all the phases there are. Per agent, asked set and move one ridge regression on its "
    "own targets: dense columns (agreements, sizes, plain answers), one column per cell, and its "
    "private features. The closer's submit value is one logistic regression over all asked sets, "
    "and per cell the deviation from it, shrunk.",
    "Shrinkage (a penalty of k weighs like k questions): dense 3, cell 100, private 3000, from "
    "dense 3, 10, 30, cell 10, 30, 100, private 300, 3000; utility differed by at most .003 over "
    "the grid. All linear learners share them. Chosen by cross-validation within the training sets "
    "of three folds, which together hold every question: not strictly nested.",
    "The main interface is the whole board, which the peers see too. `answers` shows holders which "
    "calls agree and which answers are plain, but no texts; the board gained .1 point of utility "
    "in that cross-validation, and it was chosen after held-out figures had been seen. Behind the "
    "board IC-Q sees what the joint learner sees and equals it by identity; level with a "
    "centralised learner means something behind `answers` only. Every interface is reported.",
    "IC-Q is compared with a rule at no more cost: at the smallest lambda at which, on the "
    "training folds, it spends at most 95 % of what the rule spends there. The grid of lambda was "
    "made finer twice after looking, as the nearest lambda left budgets half unspent.",
    "The frontier line compares utilities at the lambdas of the grid. Budgets below that of IC-Q's "
    "cheapest policy there are not compared: single cheap calls lie below it.",
    "Centralised twice: one regression for all holders on what IC-Q's agents see, and one that "
    "sees everyone's private features. The reference is the one that did better on the held-out "
    "questions themselves, which favours it.",
    "Monte Carlo learns from what its greedy continuation realised on the training questions, in "
    "the same pass; no scalar sets every quote from another agent to 0.",
    "gamma is .99995 per tick of 64 tokens. Handing on takes one tick and costs nothing.",
    "The tables of the section Learning see the finite part of the interface only, without the "
    "texts' private features; step n**-0.7, half of the moves drawn at random, and 4 million "
    "handoffs (a quarter of it with --quick and on generated data); for the first reading of the "
    "answers only.",
    "Peers see the whole board and make their free choices on the training folds, at each lambda. "
    "Their families were settled after looking at cross-validated figures, for the peers' good: "
    "rules need two agreeing answers (three changed nothing) and may trust one call if none agree; "
    "the cascade asks at most three; the bandit passes once over the training questions.",
)
LIMITS: Final = (
    "A recorded model solves the question anew; it does not read the previous attempt. Only live "
    "models read what is handed on.",
    "Every model may have seen these questions in training.",
    "Costs are estimates: characters over four, at the dated prices of the price file.",
    "The sampling error of one accuracy is about one point and of a paired difference about half a "
    "point: no difference of a quarter of a point can be shown with these questions.",
    "Learners had full coverage by replay: these figures say nothing of exploration on-line. For "
    "that see the scenario drift.",
)

GENERATED: Final = (
    "Data: word problems from batonq's own generator, answered by simulated solvers of known "
    "skill, not by language models."
)


def with_origin(dataset: str, headline: str) -> str:
    """The headline, after a warning where no recorded model is behind the figures."""
    return f"{GENERATED} {headline}" if dataset == "generated" else headline
