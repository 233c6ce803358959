from __future__ import annotations

# Imported before autodoc pretends to be a type checker, which pydantic's classes do not survive.
import fastapi  # noqa: F401
from sphinx.application import Sphinx

from batonq import __version__

project = "batonq"
author = "The batonq developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
napoleon_numpy_docstring = False
# What is not ours, and the plumbing below `train`, has no page here to link to.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!batonq\.).*"),
    (r"py:.*", r"batonq\.icq\.(finite|settings|\w*kernels)\..*"),
    (r"py:.*", r"batonq\.node\.(core|values|overview\.(view|fold)|store\.lock)\..*"),
    (r"py:.*", r"batonq\.tasks\.cpu\.learning\.(memory|play)\..*"),
    (r"py:.*", r"batonq\.llm\.retry\._T"),  # a type variable
]

html_theme = "furo"
html_title = f"batonq {version}"


def _escape_bars(*event: object) -> None:
    """Docstrings are plain text: |x| is an absolute value, not a substitution."""
    lines = event[-1]
    assert isinstance(lines, list)
    lines[:] = ["`".join(_outside(line.split("`"))) for line in lines]


def _outside(parts: list[str]) -> list[str]:
    """Escape bars in what stands outside of backticks: every other part."""
    return [part if k % 2 else part.replace("|", r"\|") for k, part in enumerate(parts)]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", _escape_bars)
