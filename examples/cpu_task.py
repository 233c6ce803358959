"""A Python function of 32-bit words becomes a task, and specialists write it in assembly together.

Each agent writes instructions of one class only, and sees the machine's state on test vectors. What
they come to is proved for all inputs; a counterexample joins the vectors, and learning goes on.
Needs the extra: pip install "batonq[cpu]".
"""

from __future__ import annotations

from batonq.tasks.cpu.files import from_function
from batonq.tasks.cpu.machine.encoding import machine_code
from batonq.tasks.cpu.per_task.cegis import solve
from batonq.tasks.cpu.tracing import Word, sar

MENU = ["mov edx, eax", "or", "and", "sub", "neg", "inc", "sar edx, 31", "shr eax, 31"]


def sign(x: Word) -> Word:
    """-1, 0 or 1, as x is below, equal to or above 0 when read with a sign."""
    return sar(x, 31) | (-x >> 31)


def main() -> None:
    task = from_function(sign, instructions=MENU, registers=["eax", "edx"], length=5)
    print(f"{task.name}: {len(task.menu)} instructions of {', '.join(task.agents)}")
    found = solve(task, "icq", budget=1_000_000, seed=0)
    print(f"proved: {found.proved}, after {found.handoffs} handoffs. {found.note}")
    if found.written is not None:
        program, writers = found.written.program, found.written.writers
        for code, line, writer in zip(machine_code(program), program, writers, strict=True):
            print(f"  {code.hex(' '):10} {line.text:14} ; {writer}")


if __name__ == "__main__":
    main()
