"""Scores against definitions, the rule's words, and a file that others made."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.groups import Group
from models.unknown import (
    GroupThreshold,
    ScorePart,
    Space,
    UnknownJudge,
    UnknownRule,
    combined,
    distances,
    energy,
    max_logit,
    verdict,
)
from models.unknown_file import dump_space, parse_space
from training.unknown import span

GROUPS: tuple[Group, ...] = ("head", "middle", "tail")


def rule(**changes: Any) -> UnknownRule:
    """A rule of the Mahalanobis distance with thresholds 10, 20 and 30."""
    thresholds = tuple(
        GroupThreshold(group=group, threshold=10.0 * (place + 1), num_images=40)
        for place, group in enumerate(GROUPS)
    )
    values = {
        "name": "mahalanobis",
        "parts": (ScorePart(score="mahalanobis"),),
        "false_rejection": 0.05,
        "thresholds": thresholds,
        "moth_up_to": 2.0,
        "foreign_from": 5.0,
        "fitted_on": "drawn numbers",
        "num_images": 120,
    }
    return UnknownRule.model_validate({**values, **changes})


def drawn_space(seed: int = 0, *, num_photos: int = 300, dim: int = 12) -> tuple[np.ndarray[Any, Any], Space]:
    """L2-normalised embeddings of three classes, and the space that they span."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_photos) % 3
    embeddings = rng.normal(size=(3, dim))[labels] + rng.normal(0, 0.2, (num_photos, dim))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings, span(embeddings, labels, 3).space


def test_one_logit_that_stands_alone_has_the_energy_of_that_logit() -> None:
    logits = np.array([[30.0, 0.0, -5.0], [1000.0, 0.0, 0.0]])
    np.testing.assert_allclose(energy(logits), max_logit(logits), atol=1e-9)
    assert (energy(np.zeros((2, 3))) < max_logit(np.zeros((2, 3)))).all()


def test_the_distance_is_mahalanobis_own_where_the_axes_are_all_there_are() -> None:
    embeddings, space = drawn_space(num_photos=600, dim=5)
    assert space.axes_DE.shape == (5, 5)
    precision = space.axes_DE @ space.within_EE @ space.within_EE.T @ space.axes_DE.T
    means = space.means_CE @ np.linalg.inv(space.within_EE) @ space.axes_DE.T + space.centre_D
    away = embeddings[:, None, :] - means
    expected = np.einsum("ncd,de,nce->nc", away, precision, away).min(axis=1)
    np.testing.assert_allclose(distances(space, embeddings).nearest_N, expected, rtol=0.02, atol=0.02)


def test_without_its_own_class_a_photo_is_farther_from_all_means() -> None:
    embeddings, space = drawn_space()
    labels = np.arange(len(embeddings)) % 3
    near, without = distances(space, embeddings), distances(space, embeddings, without_N=labels)
    assert (without.nearest_N > near.nearest_N).mean() > 0.99
    np.testing.assert_array_equal(without.foreign_N, near.foreign_N)


def test_what_points_elsewhere_is_foreign() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(300) % 3
    known = np.zeros((300, 20))
    known[:, :6] = rng.normal(size=(3, 6))[labels] + rng.normal(0, 0.3, (300, 6))
    known[:, 6:] = rng.normal(0, 0.01, (300, 14))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    space = span(known, labels, 3).space
    elsewhere = np.eye(20)[10:14]
    assert distances(space, elsewhere).foreign_N.min() > 1.5 * distances(space, known).foreign_N.max()


@pytest.mark.parametrize(
    ("value", "foreign", "word"),
    [
        (10.0, 1.0, "known"),
        (10.1, 2.0, "unknown_moth"),
        (10.1, 3.0, "unclear"),
        (10.1, 5.1, "not_a_moth"),
        (1.0, 5.1, "not_a_moth"),
    ],
)
def test_the_words_follow_from_two_distances(value: float, foreign: float, word: str) -> None:
    assert verdict(rule(), value, foreign, threshold=10.0) == word


def test_a_species_is_held_to_the_threshold_of_its_own_group() -> None:
    embeddings, space = drawn_space()
    value = float(distances(space, embeddings[:1]).nearest_N[0])
    thresholds = [
        GroupThreshold(group=group, threshold=threshold, num_images=40)
        for group, threshold in zip(GROUPS, (value - 1, value, value + 1), strict=True)
    ]
    judge = UnknownJudge(rule(thresholds=thresholds, moth_up_to=90, foreign_from=99), space, GROUPS)
    verdicts = [judge.judge(np.zeros((1, 3)), embeddings[:1], named).verdict for named in range(3)]
    assert verdicts == ["unknown_moth", "known", "known"]


def test_several_photos_are_judged_by_the_mean_of_their_scores() -> None:
    embeddings, space = drawn_space()
    judge = UnknownJudge(rule(), space, GROUPS)
    alone = [judge.judge(np.zeros((1, 3)), embeddings[place : place + 1], 0).value for place in (0, 1)]
    both = judge.judge(np.zeros((2, 3)), embeddings[:2], 0)
    assert both.value == pytest.approx(np.mean(alone), rel=1e-5)


def test_two_scores_are_added_on_a_common_scale() -> None:
    parts = (
        ScorePart(score="max_logit", centre=1, spread=2),
        ScorePart(score="mahalanobis", centre=0, spread=4),
    )
    found = combined(parts, {"max_logit": np.array([5.0]), "mahalanobis": np.array([4.0])})
    assert found.tolist() == [3.0]


def test_a_rule_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="in this order"):
        rule(thresholds=rule().thresholds[:2])
    with pytest.raises(ValidationError, match="must not be above"):
        rule(moth_up_to=6.0)
    with pytest.raises(ValidationError, match="finite"):
        rule(foreign_from=float("nan"))


def test_the_file_gives_back_the_space_that_thresholds_were_fitted_with() -> None:
    _, space = drawn_space()
    again = parse_space(dump_space(space), num_classes=3, embedding_dim=12)
    for kept, given in zip(again, space, strict=True):
        np.testing.assert_array_equal(kept, given)
    assert dump_space(again) == dump_space(space)


def _archive(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_a_file_that_is_not_the_space_of_this_card_is_refused() -> None:
    _, space = drawn_space()
    arrays = {name: np.asarray(array) for name, array in space._asdict().items()}
    data = dump_space(space)
    cases: list[tuple[bytes, str]] = [
        (b"", "archive"),
        (data[: len(data) // 2], "archive"),
        (_archive(**{**arrays, "more": np.zeros(1)}), "must hold exactly"),
        (_archive(**{**arrays, "total_E": -arrays["total_E"]}), "positive"),
        (_archive(**{**arrays, "means_CE": arrays["means_CE"][:2]}), "means_CE"),
        (_archive(**{**arrays, "centre_D": arrays["centre_D"] * np.nan}), "finite"),
        (_archive(**{**arrays, "rest": np.float64(1)}), "rest is float64"),
        (_archive(**{**arrays, "centre_D": np.array([None] * 12)}), "centre_D is object"),
        (data.replace(b"(12,)", b"(99,)"), "archive|centre_D"),
    ]
    for broken, fault in cases:
        with pytest.raises(ValueError, match=fault):
            parse_space(broken, num_classes=3, embedding_dim=12)
    with pytest.raises(ValueError, match="centre_D"):
        parse_space(data, num_classes=3, embedding_dim=13)


def test_an_archive_that_would_unpack_to_gigabytes_is_not_unpacked() -> None:
    _, space = drawn_space()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in space._fields:
            archive.writestr(f"{name}.npy", b"\0" * 50_000_000)
    with pytest.raises(ValueError, match="compressed"):
        parse_space(stream.getvalue(), num_classes=3, embedding_dim=12)


def test_flipped_bits_are_refused_or_read_but_never_more() -> None:
    _, space = drawn_space()
    data, rng = dump_space(space), np.random.default_rng(7)
    for _ in range(200):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            broken[place] ^= 1 << int(rng.integers(0, 8))
        try:
            found = parse_space(bytes(broken), num_classes=3, embedding_dim=12)
        except ValueError:
            continue
        assert all(np.isfinite(array).all() for array in found)
