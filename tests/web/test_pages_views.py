"""What pages say and draw, from values alone: warnings, empty groups, colours that can be read."""

import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from app.db.tables import Role
from app.services.accounts import Caller
from app.services.answer_parts.checklist import ChecklistUse, ListedName
from app.services.answer_parts.decision import DecisionAnswer
from app.services.answer_parts.sets import PredictionSet
from app.services.answer_parts.species import Evidence, Prediction
from app.services.answers import AnsweringModel, IdentifyAnswer
from app.web import plots
from app.web.assets import STATIC
from app.web.calibration_plot import MIN_IMAGES_IN_POINT, reliability_diagram
from app.web.docs_page import docs_view
from app.web.explanation_view import checklist_use_view
from app.web.identification_view import IdentificationView, identification_view
from app.web.performance_blocks import Measured, plot_blocks
from models import bundle, metrics
from models.decision import DecisionKind, RollUp
from models.groups import DEFAULT_RULE, Group
from models.metrics import Evaluation
from models.taxonomy import Taxon
from tests.tiny_bundle import TAXA

NO_EVIDENCE = Evidence(recall=None, recall_interval=None, precision=None, num_test_images=0, confused_with=())
GENUS = Taxon(label="Aurelia", scientific_name="Aurelia", taxon_rank="genus", genus="Aurelia")


def answered(
    kind: DecisionKind,
    taxon: Taxon | None,
    probability: float | None = 0.9,
    *,
    group: Group = "head",
    evidence: Evidence = NO_EVIDENCE,
) -> IdentifyAnswer:
    """An answer with one candidate."""
    best = Prediction(
        taxon=TAXA[0], probability=0.6, score=3.0, group=group, training_count=4, evidence=evidence
    )
    return IdentifyAnswer(
        id=UUID(int=7),
        created_at=datetime(2025, 5, 3, tzinfo=UTC),
        model=AnsweringModel(name="tiny-moths", version="1.0.0", sha256="0" * 64, epoch=1),
        decision=DecisionAnswer(kind=kind, reason="Because.", taxon=taxon, probability=probability),
        predictions=(best,),
        prediction_set=PredictionSet(coverage=0.9, taxa=()),
        images=(),
        explanation=None,
    )


def shown(
    kind: DecisionKind,
    taxon: Taxon | None,
    probability: float | None = 0.9,
    *,
    group: Group = "head",
    evidence: Evidence = NO_EVIDENCE,
) -> IdentificationView:
    """The view of an answer with one candidate."""
    answer = answered(kind, taxon, probability, group=group, evidence=evidence)
    return identification_view(answer, {}, DEFAULT_RULE.sentence())


def checklist_use(*, applied: bool, reason: str) -> ChecklistUse:
    """A list that holds where the photo was taken."""
    name = ListedName(
        label="x", scientific_name=None, probability_without_checklist=0.5, probability_with_checklist=0.5
    )
    return ChecklistUse(
        id=UUID(int=3),
        name="Meadow",
        revision=1,
        basis="place",
        week=27,
        applied=applied,
        num_expected=int(applied),
        prior_power_removed=0,
        top_before=name,
        top_after=name,
        reason=reason,
    )


@pytest.mark.parametrize(
    ("caller", "told"),
    [
        (Caller(user_id=UUID(int=1), role=Role.VIEWER), True),
        (Caller(user_id=UUID(int=2), role=Role.REVIEWER), True),
        (Caller(user_id=UUID(int=2), role=Role.VIEWER), False),
        (Caller(key_id=UUID(int=1), scopes=frozenset({"admin"})), False),
        (Caller(), False),
    ],
)
def test_time_and_place_are_shown_to_the_account_that_sent_the_photos_and_to_reviewers(
    caller: Caller, told: bool
) -> None:
    use = checklist_use(
        applied=True, reason="The checklist Meadow holds, as the photo was taken within it, in week 27."
    )
    answer = answered("genus", GENUS).model_copy(
        update={"checklist": use, "disagreements": ("Taken up to 111 km apart.", "From 1 to 9 July.")}
    )
    with_sighting = caller.sees_sighting_of(UUID(int=1))
    view = identification_view(answer, {}, DEFAULT_RULE.sentence(), with_sighting=with_sighting)
    words = f"{view.photo_notes} {view.checklist}"
    for fact in ("111 km", "9 July", "Meadow", "photo's place", "taken within it", "week 27"):
        assert (fact in words) == told, words
    assert ("A checklist was used" in words, "do not agree" in words) == (not told, not told)


def test_a_list_that_changed_nothing_is_not_said_to_have_been_used() -> None:
    use = checklist_use(applied=False, reason="The checklist Meadow holds, but expects nothing in week 2.")
    view = checklist_use_view(use, with_sighting=False)
    assert view is not None
    assert (view.heading, "changed nothing" in view.reason) == ("A checklist held", True)
    assert "Meadow" not in f"{view.heading} {view.reason}"
    assert "week 2" not in view.reason


def test_where_photos_agree_and_no_list_was_used_nothing_is_said_of_it() -> None:
    view = shown("genus", GENUS)
    assert (view.photo_notes, view.checklist) == ((), None)


def test_a_genus_is_safe_to_record_but_its_species_are_only_guesses() -> None:
    view = shown("genus", GENUS)
    assert view.standing == "unsure"
    assert view.warning_title == "Safe to record as Aurelia, not as a species"
    assert view.candidates_title == "Best guesses, not identifications"
    assert view.best is None, "evidence of a species is no evidence of the genus"


def test_a_family_is_set_upright_and_a_genus_in_italics() -> None:
    family = Taxon(label="Umbridae", scientific_name="Umbridae", taxon_rank="family", family="Umbridae")
    assert not shown("family", family).name.italic
    assert shown("genus", GENUS).name.italic


def test_what_is_unknown_must_not_be_recorded() -> None:
    view = shown("unknown", None, None)
    assert view.name.text == "Not named"
    assert view.warning_title == "Do not record a name from this answer"
    assert view.probability is None


def test_an_aggregate_says_that_photos_cannot_tell_its_species() -> None:
    assert "cannot tell apart" in (shown("species", TAXA[4]).warning_title or "")


def test_a_species_that_was_never_tested_says_so_and_not_zero() -> None:
    view = shown("species", TAXA[0])
    assert view.best is not None
    assert view.best.recall == "recall not measured: no test photos"
    assert "not known" in (view.warning_title or "")


def test_a_tail_species_asks_for_a_second_look() -> None:
    seen = Evidence(
        recall=10 / 11,
        recall_interval=(0.62, 0.98),
        precision=9 / 10,
        precision_interval=(0.6, 0.98),
        num_predicted=10,
        num_test_images=11,
        confused_with=(),
    )
    best = shown("species", TAXA[0], evidence=seen).best
    assert best is not None
    assert best.precision is not None
    assert best.precision.endswith("right 9 of the 10 times that the model gave this name in the test")
    assert (
        shown("species", TAXA[0], group="tail", evidence=seen).warning_title
        == "A rarely photographed species"
    )
    assert shown("species", TAXA[0], group="head", evidence=seen).warning is None


def test_a_probability_is_the_same_in_figure_and_sentence_and_never_rounded_up_to_what_was_asked() -> None:
    probabilities = np.array([0.896, *[0.104 / (len(TAXA) - 1)] * (len(TAXA) - 1)])
    reason = RollUp(TAXA).decide(probabilities, reliability=0.9).reason
    assert ("89%" in reason, "90% asked for" in reason) == (True, True)
    view = shown("genus", TAXA[0], probability=0.896)
    assert (view.probability, "that say 89%, about 89%" in view.meaning) == ("89%", True)


def test_certainty_is_never_complete() -> None:
    view = shown("species", TAXA[0], 1.0)
    assert view.probability == "over 99%"
    assert "about 99%" in view.meaning


def evaluation(counts: list[int], seed: int = 0, num_images: int = 400) -> Evaluation:
    """A made-up evaluation of classes with these training counts, of which the last has no test photo."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(counts) - 1, num_images)
    logits = rng.normal(size=(num_images, len(counts)))
    logits[np.arange(num_images), labels] += 2.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return metrics.evaluate(
        probabilities,
        labels.astype(np.int64),
        class_labels=[f"species_{index}" for index in range(len(counts))],
        training_counts=counts,
        groups=DEFAULT_RULE.assign(counts),
        split="test",
        data_sha256="0" * 64,
    )


COUNTS = [300, 200, 150, 120, 110, 5, 4, 3, 2, 1]
NAMES = {f"species_{index}": f"Genus <i>{index}" for index in range(len(COUNTS))}


def test_a_group_without_species_is_said_to_be_empty_and_gets_no_bar() -> None:
    figure = plots.group_bars([("1.0.0", evaluation(COUNTS))])
    assert [each["text"] for each in figure["layout"]["annotations"]] == ["no species"]
    bars = [trace for trace in figure["data"] if trace["type"] == "bar"]
    assert [len(trace["x"]) for trace in bars] == [2]


def test_bars_carry_their_intervals() -> None:
    measured = evaluation(COUNTS)
    tail = measured.group("tail").recall
    assert tail is not None
    (bar,) = [trace for trace in plots.group_bars([("1.0.0", measured)])["data"] if trace["type"] == "bar"]
    assert bar["y"][1] + bar["error_y"]["array"][1] == pytest.approx(tail.interval[1])
    assert bar["y"][1] - bar["error_y"]["arrayminus"][1] == pytest.approx(tail.interval[0])


def test_names_cannot_bring_markup_into_a_plot() -> None:
    figure = plots.recall_by_count(evaluation(COUNTS), NAMES)
    assert "Genus &lt;i&gt;0" in figure["data"][0]["hovertext"][0]


def test_every_tested_species_is_a_point_at_its_own_recall() -> None:
    measured = evaluation(COUNTS)
    drawn = sorted(y for trace in plots.recall_by_count(measured, NAMES)["data"] for y in trace["y"])
    assert drawn == sorted(species.recall.value for species in measured.species if species.recall)


def test_a_point_of_the_reliability_diagram_stands_for_enough_photos() -> None:
    measured = evaluation(COUNTS, num_images=200)
    for trace in reliability_diagram(measured)["data"][1:]:
        counts = [int(re.findall(r"(\d+) photos?$", text)[0]) for text in trace["hovertext"]]
        assert min(counts) >= MIN_IMAGES_IN_POINT
        assert sum(counts) == measured.group(trace["name"]).num_test_images


@pytest.mark.parametrize("other_photos", [False, True])
def test_versions_are_compared_only_on_the_same_photos(shared_store: Path, other_photos: bool) -> None:
    measured = evaluation(COUNTS)
    taxa = tuple(Taxon(label=species.label) for species in measured.species)
    card = bundle.read(shared_store / "tiny-moths" / "1.0.0").card.model_copy(update={"taxa": taxa})
    other = measured.model_copy(update={"data_sha256": "1" * 64}) if other_photos else measured
    block = plot_blocks(Measured(card, measured), [Measured(card, other)])[0]
    change = block.rows[0][-1].text
    assert change == ("measured on other photos" if other_photos else "0 points")
    assert [cell.text for cell in block.rows[1]][1:3] == ["no species", "no species"]


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "paper"),
        ("ink-soft", "paper"),
        ("ink-soft", "card"),
        ("link", "paper"),
        ("accent", "paper"),
        ("on-accent", "accent"),
        ("head", "card"),
        ("middle", "card"),
        ("tail", "card"),
        ("bad", "bad-paper"),
        ("ink", "warn-paper"),
        ("good", "card"),
    ],
)
def test_text_reaches_the_contrast_of_wcag_aa(scheme: int, text: str, ground: str) -> None:
    css = (STATIC / "app.css").read_text(encoding="utf-8")
    found = [re.findall(rf"--{name}: (#[0-9a-f]{{6}});", css)[scheme] for name in (text, ground)]
    assert _contrast(*found) >= 4.5


def test_the_api_page_reads_a_document_without_tags_or_bodies() -> None:
    document = {
        "info": {"version": "1"},
        "paths": {"/a/{name}": {"get": {"responses": {"200": {"description": "Good."}}}}},
    }
    (section,) = docs_view(document, "http://here").sections
    assert section.operations[0].example == "curl http://here/a/european-moths"
