"""Which field should we reveal? Three terms of the bound, and an answer from one agent's log.

A reader sees a request's language and its urgency and hands it to a worker, who sees neither.
The worker's two options suit one language each; urgency matters to nobody. What would it be worth
to show the worker more?

Run with `python examples/which_field.py`; it takes some seconds.
"""

import numpy as np

import batonq as bq
from batonq.icq.observe import values_of
from batonq.smdp import durations, from_entries
from batonq.smdp.interface import refine

# States: language (0 or 1) and urgency (0 or 1), first with the reader, then with the worker.
language, urgency = np.tile([0, 0, 1, 1], 2), np.tile([0, 1], 4)
holder = np.repeat([0, 1], 4)
state, action = (numbers.ravel() for numbers in np.mgrid[:4, :1])
model = from_entries(
    agents=("reader", "worker"),
    holder=holder,
    cell=np.array([0, 1, 2, 3, 4, 4, 4, 4]),  # the worker sees nothing
    mask=np.array([[True, False]] * 4 + [[True, True]] * 4),
    reward=np.where(holder[:, None] == 1, (language[:, None] == [0, 1]) * 1.0, 0.0),
    state=state,  # the worker's options end the workflow
    action=action,
    successor=state + 4,
    probability=np.ones(4),
    durations=durations.geometric(np.full(4, 3.0)),
    gamma=0.95,
    initial=np.array([0.3, 0.3, 0.2, 0.2, 0, 0, 0, 0]),
    fields={"language": language, "urgency": urgency},
)
run = bq.train(model, handoffs=100_000, seeds=8)

# The gap is exact here. Nothing is certified: the interface hides something, and no bound on what
# it hides is declared.
print(bq.bound(model, run=run), end="\n\n")

# Exactly, for whoever has the model; and from the worker's own records, for whoever has no more.
print(bq.refine(model), end="\n\n")
log = bq.observe(model, values_of(run, model), handoffs=100_000)["worker"]
answer = bq.refine(log)
print(answer)
assert answer.best == "language"
assert bq.refine(log, ["urgency"]).best is None

# Revealed, the interface is exact, and values and the deployed policy are certified.
shown = model.seen_as(refine(model.cell, language))
loss = bq.bound(shown)["policy loss"].certificate
print(f"\nwith {answer.best} revealed the policy loses at most {loss}: {loss.note}")
