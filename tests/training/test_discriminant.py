"""A discriminant beside the trained head: against scikit-learn's, and what a class of few photos gets of it."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from training.discriminant import LinearHead, blend, discriminant_head

C, D = 6, 12
Drawn = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def draw() -> Callable[[list[int]], Drawn]:
    """Photos of C classes in D dimensions, as many of each as asked for; each call draws other ones."""
    rng = np.random.default_rng(3)
    means = rng.normal(size=(C, D))

    def drawn(counts: list[int]) -> Drawn:
        labels = np.repeat(np.arange(C), counts)
        return means[labels] + rng.normal(scale=0.8, size=(len(labels), D)), labels

    return drawn


def test_its_directions_are_those_of_scikit_learn(draw: Callable[[list[int]], Drawn]) -> None:
    x, labels = draw([9] * C)
    ours = discriminant_head(x, labels, C, ridge=0.3).weight_CD
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3, priors=[1 / C] * C).fit(x, labels).coef_
    theirs = peer - peer.mean(axis=0)
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines == pytest.approx(np.ones(C), abs=1e-9)


def test_every_class_has_the_same_length_whatever_its_count(draw: Callable[[list[int]], Drawn]) -> None:
    x, labels = draw([40, 20, 10, 4, 2, 1])
    head = discriminant_head(x, labels, C)
    means = np.stack([x[labels == c].mean(axis=0) for c in range(C)])
    residual = x - means[labels]
    covariance = residual.T @ residual / len(x)
    ridged = (covariance + np.trace(covariance) / D * np.eye(D)) / 2
    lengths = np.einsum("cd,de,ce->c", head.weight_CD, ridged, head.weight_CD)
    assert lengths == pytest.approx(np.ones(C))


def test_it_names_more_of_a_class_of_two_photos_than_the_plain_discriminant(
    draw: Callable[[list[int]], Drawn],
) -> None:
    ours = plain = 0
    for _ in range(20):
        x, labels = draw([12, 12, 12, 2, 2, 2])
        test_x, test_labels = draw([0, 0, 0, 30, 30, 30])
        ours += (discriminant_head(x, labels, C).logits(test_x).argmax(1) == test_labels).sum()
        peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5, priors=[1 / C] * C).fit(x, labels)
        plain += (peer.predict(test_x) == test_labels).sum()
    assert ours > plain


def test_a_shift_of_all_embeddings_changes_no_logit(draw: Callable[[list[int]], Drawn]) -> None:
    x, labels = draw([5] * C)
    shifted = discriminant_head(x + 7.0, labels, C)
    assert shifted.logits(x + 7.0) == pytest.approx(discriminant_head(x, labels, C).logits(x), abs=1e-8)


def test_a_class_without_a_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="photo of every class"):
        discriminant_head(np.ones((2, 3)), np.array([0, 0]), 2)


def test_no_share_is_the_trained_head_and_all_of_it_decides_as_the_other(
    draw: Callable[[list[int]], Drawn],
) -> None:
    x, labels = draw([5] * C)
    rng = np.random.default_rng(0)
    trained, other = LinearHead(rng.normal(size=(C, D)), rng.normal(size=C)), discriminant_head(x, labels, C)
    assert (blend(trained, other, x, 0.0).weight_CD == trained.weight_CD).all()
    assert (blend(trained, other, x, 1.0).logits(x).argmax(1) == other.logits(x).argmax(1)).all()
