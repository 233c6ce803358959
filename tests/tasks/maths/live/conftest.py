"""The scripted endpoint of the tests of language models serves the tests of live runs as well."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "llm"))
