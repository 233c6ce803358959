"""The report: one page that loads nothing, with the figures in it; and the figures as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from batonq._version import __version__
from batonq.base.files import make_folder, write_bytes, write_text
from batonq.study.experiment import Drawing, Summary
from batonq.study.figures import files, inline
from batonq.study.folder import Identity, canonical
from batonq.study.tables import is_number, pivot, text


@dataclass(frozen=True)
class _Picture:
    name: str
    caption: str
    svg: str


def write_report(folder: Path, identity: Identity, summary: Summary, seconds: float) -> Path:
    """Write report.html and figures/*.svg|pdf into `folder`; the same summary, the same bytes.

    Args:
        folder: the run folder.
        identity: whose results they are.
        summary: what came out.
        seconds: time of the cells, summed.

    Returns:
        The path of report.html.

    Raises:
        DataError: if the folder cannot be written.
    """
    pictures = make_folder(folder / "figures")
    page = _template().render(
        title=f"batonq {identity.experiment}",
        identity=identity,
        config={key: canonical(value) for key, value in identity.config.items()},
        summary=summary,
        sections=[
            (section, [_save(pictures, drawing) for drawing in section.drawings])
            for section in summary.sections
        ],
        everything=pivot(summary.rows),
        seconds=seconds,
        version=__version__,
    )
    path = folder / "report.html"
    write_text(path, page)
    return path


def _save(folder: Path, drawing: Drawing) -> _Picture:
    figure = drawing.draw()
    vector, pdf = files(figure)
    write_text(folder / f"{drawing.name}.svg", vector)
    write_bytes(folder / f"{drawing.name}.pdf", pdf)
    svg = inline(figure, drawing.name, drawing.alt)
    return _Picture(drawing.name, drawing.caption, svg)


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("batonq.study"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cell=text, paragraphs=lambda words: words.split("\n\n"))
    environment.tests["figure"] = is_number
    return environment.get_template("report.html.j2")
