"""Several photos of one animal against counts by hand."""

import numpy as np
import pytest

from models.decision import combine_photos
from models.groups import Group
from models.metrics import wilson
from models.several import draw_sightings, several_report

GROUPS: tuple[Group, ...] = ("head", "tail")
SURE, TORN, WRONG = np.array([0.9, 0.1]), np.array([0.45, 0.55]), np.array([0.2, 0.8])


def test_no_photo_is_drawn_twice_and_no_animal_shares_a_sighting() -> None:
    animals = ["a"] * 5 + ["b"] * 2 + [None] * 4 + ["c"]
    drawn = draw_sightings(animals, 2, seed=3)
    assert len(set(drawn.ravel().tolist())) == drawn.size == 6
    assert all(len({animals[place] for place in sighting}) == 1 for sighting in drawn)
    assert {animals[place] for place in drawn.ravel()} == {"a", "b"}
    assert (draw_sightings(animals, 2, seed=3) == drawn).all()
    assert draw_sightings(animals, 6).shape == (0, 6)


def test_a_second_photo_mends_what_the_first_got_wrong() -> None:
    sightings = [np.stack([TORN, SURE]), np.stack([SURE, SURE]), np.stack([1 - WRONG, 1 - SURE])]
    found = several_report("session", sightings, np.array([0, 0, 1]), GROUPS)
    whole, head, tail = found.groups
    assert (found.animal, found.num_photos, whole.num_animals) == ("session", 2, 3)
    assert whole.single.value == pytest.approx(1 / 3)
    assert whole.combined.value == 1.0
    assert whole.combined.interval == wilson(3, 3)
    assert whole.gain == pytest.approx(2 / 3)
    assert whole.gain_interval[0] < whole.gain < whole.gain_interval[1]
    assert head.stated == pytest.approx(np.mean([combine_photos(each).max() for each in sightings[:2]]))
    assert (tail.num_animals, tail.single.value, tail.combined.value) == (1, 0.0, 1.0)
    assert whole.by_embedding is None


def test_a_second_photo_can_also_mislead_and_the_gain_says_so() -> None:
    found = several_report("species", [np.stack([1 - TORN, WRONG])], np.array([0]), GROUPS)
    assert found.groups[0].gain == -1.0


def test_the_mean_of_embeddings_is_judged_beside_it() -> None:
    sightings = [np.stack([SURE, SURE]), np.stack([SURE, SURE])]
    other = np.stack([SURE, WRONG])
    found = several_report("species", sightings, np.array([0, 0]), GROUPS, by_embedding_MC=other)
    assert found.groups[0].by_embedding is not None
    assert found.groups[0].by_embedding.value == 0.5


def test_without_a_sighting_nothing_is_reported() -> None:
    with pytest.raises(ValueError, match="no sighting"):
        several_report("species", [], np.zeros(0, dtype=np.int64), GROUPS)
