"""What a biologist should beware of in an answer, before recording it. Pure."""

from app.services.answer_parts.species import Prediction
from app.services.answers import IdentifyAnswer
from app.web.formatting import added_words
from app.web.unknown_words import unknown_words
from models.words import count_words


def caution_words(answer: IdentifyAnswer) -> tuple[str | None, str | None]:
    """Title and text of the warning beside an answer; None where there is nothing to warn of."""
    decision = answer.decision
    if decision.taxon is None:
        words = unknown_words(decision)
        return words.title, words.warning
    name = decision.taxon.display_name
    if decision.kind in ("genus", "family") and answer.checklist and answer.checklist.contradicts_photo:
        return (
            f"Safe to record as {name}, not as a species",
            f"The photo supports the {decision.kind} {name}, but the checklist rules out the species in it that the "
            "photo shows. It may be a rare guest, or the list, the place or the date is not right: an expert's look "
            "decides.",
        )
    if decision.kind in ("genus", "family"):
        return (
            f"Safe to record as {name}, not as a species",
            f"The photo supports the {decision.kind} {name}, but not one species in it. The species below "
            "are suggestions to check against the specimen or another photo. It could also be a species that "
            "the model does not know.",
        )
    if decision.taxon.taxon_rank == "aggregate":
        return (
            "A group of species that photos cannot tell apart",
            f"{name} stands for several species. To tell which, look at the specimen, often its genitalia.",
        )
    return _thin_evidence(answer.predictions[0]) if answer.predictions else (None, None)


def _thin_evidence(best: Prediction) -> tuple[str | None, str | None]:
    """A warning for a named species of which little is known."""
    if best.added_from is not None:
        return (
            "An added species, not tested",
            f"It was {added_words(best.added_from)}: the model was not trained on it, and nobody has measured how "
            "well it is found. Check this name with care.",
        )
    if best.evidence.num_test_images == 0:
        return (
            "How well this species is found is not known",
            "No test photo of it was left, so its recall was never measured. Check this name with care.",
        )
    if best.group == "tail":
        return (
            "A rarely photographed species",
            f"The model learned it from {count_words(best.training_count, 'photo')} only. Check this name "
            "against the look-alikes before you record it.",
        )
    return (None, None)
