"""The prediction set of an answer, in a biologist's words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.services.answer_parts.sets import PredictionSet
from app.services.prediction_sets import added_sentence
from app.web.formatting import interval_words, share
from app.web.naming import names_of
from app.web.views import TaxonName
from models.decision import percent
from models.words import count_words, listed

MOST_NAMES = 20
"""More names are not read; the answer as JSON has them all."""

NO_LIST = "Lists are made for photos of known species, so nothing is promised of this one."
RULED_OUT = (
    "The checklist rules out what the photo shows; these are the likeliest of what it leaves, and nothing is promised "
    "of them."
)
ALONE = (
    "One name is enough for that over all photos, most of which are plain. This photo is not, so go by the percentages "
    "above and not by the length of the list."
)


@dataclass(frozen=True)
class SetView:
    """``heading``: how many names; ``words``: what that is worth. ``open``: short enough to be shown at once."""

    heading: str
    words: str
    names: tuple[TaxonName, ...]
    num_more: int
    open: bool


def set_view(
    found: PredictionSet,
    known: Mapping[str, TaxonName],
    unknown: str = "",
    *,
    contradicted: bool = False,
    best: float | None = None,
) -> SetView:
    """View of a prediction set. ``known``: names of the species list. ``unknown``: why the answer holds the animal for
    none of them, if it does; the set is then no more than what it would be. ``contradicted``: a checklist rules out
    what the photo shows, and the set has only what it leaves. ``best``: probability of the likeliest species.
    """
    names = names_of([taxon.label for taxon in found.taxa[:MOST_NAMES]], known)
    num = len(found.taxa)
    if unknown or contradicted:
        listed = count_words(num, "name") if num else "the whole species list"
        heading, words = ("If it were one of the known species", f"{unknown} {NO_LIST}")
        if not unknown:
            heading, words = "If the checklist were right", RULED_OUT
        return SetView(f"{heading}: {listed}", words, names, max(0, num - MOST_NAMES), open=False)
    return SetView(
        heading=_heading(found, best),
        words=_words(found) + (f" {ALONE}" if _is_doubtful(found, best) else ""),
        names=names,
        num_more=max(0, num - MOST_NAMES),
        open=found.score is not None and num <= MOST_NAMES,
    )


def _heading(found: PredictionSet, best: float | None) -> str:
    num, coverage = len(found.taxa), share(found.coverage)
    if found.everything:
        return f"It cannot be narrowed down to a few species at {coverage}"
    if found.score is None:
        return f"Together at least {coverage} probable: {count_words(num, 'name')}"
    if num == 1 and best is not None and _is_doubtful(found, best):
        return f"One name, {percent(best)} probable here"
    if num == 1:
        return "Only this one fits"
    return f"One of these {num:,}"


def _is_doubtful(found: PredictionSet, best: float | None) -> bool:
    """Whether one name stands for a promise that its probability on this photo does not reach."""
    alone = found.score is not None and not found.everything and len(found.taxa) == 1
    return alone and best is not None and best < found.coverage


def _words(found: PredictionSet) -> str:
    coverage = share(found.coverage)
    if found.everything:
        photos = count_words(found.num_calibration_images or 0, "photo")
        return (
            f"How far to trust lists of species was measured on {photos}, which is too few to promise that a short "
            f"list holds the right one {coverage} of the time: only the whole species list would."
        )
    if not found.promised:
        return found.promise
    photos = count_words(found.num_calibration_images or 0, "photo")
    own = found.promised_groups
    by_group = f", and of those of {listed(own)} species alone" if own else ""
    promise = (
        f"Lists like this are made to hold the right species in {coverage} of photos{by_group} (fitted on {photos} it "
        f"had not learnt from).{added_sentence(found.num_without_promise)}"
    )
    if found.macro_coverage is None or found.macro_coverage_interval is None:
        return f"{promise} It is not promised for every species alike."
    return (
        f"{promise} In the test they did in {share(found.macro_coverage)} "
        f"({interval_words(found.macro_coverage_interval)}), averaged over species so that rare ones count as much."
    )
