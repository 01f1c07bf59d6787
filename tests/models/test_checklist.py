"""A list of species as biologists write it: what is read, and what is refused with its row."""

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.checklist import (
    MAX_BYTES,
    MAX_ROWS,
    MOST_FAULTS,
    BadChecklist,
    Checklist,
    Expected,
    parse_checklist,
    parse_kept,
    parse_weeks,
    weeks_words,
)
from models.place import Place, distance_km

HEADER = "scientific_name,weeks,weight\n"


def faults(text: str | bytes) -> list[str]:
    with pytest.raises(BadChecklist) as refused:
        parse_checklist(text if isinstance(text, bytes) else text.encode())
    return [str(fault) for fault in refused.value.faults]


def test_a_list_is_read_as_spreadsheets_of_any_country_write_it() -> None:
    plain = parse_checklist(f"{HEADER}Agrotis ipsilon,18-24,0.5\nNoctua comes,,\n".encode())
    assert [each[:3] for each in plain.species] == [
        ("Agrotis ipsilon", tuple(range(18, 25)), 0.5),
        ("Noctua comes", (), 1.0),
    ]
    semicolons = "\ufeffSpecies;Weeks;Weight\r\nAgrotis ipsilon;18\u201324;0,5\r\n\r\nNoctua comes;;\r\n"
    assert [each[:3] for each in parse_checklist(semicolons.encode()).species] == [
        each[:3] for each in plain.species
    ]
    tabs = "scientific_name\tweeks\nAgrotis ipsilon\t18-20 33\n"
    assert parse_checklist(tabs.encode()).species[0].weeks == (18, 19, 20, 33)
    old_mac = "scientific_name\rAgrotis ipsilon\rNoctua comes\r"
    assert len(parse_checklist(old_mac.encode()).species) == 2
    extra = parse_checklist(b'scientific_name,comment\nAgrotis ipsilon,"rare, at light"\n')
    assert extra.ignored_columns == ("comment",)
    both = parse_checklist(b"species,scientific_name\nOwlet,Agrotis ipsilon\n")
    assert (both.species[0].name, both.ignored_columns) == ("Agrotis ipsilon", ("species",))


def test_every_fault_is_named_with_its_row() -> None:
    text = f"{HEADER}Agrotis ipsilon,60,\n,18,\n=SUM(A1),,\nNoctua comes,,many\nnoctua_comes,,\nNoctua  comes,,-1\n"
    found = faults(text)
    assert [fault.partition(":")[0] for fault in found] == ["row 2", "row 3", "row 4", "row 5", "row 7"]
    assert "no ISO week 1 to 53" in found[0]
    assert "has no name" in found[1]
    assert "does not begin with a letter" in found[2]
    assert "weight 'many' is not a number" in found[3]
    twice = faults(f"{HEADER}Noctua comes,,\nApamea crenata,,\nnoctua_comes,,\n")
    assert twice == ["row 4: noctua_comes stands in row 2 already"]
    assert faults("scientific_name\nNoctua comes,18\n") == ["row 2: has 2 columns, the header 1"]
    assert len(faults(HEADER + "".join(f"Noctua n{n},99,\n" for n in range(100)))) == MOST_FAULTS


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (HEADER.encode(), "no species stands below the header"),
        (b"Agrotis ipsilon\nNoctua comes\n", "no column scientific_name"),
        (b"scientific_name,week\nNoctua comes,18\n", "column 'week' is not known; weeks?"),
        ("scientific_name\nNoctua comes\n".encode("utf-16"), "UTF-16"),
        ("scientific_name\nNoctua comes\nB\u00f6se\n".encode("latin-1"), "row 3: is not UTF-8"),
        (b'scientific_name\n"Noctua comes\n', "is not CSV"),
        (b"scientific_name\n" + b"x" * MAX_BYTES, "the most of a list"),
        (
            b"scientific_name\n" + b"".join(b"N n%d\n" % n for n in range(MAX_ROWS + 1)),
            "at most 20,000 species",
        ),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_what_to_do(data: bytes, why: str) -> None:
    assert why in faults(data)[0]


def test_weeks_wrap_over_the_new_year_and_come_back_as_they_were() -> None:
    assert parse_weeks("48-2") == (1, 2, 48, 49, 50, 51, 52, 53)
    assert parse_weeks("30 - 31, 40") == (30, 31, 40)
    for wrong in ("0", "54", "1-60", "a", "1--2", "1-2-3", "-3"):
        with pytest.raises(ValueError, match="ISO week"):
            parse_weeks(wrong)


@given(st.sets(st.integers(1, 53)))
def test_any_weeks_survive_being_written(weeks: set[int]) -> None:
    assert parse_weeks(weeks_words(sorted(weeks))) == tuple(sorted(weeks))


@given(st.binary(max_size=300))
def test_no_bytes_are_answered_with_anything_but_a_list_or_its_faults(data: bytes) -> None:
    for text in (data, HEADER.encode() + data):
        with contextlib.suppress(BadChecklist):
            assert parse_checklist(text).species


def test_a_list_that_was_kept_is_read_as_it_was() -> None:
    kept = Checklist((Expected("Noctua comes", (1, 2, 53), 0.25, 2), Expected("Apamea crenata", row=3)))
    assert parse_kept(kept.csv()) == kept


@given(
    name=st.from_regex(r"[A-Z][a-z]{1,9}[ '\",;\t\n\u2028.a-z\u00e0-\u0151]{1,30}", fullmatch=True),
    weight=st.floats(0, 1e6),
    weeks=st.sets(st.integers(1, 53)),
)
def test_any_list_that_is_taken_is_kept_without_loss(name: str, weight: float, weeks: set[int]) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerows([HEADER.strip().split(","), (name, weeks_words(sorted(weeks)), repr(weight))])
    try:
        taken = parse_checklist(stream.getvalue().encode())
    except BadChecklist:
        return
    assert taken.species[0][1:3] == (tuple(sorted(weeks)), weight)
    kept = parse_kept(taken.csv())
    assert [each[:3] for each in kept.species] == [each[:3] for each in taken.species]


def test_a_list_that_is_just_small_enough_to_be_sent_is_read_again_though_it_is_kept_with_more_bytes() -> (
    None
):
    names = [f"Agrotis x{number:x}".ljust(37, "y") for number in range(MAX_ROWS)]
    sent = "\n".join(["scientific_name", *names]).encode()
    taken = parse_checklist(sent)
    assert len(sent) < MAX_BYTES < len(taken.csv().encode())
    assert len(parse_kept(taken.csv()).species) == MAX_ROWS


def test_a_place_holds_what_is_near_it_also_over_the_date_line_and_at_the_poles() -> None:
    assert distance_km(48.2082, 16.3738, 47.0707, 15.4395) == pytest.approx(145, abs=1)  # Vienna to Graz
    assert distance_km(90, 0, 90, 137) == pytest.approx(0, abs=1e-6)
    assert distance_km(0, 0, 0, 180) == pytest.approx(20_015, abs=1)
    fiji = Place(decimal_latitude=-17, decimal_longitude=179.9, radius_km=50)
    assert fiji.holds(-17, -179.9)
    assert not fiji.holds(-17, 178)
