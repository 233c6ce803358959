"""The workshop: crews of specialists, and jobs for them: tasks in several placements of the inputs.

One table, `SHOPS`. A crew's menu is what its target permits; each of its instructions belongs to
the specialist of that class. A placement says where the inputs x and y lie at the start; a task
that has no y is placed by x alone. Every line of tasks has the letters of the placements it is
posed in, and what the output words are to hold afterwards.

Left out are placements in which a job is another one again (x + y with x and y exchanged), the
cheapest program is a single instruction, or it takes more than 6 primitive steps (11 with
memory). No two jobs, of whatever crews, want the same function of the same words.

`VECTORS` pins the jobs down: the cheapest program that search finds on them is right for all inputs
(proved by Z3 for every job, both for its crew and for one agent that writes alone; two vectors are
counterexamples that Z3 found to programs as cheap). The first vectors are small and ambiguous, so
that a view of few of them leaves much unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import UInt32

from batonq.tasks.cpu.expression import names
from batonq.tasks.cpu.learning.jobs import Crew, Job, Jobs, alone, crew
from batonq.tasks.cpu.machine.program import Program
from batonq.tasks.cpu.machine.program import parse as parse_program
from batonq.tasks.cpu.machine.words import WORDS
from batonq.tasks.cpu.parsing import parse as parse_expression
from batonq.tasks.cpu.task import LONGEST, Input, Output, Task

QUICK_EVERY: Final = 9  # which part of the jobs a quick run has


@dataclass(frozen=True)
class Shop:
    """One crew and what it is asked for, as text.

    Attributes:
        name: of the crew.
        title: what its jobs are about.
        steps: primitive steps after which a job is broken off.
        menu: its instructions, separated by semicolons.
        places: placements: a letter, and the words that x and y start in.
        tasks: a line each: name, placements, wanted outputs separated by semicolons.
    """

    name: str
    title: str
    steps: int
    menu: str
    places: str
    tasks: str

    @property
    def program(self) -> Program:
        """The menu as instructions."""
        return parse_program(self.menu.replace(";", "\n"))

    @property
    def placements(self) -> dict[str, tuple[int, ...]]:
        """By letter the words that x and y start in."""
        pairs = (place.split(":") for place in self.places.split(";"))
        return {
            letter.strip(): tuple(WORDS.index(word) for word in words.split())
            for letter, words in pairs
        }


SHOPS: Final = (
    Shop(
        "bits",
        "Lowest bits of a word: increments and logic.",
        7,
        """
        mov ecx, eax; mov edx, eax; mov eax, ecx; inc eax; dec eax; neg eax; inc ecx; dec ecx;
        neg ecx; and eax, ecx; or eax, ecx; xor eax, ecx; not eax; not ecx
        """,
        "a: eax; b: ecx",
        """
        p01          ab      eax = x & (x - 1)
        p02          ab      eax = x & (x + 1)
        p03          ab      eax = x & -x
        p04          ab      eax = x ^ (x - 1)
        p05          ab      eax = x | (x - 1)
        p06          ab      eax = x | (x + 1)
        p07          ab      eax = ~x & (x + 1)
        p08          ab      eax = ~x & (x - 1)
        p17          ab      eax = (((x - 1) | x) + 1) & x
        neg          b       eax = -x
        not          b       eax = ~x
        xor_neg      ab      eax = x ^ -x
        or_neg       ab      eax = x | -x
        to_next      ab      eax = x ^ (x + 1)
        not_or_dec   ab      eax = ~x | (x - 1)
        not_or_inc   ab      eax = ~x | (x + 1)
        minus_two    ab      eax = x - 2
        up_run       ab      eax = (x | (x + 1)) & -x
        fill_run     ab      eax = x | ((x & (x + 1)) - 1)
        inc_both     ab      eax = x + 1; ecx = x
        dec_pair     ab      eax = x - 1; ecx = x
        neg_pair     ab      eax = x; ecx = -x
        """,
    ),
    Shop(
        "mean",
        "Sums and means of two words: arithmetic, logic and shifts by 1.",
        7,
        """
        mov edx, eax; mov ecx, eax; mov eax, edx; add eax, ecx; sub eax, ecx; add eax, edx;
        sub eax, edx; and edx, ecx; and eax, ecx; or eax, ecx; or edx, ecx; xor eax, ecx;
        xor edx, ecx; shr eax, 1; shr edx, 1
        """,
        "a: eax ecx; b: ecx eax; c: eax edx; d: ecx edx; e: edx eax",
        """
        p14          acd     eax = (x & y) + ((x ^ y) >> 1)
        p15          acd     eax = (x | y) - ((x ^ y) >> 1)
        add          d       eax = x + y
        add_twice    abcde   eax = x + x + y
        sub          bde     eax = x - y
        half_sum     acd     eax = (x + y) >> 1
        and          cd      eax = x & y
        or           cd      eax = x | y
        xor          cd      eax = x ^ y
        half_add     abcde   eax = (x >> 1) + y
        half_xor     acd     eax = (x ^ y) >> 1
        and_not      abcde   eax = x & ~y
        add_half     abcde   eax = x + ((x ^ y) >> 1)
        mean_quarter ad      eax = (x & y) + ((x ^ y) >> 2)
        triple       abe     eax = x + x + x
        half_diff    abcde   eax = (x - y) >> 1
        halves       acd     eax = (x >> 1) + (y >> 1)
        or_half      acd     eax = (x | y) >> 1
        and_half     acd     eax = (x & y) >> 1
        quarter      abe     eax = x >> 2
        five         abe     eax = x + x + x + x + x
        xor_less     acd     eax = (x ^ y) - (x & y)
        """,
    ),
    Shop(
        "sign",
        "Signs and absolute values, without branches or conditions.",
        7,
        """
        mov edx, eax; mov edx, ecx; mov eax, edx; sar edx, 31; sar eax, 31; shr eax, 31;
        xor eax, edx; xor eax, ecx; sub eax, edx; add eax, edx; sub eax, ecx; neg eax;
        and eax, edx; or eax, edx; and ecx, edx
        """,
        "a: eax ecx; b: ecx eax; c: eax edx; d: ecx edx; e: edx eax",
        """
        abs          abe     eax = (x ^ sar(x, 31)) - sar(x, 31)
        neg_abs      abe     eax = sar(x, 31) - (x ^ sar(x, 31))
        sign_bit     be      eax = x >> 31
        sign_mask    be      eax = sar(x, 31)
        cond_neg     abcd    eax = (x ^ sar(y, 31)) - sar(y, 31)
        relu         abe     eax = x & ~sar(x, 31)
        signs_differ acd     eax = (x ^ y) >> 31
        sign         abe     eax = sar(x, 31) | (-x >> 31)
        select       abcde   eax = y & sar(x, 31)
        xor_sign     abcde   eax = x ^ sar(y, 31)
        differ_mask  acd     eax = sar(x ^ y, 31)
        add_sign     abcde   eax = x + sar(y, 31)
        or_sign      abe     eax = x | sar(x, 31)
        abs_less     ab      eax = (x ^ sar(x, 31)) - sar(x, 31) - y
        fold         abe     eax = x ^ sar(x, 31)
        less_sign    abe     eax = x - sar(x, 31)
        positive     abe     eax = -x >> 31
        neg_relu     abe     eax = x & sar(x, 31)
        """,
    ),
    Shop(
        "order",
        "Minima, maxima and sorting, by comparison and conditional moves.",
        7,
        """
        mov edx, eax; mov eax, ecx; mov ecx, edx; cmp eax, ecx; cmp edx, ecx; cmp eax, edx;
        cmovl eax, ecx; cmovg eax, ecx; cmovb eax, ecx; cmovg ecx, edx; cmovl ecx, edx;
        cmova eax, ecx; cmovl eax, edx; cmovg eax, edx; sub eax, ecx; sub ecx, edx
        """,
        "a: eax ecx; b: ecx eax; c: eax edx; d: ecx edx; e: edx eax",
        """
        max          acd     eax = smax(x, y)
        min          acd     eax = smin(x, y)
        umax         acd     eax = umax(x, y)
        umin         acd     eax = umin(x, y)
        spread       acd     eax = smax(x, y) - smin(x, y)
        above        abcde   eax = smax(x, y) - y
        below        abcde   eax = smin(x, y) - y
        uabove       abcde   eax = umax(x, y) - y
        uspread      acd     eax = umax(x, y) - umin(x, y)
        ubelow       abcde   eax = umin(x, y) - y
        sort         acd     eax = smin(x, y); ecx = smax(x, y)
        sort_down    acd     eax = smax(x, y); ecx = smin(x, y)
        swap         acd     eax = y; ecx = x
        min_less_max acd     eax = smin(x, y) - smax(x, y)
        """,
    ),
    Shop(
        "store",
        "Words of memory: loads of 4 cycles, stores, and what lies between.",
        12,
        """
        mov ecx, eax; mov eax, ecx; add eax, ecx; sub eax, ecx; neg eax; xor eax, ecx;
        cmp eax, ecx; cmovg eax, ecx; cmovl eax, ecx; mov eax, [rdi]; mov ecx, [rdi+4];
        mov [rdi], eax; mov [rdi], ecx; mov [rdi+4], eax; mov [rdi+4], ecx
        """,
        "a: eax ecx; b: [rdi] [rdi+4]; c: [rdi+4] [rdi]; d: eax [rdi]; e: [rdi] eax; f: ecx [rdi]",
        """
        add_kept     abdf    [rdi] = x + y
        sub_kept     abdef   [rdi] = x - y
        xor_kept     abdf    [rdi] = x ^ y
        max_kept     adf     [rdi] = smax(x, y)
        min_kept     adf     [rdi] = smin(x, y)
        neg_kept     abcf    [rdi] = -x
        load_add     bdf     eax = x + y
        load_sub     bcdef   eax = x - y
        load_max     bdf     eax = smax(x, y)
        swap_memory  abe     [rdi] = y; [rdi+4] = x
        both         abcf    [rdi] = x; [rdi+4] = x
        sum_both     adf     [rdi] = x + y; [rdi+4] = x + y
        """,
    ),
)

# x and y of each test vector, as signed numbers.
_PAIRS: Final = (
    (5, 5),
    (1, 2),
    (4, 7),
    (-6, 3),
    (0x7FFFFFFF, -1),
    (-8, -3),
    (12, 10),
    (-1, 0),
    (0, 1),
    (-(2**31), 2**31 - 1),
    (0x55AA00FF, 0x0F0F1234),
    (-1195888233, -1650829966),
    (0, -(2**31)),
    (-1, -90054423),
    (-(2**31), 128),
    (123456789, -987654321),
)
VECTORS: Final[UInt32[np.ndarray, "2 16"]] = np.array(_PAIRS, np.int64).T.astype(np.uint32).copy()


@cache
def workshop(quick: bool = False) -> Jobs:
    """All jobs with their crews, on `VECTORS`; a part of them for a quick look."""
    crews = tuple(crew(shop.name, shop.program) for shop in SHOPS)
    jobs = [job for number in range(len(SHOPS)) for job in _jobs(number)]
    return Jobs(crews, tuple(jobs[::QUICK_EVERY] if quick else jobs), VECTORS)


def centralised(jobs: Jobs) -> Jobs:
    """The same jobs, each done by one agent that writes every instruction of the crew itself."""
    return Jobs(tuple(_alone(one) for one in jobs.crews), jobs.jobs, jobs.vectors)


def _alone(one: Crew) -> Crew:
    return alone(one.name, [instruction for menu in one.menus for instruction in menu])


def _jobs(number: int) -> list[Job]:
    """The jobs of one shop."""
    shop, found = SHOPS[number], []
    program, placements = shop.program, shop.placements
    for line in shop.tasks.strip().splitlines():
        name, letters, wanted = line.split(maxsplit=2)
        pairs = [one.split(" = ") for one in wanted.split("; ")]
        outputs = tuple(
            Output(WORDS.index(word.strip()), parse_expression(text, ("x", "y")))
            for word, text in pairs
        )
        needed = {
            used for output in outputs if output.expression for used in names(output.expression)
        }
        given = ("x", "y") if "y" in needed else ("x",)
        for letter in letters:
            inputs = tuple(
                Input(of, word) for of, word in zip(given, placements[letter], strict=False)
            )
            places = ", ".join(f"{one.name} in {WORDS[one.word]}" for one in inputs)
            task = Task(
                f"{shop.name}-{name}-{letter}",
                f"{wanted} ({places})",
                inputs,
                outputs,
                LONGEST,
                program,
            )
            found.append(Job(task, number, shop.steps))
    return found
