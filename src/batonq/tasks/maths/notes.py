"""What was chosen in the maths experiment, and what its figures do not show."""

from typing import Final

_BOTH: Final = (
    "Agents: one per model, its prompts are its work actions; a closer holds the question first, "
    "opens and submits. After working an agent works again, hands to a model with an unused prompt"
    " or to the closer. No call is made twice; an attempt without an answer can be handed on from,"
    " not submitted; ties go to the earlier call of the pool.",
    "IC-Q here is linear and phased with frozen answers: the replay covers every move at every "
    "training question, and as no call is made twice one pass from the last decision back to the "
    "first is all the phases there are. Per agent, asked set and move one ridge regression on its "
    "own targets: dense columns (agreements, sizes, plain answers), one column per cell, and its "
    "private features. The closer's submit value is one logistic regression over all asked sets, "
    "and per cell the deviation from it, shrunk.",
    "IC-Q is compared with a rule at no more cost: at the smallest lambda at which, on the "
    "training folds, it spends at most 95 % of what the rule spends there.",
    "The frontier line compares utilities at the lambdas of the grid. Budgets below that of IC-Q's"
    " cheapest policy there are not compared: single cheap calls lie below it.",
    "Centralised twice: one regression for all holders on what IC-Q's agents see, and one that "
    "sees everyone's private features. The reference is the one that did better on the held-out "
    "questions themselves, which favours it.",
    "Monte Carlo learns from what its greedy continuation realised on the training questions, in "
    "the same pass; no scalar sets every quote from another agent to 0.",
    "The tables of the section Learning see the finite part of the interface only, without the "
    "texts' private features; step n**-0.7, half of the moves drawn at random, and 4 million "
    "handoffs (a quarter of it with --quick and on generated data); for the first reading of the "
    "answers only.",
    "Peers see the whole board and make their free choices on the training folds, at each lambda. "
    "Their families were settled after looking at cross-validated figures, for the peers' good: "
    "rules need two agreeing answers (three changed nothing) and may trust one call if none agree;"
    " the cascade asks at most three; the bandit passes once over the training questions.",
)
_RECORDED: Final = (
    "Pools of five calls, named by vendor, price and kind of reasoning before any held-out fold "
    "was looked at here; how single models and a prototype's rules do on these questions was "
    "known.",
    "Shrinkage (a penalty of k weighs like k questions): dense 3, cell 100, private 3000, from "
    "dense 3, 10, 30, cell 10, 30, 100, private 300, 3000; utility differed by at most .003 over "
    "the grid. All linear learners share them. Chosen by cross-validation within the training sets"
    " of three folds, which together hold every question: not strictly nested.",
    "The main interface is the whole board, which the peers see too. `answers` shows holders which"
    " calls agree and which answers are plain, but no texts; the board gained .1 point of utility "
    "in that cross-validation, and it was chosen after held-out figures had been seen. Behind the "
    "board IC-Q sees what the joint learner sees and equals it by identity; level with a "
    "centralised learner means something behind `answers` only. Every interface is reported.",
    "The grid of lambda was made finer twice after looking, as the nearest lambda left budgets "
    "half unspent.",
    "gamma is .99995 per tick of 64 tokens. Handing on takes one tick and costs nothing.",
)
_LOCAL: Final = (
    "Answers: of local models, live and then recorded: greedy text (temperature 0), one call per "
    "model and prompt, programs run by an interpreter of allowed parts in a confined process. An "
    "attempt without a readable answer, or a program that fails, is an abstention.",
    "A checker is an agent of its own, although the larger model runs it: after a program was "
    "asked for it may be asked whether that one is right, at most once per question. Its answer is"
    " the checked one if it says yes with a chance of at least one half, and none if not; the "
    "chance itself is what only the checker knows, or everybody behind the board. Peers and single"
    " models have the calls that solve; no peer uses checks.",
    "Cost is in weighted kilotokens: billions of parameters times tokens read and written, by the "
    "runtime's own count, over 1000. It is the work done, whoever pays for it; a token read costs "
    "as much as one written. A question read again under another prompt counts again, although "
    "this runtime keeps it.",
    "gamma is .9999 per tick of .25 measured seconds: ten seconds cost .4 %. Handing on takes one "
    "tick and costs nothing. Seconds were measured on two cores that were busy with other work.",
    "The line between single models is the frontier of always asking one call: the best that "
    "drawing lots between two calls gives, and declining at no cost. It is laid through their "
    "accuracy and cost on the held-out questions themselves, which favours it. IC-Q's lead at each"
    " lambda has a paired bootstrap interval over questions; the intervals hold together, by the "
    "largest studentised deviation in each resample.",
    "Shrinkage is chosen anew in every fold, by cross-validation within its training questions at "
    "the reported lambdas, from three candidates: dense 3, cell 100, private 3000 as for the "
    "larger recorded data sets; 30, 300, 10; 10, 1000, 3 with a freer closer. The candidates, and "
    "the scale of the private features, were set after looking at cross-validated figures of the "
    "first 150 questions recorded. All linear learners share what is chosen. The main interface is "
    "the whole board, as elsewhere.",
    "Pool `local` has all six calls, `local3` three that differ in kind (program of the smaller "
    "model, program and steps of the larger). It was set up after looking at cross-validated "
    "figures of the first 150 questions: with so few to learn from, six calls overfit. Both are to "
    "be reported together. Log-probabilities count for programs only: those of the other answers "
    "were not told for the first third of the questions.",
)

_CONTAMINATION: Final = "Every model may have seen these questions in training."
_COVERAGE: Final = (
    "Learners had full coverage by replay: these figures say nothing of exploration on-line. For "
    "that see the scenario drift."
)
LIMITS: Final = (
    "A recorded model solves the question anew; it does not read the previous attempt. Only live "
    "models read what is handed on.",
    _CONTAMINATION,
    "Costs are estimates: characters over four, at the dated prices of the price file.",
    "The sampling error of one accuracy is about one point and of a paired difference about half a"
    " point: no difference of a quarter of a point can be shown with these questions.",
    _COVERAGE,
)
_LOCAL_LIMITS: Final = (
    "The models are small: half a billion and one and a half billion parameters, four bits each. "
    "What they show need not hold for large ones.",
    "Each solver reads the question anew and not the previous attempt; only the checker reads one.",
    "There are few questions: the sampling error of one accuracy is two to five points.",
    _CONTAMINATION,
    _COVERAGE,
)

GENERATED: Final = (
    "Data: word problems from batonq's own generator, answered by simulated solvers of known "
    "skill, not by language models."
)
LOCAL: Final = "Data: answers of small language models that run on one machine, recorded live."


def choices(local: bool) -> tuple[str, ...]:
    """What was chosen, for answers recorded by others or for those of local models."""
    return (*_BOTH, *(_LOCAL if local else _RECORDED))


def limits(local: bool) -> tuple[str, ...]:
    """What the figures do not show, likewise."""
    return _LOCAL_LIMITS if local else LIMITS


def with_origin(dataset: str, headline: str, local: bool = False) -> str:
    """The headline, after what is behind the figures where that is not what one would expect."""
    if local:
        return f"{LOCAL} {headline}"
    return f"{GENERATED} {headline}" if dataset == "generated" else headline
