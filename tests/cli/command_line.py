"""How the tests start the command in a process of its own."""

import sys

PROGRAM = (sys.executable, "-c", "from batonq.cli.main import main; main()")
