"""The model: interface-constrained semi-Markov decision processes and their exact solutions."""

from batonq.smdp.chain import behaviour_chain, mixing_time, stationary
from batonq.smdp.durations import Durations, Law
from batonq.smdp.exact import Aggregated, Solution, aggregated, evaluate, optimal
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import policy_of_cells, uniform

__all__ = [
    "Aggregated",
    "Durations",
    "FiniteICSMDP",
    "Law",
    "Solution",
    "aggregated",
    "behaviour_chain",
    "evaluate",
    "from_entries",
    "mixing_time",
    "optimal",
    "policy_of_cells",
    "stationary",
    "uniform",
]
