"""Does a model say so where it does not know something? The blocks of ``/performance`` about that. Pure."""

from app.web import unknown_plots
from app.web.formatting import NO_TEST_PHOTOS, estimate_words, share
from app.web.plot_block import Cell, PlotBlock, scope_cell
from models.evaluation import (
    Estimate,
    Evaluation,
    KnownGroup,
    OutsiderReport,
    Scope,
    ScoreQuality,
    UnknownReport,
)
from models.groups import GROUPS
from models.words import count_words

NOT_MEASURED = (
    "Whether it says so when it does not know something was not measured when this version was exported; a new "
    "export measures it."
)
DRAWN = {"blank": "empty sheets", "noise": "noise", "text": "written labels"}
"""What pages call the kinds of pictures that an export draws by code; others have the name that they were given."""


def unknown_blocks(evaluation: Evaluation) -> tuple[PlotBlock, ...]:
    """What becomes of known photos and of what is not known, or one sentence where it was not measured."""
    report = evaluation.unknown
    if report is None:
        return (PlotBlock("unknown", "Does it know what it does not know?", NOT_MEASURED, None, "", (), ()),)
    blocks = [_known_block(report)]
    if report.outsiders:
        blocks += [_refused_block(report), _apart_block(report)]
    return tuple(blocks)


def _known_block(report: UnknownReport) -> PlotBlock:
    promised = report.asked_false_rejection
    found = {part.group: part for part in report.known}
    return PlotBlock(
        id="unknown",
        heading="How often does it refuse a species that it knows?",
        text="An answer first asks whether the animal is like any species in the list, and names nothing if it is "
        "not. That errs at times on photos of the list's own species. The limit is set so that this happens to "
        f"{share(promised)} of the photos in each group alike, so that rare species are not the ones thrown away. It "
        f"was fitted on {count_words(report.num_calibration_images, 'photo')} that the model had not learnt from, "
        "and is judged on the test photos. A group has the photos that were given one of its names; one with too few "
        "to fit a limit has that of all photos together. The last two columns tell what refusing is good for: how "
        "often the names were right that it kept, and that it held back.",
        figure=unknown_plots.false_rejections(report.known, promised),
        caption="Photos of known species that were refused, with 95% interval",
        columns=(
            "Group",
            "Refused",
            f"Against {share(promised)}",
            "Test photos",
            "Fitted on",
            "Kept: name right",
            "Refused: name right",
        ),
        rows=(
            *(_known_row(group, found.get(group), promised) for group in GROUPS),
            *(_known_row(part.group, part, promised) for part in report.known if part.group == "all"),
        ),
        wide=True,
    )


def _known_row(scope: Scope, part: KnownGroup | None, promised: float) -> tuple[Cell, ...]:
    head = scope_cell(scope)
    if part is None:
        return (head, Cell(NO_TEST_PHOTOS), *(Cell("") for _ in range(5)))
    return (
        head,
        Cell(estimate_words(part.false_rejection)),
        _kept_below(part.false_rejection, promised),
        Cell(str(part.num_images)),
        Cell(count_words(part.num_calibration_images, "photo")),
        Cell(estimate_words(part.accuracy_of_kept, "none kept")),
        Cell(estimate_words(part.accuracy_of_refused, "none refused")),
    )


def _kept_below(measured: Estimate, promised: float) -> Cell:
    if measured.value <= promised + 1e-9:
        return Cell("keeps it", kind="gain")
    if measured.interval[0] <= promised:
        return Cell("within its interval")
    return Cell("refuses more", kind="loss")


def _refused_block(report: UnknownReport) -> PlotBlock:
    return PlotBlock(
        id="outsiders",
        heading="What does it say of things that it does not know?",
        text="These photos show nothing that is in the list, and the model learnt from none of them, so every one "
        "should be refused. “Unclear which” stands for an answer that the animal is not among the known species, where "
        f"the model cannot tell a strange moth from no moth at all.{_only_drawn(report)}",
        figure=unknown_plots.verdict_stacks([(_words(each), each.verdicts) for each in report.outsiders]),
        caption="What was said of each kind of outsider",
        columns=(
            "Outsiders",
            "Photos",
            "Refused",
            "Called no moth",
            "Called an unknown moth",
            "Refused, unclear which",
            "Taken for a known species",
        ),
        rows=tuple(_refused_row(each) for each in report.outsiders),
        wide=True,
    )


def _only_drawn(report: UnknownReport) -> str:
    if any(each.name not in DRAWN for each in report.outsiders):
        return ""
    return (
        " Only pictures drawn by a computer were tried here, and those are easy. How it does with butterflies, or "
        "with moths that are not in its list, these figures do not tell."
    )


def _refused_row(each: OutsiderReport) -> tuple[Cell, ...]:
    passed = each.verdicts.get("known", 0.0)
    return (
        Cell(_words(each)),
        Cell(str(each.num_images)),
        Cell(estimate_words(each.refused)),
        *(
            Cell(share(each.verdicts.get(verdict, 0.0)))
            for verdict in unknown_plots.VERDICTS
            if verdict != "known"
        ),
        Cell(share(passed), kind="loss" if passed else ""),
    )


def _apart_block(report: UnknownReport) -> PlotBlock:
    kinds = [(_words(each), _qualities(each, report)) for each in report.outsiders]
    return PlotBlock(
        id="told-apart",
        heading="How well are known and unknown told apart?",
        text="Take one photo of an outsider and one of a known species: AUROC is how often the outsider is the one "
        "that is found stranger. 100% is always, 50% is a coin's toss, wherever the limit is set. The last column sets "
        "it so that 95% of the known photos of the row pass, and counts the outsiders that pass with them.",
        figure=unknown_plots.told_apart(kinds),
        caption="Outsiders against known photos of each group, with 95% interval",
        columns=("Outsiders", "Against", "Known photos", "Told apart (AUROC)", "Pass with 95% of known"),
        rows=tuple(
            (
                Cell(_words(each)),
                scope_cell(part.group),
                Cell(str(part.num_known)),
                Cell(estimate_words(found[part.group].auroc)),
                Cell(estimate_words(found[part.group].fpr95)),
            )
            for each, (_, found) in zip(report.outsiders, kinds, strict=True)
            for part in each.groups
            if part.group in found
        ),
        tall=True,
        wide=True,
    )


def _qualities(each: OutsiderReport, report: UnknownReport) -> dict[Scope, ScoreQuality]:
    """How the score that the rule goes by does, by group; the scores beside it were only compared."""
    return {
        part.group: quality for part in each.groups for quality in part.scores if quality.score == report.rule
    }


def _words(each: OutsiderReport) -> str:
    return DRAWN.get(each.name, each.name)
