"""Which method is best for what: chosen on validation photos, told in test figures. Knows no page."""

from collections.abc import Mapping

from models.groups import GROUPS
from models.words import count_words
from training.compare.differences import Versuses
from training.compare.methods import Comparison, Method
from training.compare.page import Table, headings, number_cell, p_words, percent, points, text_cell
from training.compare.statistics import Difference
from training.compare.tables import figure_words

PURPOSES: Mapping[str, str] = {
    "accuracy": "most photos right",
    "macro_recall": "every species alike",
    "head": "the head",
    "middle": "the middle",
    "tail": "the tail",
}


def best_for(comparison: Comparison, figure: str) -> Method | None:
    """The method that validation puts first by a figure; of equals the better by validation score. None without it."""
    measured = [method for method in comparison.methods if method.on_validation(figure) is not None]
    return max(measured, key=lambda method: _on_validation(method, figure), default=None)


def _on_validation(method: Method, figure: str) -> float:
    found = method.on_validation(figure)
    assert found is not None
    return found.mean


def winners_table(comparison: Comparison) -> Table:
    """Best for what, and its test figure beside the baseline's."""
    rows = []
    for figure, purpose in PURPOSES.items():
        method = best_for(comparison, figure)
        if method is None:
            continue
        baseline = comparison.baseline_of(method)
        rows.append(
            (
                text_cell(purpose),
                text_cell(method.name),
                number_cell(figure_words(comparison, method, figure)),
                number_cell("" if baseline is None else figure_words(comparison, baseline, figure)),
            )
        )
    columns = headings("best for|by validation", f"its test figure|{comparison.baseline}")
    return Table("Best for what, in percent", columns, tuple(rows))


def answers(comparison: Comparison, versuses: Versuses) -> tuple[str, ...]:
    """The findings, a sentence each: what validation chose, how good it is, and what it gains on the baseline."""
    best = comparison.best
    measured = [(group, found) for group in GROUPS if (found := best.on_test(group))]
    accuracy = best.on_test("accuracy")
    assert accuracy is not None
    recalls = ", ".join(f"{group} {percent(found.mean)}" for group, found in measured)
    chosen = (
        f"Out of {count_words(len(comparison.methods), 'method')} validation chooses {best.name}. On test photos its "
        f"accuracy is {percent(accuracy.mean)}, its mean recall: {recalls}."
    )
    versus = next((row for row in versuses.rows if row.method is best), None)
    if versus is None:
        return (chosen,)
    verdicts = (
        verdict(group, versus.reference.name, versus.differences[group], versuses.num_tests)
        for group in GROUPS
        if group in versus.differences
    )
    return (chosen, *verdicts)


def verdict(group: str, reference: str, found: Difference, num_tests: int) -> str:
    """What a difference allows to say, of ``num_tests`` that were looked at.

    >>> verdict("tail", "baseline", Difference(0.1, (0.05, 0.15), 0.01), 12)
    'tail: +10.0 points against baseline (95% interval +5.0 to +15.0; p 0.010, corrected for 12 comparisons): better.'
    """
    low, high = found.interval
    if found.p < 0.05:
        judged = "better" if found.value > 0 else "worse"
    elif low > 0 or high < 0:
        judged = "not certain, with so many comparisons"
    else:
        judged = "not to be told from chance"
    return (
        f"{group}: {points(found.value)} points against {reference} (95% interval {points(low)} to {points(high)}; "
        f"p {p_words(found.p)}, corrected for {count_words(num_tests, 'comparison')}): {judged}."
    )
