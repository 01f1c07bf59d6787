"""What a rule for unknown things does to photos that it was not fitted on -> the report of an evaluation. Pure numpy.

N photos, C classes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.detection import auroc_estimate, false_positives
from models.evaluation import (
    Estimate,
    KnownGroup,
    OutsiderGroup,
    OutsiderReport,
    Scope,
    ScoreQuality,
    UnknownReport,
)
from models.groups import GROUPS, Group
from models.metrics import wilson
from models.trust import scopes
from models.unknown import UnknownRule, Verdict, combined, verdict
from training.unknown import FALSE_REJECTION, Scored

VERDICTS: tuple[Verdict, ...] = ("known", "unknown_moth", "unclear", "not_a_moth")
DEFINITION = (
    "Known: photos that neither the network nor the rule saw, by the group of the species that they are named. "
    "A photo is unknown where its score is above the threshold of that group. AUROC: probability that an outsider "
    "scores higher than a known photo (Newcombe's interval, method 5). FPR@95: share of outsiders that pass as known "
    "where 95% of the known photos do. Shares with Wilson's interval. The network itself learnt from none of the "
    "outsiders."
)


class Part(NamedTuple):
    """Photos that one network answered: known ones with the class of each, outsiders by name, and the rule."""

    rule: UnknownRule
    known: Scored
    labels_N: NDArray[np.int64]
    outsiders: Mapping[str, Scored]


class _Photos(NamedTuple):
    """Photos of all parts, each as its own rule sees it."""

    scored: Scored
    value_N: NDArray[np.float64]
    verdict_N: NDArray[np.str_]


def unknown_report(parts: Sequence[Part], groups: Sequence[Group]) -> UnknownReport:
    """Known photos by group, and each kind of outsider against them. Parts have the same outsiders, by name.

    Raises ValueError where there is no known photo.
    """
    known = _together([(part.rule, part.known) for part in parts], groups)
    if not len(known.value_N):
        raise ValueError("there is no photo of a known species to judge with")
    right_N = known.scored.named_N == np.concatenate([part.labels_N for part in parts])
    rules = [part.rule for part in parts]
    members = scopes(groups, known.scored.named_N)
    return UnknownReport(
        rule=rules[0].name,
        asked_false_rejection=FALSE_REJECTION,
        num_calibration_images=min(rule.num_images for rule in rules),
        definition=DEFINITION,
        known=tuple(
            _known_group(scope, known.verdict_N[member_N], right_N[member_N], rules)
            for scope, member_N in members.items()
        ),
        outsiders=tuple(
            _outsiders(
                name,
                known,
                _together([(part.rule, part.outsiders[name]) for part in parts], groups),
                members,
                rules,
            )
            for name in parts[0].outsiders
        ),
    )


def _together(parts: Sequence[tuple[UnknownRule, Scored]], groups: Sequence[Group]) -> _Photos:
    values, words = [], []
    for rule, scored in parts:
        value_N = combined(rule.parts, scored.scores)
        threshold_C = np.array([rule.threshold(group) for group in groups])
        values.append(value_N)
        words += [
            verdict(rule, float(value), float(foreign), float(threshold_C[named]))
            for value, foreign, named in zip(value_N, scored.foreign_N, scored.named_N, strict=True)
        ]
    return _Photos(
        Scored.joined([scored for _, scored in parts]), np.concatenate(values), np.array(words, dtype=str)
    )


def _known_group(
    scope: Scope, verdict_N: NDArray[np.str_], right_N: NDArray[np.bool_], rules: Sequence[UnknownRule]
) -> KnownGroup:
    kept_N = verdict_N == "known"
    return KnownGroup(
        group=scope,
        num_images=len(kept_N),
        num_calibration_images=min(_calibrated_on(rule, scope) for rule in rules),
        false_rejection=_share(~kept_N),
        verdicts=_shares(verdict_N),
        accuracy_of_kept=_share(right_N[kept_N]) if kept_N.any() else None,
        accuracy_of_refused=_share(right_N[~kept_N]) if not kept_N.all() else None,
    )


def _calibrated_on(rule: UnknownRule, scope: Scope) -> int:
    return rule.num_images if scope == "all" else rule.thresholds[GROUPS.index(scope)].num_images


def _outsiders(
    name: str,
    known: _Photos,
    outside: _Photos,
    members: Mapping[Scope, NDArray[np.bool_]],
    rules: Sequence[UnknownRule],
) -> OutsiderReport:
    return OutsiderReport(
        name=name,
        num_images=len(outside.value_N),
        groups=tuple(
            OutsiderGroup(
                group=scope,
                num_known=int(member_N.sum()),
                scores=_qualities(known, outside, member_N, rules[0]),
            )
            for scope, member_N in members.items()
        ),
        refused=_share(outside.verdict_N != "known"),
        verdicts=_shares(outside.verdict_N),
    )


def _qualities(
    known: _Photos, outside: _Photos, member_N: NDArray[np.bool_], rule: UnknownRule
) -> tuple[ScoreQuality, ...]:
    """Of each single score, and of the rule's own where it combines two."""
    compared = [
        (name, known.scored.scores[name], outside.scored.scores[name]) for name in known.scored.scores
    ]
    named = [
        ScoreQuality(score=name, auroc=auroc_estimate(k[member_N], o), fpr95=false_positives(k[member_N], o))
        for name, k, o in compared
    ]
    if rule.name == "combined":
        k, o = known.value_N[member_N], outside.value_N
        named.append(ScoreQuality(score="combined", auroc=auroc_estimate(k, o), fpr95=false_positives(k, o)))
    return tuple(named)


def _shares(verdict_N: NDArray[np.str_]) -> dict[Verdict, float]:
    return {word: float((verdict_N == word).mean()) for word in VERDICTS}


def _share(hit_N: NDArray[np.bool_]) -> Estimate:
    return Estimate(value=float(hit_N.mean()), interval=wilson(int(hit_N.sum()), len(hit_N)))
