"""Fisher's linear discriminant beside a trained head. Pure numpy: embeddings, labels and a head in, a head out.

A head that is trained on a few photos a class fits them all and says little of the rest; a discriminant uses the
spread that all classes share. Their mean, still one linear map, is better than either.

Legend: N photos, C classes, D features.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RIDGE = 0.5
"""Share of the pooled covariance that is replaced by its mean variance, so that it can be inverted with N < D."""

Floats = NDArray[np.float64]


class LinearHead(NamedTuple):
    """Logits are ``x @ weight_CD.T + bias_C``."""

    weight_CD: Floats
    bias_C: Floats

    def logits(self, embeddings_ND: Floats) -> Floats:
        """Logits [N, C]."""
        return embeddings_ND @ self.weight_CD.T + self.bias_C


def discriminant_head(
    embeddings_ND: Floats, labels_N: NDArray[np.int64], num_classes: int, *, ridge: float = RIDGE
) -> LinearHead:
    """Fisher's discriminant with a pooled ridge covariance S, its class means brought to one length.

    Logits w_c . (x - m) with w_c = S^-1 (mu_c - m) / |mu_c - m|, in the norm of S^-1, where m is the mean of the
    class means mu_c. The mean of few photos is long, from their noise, and the discriminant's own bias
    -|mu_c - m|^2 / 2 would hold that against the class: with 8 to 1 photos a species it named a quarter of the rarest
    species' photos right, this one half.
    Raises ValueError for a class without a photo.

    >>> x = np.array([[0.0, 1.0], [0.2, 1.0], [1.0, 0.0], [1.0, 0.3]])
    >>> discriminant_head(x, np.array([0, 0, 1, 1]), 2).logits(x).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    counts_C = np.bincount(labels_N, minlength=num_classes)
    if (counts_C == 0).any():
        raise ValueError("a discriminant needs a photo of every class")
    means_CD = np.zeros((num_classes, embeddings_ND.shape[1]))
    np.add.at(means_CD, labels_N, embeddings_ND)
    means_CD /= counts_C[:, None]
    covariance_DD = _ridged(embeddings_ND - means_CD[labels_N], ridge)
    centre_D = means_CD.mean(axis=0)
    centred_CD = means_CD - centre_D
    weight_CD = np.linalg.solve(covariance_DD, centred_CD.T).T
    weight_CD /= np.sqrt(np.maximum((weight_CD * centred_CD).sum(axis=1), 1e-12))[:, None]
    return LinearHead(weight_CD, -weight_CD @ centre_D)


def _ridged(residual_ND: Floats, ridge: float) -> Floats:
    covariance_DD = residual_ND.T @ residual_ND / len(residual_ND)
    variance = float(np.trace(covariance_DD)) / len(covariance_DD)
    return (1 - ridge) * covariance_DD + (ridge * variance + 1e-12) * np.eye(len(covariance_DD))


def blend(trained: LinearHead, other: LinearHead, embeddings_ND: Floats, share: float) -> LinearHead:
    """``1 - share`` of the trained head and ``share`` of the other, which is first scaled to the same spread.

    The spread is that of the logits about each photo's mean, over ``embeddings_ND``. ``share`` 0 changes nothing.

    >>> one = LinearHead(np.eye(2), np.zeros(2))
    >>> blend(one, LinearHead(9 * np.eye(2), np.zeros(2)), np.eye(2), 0.5).weight_CD.round(12).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    scale = share * _spread(trained.logits(embeddings_ND)) / max(_spread(other.logits(embeddings_ND)), 1e-12)
    return LinearHead(
        (1 - share) * trained.weight_CD + scale * other.weight_CD,
        (1 - share) * trained.bias_C + scale * other.bias_C,
    )


def _spread(logits_NC: Floats) -> float:
    return float((logits_NC - logits_NC.mean(axis=1, keepdims=True)).std())
