"""What a page says where nothing is named, for each kind of unknown: for a biologist, without the model's terms."""

from dataclasses import dataclass

from app.services.answer_parts.decision import DecisionAnswer
from models.unknown_kind import UnknownKind


@dataclass(frozen=True)
class UnknownWords:
    """``heading`` stands where a name would; ``spoken`` is what a screen reader says."""

    heading: str
    title: str
    warning: str
    spoken: str


_WORDS: dict[UnknownKind, UnknownWords] = {
    "not_a_moth": UnknownWords(
        "Probably not a moth",
        "Nothing to record here",
        "The photo is unlike every moth photo that the model was tried on: it may show another animal, a label, an "
        "empty sheet or something else. If there is a moth in it, cut the photo to the moth and try again.",
        "Not named: probably not a moth.",
    ),
    "unknown_moth": UnknownWords(
        "A moth that this model does not know",
        "Do not record a name from this answer",
        "The photo is like those that the model learnt from, but the animal is like none of its species. It is worth "
        "an expert's look: it may be a species that is missing from the list, an unusual form of one in it, or one "
        "that is turned round or only partly in the photo. The guesses below are only the known species that it is "
        "least unlike.",
        "Not named: probably a moth that this model does not know.",
    ),
    "unclear": UnknownWords(
        "Not among the known species",
        "Do not record a name from this answer",
        "The model knows neither the animal nor this kind of photo. It may be a moth that is not in its list, one of "
        "its own species on an unusual background, a butterfly, or no insect at all: from this photo it cannot tell "
        "which. A photo from above, on a plain light sheet, may help.",
        "Not named: not among the known species.",
    ),
    "poor_photo": UnknownWords(
        "Not named: a poor photo",
        "Take another photo, if you can",
        "Too little of the animal can be seen to name it. Another photo may give a name: near, sharp, well lit, from "
        "above and with the whole animal in it. The guesses below are no identifications.",
        "Not named: the photo is poor.",
    ),
    "excluded": UnknownWords(
        "Not named: against the checklist",
        "Do not record a name from this answer",
        "The photo shows plainly what the checklist rules out here and now. Either the animal is a rare guest, or the "
        "list, the place or the date is not right, or the model errs: an expert's look decides. To see what the photo "
        "says without the list, ask with prior=none.",
        "Not named: the checklist rules out what the photo shows.",
    ),
    "undecided": UnknownWords(
        "Not named",
        "Do not record a name from this answer",
        "The model is not sure of any species, genus or family. The animal may be a species that is not in its list, "
        "the photo may show too little of it, or it may not be a moth. Another photo, from above and with the wings "
        "flat, may help.",
        "Not named: no species, genus or family is sure enough.",
    ),
}


_NO_LIST: dict[UnknownKind, str] = {
    "not_a_moth": "The photo is unlike every moth photo that the model was tried on.",
    "unknown_moth": "The animal is like none of the known species.",
    "unclear": "The photo is like none of the known species.",
    "poor_photo": "The photo shows too little to tell whether it is one.",
}


def no_list_words(decision: DecisionAnswer) -> str:
    """Why a list of species is worth nothing here; empty where it is worth something, as for those too alike."""
    return _NO_LIST.get(decision.unknown.kind, "") if decision.unknown else ""


def unknown_words(decision: DecisionAnswer) -> UnknownWords:
    """The words for an answer without a name; for one from before kinds were told, those of ``undecided``."""
    return _WORDS[decision.unknown.kind if decision.unknown else "undecided"]
