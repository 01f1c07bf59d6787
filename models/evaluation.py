"""What is reported of a model on one set of labelled photos. Values: ``models.metrics`` computes them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from models.conformal import SetScore
from models.groups import Group
from models.unknown import RuleName, ScoreName, Verdict

Scope = Literal["all", "head", "middle", "tail"]
"""What a figure is taken over: all test photos, or those whose species is of one group."""

Interval = tuple[float, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A figure and its 95% interval, both in 0 to 1."""

    value: float
    interval: Interval


class ReliabilityBin(_Frozen):
    """One equal-mass bin of the reliability diagram: mean confidence, accuracy, images."""

    confidence: float
    accuracy: float
    num_images: int


class GroupMetrics(_Frozen):
    """Means over the species of a group that have test images. All None where there are none: never 0."""

    group: Group
    num_species: int
    num_species_tested: int
    num_test_images: int
    recall: Estimate | None
    precision: Estimate | None
    f1: Estimate | None
    ece: float | None


class SpeciesMetrics(_Frozen):
    """One species: its own recall and precision with Wilson intervals, and what it is taken for."""

    label: str
    group: Group
    training_count: int
    num_test_images: int
    num_predicted: int
    recall: Estimate | None
    precision: Estimate | None
    confused_with: tuple[str, ...]


class ConfusionPair(_Frozen):
    """``num_images`` test images of ``true`` were named ``predicted``."""

    true: str
    predicted: str
    num_images: int


class CalibrationGroup(_Frozen):
    """Calibration errors of one scope: without calibration, at the one temperature, and as the card has it.

    ``by_chance``: 95 in 100 models that were calibrated perfectly would have an ECE up to this, on as many photos
    of these confidences.
    """

    group: Scope
    num_images: int
    uncalibrated: Estimate
    one_temperature: Estimate
    calibrated: Estimate
    by_chance: float


class CalibrationReport(_Frozen):
    """How well probabilities tell how often they are right, before and after. ECE over 15 equal-mass bins."""

    method: Literal["temperature", "training count"]
    num_calibration_images: int
    groups: tuple[CalibrationGroup, ...]


class SetGroup(_Frozen):
    """Prediction sets of one scope: share of photos, and mean share over species, whose species is in the set."""

    group: Scope
    num_images: int
    coverage: Estimate
    macro_coverage: Estimate
    mean_size: float
    mean_size_interval: Interval


class SetReport(_Frozen):
    """Prediction sets by one score at one alpha. ``everything``: too few calibration photos for a smaller set."""

    score: SetScore
    alpha: float
    num_calibration_images: int
    everything: bool
    groups: tuple[SetGroup, ...]


class RankAnswers(_Frozen):
    """Answers at one rank: how many, their share of the photos, and how often they are right (None for none)."""

    kind: Literal["species", "genus", "family", "unknown"]
    num_images: int
    share: float
    accuracy: Estimate | None


class RollUpGroup(_Frozen):
    """Decisions of one scope. ``accuracy`` is that of all answers but ``unknown``; None where there is none."""

    group: Scope
    num_images: int
    ranks: tuple[RankAnswers, ...]
    accuracy: Estimate | None


class RollUpReport(_Frozen):
    """What is decided where ``reliability`` is asked for, and how often it is right."""

    reliability: float
    groups: tuple[RollUpGroup, ...]


class ScoreQuality(_Frozen):
    """How well one score tells outsiders from known photos. ``fpr95``: share of outsiders that pass as known where 95%
    of the known photos do.
    """

    score: ScoreName | RuleName
    auroc: Estimate
    fpr95: Estimate


class OutsiderGroup(_Frozen):
    """Every score on outsiders against the known photos that are named a species of one scope."""

    group: Scope
    num_known: int
    scores: tuple[ScoreQuality, ...]


class OutsiderReport(_Frozen):
    """Photos of one kind that the model does not know: what each score and what the rule says of them.

    ``refused``: share that the rule does not call known; ``verdicts``: shares of its words.
    """

    name: str
    num_images: int
    groups: tuple[OutsiderGroup, ...]
    refused: Estimate
    verdicts: dict[Verdict, float]


class KnownGroup(_Frozen):
    """Photos of known species that are named one of this scope: how many the rule calls unknown all the same.

    The two accuracies are those of the names that photos have which it keeps and which it refuses.
    """

    group: Scope
    num_images: int
    num_calibration_images: int
    false_rejection: Estimate
    verdicts: dict[Verdict, float]
    accuracy_of_kept: Estimate | None
    accuracy_of_refused: Estimate | None


class UnknownReport(_Frozen):
    """How well the rule for unknown things keeps what is known and refuses what is not."""

    rule: RuleName
    asked_false_rejection: float
    num_calibration_images: int
    definition: str
    known: tuple[KnownGroup, ...]
    outsiders: tuple[OutsiderReport, ...]


class SeveralPhotosGroup(_Frozen):
    """One scope: how often one photo of an animal is named right, and how often several of it together are.

    ``gain`` is combined less single, with Newcombe's interval for paired proportions. ``stated`` is the mean
    probability of the combined answers. ``by_embedding``: several photos as the mean of their embeddings instead.
    """

    group: Scope
    num_animals: int
    single: Estimate
    combined: Estimate
    gain: float
    gain_interval: Interval
    stated: float
    by_embedding: Estimate | None


class SeveralPhotosReport(_Frozen):
    """``num_photos`` photos combined. ``animal``: what stands in for one animal, photos of one species and session, or
    any photos of one species, which show more than one animal does.
    """

    animal: Literal["session", "species"]
    num_photos: int
    groups: tuple[SeveralPhotosGroup, ...]


class Evaluation(_Frozen):
    """Everything that is reported of a model on one set of labelled photos."""

    split: str
    data_sha256: str
    num_test_images: int
    num_species_tested: int
    accuracy: Estimate
    macro_recall: Estimate
    macro_f1: float
    weighted_f1: float
    ece: float
    groups: tuple[GroupMetrics, ...]
    species: tuple[SpeciesMetrics, ...]
    confusions: tuple[ConfusionPair, ...]
    reliability: dict[Scope, tuple[ReliabilityBin, ...]]
    notes: tuple[str, ...] = ()
    calibration: CalibrationReport | None = None
    """This and the next two: None or empty where nothing was calibrated, and in evaluations older than they are."""
    prediction_sets: tuple[SetReport, ...] = ()
    roll_up: tuple[RollUpReport, ...] = ()
    unknown: UnknownReport | None = None
    """None where no rule was fitted or the photos were seen, and in evaluations older than it is."""
    several_photos: tuple[SeveralPhotosReport, ...] = ()
    """Empty where no species has two photos that one network judged, and in evaluations older than it is."""
    definitions: dict[str, str] = {}
    """What each of the fields is that hold figures; empty in evaluations older than it is."""

    def group(self, name: Group) -> GroupMetrics:
        """Metrics of one group."""
        return next(group for group in self.groups if group.group == name)
