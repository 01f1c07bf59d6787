"""What the report's template shows, and how figures are put in words. Knows no runs and no files."""

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from models.evaluation import Interval
from models.groups import Group
from models.words import signed
from training.compare.statistics import Difference, Spread

NO_SPECIES = "no species"
NO_TEST_PHOTOS = "no test photos"

SYMBOLS: dict[Group, str] = {"head": "●", "middle": "■", "tail": "◆"}
"""A sign for each group, so that colour is never the only difference; the pages of the service use the same."""

Kind = Literal["", "number", "head", "middle", "tail", "shade"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table. ``mark`` sets it off in words and weight; ``shade`` is in 0 to 1."""

    text: str
    kind: Kind = ""
    mark: str = ""
    shade: float = 0.0


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it. ``csv``: the file that holds more of it."""

    caption: str
    columns: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    csv: str = ""
    tall: bool = False


@dataclass(frozen=True)
class Plot:
    """An inline SVG with a title in words; the table beside it holds its figures."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Photo:
    """A test photo and its heatmap, as ``data:`` addresses."""

    photo: str
    heatmap: str
    true: str
    predicted: str
    confidence: str
    training_count: str
    right: bool


@dataclass(frozen=True)
class PhotoRow:
    """Photos that show one thing."""

    heading: str
    text: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class Section:
    """A numbered part of the report. Tables stand ``beside`` the plots or under them; ``matrices`` have narrow columns
    whose names stand upright. ``lines`` is a list; ``code`` is shown as it is typed.
    """

    id: str
    heading: str
    text: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    beside: tuple[Table, ...] = ()
    tables: tuple[Table, ...] = ()
    matrices: tuple[Table, ...] = ()
    photo_rows: tuple[PhotoRow, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole report. ``answers`` are its findings in a sentence each."""

    title: str
    lede: str
    answers: tuple[str, ...]
    sections: tuple[Section, ...]


def percent(value: float) -> str:
    """A share in percent, one decimal.

    >>> percent(0.789)
    '78.9%'
    """
    return f"{100 * value:.1f}%"


def spread_words(found: Spread | None, absent: str = NO_SPECIES) -> str:
    """Mean and deviation in percent, the deviation only where there are several seeds.

    >>> spread_words(Spread(0.789, 0.0123, 3)), spread_words(Spread(0.5, None, 1)), spread_words(None)
    ('78.9 ± 1.2', '50.0', 'no species')
    """
    if found is None:
        return absent
    words = f"{100 * found.mean:.1f}"
    return words if found.deviation is None else f"{words} ± {100 * found.deviation:.1f}"


def points(value: float) -> str:
    """A difference in percentage points, with its sign.

    >>> points(0.012), points(-0.034), points(0.0001)
    ('+1.2', '−3.4', '0.0')
    """
    return signed(100 * value)


def interval_words(interval: Interval) -> str:
    """An interval of differences in percentage points.

    >>> interval_words((-0.012, 0.034))
    '−1.2 to +3.4'
    """
    return f"{points(interval[0])} to {points(interval[1])}"


def p_words(p: float) -> str:
    """A p-value.

    >>> p_words(0.0004), p_words(0.04), p_words(1.0)
    ('<0.001', '0.040', '1.000')
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def difference_words(found: Difference | None, absent: str = NO_SPECIES) -> str:
    """A difference with its interval.

    >>> difference_words(Difference(0.02, (-0.01, 0.05), 0.2))
    '+2.0 (−1.0 to +5.0)'
    """
    return absent if found is None else f"{points(found.value)} ({interval_words(found.interval)})"


def text_cell(text: str, mark: str = "") -> Cell:
    """A cell of words."""
    return Cell(text, mark=mark)


def number_cell(text: str, mark: str = "") -> Cell:
    """A cell of a figure, set to the right."""
    return Cell(text, "number", mark)


def headings(words: str, numbers: str, *groups: Group) -> tuple[Cell, ...]:
    """Column names: words, then figures, then groups with their signs. ``|`` stands between names."""
    return (
        *(Cell(name) for name in words.split("|") if name),
        *(Cell(name, "number") for name in numbers.split("|") if name),
        *(Cell(f"{SYMBOLS[group]} {group}", group) for group in groups),
    )
