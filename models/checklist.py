"""A list of the species that are expected somewhere, or at some time of the year: its CSV and the faults in it. Pure.

Columns: ``scientific_name``; ``weeks``, the ISO weeks in which it is expected (``18-24``, ``48-6`` over the new year,
several with a semicolon or a space between; empty: all year); ``weight``, how often it is expected beside the others
(empty: 1; 0: never). A comma, a semicolon or a tab between the columns, as spreadsheets write them.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

NAME, WEEKS, WEIGHT = "scientific_name", "weeks", "weight"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    NAME: (NAME, "scientificname", "species", "name", "taxon"),
    WEEKS: (WEEKS,),
    WEIGHT: (WEIGHT,),
}
"""What a column may be called, in any case."""

MAX_BYTES, MAX_ROWS, MAX_NAME = 800_000, 20_000, 200
MAX_WEIGHT = 1e6
MOST_FAULTS = 20
"""A list with more is not the file that was meant."""

_WEEK_RANGE = re.compile(
    r"^(\d{1,2})(?:[-\u2013](\d{1,2}))?$"
)  # hyphen, or the dash that spreadsheets make of it
_WIDE_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


class Expected(NamedTuple):
    """One species of a list. ``weeks``: ISO weeks, rising; empty for all year. ``weight`` 0: never there."""

    name: str
    weeks: tuple[int, ...] = ()
    weight: float = 1.0
    row: int = 0


class Fault(NamedTuple):
    """What is wrong in one row; rows count from 1, the header."""

    row: int
    message: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.message}"


class BadChecklist(ValueError):
    """A list that is refused, with every fault that was found (the first ``MOST_FAULTS``)."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


@dataclass(frozen=True)
class Checklist:
    """What a CSV says, in its order, and which of its columns were not read."""

    species: tuple[Expected, ...]
    ignored_columns: tuple[str, ...] = ()

    def csv(self) -> str:
        """The list as it is kept: the three columns, read again without loss.

        >>> Checklist((Expected("Agrotis ipsilon", (1, 52, 53), 0.5),)).csv().splitlines()
        ['scientific_name,weeks,weight', 'Agrotis ipsilon,1 52-53,0.5']
        """
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((NAME, WEEKS, WEIGHT))
        writer.writerows(
            (each.name, weeks_words(each.weeks), _weight_words(each.weight)) for each in self.species
        )
        return stream.getvalue()


def parse_checklist(data: bytes) -> Checklist:
    """The list of a file as somebody sends it. Raises BadChecklist with the row of each fault.

    >>> found = parse_checklist("species;weeks\\nAgrotis ipsilon;51-2\\n".encode())
    >>> found.species[0].weeks
    (1, 2, 51, 52, 53)
    """
    return parse_kept(list_text(data))


def parse_kept(text: str) -> Checklist:
    """The list of a text, such as ``Checklist.csv`` gives, of any length: what is kept has more bytes than what was
    sent, so the limit of a file is no limit of this. Raises as ``parse_checklist``.
    """
    rows = _rows(text)
    if not rows:
        raise BadChecklist([Fault(1, f"the file is empty; expected a header with {NAME}")])
    header = [cell.strip() for cell in rows[0][1]]
    places, ignored = _columns(header)
    if len(rows) - 1 > MAX_ROWS:
        raise BadChecklist([Fault(rows[MAX_ROWS + 1][0], f"at most {MAX_ROWS:,} species in one list")])
    species, faults = _read(rows[1:], places, len(header))
    if not species and not faults:
        faults = [Fault(rows[0][0], "no species stands below the header")]
    if faults:
        raise BadChecklist(faults[:MOST_FAULTS])
    return Checklist(tuple(species), ignored)


def parse_weeks(text: str) -> tuple[int, ...]:
    """ISO weeks 1 to 53 of a cell, rising. Raises ValueError with what was expected.

    >>> parse_weeks("18-20; 33"), parse_weeks("52-2"), parse_weeks("")
    ((18, 19, 20, 33), (1, 2, 52, 53), ())
    """
    found: set[int] = set()
    for part in re.split(r"[;,\s]+", re.sub(r"\s*([-\u2013])\s*", r"\1", text.strip())):
        if not part:
            continue
        match = _WEEK_RANGE.match(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not (1 <= first <= 53 and 1 <= last <= 53):
            raise ValueError(
                f"weeks {part!r} is no ISO week 1 to 53 and no range such as 18-24 (48-6 goes over the new year)"
            )
        found |= set(range(first, last + 1) if first <= last else [*range(first, 54), *range(1, last + 1)])
    return tuple(sorted(found))


def weeks_words(weeks: Iterable[int]) -> str:
    """Weeks as a cell has them.

    >>> weeks_words((1, 2, 3, 9)), weeks_words(())
    ('1-3 9', '')
    """
    runs: list[list[int]] = []
    for week in weeks:
        if runs and week == runs[-1][-1] + 1:
            runs[-1].append(week)
        else:
            runs.append([week])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def plain_name(name: str) -> str:
    """A name as names are compared: lower case, one space between words, underscores as spaces.

    >>> plain_name(" Noctua_pronuba  ")
    'noctua pronuba'
    """
    return " ".join(name.replace("_", " ").casefold().split())


def list_text(data: bytes) -> str:
    """The text of a file. Raises BadChecklist for one that is too large, or not in UTF-8."""
    if len(data) > MAX_BYTES:
        raise BadChecklist([Fault(1, f"the file has more than {MAX_BYTES:,} bytes, the most of a list")])
    if data.startswith(_WIDE_ENCODINGS) or b"\0" in data[:1000]:
        raise BadChecklist([Fault(1, "is UTF-16 or no text; save the list as CSV in UTF-8")])
    try:
        return data.decode("utf-8-sig")  # spreadsheets begin UTF-8 with a byte order mark
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise BadChecklist([Fault(row, "is not UTF-8; save the list as 'CSV UTF-8'")]) from error


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """Rows with their numbers; empty ones are left out."""
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise BadChecklist([Fault(reader.line_num, f"is not CSV ({error})")]) from error
    return rows


def _columns(header: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Where each column stands, and which are not read. A misspelt one must not be ignored in silence."""
    lowered = [name.lower() for name in header]
    places = {
        column: next(lowered.index(name) for name in names if name in lowered)
        for column, names in COLUMNS.items()
        if set(names) & set(lowered)
    }
    if NAME not in places:
        found = ", ".join(header)[:200]
        raise BadChecklist([Fault(1, f"no column {NAME}; the columns here are {found}")])
    ignored = [name for place, name in enumerate(header) if place not in places.values()]
    for name in ignored:
        near = get_close_matches(name.lower(), [WEEKS, WEIGHT], n=1)
        if near or name.lower() in (WEEKS, WEIGHT, NAME):
            raise BadChecklist([Fault(1, f"column {name!r} is not known; {near[0] if near else name}?")])
    return places, tuple(name for name in ignored if name)


def _read(
    rows: Sequence[tuple[int, list[str]]], places: Mapping[str, int], num_columns: int
) -> tuple[list[Expected], list[Fault]]:
    species: list[Expected] = []
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        if len(row) > num_columns and any(cell.strip() for cell in row[num_columns:]):
            faults.append(Fault(number, f"has {len(row)} columns, the header {num_columns}"))
            continue
        cells = {column: row[place].strip() if place < len(row) else "" for column, place in places.items()}
        try:
            found = _species(number, cells)
        except ValueError as error:
            faults.append(Fault(number, str(error)))
            continue
        plain = plain_name(found.name)
        if plain in seen:
            faults.append(Fault(number, f"{found.name} stands in row {seen[plain]} already"))
        seen.setdefault(plain, number)
        species.append(found)
    return species, faults


def _species(number: int, cells: Mapping[str, str]) -> Expected:
    name = " ".join(cells[NAME].split())
    if not name:
        raise ValueError("has no name")
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(
            f"the name is longer than {MAX_NAME} characters, or holds one that cannot be printed"
        )
    if not (name[0].isalpha() or name[0] == "\u00d7"):
        raise ValueError(f"{name[:40]!r} does not begin with a letter, as scientific names do")
    return Expected(name, parse_weeks(cells.get(WEEKS, "")), _weight(cells.get(WEIGHT, "")), number)


def _weight_words(weight: float) -> str:
    """The shortest text that is read as this very number.

    >>> _weight_words(1.0), _weight_words(0.1234567)
    ('1', '0.1234567')
    """
    return repr(weight).removesuffix(".0")


def _weight(text: str) -> float:
    if not text:
        return 1.0
    try:
        weight = float(text.replace(",", "."))
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"weight {text[:40]!r} is not a number from 0 to {MAX_WEIGHT:,.0f}")
    return weight
