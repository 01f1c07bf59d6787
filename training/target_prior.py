"""Logits for another place or season than the training photos': their prior out, a target prior in.

Legend: N images, C classes.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.card import ModelCard
from models.target_prior import log_prior_left
from training.post_hoc import adjust_logits

UNIFORM = "uniform"


def read_target(word: str, labels: Sequence[str]) -> NDArray[np.float64]:
    """log of the prior that a user asks for [C]: ``uniform``, or a JSON file that gives each label a share or count.

    Raises ValueError naming the file and the labels that are unknown, missing or not above zero.
    """
    if word == UNIFORM:
        return np.full(len(labels), -np.log(len(labels)))
    try:
        shares = json.loads(Path(word).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{word}: neither {UNIFORM!r} nor a JSON file of shares: {error}") from error
    if not isinstance(shares, dict):
        raise ValueError(f"{word}: expected an object of label to share")
    if unknown := sorted(set(shares) - set(labels)):
        raise ValueError(f"{word}: unknown label {unknown[0]!r}")
    bad = [
        label for label in labels if not (isinstance(shares.get(label), int | float) and shares[label] > 0)
    ]
    if bad:
        raise ValueError(
            f"{word}: {bad[0]!r} needs a share above zero; a species that never comes gets a small one"
        )
    target_C = np.array([shares[label] for label in labels], dtype=np.float64)
    log_target_C: NDArray[np.float64] = np.log(target_C / target_C.sum())
    return log_target_C


def prior_of_card(card: ModelCard) -> NDArray[np.float64] | None:
    """log of the prior in a bundle's logits [C], up to a constant; None where the card cannot say."""
    return None if card.logit_prior == "partial" else log_prior_left(card.logit_prior, card.learnt_counts)


def answer_for(
    logits_NC: NDArray[np.float64], prior_C: NDArray[np.float64] | None, log_target_C: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Logits with the prior that they carry exchanged for the target. Raises ValueError where nobody knows it."""
    if prior_C is None:
        raise ValueError(
            "which prior these logits carry cannot be derived, so it cannot be exchanged for another"
        )
    return adjust_logits(logits_NC, prior_C, log_target_C=log_target_C)
