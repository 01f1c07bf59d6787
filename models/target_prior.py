"""Answers for the species that are expected here and now: training prior out, a checklist's in. Pure numpy.

C classes, N photos. Calibration comes first. ``evaluate`` and the service exchange priors by this code.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.checklist import Expected, plain_name
from models.taxonomy import Taxon

LogitPrior = Literal["none", "training", "partial"]
UNLISTED = 0.01
"""How likely a species that a list leaves out is held beside one that it names, where the list does not say."""

PRIOR_POWER: Mapping[LogitPrior, float] = {"none": 0.0, "partial": 0.5, "training": 1.0}
"""Which power of the training count is taken out. Of ``partial`` nobody knows how much is left: the middle is wrong
by the least, and is what the prediction sets assume."""

_SMALLEST = 1e-300
_AUTHORSHIP = re.compile(r"^(\S+ [a-z][\w-]+(?: (?:agg\.|[a-z][\w-]+))?) \(?[A-Z\[].*$")
_MOST_NEAREST = 100
"""Names whose nearest are looked for: it takes a millisecond each."""


@dataclass(frozen=True)
class Unmatched:
    """A name that the model does not know, and those of its names that are most like it."""

    name: str
    row: int
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Matched:
    """A checklist beside a model's: class index, weight and weeks (bit w: ISO week w; 0: all year) of each match."""

    num_classes: int
    place_M: NDArray[np.intp]
    weight_M: NDArray[np.float64]
    weeks_M: NDArray[np.uint64]
    unmatched: tuple[Expected, ...]
    twice: tuple[tuple[Expected, Expected], ...]
    """Entries that mean a species that an earlier entry means already; the earlier one counts."""


def match_species(species: Sequence[Expected], taxa: Sequence[Taxon]) -> Matched:
    """Find each name among scientific names and labels; an author and a year behind a name are no part of it.

    >>> taxa = [Taxon(label="a", scientific_name="Noctua pronuba"), Taxon(label="b")]
    >>> found = match_species([Expected("Noctua pronuba (Linnaeus, 1758)"), Expected("Noctua comes")], taxa)
    >>> found.place_M.tolist(), [each.name for each in found.unmatched]
    ([0], ['Noctua comes'])
    """
    known: dict[str, int] = {}
    for place, taxon in enumerate(taxa):
        known.setdefault(plain_name(taxon.display_name), place)
    for place, taxon in enumerate(taxa):
        known.setdefault(plain_name(taxon.label), place)
    found: dict[int, Expected] = {}
    unmatched: list[Expected] = []
    twice: list[tuple[Expected, Expected]] = []
    for each in species:
        place_of = known.get(plain_name(each.name), known.get(plain_name(without_author(each.name))))
        if place_of is None:
            unmatched.append(each)
        elif place_of in found:
            twice.append((found[place_of], each))
        else:
            found[place_of] = each
    return Matched(
        num_classes=len(taxa),
        place_M=np.array(list(found), dtype=np.intp),
        weight_M=np.array([each.weight for each in found.values()], dtype=np.float64),
        weeks_M=np.array([sum(1 << week for week in each.weeks) for each in found.values()], dtype=np.uint64),
        unmatched=tuple(unmatched),
        twice=tuple(twice),
    )


def without_author(name: str) -> str:
    """A scientific name without its authorship.

    >>> without_author("Agrotis ipsilon (Hufnagel, 1766)"), without_author("Xestia c-nigrum Linnaeus")
    ('Agrotis ipsilon', 'Xestia c-nigrum')
    """
    match = _AUTHORSHIP.match(name)
    return match[1] if match else name


def nearest_names(unmatched: Sequence[Expected], taxa: Sequence[Taxon]) -> tuple[Unmatched, ...]:
    """For each name (the first hundred) up to three of the model's: of its genus, of one spelt like it, of its epithet.

    >>> taxa = [Taxon(label="a", scientific_name="Noctua pronuba"), Taxon(label="b", scientific_name="Apamea crenata")]
    >>> nearest_names([Expected("Noctua pronubae", row=7)], taxa)[0].nearest
    ('Noctua pronuba',)
    """
    genera: dict[str, list[str]] = {}
    epithets: dict[str, list[str]] = {}
    for taxon in taxa:
        words = plain_name(taxon.display_name).split()
        genera.setdefault(words[0], []).append(taxon.display_name)
        epithets.setdefault(words[-1], []).append(taxon.display_name)

    def near(name: str) -> tuple[str, ...]:
        words = plain_name(without_author(name)).split()
        alike = get_close_matches(words[0], genera, n=3)
        candidates = {each for genus in alike for each in genera[genus]} | set(epithets.get(words[-1], ()))
        by_plain = {plain_name(each): each for each in sorted(candidates)}
        return tuple(by_plain[each] for each in get_close_matches(" ".join(words), by_plain, n=3))

    return tuple(
        Unmatched(each.name, each.row, near(each.name) if number < _MOST_NEAREST else ())
        for number, each in enumerate(unmatched)
    )


def target_shares(
    matched: Matched, week: int | None, unlisted: float = UNLISTED
) -> NDArray[np.float64] | None:
    """Prior over the species list [C], summing to 1; None where the list expects none of them in that week.

    Without a week every entry counts. What is not listed, or not in that week, gets ``unlisted`` times the mean
    weight of what is, and nothing that is listed gets less; a weight of 0 is 0, and so is ``unlisted`` 0.

    >>> taxa = [Taxon(label=label) for label in "abc"]
    >>> matched = match_species([Expected("a", (20, 21)), Expected("b", weight=3.0)], taxa)
    >>> target_shares(matched, 20, unlisted=0.5).tolist()
    [0.2, 0.6, 0.2]
    >>> target_shares(matched, 30, unlisted=0.0).tolist()
    [0.0, 1.0, 0.0]
    """
    now_M = _now(matched, week)
    expected_M = expected_now(matched, week)
    if not expected_M.any():
        return None
    floor = unlisted * float(matched.weight_M[expected_M].mean())
    share_C = np.full(matched.num_classes, floor)
    share_C[matched.place_M[now_M]] = 0.0
    share_C[matched.place_M[expected_M]] = np.maximum(matched.weight_M[expected_M], floor)
    shares_C: NDArray[np.float64] = share_C / share_C.sum()
    return shares_C


def expected_now(matched: Matched, week: int | None) -> NDArray[np.bool_]:
    """Which matches are expected in an ISO week, bool [M]; without a week all whose weight is not 0."""
    return _now(matched, week) & (matched.weight_M > 0)


def _now(matched: Matched, week: int | None) -> NDArray[np.bool_]:
    if week is None:
        return np.ones(len(matched.weeks_M), dtype=bool)
    in_week_M = (matched.weeks_M >> np.uint64(week)) & np.uint64(1) == 1
    now_M: NDArray[np.bool_] = (matched.weeks_M == 0) | in_week_M
    return now_M


def log_prior_left(
    logit_prior: LogitPrior, training_counts: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float64]:
    """log of the class prior in a bundle's answers [C], up to a constant, by what its card says is left.

    A species that was not trained (a count of 0) has its logit set against those of all others, so it is taken to
    carry their mean: a few photos are no rarity that would have to be made up for.

    >>> log_prior_left("none", (9, 1)).tolist(), log_prior_left("partial", (9, 1, 0)).round(3).tolist()
    ([0.0, 0.0], [1.099, 0.0, 0.549])
    """
    count_C = np.array(training_counts, dtype=np.float64)
    log_learnt = np.log(count_C[count_C > 0])
    log_count_C = np.full(len(count_C), log_learnt.mean())
    log_count_C[count_C > 0] = log_learnt
    log_prior_C: NDArray[np.float64] = PRIOR_POWER[logit_prior] * log_count_C
    return log_prior_C


def exchange_prior(
    probabilities_NC: NDArray[np.float64],
    log_prior_C: NDArray[np.float64],
    target_C: NDArray[np.float64],
    *,
    tau: float = 1.0,
) -> NDArray[np.float64]:
    """Calibrated probabilities [..., C] with their prior exchanged: softmax(log p - tau log prior + log target).

    Bayes' rule where the photos of a species look alike here and in training (Saerens, Latinne and Decaestecker, 2002);
    on logits it is ``z - tau log prior + log target``, as a softmax takes constants out. A target of 0 stays 0.

    >>> exchange_prior(np.array([0.9, 0.1]), np.log([0.9, 0.1]), np.array([0.5, 0.5])).round(12).tolist()
    [0.5, 0.5]
    """
    with np.errstate(divide="ignore"):
        log_target_C = np.log(target_C)
    moved_NC = np.log(np.maximum(probabilities_NC, _SMALLEST)) - tau * log_prior_C + log_target_C
    exponentials_NC = np.exp(moved_NC - moved_NC.max(axis=-1, keepdims=True))
    exchanged_NC: NDArray[np.float64] = exponentials_NC / exponentials_NC.sum(axis=-1, keepdims=True)
    return exchanged_NC
