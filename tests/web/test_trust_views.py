"""What pages say of sets, ranks and several photos, from values alone."""

from pathlib import Path

import pytest

from app.services.answer_parts.sets import PredictionSet, SetTaxon
from app.web.plot_block import Cell, PlotBlock
from app.web.set_view import ALONE, MOST_NAMES, NO_LIST, set_view
from app.web.trust_blocks import NOT_MEASURED, trust_blocks
from app.web.unknown_blocks import NOT_MEASURED as UNKNOWN_NOT_MEASURED
from app.web.unknown_blocks import unknown_blocks
from models import bundle
from models.evaluation import Evaluation
from tests.trusted_bundle import write_trusted_bundle


def made(num: int, **more: object) -> PredictionSet:
    taxa = tuple(SetTaxon(label=f"moth_{index}", scientific_name=None) for index in range(num))
    fields = {"promised": True, "score": "prevalence", "num_calibration_images": 181, **more}
    return PredictionSet.model_validate({"coverage": 0.9, "taxa": taxa, **fields})


def test_three_names_are_one_of_these_three_in_their_order() -> None:
    view = set_view(made(3, macro_coverage=0.914, macro_coverage_interval=(0.88, 0.94)), {})
    assert (view.heading, view.open, view.num_more) == ("One of these 3", True, 0)
    assert [name.text for name in view.names] == ["moth_0", "moth_1", "moth_2"]
    assert "90% of photos (fitted on 181 photos" in view.words
    assert "91% (88–94%), averaged over species" in view.words


def test_one_name_is_not_called_the_only_one_that_fits_where_it_is_doubtful_on_this_photo() -> None:
    sure, doubtful = set_view(made(1), {}, best=0.97), set_view(made(1), {}, best=0.58)
    assert (sure.heading, ALONE in sure.words) == ("Only this one fits", False)
    assert doubtful.heading == "One name, 58% probable here"
    assert doubtful.words.endswith(ALONE)
    assert ALONE not in set_view(made(2), {}, best=0.58).words


def test_a_promise_for_each_group_is_said_so() -> None:
    words = set_view(made(2, score="group", promised_groups=("head", "tail")), {}).words
    assert "90% of photos, and of those of head and tail species alone (fitted on 181 photos" in words


def test_a_promise_that_was_not_measured_says_that_it_is_not_for_every_species() -> None:
    assert set_view(made(1), {}).heading == "Only this one fits"
    assert set_view(made(1), {}).words.endswith("It is not promised for every species alike.")


def test_the_list_of_an_animal_that_is_none_of_the_species_promises_nothing() -> None:
    view = set_view(
        made(1, macro_coverage=0.914, macro_coverage_interval=(0.88, 0.94)), {}, "It is none of them."
    )
    assert (view.heading, view.open) == ("If it were one of the known species: 1 name", False)
    assert view.words == f"It is none of them. {NO_LIST}"
    assert "91%" not in view.words
    whole = set_view(made(0, everything=True), {}, "It is none of them.")
    assert whole.heading.endswith(": the whole species list")


def test_a_long_list_is_cut_and_not_shown_at_once() -> None:
    view = set_view(made(4000), {})
    assert (view.heading, view.open) == ("One of these 4,000", False)
    assert (len(view.names), view.num_more) == (MOST_NAMES, 4000 - MOST_NAMES)


def test_an_answer_saved_before_sets_had_promises_is_shown_as_it_was() -> None:
    old = PredictionSet.model_validate_json(
        '{"coverage": 0.9, "taxa": [{"label": "a", "scientific_name": null}]}'
    )
    view = set_view(old, {})
    assert (view.heading, view.words, view.open) == ("Together at least 90% probable: 1 name", "", False)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return bundle.read(write_trusted_bundle(tmp_path_factory.mktemp("store"))).evaluation


def block(evaluation: Evaluation, name: str) -> PlotBlock:
    return next(found for found in trust_blocks(evaluation) if found.id == name)


def test_every_measured_set_has_a_row_for_each_group(evaluation: Evaluation) -> None:
    found = block(evaluation, "sets")
    assert len(found.rows) == 6 * 4
    assert {len(row) for row in found.rows} == {len(found.columns)}
    assert [cell.group for cell in (row[1] for row in found.rows[:4])] == [None, "head", "middle", "tail"]
    assert len(block(evaluation, "set-sizes").rows) == 6 * 4


def test_a_point_stands_where_its_figure_does(evaluation: Evaluation) -> None:
    figure = block(evaluation, "answered").figure
    assert figure is not None
    tail = next(trace for trace in figure["data"] if trace["name"] == "tail")
    expected = [
        group.accuracy.value
        for report in evaluation.roll_up
        for group in report.groups
        if group.group == "tail" and group.accuracy
    ]
    assert tail["y"] == expected
    assert [round(x, 2) for x in tail["x"]] == [0.8, 0.9, 0.95, 0.99]


def test_the_ranks_of_a_stack_add_up_to_all_photos(evaluation: Evaluation) -> None:
    figure = block(evaluation, "ranks").figure
    assert figure is not None
    assert [trace["name"] for trace in figure["data"]] == ["species", "genus", "family", "no name"]
    totals = [sum(parts) for parts in zip(*(trace["y"] for trace in figure["data"]), strict=True)]
    assert totals == pytest.approx([1.0] * 16)


def test_what_falls_short_is_marked(evaluation: Evaluation) -> None:
    (first, *rest) = evaluation.roll_up
    whole = first.groups[0]
    assert whole.accuracy is not None
    low = whole.accuracy.model_copy(update={"value": 0.5, "interval": (0.4, 0.6)})
    bad = first.model_copy(update={"groups": (whole.model_copy(update={"accuracy": low}), *first.groups[1:])})
    changed = evaluation.model_copy(update={"roll_up": (bad, *rest)})
    assert block(changed, "answered").rows[0][-1] == Cell("falls short", kind="loss")


def test_the_plot_of_several_photos_is_of_the_kind_with_most_animals(evaluation: Evaluation) -> None:
    found = block(evaluation, "several")
    assert "The plot shows “species”" in found.text
    assert [row[0].text for row in found.rows[:: len(found.rows) // 4]] == [
        "session",
        "session",
        "species",
        "species",
    ]
    assert "Mean of embeddings" not in found.columns


def test_an_older_evaluation_says_in_one_sentence_that_nothing_was_measured(evaluation: Evaluation) -> None:
    none = {"prediction_sets": (), "roll_up": (), "several_photos": ()}
    (found,) = trust_blocks(evaluation.model_copy(update=none))
    assert (found.text, found.rows, found.figure) == (NOT_MEASURED, (), None)


def unknown_block(evaluation: Evaluation, name: str) -> PlotBlock:
    return next(found for found in unknown_blocks(evaluation) if found.id == name)


def test_each_group_is_held_against_what_was_promised_of_known_species(evaluation: Evaluation) -> None:
    assert evaluation.unknown is not None
    found = unknown_block(evaluation, "unknown")
    assert [row[0].group for row in found.rows] == ["head", "middle", "tail", None]
    assert found.columns[2] == "Against 5%"
    for row in found.rows:
        part = next(part for part in evaluation.unknown.known if part.group == (row[0].group or "all"))
        assert row[1].text.startswith(f"{part.false_rejection.value:.0%} (")
        reached = part.false_rejection.value <= 0.05
        assert (row[2].text == "keeps it") is reached


def test_a_group_that_no_photo_was_named_of_says_so_and_has_no_bar(evaluation: Evaluation) -> None:
    assert evaluation.unknown is not None
    known = tuple(part for part in evaluation.unknown.known if part.group != "tail")
    report = evaluation.unknown.model_copy(update={"known": known})
    found = unknown_block(evaluation.model_copy(update={"unknown": report}), "unknown")
    assert [cell.text for cell in found.rows[2]] == ["tail", "no test photos", "", "", "", "", ""]
    assert found.figure is not None
    assert found.figure["data"][0]["x"] == [0, 1]


def test_what_is_said_of_an_outsider_adds_up_to_all_its_photos(evaluation: Evaluation) -> None:
    found = unknown_block(evaluation, "outsiders")
    assert [row[0].text for row in found.rows] == ["empty sheets", "noise", "written labels"]
    assert {len(row) for row in found.rows} == {len(found.columns)}
    assert found.figure is not None
    totals = [sum(parts) for parts in zip(*(trace["x"] for trace in found.figure["data"]), strict=True)]
    assert totals == pytest.approx([1.0] * 3)


def test_outsiders_stand_beside_known_photos_of_each_group_by_the_score_of_the_rule(
    evaluation: Evaluation,
) -> None:
    report = evaluation.unknown
    assert report is not None
    found = unknown_block(evaluation, "told-apart")
    assert len(found.rows) == 3 * 4
    assert found.figure is not None
    head = next(trace for trace in found.figure["data"] if trace["name"] == "against head")
    assert head["x"] == [
        quality.auroc.value
        for each in report.outsiders
        for part in each.groups
        if part.group == "head"
        for quality in part.scores
        if quality.score == report.rule
    ]


def test_easy_drawn_pictures_are_called_easy_and_photos_by_the_name_that_they_were_given(
    evaluation: Evaluation,
) -> None:
    assert evaluation.unknown is not None
    drawn = evaluation.unknown.outsiders
    assert "those are easy" in unknown_block(evaluation, "outsiders").text
    others = (*drawn, drawn[0].model_copy(update={"name": "butterflies"}))
    report = evaluation.unknown.model_copy(update={"outsiders": others})
    found = unknown_block(evaluation.model_copy(update={"unknown": report}), "outsiders")
    assert "easy" not in found.text
    assert found.rows[-1][0].text == "butterflies"


def test_an_evaluation_without_outsiders_still_tells_of_the_known(evaluation: Evaluation) -> None:
    assert evaluation.unknown is not None
    report = evaluation.unknown.model_copy(update={"outsiders": ()})
    found = unknown_blocks(evaluation.model_copy(update={"unknown": report}))
    assert [block.id for block in found] == ["unknown"]


def test_an_older_evaluation_says_that_nothing_is_known_of_the_unknown(evaluation: Evaluation) -> None:
    (found,) = unknown_blocks(evaluation.model_copy(update={"unknown": None}))
    assert (found.text, found.rows, found.figure) == (UNKNOWN_NOT_MEASURED, (), None)


def test_a_written_bundle_can_be_read_again(tmp_path: Path) -> None:
    found = bundle.read(write_trusted_bundle(tmp_path, views="mirrored"))
    assert found.card.views == "mirrored"
    assert found.evaluation.several_photos
