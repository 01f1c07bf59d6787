"""What each figure of an evaluation is, in a sentence or two, as it is stored beside the figures. Pure."""

from models.evaluation import Evaluation

_GROUPS = "Of all photos, and of those whose species is of the head, the middle or the tail."

DEFINITIONS: dict[str, str] = {
    "accuracy": "Share of the photos whose most probable label is the true one; Wilson's 95% interval.",
    "macro_recall": "Mean over the tested species of the share of their photos that are named right; bootstrap over "
    "photos within species, widened to Wilson's interval.",
    "macro_f1": "Mean over the tested species of the harmonic mean of recall and precision.",
    "weighted_f1": "The same mean, each species weighted by its photos.",
    "ece": "Expected calibration error of the calibrated probabilities: mean distance of confidence and accuracy over "
    "15 bins of as many photos each.",
    "groups": "Recall, precision and F1: means over the tested species of a group; ECE over the photos of its species.",
    "species": "Recall, of a species' own photos, and precision, of the photos that got its name; Wilson's intervals.",
    "confusions": "Photos of one species that were named another, pair by pair.",
    "reliability": f"Mean confidence and accuracy of 15 bins of as many photos each. {_GROUPS}",
    "calibration": "Expected calibration error over 15 equal-mass bins: without calibration, at one temperature, and "
    "as the card has it. Percentile bootstrap over photos. by_chance: 95 in 100 perfectly calibrated models would have "
    f"an ECE up to this on as many photos of these confidences. {_GROUPS}",
    "prediction_sets": "Split conformal sets fitted on other photos. coverage: share of photos whose species is in the "
    "set (Wilson). macro_coverage: the mean of that over species (the wider of a bootstrap within species and Wilson's "
    "interval). mean_size: species a set (normal interval). score: plain is 1 - p; prevalence is 1 - p / prior; group "
    f"is that with a limit for each group of species. {_GROUPS}",
    "roll_up": "What is answered where this reliability is asked for: the lowest of species, genus and family, of the "
    "likeliest label's own lineage, whose summed probability reaches it, else unknown. share: of the photos. accuracy: "
    f"share of what was answered that is right at its rank (Wilson). {_GROUPS}",
    "several_photos": "Photos of one animal, or of what stands in for one, combined by the mean of their "
    "log-probabilities. single: of one photo each; combined: of all (Wilson). gain: the difference, with Newcombe's "
    f"interval for paired proportions. stated: mean probability of the combined answers. {_GROUPS}",
}
"""By the field of ``Evaluation``. What is said of unknown things has its own ``definition``."""


def with_definitions(evaluation: Evaluation) -> Evaluation:
    """The evaluation with the definitions of what it has."""
    present = {
        name: words for name, words in DEFINITIONS.items() if getattr(evaluation, name) not in (None, ())
    }
    return evaluation.model_copy(update={"definitions": present})
