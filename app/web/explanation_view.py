"""What an answer says of its checklist and of its explanation -> views. Words for biologists are chosen here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.services.answer_parts.checklist import ChecklistUse
from app.services.answer_parts.explanation import Explanation, NearestImage
from app.services.answer_parts.species import Confusion, Prediction
from app.services.answers import IdentifyAnswer
from app.web.formatting import added_words
from app.web.naming import names_of
from app.web.views import TaxonName
from models.words import count_words

_BASIS = {
    "place": "chosen by the photo's place",
    "season": "chosen by the photo's date",
    "name": "asked for by name",
}

_WITH = (
    "The percentages on this plate take the list into account. They hold as far as the list does: a species that the "
    "list leaves out is held for unlikely here, not for impossible, unless the list excludes it."
)
_AGAINST = (
    "It rules out what the photo shows, so no species is named by it. The percentages of the species below take the "
    "list into account all the same; a percentage above them does not."
)
_WHICH = (
    "Which list it is and why it holds would tell where and when the photo was taken, so this page says it only to the "
    "account that sent the photo, if one did; the API said it in its answer."
)
_UNTOLD = f"It says which species to expect. {_WHICH}"
_UNTOLD_UNUSED = f"It expects no species of the model at that time, and changed nothing. {_WHICH}"


@dataclass(frozen=True)
class ChecklistUseView:
    """The checklist behind an answer, and what it changed."""

    heading: str
    changed: bool
    reason: str
    caution: str


@dataclass(frozen=True)
class NearestView:
    """One training photo like this one. ``thumbnail``: an address with the picture in it."""

    name: TaxonName
    likeness: str
    reference: str | None
    thumbnail: str | None
    same: bool


@dataclass(frozen=True)
class ExplanationView:
    """Where the model looked, and what it takes this photo to be like."""

    heatmap: str
    heatmap_note: str
    nearest: tuple[NearestView, ...]
    nearest_summary: str
    nearest_note: str


def checklist_use_view(use: ChecklistUse | None, *, with_sighting: bool) -> ChecklistUseView | None:
    """The list of an answer in words; None where none held. ``with_sighting``: with its name, place and week, which say
    where and when the photo was taken.
    """
    if use is None:
        return None
    heading, reason = f"Checklist {use.name}, {_BASIS[use.basis]}", use.reason
    if not with_sighting:
        heading, reason = (
            ("A checklist was used", _UNTOLD) if use.applied else ("A checklist held", _UNTOLD_UNUSED)
        )
    return ChecklistUseView(
        heading=heading,
        changed=use.top_before.label != use.top_after.label,
        reason=reason,
        caution=(_AGAINST if use.contradicts_photo else _WITH) if use.applied else "",
    )


def exchanged_view(
    exchanged: Sequence[Confusion], known: Mapping[str, TaxonName]
) -> tuple[tuple[TaxonName, str], ...]:
    """Species that test photos were exchanged with, each with how many."""
    names = names_of([each.label for each in exchanged], known)
    counts = [count_words(each.num_images, "test photo") for each in exchanged]
    return tuple(zip(names, counts, strict=True))


def explanation_view(answer: IdentifyAnswer, known: Mapping[str, TaxonName]) -> ExplanationView | None:
    """The explanation of an answer in words; None where none was asked for."""
    explanation = answer.explanation
    if explanation is None:
        return None
    named = answer.predictions[0] if answer.predictions else None
    label = named.taxon.label if named else ""
    return ExplanationView(
        heatmap=f"data:image/png;base64,{explanation.heatmap_png_base64}",
        heatmap_note=(
            "Gold marks what weighed most in the model's description of the photo, dark what weighed little. It shows "
            "where the model looked, not which species each place spoke for. Gold beside the animal is a reason for "
            "doubt."
        ),
        nearest=tuple(_nearest(each, label, known) for each in explanation.nearest),
        nearest_summary=_summary(explanation, named),
        nearest_note=explanation.nearest_method
        or "This answer is from before training photos were looked up.",
    )


def _nearest(image: NearestImage, label: str, known: Mapping[str, TaxonName]) -> NearestView:
    thumbnail = image.thumbnail_jpeg_base64
    return NearestView(
        name=names_of([image.label], known)[0],
        likeness=f"{max(0.0, image.similarity):.2f}",
        reference=image.reference,
        thumbnail=None if thumbnail is None else f"data:image/jpeg;base64,{thumbnail}",
        same=image.label == label,
    )


def _summary(explanation: Explanation, named: Prediction | None) -> str:
    """How many of the nearest are of the likeliest species, and what that means."""
    nearest = explanation.nearest
    if not nearest or named is None:
        return ""
    name = named.taxon.display_name
    if named.added_from is not None:
        return f"None of them can be of {name}: it was {added_words(named.added_from)}, and its photos are not kept."
    same = Counter(each.label for each in nearest)[named.taxon.label]
    if same == 0:
        return f"None of the {len(nearest)} nearest training photos is of {name}: look twice."
    if same == len(nearest):
        return f"All {same} nearest training photos are of {name}."
    return f"{same} of the {len(nearest)} nearest training photos {'is' if same == 1 else 'are'} of {name}."
