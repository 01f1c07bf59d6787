"""Logits -> probabilities, the best labels, and what the answer commits to. Pure numpy.

C classes, N images. The same code decides in evaluation and in the service.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.card import Calibration
from models.conformal import SetRule
from models.scaling import count_temperatures
from models.taxonomy import ROLL_UP_RANKS, Taxon

DecisionKind = Literal["species", "genus", "family", "unknown"]


def probabilities(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Temperature-scaled softmax over the last axis (Guo et al., 2017), in float64.

    logits: [..., C]. Raises ValueError for a temperature that is not positive or logits that are not finite.

    >>> probabilities([0.0, 0.0]).tolist()
    [0.5, 0.5]
    >>> float(probabilities([1000.0, 0.0])[0])
    1.0
    >>> bool(probabilities([2.0, 0.0], temperature=2.0)[0] == probabilities([1.0, 0.0])[0])
    True
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if not np.isfinite(scaled).all():
        raise ValueError("logits must be finite")
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def calibrated(
    logits: ArrayLike, calibration: Calibration, training_counts: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Probabilities as a card's calibration gives them: by the named species' training count, or one temperature.

    logits: [..., C]. training_counts: C, a card's ``learnt_counts``, best as an array where there are thousands.
    Raises ValueError for logits that are not finite.

    >>> calibrated([0.0, 0.0], Calibration(fitted_on="nothing", num_images=0), (3, 1)).tolist()
    [0.5, 0.5]
    """
    scaling = calibration.scaling
    if scaling is None:
        return probabilities(logits, calibration.temperature)
    logits_NC = np.asarray(logits, dtype=np.float64)
    temperatures_N = count_temperatures(scaling.intercept, scaling.slope, logits_NC, training_counts)
    return probabilities(logits_NC / temperatures_N[..., None])


def combine_photos(probabilities_NC: ArrayLike) -> NDArray[np.float64]:
    """One distribution for N photos of one animal: the normalised geometric mean.

    >>> combine_photos([[0.5, 0.5], [0.9, 0.1]]).round(3).tolist()
    [0.75, 0.25]
    """
    log_NC = np.log(np.maximum(np.asarray(probabilities_NC, dtype=np.float64), 1e-300))
    return probabilities(log_NC.mean(axis=0))


def top_k(probabilities_C: NDArray[np.float64], k: int) -> list[int]:
    """Indices of the k most probable classes, best first; ties in the order of the species list.

    >>> top_k(np.array([0.2, 0.5, 0.2, 0.1]), 3)
    [1, 0, 2]
    """
    if 4 * k < len(probabilities_C):  # of thousands, only those that can be among the best are sorted
        least = np.partition(probabilities_C, len(probabilities_C) - k)[len(probabilities_C) - k]
        near = np.flatnonzero(probabilities_C >= least)
        return [int(index) for index in near[np.argsort(-probabilities_C[near], kind="stable")[:k]]]
    return [int(index) for index in np.argsort(-probabilities_C, kind="stable")[:k]]


def prediction_set(
    probabilities_C: NDArray[np.float64], coverage: float, rule: SetRule | None = None
) -> list[int]:
    """Classes that the true one is among with probability ``coverage``, the most probable first.

    With a card's conformal ``rule`` that is promised for photos like those it was fitted on. Without one it is the
    smallest set whose probabilities sum to at least ``coverage``, and nothing guarantees it.

    >>> prediction_set(np.array([0.1, 0.6, 0.3]), 0.9)
    [1, 2]
    >>> prediction_set(np.array([0.99, 0.01]), 0.9)
    [0]
    """
    if rule is not None:
        inside = np.flatnonzero(rule.members(probabilities_C, coverage))
        return [int(index) for index in inside[np.argsort(-probabilities_C[inside], kind="stable")]]
    order = np.argsort(-probabilities_C, kind="stable")
    reached = np.cumsum(probabilities_C[order])
    size = int(np.searchsorted(reached, coverage - 1e-12)) + 1  # rounding must not add a class
    return [int(index) for index in order[:size]]


def percent(probability: float) -> str:
    """A probability in words that never claim more than it says: rounded down, and never 100%.

    >>> [percent(p) for p in (0.9999, 0.9984, 0.943, 0.896, 0.29, 0.004, 0.0004)]
    ['over 99%', 'over 99%', '94%', '89%', '29%', 'under 1%', 'under 1%']
    """
    whole = int(probability * 100 + 1e-9)
    return "over 99%" if probability > 0.99 else f"{whole}%" if whole else "under 1%"


@dataclass(frozen=True)
class Decision:
    """What an answer commits to. ``probability`` is the calibrated probability that ``taxon`` is right."""

    kind: DecisionKind
    taxon: Taxon | None
    probability: float | None
    reason: str


@dataclass(frozen=True, eq=False)
class Above:
    """A genus or family over a label, and which of the species list belong to it."""

    rank: Literal["genus", "family"]
    name: str
    taxon: Taxon
    members: NDArray[np.intp]


class RollUp:
    """Species -> genus -> family -> unknown, along the lineage of the most probable label.

    The lowest rank whose summed probability reaches the asked reliability wins. Only the label's *own*
    ancestors are asked: the most probable genus overall may belong to another lineage.

    >>> oak = Taxon(label="a", scientific_name="Lasiocampa quercus", genus="Lasiocampa")
    >>> clover = Taxon(label="b", scientific_name="Lasiocampa trifolii", genus="Lasiocampa")
    >>> rule = RollUp([oak, clover])
    >>> rule.decide(np.array([0.6, 0.4]), reliability=0.9).taxon.scientific_name
    'Lasiocampa'
    """

    def __init__(self, taxa: Sequence[Taxon]) -> None:
        self.taxa = tuple(taxa)
        self._members: dict[tuple[str, str], NDArray[np.intp]] = {}
        for rank in ROLL_UP_RANKS:
            places: defaultdict[str, list[int]] = defaultdict(list)
            for index, taxon in enumerate(self.taxa):
                if (name := taxon.ancestor(rank)) is not None:
                    places[name].append(index)
            self._members |= {(rank, name): np.array(members) for name, members in places.items()}

    def decide(self, probabilities_C: NDArray[np.float64], reliability: float) -> Decision:
        """The decision for one distribution over this species list. reliability: 0 to 1."""
        best = int(np.argmax(probabilities_C))
        taxon, probability = self.taxa[best], float(probabilities_C[best])
        asked = f"{reliability:.0%}"
        if probability >= reliability:
            kind: DecisionKind = taxon.taxon_rank if taxon.taxon_rank in ROLL_UP_RANKS else "species"
            return Decision(
                kind,
                taxon,
                probability,
                f"{taxon.display_name} is {percent(probability)} probable; {asked} was asked for.",
            )
        for above in self.lineage(taxon):
            total = float(probabilities_C[above.members].sum())
            if total >= reliability:
                return Decision(
                    above.rank,
                    above.taxon,
                    min(total, 1.0),
                    self._why(taxon, probability, above.rank, above.name, total, asked),
                )
        return Decision(
            "unknown",
            None,
            None,
            f"No species, genus or family reaches the {asked} asked for; the best guess, "
            f"{taxon.display_name}, is {percent(probability)} probable.",
        )

    def lineage(self, taxon: Taxon) -> Iterator[Above]:
        """Genus and family of one of the labels, as far as the species list says them; a label may be its own genus."""
        for rank in ROLL_UP_RANKS:
            if (name := taxon.ancestor(rank)) is not None:
                shown = taxon if taxon.taxon_rank == rank else _ancestor_taxon(taxon, rank, name)
                yield Above(rank, name, shown, self._members[rank, name])

    @staticmethod
    def _why(taxon: Taxon, probability: float, rank: str, name: str, total: float, asked: str) -> str:
        return (
            f"No species reaches the {asked} asked for (best: {taxon.display_name}, {percent(probability)}), "
            f"but the {rank} {name} is {percent(total)} probable."
        )


def _ancestor_taxon(taxon: Taxon, rank: Literal["genus", "family"], name: str) -> Taxon:
    return Taxon(
        label=name,
        scientific_name=name,
        taxon_rank=rank,
        genus=name if rank == "genus" else None,
        family=taxon.family,
    )
