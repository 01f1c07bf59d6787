"""Labels find room where there is some."""

import numpy as np

from training.compare.labels import Box, place_labels

FRAME = Box(0, 0, 300, 300)


def overlaps(boxes: list[Box]) -> int:
    return sum(one.overlap(other) > 0 for i, one in enumerate(boxes) for other in boxes[:i])


def test_labels_of_a_crowd_do_not_cover_each_other_or_a_point_and_stay_within_the_frame() -> None:
    rng = np.random.default_rng(2)
    points = [(float(x), float(y)) for x, y in rng.uniform(60, 240, (36, 2))]
    boxes = place_labels(points, [(14.0, 10.0)] * 36, FRAME)
    assert overlaps(boxes) == 0
    assert all(box.overlap(FRAME) > 0.999 * box.area for box in boxes)
    assert not any(box.left < x < box.right and box.bottom < y < box.top for box in boxes for x, y in points)


def test_a_label_stays_by_its_point() -> None:
    points = [(50.0, 50.0), (250.0, 250.0)]
    boxes = place_labels(points, [(40.0, 10.0), (40.0, 10.0)], FRAME)
    for (x, y), box in zip(points, boxes, strict=True):
        assert max(box.left - x, x - box.right, box.bottom - y, y - box.top) < 15


def test_points_on_one_spot_still_get_a_label_each() -> None:
    boxes = place_labels([(150.0, 150.0)] * 8, [(20.0, 10.0)] * 8, FRAME)
    assert overlaps(boxes) == 0
