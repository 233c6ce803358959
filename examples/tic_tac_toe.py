"""Tic-tac-toe, from PettingZoo: agents with opposed aims, and one agent against a fixed opponent.

What is trained in batonq is a team after one common sum, and two opponents have none. There are two
honest ways. Fold one side, here a random player, into the environment: then one agent is left. Or
let both learn, each from its own reward, and turn the sign of the number that crosses: what is good
for the receiver is bad for the sender. That is minimax Q-learning, and needs no other change.

    python examples/tic_tac_toe.py [HANDOFFS]      # of self-play; 100,000 by default
"""

import sys

import numpy as np

import batonq as bq
from batonq.icq import behaviour, clocks
from batonq.icq.fold import Policy, at_random, folded, greedy

try:
    import pygame  # noqa: F401 - the board imports it
    from pettingzoo import make

    from batonq.icq.pettingzoo import from_pettingzoo, of, opposed, zero_sum

    board = make("aec", "classic/tictactoe-v3")
except ImportError as error:
    print(f"left out: {error}; pip install 'batonq[pettingzoo]' pygame-ce")
    sys.exit(0)

X, O = "player_1", "player_2"  # noqa: E741 - the letters they write


def against_random() -> Policy:
    """X learns against a random O, whose moves are part of X's options."""
    game = folded(from_pettingzoo(board.unwrapped, gamma=0.9, payoff=of(X)), {O: at_random})
    run = bq.train(
        game,
        handoffs=15_000,
        points=1,
        clock=clocks.power(0.7),
        behaviour=behaviour.epsilon_greedy(0.3),
    )
    return greedy(run.tables[0][X])


def self_play(handoffs: int) -> dict[str, Policy]:
    """Both learn, each from its own reward; only the sign of the number that crosses turns.

    The rules are not random, so that values are learnt with steps of 1.
    """
    run = bq.train(
        from_pettingzoo(board.unwrapped, gamma=0.9, payoff=zero_sum),
        handoffs=handoffs,
        points=1,
        clock=clocks.constant(1.0),
        exchange=opposed,
    )
    return {name: greedy(table) for name, table in run.tables[0].items()}


def outcome(
    players: dict[str, Policy], rng: np.random.Generator, script: tuple[int, ...] = ()
) -> tuple[float, list[int]]:
    """What X gets; a player without a policy moves by the script.

    Where the script ends the game stays open, and its permitted moves are returned.
    """
    game = from_pettingzoo(board.unwrapped, gamma=1.0, payoff=of(X))
    turn, moves = game.reset(rng), list(script)
    while turn.end is None:
        mask = np.asarray(turn.mask)
        if turn.agent in players:
            turn = game.step(players[turn.agent](turn.observation, mask, rng))
        elif moves:
            turn = game.step(moves.pop(0))
        else:
            return 0.0, np.flatnonzero(mask).tolist()
    return turn.reward, []


def play(players: dict[str, Policy], games: int = 500) -> str:
    """What comes of a number of games."""
    rng = np.random.default_rng(1)
    got = [outcome(players, rng)[0] for _ in range(games)]
    shares = [got.count(result) / games for result in (1, 0, -1)]
    return "X wins {:.3f}, draw {:.3f}, O wins {:.3f}".format(*shares)


def lost_lines(side: str, policy: Policy, script: tuple[int, ...] = ()) -> tuple[int, int]:
    """Of all that an opponent can do against a policy: lines of play, and how many it loses."""
    reward, moves = outcome({side: policy}, np.random.default_rng(1), script)
    if not moves:
        return 1, int(reward == (-1 if side == X else 1))
    below = [lost_lines(side, policy, (*script, move)) for move in moves]
    return sum(n for n, _ in below), sum(lost for _, lost in below)


def main() -> None:
    """Train both ways and play."""
    print(f"nobody has learnt:          {play({X: at_random, O: at_random})}")
    print(f"X learnt against random O:  {play({X: against_random(), O: at_random})}")
    learnt = self_play(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    print(f"self-play, X against random: {play({X: learnt[X], O: at_random})}")
    print(f"self-play, O against random: {play({X: at_random, O: learnt[O]})}")
    print(f"self-play, one another:      {play(learnt, 1)}")
    for side, policy in learnt.items():
        lines, lost = lost_lines(side, policy)
        print(f"{side} loses {lost} of the {lines} lines of play open to its opponent")


if __name__ == "__main__":
    main()
