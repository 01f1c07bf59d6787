"""How far answers can be trusted: the blocks of ``/performance`` about sets, ranks and several photos. Pure."""

from collections.abc import Iterator, Sequence

from app.web import trust_plots
from app.web.formatting import estimate_words, share, signed_points
from app.web.plot_block import Cell, PlotBlock, scope_cell
from models.conformal import SetScore
from models.evaluation import (
    Estimate,
    Evaluation,
    RankAnswers,
    RollUpReport,
    Scope,
    SetGroup,
    SetReport,
    SeveralPhotosReport,
)
from models.words import count_words

NOT_MEASURED = (
    "Prediction sets, ranks of answers and several photos of one animal were not measured when this version was "
    "exported; a new export measures them."
)
_SCORES: dict[SetScore, str] = {
    "group": "By group",
    "prevalence": "Prevalence-adjusted",
    "plain": "Plain",
}
ANIMALS = {
    "session": "photos of one species from one session (a photographer's night), which stand in for one animal",
    "species": "any photos of one species, which is kinder: other animals show what one may hide",
}


def trust_blocks(evaluation: Evaluation) -> tuple[PlotBlock, ...]:
    """Blocks of what was measured, or one sentence where nothing was."""
    blocks: list[PlotBlock] = []
    if evaluation.prediction_sets:
        blocks += _set_blocks(evaluation.prediction_sets)
    if evaluation.roll_up:
        blocks += [_ranks_block(evaluation.roll_up), _answered_block(evaluation.roll_up)]
    if evaluation.several_photos:
        blocks.append(_several_block(evaluation.several_photos))
    return tuple(blocks) or (
        PlotBlock("trust", "Lists, ranks and several photos", NOT_MEASURED, None, "", (), ()),
    )


def _set_blocks(reports: Sequence[SetReport]) -> tuple[PlotBlock, ...]:
    """Coverage and size of the sets that the service gives, and of the other score beside them."""
    used = [report for report in reports if report.score == reports[0].score]
    others = _others(reports)
    drawn = [report for report in used if not report.everything]
    photos = count_words(used[0].num_calibration_images, "photo")
    few = "" if len(drawn) == len(used) else " For the highest promises these are too few for a short list."
    coverage = PlotBlock(
        id="sets",
        heading="Is the right species in the list?",
        text="Beside one name an answer gives a list (a prediction set) that is made to hold the right species as "
        "often as asked for. "
        f"It was fitted on {photos} that the model had not learnt from, and is judged on the test photos. "
        f"The mean over species counts rare ones as much as frequent ones.{few}",
        figure=trust_plots.set_coverage(drawn) if drawn else None,
        caption="Lists that held the right species, with 95% interval",
        columns=("Promised", "Group", "Mean over species", "Over photos", "Against the promise"),
        rows=tuple(
            (Cell(share(1 - report.alpha)), scope_cell(part.group), *_coverage_cells(report, part))
            for report in used
            for part in report.groups
        ),
        tall=True,
        wide=True,
    )
    sizes = PlotBlock(
        id="set-sizes",
        heading="How long are the lists?",
        text="A list that holds everything is right every time and helps nobody: read its length with the figure "
        "above. The service uses the way to make lists that is named first. By group: head, middle and tail each have "
        "a limit of their own. Prevalence-adjusted and plain lists have one for all species, and the plain ones go by "
        "probability alone.",
        figure=trust_plots.set_sizes(drawn) if drawn else None,
        caption="Mean number of species in a list",
        columns=("Promised", "Group", f"{_score(used[0])}: species", *_other_columns(others)),
        rows=tuple(
            (
                Cell(share(1 - report.alpha)),
                scope_cell(part.group),
                Cell("whole list" if report.everything else _size(part)),
                *_other_cells(report.alpha, others, part.group),
            )
            for report in used
            for part in report.groups
        ),
        tall=True,
        wide=True,
    )
    return (coverage, sizes)


def _score(report: SetReport) -> str:
    return _SCORES[report.score]


def _others(reports: Sequence[SetReport]) -> list[dict[float, SetReport]]:
    """Reports by alpha, for each score that the service does not use."""
    scores = dict.fromkeys(report.score for report in reports if report.score != reports[0].score)
    return [{report.alpha: report for report in reports if report.score == score} for score in scores]


def _other_columns(others: Sequence[dict[float, SetReport]]) -> tuple[str, ...]:
    names = [_score(next(iter(other.values()))) for other in others]
    return tuple(
        column for name in names for column in (f"{name}: species", f"{name}: mean over species in the list")
    )


def _other_cells(alpha: float, others: Sequence[dict[float, SetReport]], scope: Scope) -> Iterator[Cell]:
    for other in others:
        report = other[alpha]
        part = next(part for part in report.groups if part.group == scope)
        yield Cell("whole list" if report.everything else _size(part))
        yield Cell(estimate_words(part.macro_coverage))


def _size(part: SetGroup) -> str:
    low, high = part.mean_size_interval
    return f"{part.mean_size:.2f} ({low:.2f}–{high:.2f})"


def _coverage_cells(report: SetReport, part: SetGroup) -> tuple[Cell, ...]:
    if report.everything:
        return (Cell("whole list"), Cell("whole list"), Cell("too few photos to fit"))
    return (
        Cell(estimate_words(part.macro_coverage)),
        Cell(estimate_words(part.coverage)),
        _kept(part.macro_coverage, 1 - report.alpha),
    )


def _kept(measured: Estimate | None, promise: float) -> Cell:
    """Whether a figure reaches what was promised or asked for: by itself, within its interval, or not."""
    if measured is None:
        return Cell("no answer")
    if measured.value >= promise - 1e-9:
        return Cell("reaches it", kind="gain")
    if measured.interval[1] >= promise:
        return Cell("within its interval")
    return Cell("falls short", kind="loss")


def _ranks_block(reports: Sequence[RollUpReport]) -> PlotBlock:
    return PlotBlock(
        id="ranks",
        heading="How far down does it name?",
        text="An answer is the lowest rank that is as sure as asked for: species, else its genus, else its family, "
        "else nothing. The more is asked for, the less is named to species. Each bar is a group: ○ all photos, "
        "● head, ■ middle, ◆ tail; from its foot up species, genus, family and no name.",
        figure=trust_plots.rank_stacks(reports),
        caption="Share of photos at each rank, and how often those answers were right",
        columns=("Asked for", "Group", "Species", "Genus", "Family", "No name"),
        rows=tuple(
            (
                Cell(share(report.reliability)),
                scope_cell(part.group),
                *(Cell(_rank(rank)) for rank in part.ranks),
            )
            for report in reports
            for part in report.groups
        ),
        tall=True,
        wide=True,
    )


def _rank(rank: RankAnswers) -> str:
    if rank.accuracy is None:
        return share(rank.share)
    return f"{share(rank.share)}, right {estimate_words(rank.accuracy)}"


def _answered_block(reports: Sequence[RollUpReport]) -> PlotBlock:
    return PlotBlock(
        id="answered",
        heading="Is what was answered right as often as asked?",
        text="Of the photos that got a name at any rank, the share whose name was right. It should lie on the "
        "dotted line or above; under it, the model claims too much.",
        figure=trust_plots.answered_right(reports),
        caption="Answers that were right, with 95% interval",
        columns=("Asked for", "Group", "Right", "Answered", "Against what was asked"),
        rows=tuple(
            (
                Cell(share(report.reliability)),
                scope_cell(part.group),
                Cell(estimate_words(part.accuracy, "no answer")),
                Cell(share(sum(rank.share for rank in part.ranks if rank.kind != "unknown"))),
                _kept(part.accuracy, report.reliability),
            )
            for report in reports
            for part in report.groups
        ),
        tall=True,
        wide=True,
    )


def _several_block(reports: Sequence[SeveralPhotosReport]) -> PlotBlock:
    """Plots the kind of which there are most animals; the table has both."""
    most = max(reports, key=lambda report: report.groups[0].num_animals).animal
    kinds = list(dict.fromkeys(report.animal for report in reports))
    what = "; ".join(f"“{kind}”: {ANIMALS[kind]}" for kind in kinds)
    embedded = any(part.by_embedding for report in reports for part in report.groups)
    return PlotBlock(
        id="several",
        heading="What do more photos of one animal gain?",
        text="Several photos are combined by the mean of their log-probabilities. No test photo says which animal it "
        f"shows, so pairs and triples are drawn from {what}. The plot shows “{most}”: solid bars are one photo, "
        "striped two, crossed three.",
        figure=trust_plots.several_bars([report for report in reports if report.animal == most]),
        caption="Named right by one photo and by several, with 95% interval",
        columns=(
            "Drawn by",
            "Photos",
            "Group",
            "Animals",
            "One photo",
            "Together",
            "Gain in points",
            "Together, mean stated",
            *(("Mean of embeddings",) if embedded else ()),
        ),
        rows=tuple(row for report in reports for row in _several_rows(report, embedded=embedded)),
        tall=True,
        wide=True,
    )


def _several_rows(report: SeveralPhotosReport, *, embedded: bool) -> list[tuple[Cell, ...]]:
    rows = []
    for part in report.groups:
        low, high = part.gain_interval
        gain = f"{signed_points(part.gain)} ({signed_points(low)} to {signed_points(high)})"
        kind = "gain" if low > 0 else "loss" if high < 0 else ""
        cells = (
            Cell(report.animal),
            Cell(str(report.num_photos)),
            scope_cell(part.group),
            Cell(str(part.num_animals)),
            Cell(estimate_words(part.single)),
            Cell(estimate_words(part.combined)),
            Cell(gain, kind=kind),
            Cell(share(part.stated)),
        )
        rows.append(cells + ((Cell(estimate_words(part.by_embedding)),) if embedded else ()))
    return rows
