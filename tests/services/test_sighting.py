"""Place and week of several photos: what all agree on is used, what they do not is said."""

from collections.abc import Sequence
from datetime import datetime

from app.services.sighting import Seen, Sighting, seen_at
from models.exif import PhotoMetadata

INNSBRUCK, HUNGERBURG, BERLIN = (47.2627, 11.3945), (47.2690, 11.3950), (52.52, 13.40)


def photo(moment: Sequence[int] | None = None, position: tuple[float, float] | None = None) -> PhotoMetadata:
    return PhotoMetadata(
        event_date=None if moment is None else _moment(*moment),
        decimal_latitude=position and position[0],
        decimal_longitude=position and position[1],
    )


def _moment(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, month, day, hour, minute)


def test_photos_without_place_or_date_disagree_with_nobody() -> None:
    assert seen_at([photo(), photo((7, 1), INNSBRUCK), photo()], Sighting()) == Seen((INNSBRUCK,), 27)
    assert seen_at([photo(), photo()], Sighting()) == Seen()


def test_a_phone_that_wanders_and_a_night_that_ends_a_week_are_one_sighting() -> None:
    found = seen_at([photo((7, 8, 0, 20), HUNGERBURG), photo((7, 7, 23, 50), INNSBRUCK)], Sighting())
    assert found == Seen((HUNGERBURG,), 27)


def test_places_far_apart_are_all_kept_and_said_in_any_order() -> None:
    for order in ((INNSBRUCK, BERLIN), (BERLIN, INNSBRUCK)):
        found = seen_at([photo(None, position) for position in order], Sighting())
        assert found.positions == order
        assert "up to 602 km apart" in found.disagreements[0]


def test_dates_of_different_weeks_give_no_week_and_those_of_one_week_give_it_with_a_word() -> None:
    apart = seen_at([photo((7, 1, 23)), photo((7, 20, 23))], Sighting())
    assert apart.week is None
    assert "from 2024-07-01 to 2024-07-20, by their own dates" in apart.disagreements[0]
    assert "No week is used" in apart.disagreements[0]
    within = seen_at([photo((7, 1, 23)), photo((7, 5, 23))], Sighting())
    assert within.week == 27
    assert "All are of one week, which is used" in within.disagreements[0]


def test_a_year_apart_is_not_one_week() -> None:
    old = PhotoMetadata(event_date=datetime(2023, 7, 4))
    assert seen_at([old, photo((7, 2))], Sighting()).week is None


def test_what_the_request_says_ends_the_disagreement() -> None:
    said = Sighting(datetime(2024, 6, 1), *INNSBRUCK)
    assert seen_at([photo((7, 1), BERLIN), photo((7, 20), INNSBRUCK)], said) == Seen((INNSBRUCK,), 22)
