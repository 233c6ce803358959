"""Small tasks with examples only: what a hidden program does to a few inputs."""

from __future__ import annotations

from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import Program, encode
from batonq.tasks.cpu.machine.words import EAX, ECX, blank
from batonq.tasks.cpu.peers.attempt import Vectors
from batonq.tasks.cpu.task import Example, Input, Output, Task


def hidden(menu: Program, program: Program, tests: Vectors, length: int) -> Task:
    """What `program` leaves in eax, of x in eax and y in ecx, for the test vectors."""
    state = blank(tests.shape[1])
    state[[EAX, ECX]] = tests
    run(encode(program), state)
    columns = zip(tests.T.tolist(), state[EAX].tolist(), strict=True)
    return Task(
        "hidden",
        "hidden",
        (Input("x", EAX), Input("y", ECX)),
        (Output(EAX),),
        length,
        menu,
        examples=tuple(Example(tuple(values), (wanted,)) for values, wanted in columns),
    )
