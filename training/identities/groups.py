"""Identities of head, middle and tail, which every figure of the tail stands on."""

import numpy as np

from models.groups import DEFAULT_RULE, choose_rule
from models.metrics import evaluate
from training.identities.check import Checks

CHECKS = Checks()


@CHECKS.add("groups", "by training images: head over 100, tail under 20, and 20 and 100 are middle")
def _cut_offs() -> bool:
    return DEFAULT_RULE.assign([101, 100, 20, 19]) == ("head", "middle", "middle", "tail")


@CHECKS.add("groups", "where the cut-offs leave a group empty, terciles take their place and none is empty")
def _terciles() -> bool:
    counts = [9, 8, 7, 3, 2, 1]
    rule = choose_rule(counts)
    return (
        rule.kind == "terciles"
        and sorted(rule.assign(counts)) == ["head"] * 2 + ["middle"] * 2 + ["tail"] * 2
    )


@CHECKS.add(
    "groups",
    "a group's recall is the mean of its species', and of a group without species there is none, not 0",
)
def _mean_over_species() -> bool:
    labels_N = np.array([0, 0, 0, 1, 2])
    chances_NC = np.eye(3)[[0, 0, 0, 2, 2]]
    found = evaluate(
        chances_NC,
        labels_N,
        class_labels=("a", "b", "c"),
        training_counts=(9, 8, 1),
        groups=("head", "head", "tail"),
        split="val",
        data_sha256="0" * 64,
    )
    head, tail, middle = (found.group(group).recall for group in ("head", "tail", "middle"))
    return (
        head is not None and head.value == 0.5 and tail is not None and tail.value == 1.0 and middle is None
    )
