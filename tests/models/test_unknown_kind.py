"""Which kind of unknown an answer says, and faults of photos with their figures."""

import numpy as np
import pytest

from models.decision import Decision
from models.photo_faults import PhotoFault, edge_share, photo_faults
from models.preprocess import Preprocessing, fit
from models.taxonomy import Taxon
from models.unknown import Verdict
from models.unknown_kind import UnknownKind, with_unknown
from tests import drawn_photos

NAMED = Decision("species", Taxon(label="a"), 0.97, "a is 97% probable.")
NOTHING = Decision("unknown", None, None, "No species reaches the 90% asked for.")
DARK = (PhotoFault(fault="dark", value=0.1, limit=0.25),)
CUT = (PhotoFault(fault="cut_off", value=0.6, limit=0.4),)


@pytest.mark.parametrize(
    ("decided", "judged", "faults", "kind"),
    [
        (NAMED, "known", [()], None),
        (NAMED, "known", [DARK], None),
        (NAMED, "not_a_moth", [()], "not_a_moth"),
        (NAMED, "unknown_moth", [()], "unknown_moth"),
        (NAMED, "unclear", [()], "unclear"),
        (NOTHING, "known", [()], "undecided"),
        (NOTHING, "known", [CUT], "poor_photo"),
        (NAMED, "unclear", [CUT], "poor_photo"),
        (NAMED, "not_a_moth", [CUT], "not_a_moth"),
        (NAMED, "not_a_moth", [DARK], "poor_photo"),
        (NAMED, "unknown_moth", [DARK, ()], "unknown_moth"),
        (NAMED, "unknown_moth", [], "unknown_moth"),
    ],
)
def test_the_kind_follows_from_verdict_and_photos(
    decided: Decision, judged: Verdict, faults: list[tuple[PhotoFault, ...]], kind: UnknownKind | None
) -> None:
    settled, found = with_unknown(decided, judged, faults)
    assert found == kind
    assert settled.kind == ("species" if kind is None else "unknown")
    assert (settled.taxon, settled.probability) == (
        (decided.taxon, decided.probability) if kind is None else (None, None)
    )


def test_a_list_that_rules_out_what_is_shown_is_why_nothing_is_named_but_for_what_is_no_moth() -> None:
    assert with_unknown(NOTHING, "known", [DARK], excluded=True) == (NOTHING, "excluded")
    assert with_unknown(NOTHING, "not_a_moth", [()], excluded=True)[1] == "not_a_moth"
    assert with_unknown(NAMED, "known", [()], excluded=True) == (NAMED, None)


def test_a_poor_photo_says_what_was_measured() -> None:
    settled, _ = with_unknown(NOTHING, "known", [DARK, CUT])
    assert "reach 10% of full light (less than 25%" in settled.reason
    assert "photo 1 of 2" in settled.reason


@pytest.mark.parametrize("kind", range(7))
def test_a_good_photo_has_no_fault(kind: int) -> None:
    pixels = fit(drawn_photos.draw_moth(kind), Preprocessing(size_px=128))
    assert photo_faults(pixels, width_px=320, height_px=240) == ()


def test_a_photo_of_a_third_of_the_models_input_is_small() -> None:
    pixels = fit(drawn_photos.draw_moth(1), Preprocessing(size_px=128))
    found = photo_faults(pixels, width_px=41, height_px=200)
    assert [each.sentence() for each in found] == [
        "the photo is small: 41 pixels on its shorter side, of at least 42"
    ]
    assert photo_faults(pixels, width_px=42, height_px=200) == ()


def test_most_moths_that_are_cut_through_their_wings_are_cut_off() -> None:
    found = 0
    for kind in range(7):
        whole = drawn_photos.draw_moth(kind, size=(320, 320))
        part = fit(whole.crop((96, 0, 320, 320)).resize((320, 320)), Preprocessing(size_px=128))
        found += "cut_off" in [each.fault for each in photo_faults(part, width_px=320, height_px=320)]
    assert found >= 5


def test_a_background_that_is_not_plain_says_nothing_of_cut_off_animals() -> None:
    rng = np.random.default_rng(0)
    assert edge_share(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) is None


def test_a_plain_sheet_and_one_pixel_have_no_edge_to_measure() -> None:
    for size in (1, 2, 64):
        assert edge_share(np.full((size, size, 3), 200, np.uint8)) == 0.0
