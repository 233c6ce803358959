"""One neural update: against a C loop with and without -ffast-math, and against eager torch.

Two agents hand off to each other in turn; each has a network per action, 8 features, 2 actions.
An update is the forward pass at y, the quote (the largest of the receiver's outputs at y'), the
semi-gradient step and the projection of every neuron to its ball. The C loop does the same
arithmetic on the same arrays in the same layout; it comes plain and with neurons in blocks of 32
that fit the registers, and the faster of the two counts. All must give the same weights. Small
balls, in which a part of the neurons is projected at every update, and large ones, in which none
is. Times are processor seconds per update, medians over rounds in which all take
turns; ratios to C are medians of the rounds' ratios, so that a slow stretch counts for both.
"""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import borrowed, summing
from batonq.icq.neural_kernels import learn, output

FEATURES: Final = 8
ACTIONS: Final = 2
PLACES: Final = 32  # of each agent
TORCH_HANDOFFS: Final = 500
PER_HANDOFF: Final = ("here", "there", "net", "asked", "reward", "discount")
GOAL: Final = 1.3
RADII: Final = {"small": 2.0, "large": 1_000.0}
AGREE: Final = 1e-10  # difference of weights, of order 1, left to the order of sums
FLAGS: Final = {"-O3": ["-O3"], "-O3 -ffast-math": ["-O3", "-ffast-math"]}

SOURCE: Final = r"""
#include <math.h>
#include <stddef.h>

#ifdef BLOCKED
#define LANES 32
static double output(const double *restrict w, const double *restrict b, const double *restrict x,
                     double *restrict reach, ptrdiff_t d, ptrdiff_t m) {
  double total[LANES] = {0}, all = 0;
  for (ptrdiff_t at = 0; at < m; at += LANES) {
    double sum[LANES];
    for (int l = 0; l < LANES; l++) sum[l] = w[at + l] * x[0];
    for (ptrdiff_t i = 1; i < d; i++)
      for (int l = 0; l < LANES; l++) sum[l] += w[i * m + at + l] * x[i];
    for (int l = 0; l < LANES; l++) {
      reach[at + l] = sum[l];
      total[l] += b[at + l] * (sum[l] > 0 ? sum[l] : 0);
    }
  }
  for (int l = 0; l < LANES; l++) all += total[l];
  return all / sqrt((double)m);
}
static long move_all(double *restrict w, const double *restrict w0, const double *restrict b,
                     const double *restrict x, const double *restrict reach, double scale,
                     double square, double *restrict length, ptrdiff_t d, ptrdiff_t m) {
  long outside = 0;
  for (ptrdiff_t at = 0; at < m; at += LANES) {
    double push[LANES], sum[LANES] = {0};
    for (int l = 0; l < LANES; l++) push[l] = reach[at + l] > 0 ? scale * b[at + l] : 0;
    for (ptrdiff_t i = 0; i < d; i++)
      for (int l = 0; l < LANES; l++) {
        double moved = w[i * m + at + l] + push[l] * x[i], off = moved - w0[i * m + at + l];
        w[i * m + at + l] = moved;
        sum[l] += off * off;
      }
    for (int l = 0; l < LANES; l++) {
      length[at + l] = sum[l];
      outside += sum[l] > square;
    }
  }
  return outside;
}
#else
static double output(const double *restrict w, const double *restrict b, const double *restrict x,
                     double *restrict reach, ptrdiff_t d, ptrdiff_t m) {
  double total = 0;
  for (ptrdiff_t r = 0; r < m; r++) reach[r] = w[r] * x[0];
  for (ptrdiff_t i = 1; i < d; i++)
    for (ptrdiff_t r = 0; r < m; r++) reach[r] += w[i * m + r] * x[i];
  for (ptrdiff_t r = 0; r < m; r++) total += b[r] * (reach[r] > 0 ? reach[r] : 0);
  return total / sqrt((double)m);
}
static long move_all(double *restrict w, const double *restrict w0, const double *restrict b,
                     const double *restrict x, double *restrict reach, double scale,
                     double square, double *restrict length, ptrdiff_t d, ptrdiff_t m) {
  long outside = 0;
  for (ptrdiff_t r = 0; r < m; r++) {
    reach[r] = reach[r] > 0 ? scale * b[r] : 0;
    length[r] = 0;
  }
  for (ptrdiff_t i = 0; i < d; i++)
    for (ptrdiff_t r = 0; r < m; r++) {
      double moved = w[i * m + r] + reach[r] * x[i], off = moved - w0[i * m + r];
      w[i * m + r] = moved;
      length[r] += off * off;
    }
  for (ptrdiff_t r = 0; r < m; r++) outside += length[r] > square;
  return outside;
}
#endif

static void shift(double *restrict w, const double *restrict w0, const double *restrict b,
                  const double *restrict x, double *restrict reach, double move, double radius,
                  double *restrict length, ptrdiff_t d, ptrdiff_t m) {
  double square = radius * radius;
  if (!move_all(w, w0, b, x, reach, move / sqrt((double)m), square, length, d, m)) return;
  for (ptrdiff_t r = 0; r < m; r++) length[r] = length[r] > square ? radius / sqrt(length[r]) : 1;
  for (ptrdiff_t i = 0; i < d; i++)
    for (ptrdiff_t r = 0; r < m; r++) {
      double c = w0[i * m + r];
      w[i * m + r] = c + length[r] * (w[i * m + r] - c);
    }
}

void updates(double *restrict w, const double *restrict w0, const double *restrict b,
             const double *restrict offset, const double *restrict x, const long *restrict here,
             const long *restrict there, const long *restrict net, const long *restrict asked,
             const double *restrict reward, const double *restrict discount,
             double *restrict reach, double *restrict length, double size, double radius, long n,
             long actions, long nets, long d, long m) {
  for (long k = 0; k < n; k++) {
    double quote = -INFINITY;
    for (long c = asked[k]; c < asked[k] + actions; c++) {
      double value = output(w + c * d * m, b + c * m, x + there[k] * d, reach, d, m);
      value += offset[there[k] * nets + c];
      quote = value > quote ? value : quote;
    }
    long c = net[k];
    double before = output(w + c * d * m, b + c * m, x + here[k] * d, reach, d, m);
    before += offset[here[k] * nets + c];
    shift(w + c * d * m, w0 + c * d * m, b + c * m, x + here[k] * d, reach,
          size * (reward[k] + discount[k] * quote - before), radius, length, d, m);
  }
}
"""


@dataclass(frozen=True, eq=False)
class Stream:
    """Four networks, two a agent, and handoffs between the agents to learn from.

    Attributes:
        weights: of each network, changed by whoever learns.
        start: at the start.
        signs: of the neurons.
        offset: minus the outputs at the start.
        inputs: of every place, of length 1.
        here: place of each decision.
        there: place of what was received.
        net: network of the action taken.
        asked: first of the receiver's networks.
        reward: of the option.
        discount: of the option.
        size: step size.
        ball: radius of every neuron's ball.
    """

    weights: Float[np.ndarray, "net feature neuron"]
    start: Float[np.ndarray, "net feature neuron"]
    signs: Float[np.ndarray, "net neuron"]
    offset: Float[np.ndarray, "place net"]
    inputs: Float[np.ndarray, "place feature"]
    here: Int[np.ndarray, " handoff"]
    there: Int[np.ndarray, " handoff"]
    net: Int[np.ndarray, " handoff"]
    asked: Int[np.ndarray, " handoff"]
    reward: Float[np.ndarray, " handoff"]
    discount: Float[np.ndarray, " handoff"]
    size: float
    ball: float

    @property
    def width(self) -> int:
        """Neurons of each network."""
        return int(self.signs.shape[1])

    def afresh(self) -> Stream:
        """The same with weights of its own, at the start."""
        return replace(self, weights=self.start.copy())


Competitor = Callable[[Stream], None]
Seconds = dict[str, list[float]]


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each width, kind of ball and competitor.

    Raises:
        SystemExit: if somebody does not get the same weights.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        loops = _c_loops(Path(folder))
        for width in (64, 1024):
            for ball, radius in RADII.items():
                stream = _stream(width, radius, 200 if quick else 1_280_000 // width)
                peers = {"batonq": ours, **loops}
                _check(peers, stream)
                seconds = _timed(peers, stream, rounds=3 if quick else 51)
                what = {"width": width, "balls": ball}
                rows += _against_c(seconds, what)
                rows.append(_against_torch(median(seconds["batonq"]), stream) | what)
    return rows


def _against_c(seconds: Seconds, what: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows against the faster C loop with each set of flags."""
    rows: list[dict[str, Any]] = []
    if len(seconds) == 1:
        return [{"competitor": "C loop", "skipped": "no gcc here; install it"} | what]
    for flags in FLAGS:
        variants = {name: seconds[name] for name in seconds if name.startswith(f"C {flags},")}
        best = min(variants, key=lambda name: median(variants[name]))
        turns = zip(seconds["batonq"], variants[best], strict=True)
        over = median(ours_then / theirs for ours_then, theirs in turns)
        rows.append(
            what
            | {
                "competitor": best,
                "ours": median(seconds["batonq"]),
                "theirs": median(variants[best]),
                "ratio": 1 / over,
                "ours_over_theirs": over,
                "goal_ours_over_theirs": GOAL,
            }
        )
    return rows


def _c_loops(folder: Path) -> dict[str, Competitor]:
    """The C loop, plain and in blocks, with each set of flags; empty without gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return {}
    (folder / "loop.c").write_text(SOURCE)
    loops: dict[str, Competitor] = {}
    for flags, options in FLAGS.items():
        for variant, define in (("plain", []), ("blocked", ["-DBLOCKED"])):
            target = folder / f"{len(loops)}.so"
            command = [gcc, *options, "-march=native", *define, "-shared", "-fPIC"]
            subprocess.run([*command, "-o", target, folder / "loop.c", "-lm"], check=True)  # noqa: S603 - our own source
            loops[f"C {flags}, {variant}"] = _loop(ctypes.CDLL(str(target)))
    return loops


def _loop(library: ctypes.CDLL) -> Competitor:
    def work(s: Stream) -> None:
        room = np.empty((2, s.width))
        arrays = (s.weights, s.start, s.signs, s.offset, s.inputs, s.here, s.there, s.net, s.asked)
        library.updates(
            *(ctypes.c_void_p(a.ctypes.data) for a in (*arrays, s.reward, s.discount, *room)),
            ctypes.c_double(s.size),
            ctypes.c_double(s.ball),
            *(ctypes.c_long(n) for n in (len(s.net), ACTIONS, len(s.signs), FEATURES, s.width)),
        )

    return work


def ours(s: Stream) -> None:
    """The library's kernels, in a loop like that of training."""
    arrays = (s.weights, s.start, s.signs, s.offset, s.inputs, s.here, s.there, s.net, s.asked)
    _updates(*arrays, s.reward, s.discount, s.size, s.ball)


@summing
def _updates(
    weights: Float[np.ndarray, "net feature neuron"],
    start: Float[np.ndarray, "net feature neuron"],
    signs: Float[np.ndarray, "net neuron"],
    offset: Float[np.ndarray, "place net"],
    inputs: Float[np.ndarray, "place feature"],
    here: Int[np.ndarray, " handoff"],
    there: Int[np.ndarray, " handoff"],
    net: Int[np.ndarray, " handoff"],
    asked: Int[np.ndarray, " handoff"],
    reward: Float[np.ndarray, " handoff"],
    discount: Float[np.ndarray, " handoff"],
    size: float,
    ball: float,
) -> None:
    w, w0, b = borrowed(weights), borrowed(start), borrowed(signs)
    add, x = borrowed(offset), borrowed(inputs)
    room_a, room_b = np.empty(weights.shape[2]), np.empty(weights.shape[2])
    reach, length = borrowed(room_a), borrowed(room_b)
    for k in range(len(net)):
        quote = -math.inf
        for c in range(asked[k], asked[k] + ACTIONS):
            value = add[there[k], c] + output(w, b, c, x, there[k], reach)
            quote = value if value > quote else quote
        worth = reward[k] + discount[k] * quote
        learn(add, w, w0, b, net[k], x, here[k], worth, size, ball, reach, length)


def _stream(width: int, radius: float, handoffs: int) -> Stream:
    rng = np.random.default_rng(0)
    start = rng.standard_normal((2 * ACTIONS, FEATURES, width))
    signs = rng.integers(0, 2, (2 * ACTIONS, width)) * 2.0 - 1.0
    inputs = rng.standard_normal((2 * PLACES, FEATURES))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    reach = np.maximum(np.einsum("cdm,pd->pcm", start, inputs), 0.0)
    own = np.arange(handoffs) % 2
    return Stream(
        weights=start.copy(),
        start=start,
        signs=signs,
        offset=-(reach * signs).sum(axis=2) / math.sqrt(width),
        inputs=inputs,
        here=own * PLACES + rng.integers(0, PLACES, handoffs),
        there=(1 - own) * PLACES + rng.integers(0, PLACES, handoffs),
        net=own * ACTIONS + rng.integers(0, ACTIONS, handoffs),
        asked=(1 - own) * ACTIONS,
        reward=rng.uniform(size=handoffs),
        discount=rng.uniform(0.5, 0.9, handoffs),
        size=0.1,
        ball=radius / math.sqrt(width),
    )


def _check(peers: dict[str, Competitor], stream: Stream) -> None:
    """Everybody's weights after the stream, held against ours; the first call compiles."""
    learnt = stream.afresh()
    ours(learnt)
    length = np.linalg.norm(learnt.weights - stream.start, axis=1)
    moved = float(length.max())
    if not 0 < moved <= stream.ball * (1 + 1e-9):
        raise SystemExit(f"neural: neurons moved by {moved:.3g}, balls are of {stream.ball:.3g}")
    for name, work in peers.items():
        other = stream.afresh()
        work(other)
        apart = float(np.abs(other.weights - learnt.weights).max())
        if not apart < AGREE:
            raise SystemExit(f"neural: {name} ends {apart:.3g} away from our weights")


def _timed(peers: dict[str, Competitor], stream: Stream, rounds: int) -> Seconds:
    """Processor seconds per update, a number a round, all in turns."""
    seconds: Seconds = {name: [] for name in peers}
    for _ in range(rounds):
        for name, work in peers.items():
            np.copyto(stream.weights, stream.start)  # the same memory for everybody
            begun = time.process_time()
            work(stream)
            seconds[name].append((time.process_time() - begun) / len(stream.net))
    return seconds


def _against_torch(ours_seconds: float, stream: Stream) -> dict[str, Any]:
    """The same update in eager torch, by hand rather than by autograd, on a part of the stream."""
    if find_spec("torch") is None:
        return {"competitor": "torch, eager", "skipped": "torch is not installed"}
    few = {name: getattr(stream, name)[:TORCH_HANDOFFS] for name in PER_HANDOFF}
    part = replace(stream, **few)
    _check({"torch, eager": torch_eager}, part)
    theirs = _timed({"torch, eager": torch_eager}, part, rounds=5)
    return {
        "competitor": "torch, eager",
        "ours": ours_seconds,
        "theirs": median(theirs["torch, eager"]),
        "ratio": median(theirs["torch, eager"]) / ours_seconds,
    }


def torch_eager(s: Stream) -> None:
    """Tensors that share the arrays, float64, one thread, no graph."""
    import torch

    torch.set_num_threads(1)
    w, w0, b = (torch.from_numpy(a) for a in (s.weights, s.start, s.signs))
    add, x = torch.from_numpy(s.offset), torch.from_numpy(s.inputs)
    root = math.sqrt(s.width)
    for k in range(len(s.net)):
        first, there, here, c = int(s.asked[k]), int(s.there[k]), int(s.here[k]), int(s.net[k])
        asked = slice(first, first + ACTIONS)
        reach = torch.matmul(x[there], w[asked])
        quotes = add[there, asked] + (b[asked] * reach.clamp(min=0)).sum(dim=1) / root
        target = s.reward[k] + s.discount[k] * quotes.max()
        reach = x[here] @ w[c]
        before = add[here, c] + b[c] @ reach.clamp(min=0) / root
        push = (reach > 0) * b[c] * (s.size * (target - before) / root)
        w[c] += torch.outer(x[here], push)
        off = w[c] - w0[c]
        length = off.norm(dim=0)
        w[c] = w0[c] + off * (s.ball / length.clamp(min=s.ball))
