"""A matplotlib figure -> SVG for the middle of a page: text stays text, names stay apart from other plots'."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any, cast

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from models.groups import Group
from training.compare.page import Plot

INK, INK_SOFT, RULE, PAPER, ACCENT, LINK = "#272318", "#5d5644", "#d8cdb4", "#fffdf8", "#8a4b1a", "#1c5a63"
COLOURS: dict[Group, str] = {"head": "#1f6391", "middle": "#946600", "tail": "#a8326c"}
MARKERS: dict[Group, str] = {"head": "o", "middle": "s", "tail": "D"}
"""The palette of the service's pages by day."""

WIDTH_IN = 5.0
"""As narrow as a phone: there it is shown at its own size, and text stays readable."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lighttrap",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": INK_SOFT,
    "ytick.color": INK_SOFT,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "figure.dpi": 72,
    "hatch.linewidth": 0.6,
}
_HEADER = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'(<svg[^>]*?) width="[\d.]+pt"([^>]*?)>', re.DOTALL)
_HEIGHT = re.compile(r'(<svg[^>]*?) height="[\d.]+pt"', re.DOTALL)
_NAMES = re.compile(r'(\bid="|url\(#|href="#)')


@contextmanager
def drawing(height_in: float, *, width_in: float = WIDTH_IN) -> Iterator[tuple[Figure, Axes]]:
    """A figure in the report's style with one set of axes. Draw and call ``inline`` inside."""
    with matplotlib.rc_context(cast(Any, _STYLE)):  # its stub lists every key
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure, figure.subplots()


def inline(figure: Figure, name: str, caption: str) -> Plot:
    """The figure as SVG: sized by the page, named and described for who cannot see it, and the same each time."""
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    text = _METADATA.sub("", _HEADER.sub("", stream.getvalue()))
    text = _NAMES.sub(rf"\g<1>{name}-", text)
    text = _HEIGHT.sub(r"\1", _SIZE.sub(r"\1\2>", text, count=1), count=1)
    title = f'<title id="{name}-title">{escape(caption)}</title>'
    opened = text.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-title" ', 1)
    head, mark, rest = opened.partition(">")
    return Plot(Markup(head + mark + title + rest), caption)
