"""A process of its own for cvc5, so that it can be ended at any time: text in, text out.

``python -m batonq.tasks.cpu.peers.cvc5_process`` reads a problem in SyGuS-IF 2.1 from its input and
prints what cvc5 answers.
"""

from __future__ import annotations

import sys
from typing import TextIO

from batonq.base.extras import need


def answer(text: str, out: TextIO) -> None:
    """Give every command of a problem to cvc5, and print what it answers.

    Raises:
        DataError: cvc5 is not installed.
    """
    cvc5 = need("cvc5", "sygus")
    solver = cvc5.Solver()
    solver.setOption("sygus", "true")
    symbols = cvc5.SymbolManager(solver)
    parser = cvc5.InputParser(solver, symbols)
    parser.setStringInput(cvc5.InputLanguage.SYGUS_2_1, text, "problem")
    while not (command := parser.nextCommand()).isNull():
        out.write(command.invoke(solver, symbols))
        out.flush()


if __name__ == "__main__":
    answer(sys.stdin.read(), sys.stdout)
