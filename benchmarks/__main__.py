"""`python -m benchmarks [NAME] [--quick] [--json]`: run one benchmark, or all, or list them.

A benchmark is a module of this package with a docstring and `run(quick) -> list of rows`. A row
names what was measured, the competitor, both times in seconds, and their ratio (theirs / ours).
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import platform
import sys
from importlib import import_module
from typing import Any

import benchmarks

Row = dict[str, Any]


def names() -> list[str]:
    """The benchmarks there are."""
    modules = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in modules if not name.startswith("_"))


def show(row: Row) -> str:
    """One line for people."""
    numbers = {
        key: f"{value:.3g}" if isinstance(value, float) else str(value)
        for key, value in row.items()
    }
    return "  ".join(f"{key} {text}" for key, text in numbers.items())


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("name", nargs="?", choices=names(), help="one benchmark; without, all")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--json", action="store_true", help="rows as JSON on standard output")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and stop")
    chosen = parser.parse_args(arguments)
    if chosen.list:
        sys.stdout.writelines(f"{name}\n" for name in names())
        return 0
    report: dict[str, list[Row]] = {}
    for name in [chosen.name] if chosen.name else names():
        module = import_module(f"benchmarks.{name}")
        if not chosen.json:
            sys.stdout.write(f"{name}: {(module.__doc__ or '').splitlines()[0]}\n")
        report[name] = module.run(chosen.quick)
        if not chosen.json:
            sys.stdout.writelines(f"  {show(row)}\n" for row in report[name])
    if chosen.json:
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        json.dump({"machine": machine, "benchmarks": report}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
