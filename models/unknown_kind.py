"""Why nothing is named, told apart: no moth, an unknown moth, a poor photo, or species that are too alike. Pure."""

from collections.abc import Sequence
from typing import Literal

from models.decision import Decision
from models.photo_faults import PhotoFault
from models.unknown import Verdict

UnknownKind = Literal["not_a_moth", "unknown_moth", "unclear", "poor_photo", "excluded", "undecided"]
"""``unclear``: not among the known species, and nothing tells whether it is a moth. ``excluded``: like known species
that a checklist rules out. ``undecided``: like known species, but no species, genus or family is sure enough."""

_REASONS: dict[Verdict, str] = {
    "not_a_moth": "Probably not a moth: the photo is unlike all moth photos that the model was tried on.",
    "unknown_moth": "Probably a moth that this model does not know: the photo is like those that the model learnt "
    "from, but the animal is like none of its species.",
    "unclear": "Not among the species that this model knows. It may be another moth, or a photo of another kind than "
    "those that the model learnt from, or no moth at all: the model cannot tell these apart here.",
}


def with_unknown(
    decided: Decision, judged: Verdict, faults: Sequence[Sequence[PhotoFault]], *, excluded: bool = False
) -> tuple[Decision, UnknownKind | None]:
    """The decision once it is known whether the animal is: ``decided`` itself, or unknown with its kind and reason.

    ``faults``: of each photo. Where all have some, they explain why nothing is named. Only in the dark and out of
    focus even a moth is like no moth; a photo that is small or cut off must be like one for that to be the reason.
    ``excluded``: a checklist rules out what the photos show, which is then why nothing is named.

    >>> nothing = Decision("unknown", None, None, "No species reaches 90%.")
    >>> with_unknown(nothing, "known", [()])[1], with_unknown(nothing, "unknown_moth", [()])[1]
    ('undecided', 'unknown_moth')
    """
    if judged == "known" and decided.kind != "unknown":
        return decided, None
    if judged == "known" and excluded:
        return decided, "excluded"
    if faults and all(_explains(each, judged) for each in faults):
        return Decision("unknown", None, None, _poor(faults)), "poor_photo"
    if judged == "known":
        return decided, "undecided"
    return Decision("unknown", None, None, _REASONS[judged]), judged


def _explains(faults: Sequence[PhotoFault], judged: Verdict) -> bool:
    return any(judged != "not_a_moth" or fault.fault in ("dark", "blurred") for fault in faults)


def _poor(faults: Sequence[Sequence[PhotoFault]]) -> str:
    """One sentence: the faults of the only photo, or of the first one where there are several."""
    found = "; ".join(fault.sentence() for fault in faults[0])
    whose = "" if len(faults) == 1 else f" (photo 1 of {len(faults)}, and the others have faults too)"
    return f"Not named, and the photo may be why: {found}{whose}."
