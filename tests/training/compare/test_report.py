"""The report says what the runs found, stands alone, and says so where there is nothing to say."""

import re
from collections import Counter
from pathlib import Path

import pytest

from models.taxonomy import Taxon
from tests.training.compare.reports import FAILED, STRONG, WEAK, Reader, rows_of, some_results, written
from tests.training.compare.synthetic import synthetic_dataset, synthetic_result
from training.compare.differences import against_baseline
from training.compare.methods import make_comparison
from training.compare.page import SYMBOLS
from training.compare.sections import loss_methods
from training.compare.svg import COLOURS
from training.data.prepared import Dataset

REPO = Path(__file__).resolve().parents[3]


def test_the_page_asks_for_nothing_but_the_files_beside_it(page: Reader, out: Path) -> None:
    links = {address for address in page.addresses if not address.startswith(("#", "data:"))}
    names = ("overall", "groups", "comparisons", "species", "ablation", "cost")
    assert links == {f"{name}.csv" for name in names}
    assert all((out / link).exists() for link in links)
    html = (out / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"'\s<)]+", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "<script" not in html


def test_no_two_parts_of_the_page_have_one_name(page: Reader) -> None:
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)


def test_plots_keep_their_text_and_say_what_they_show(out: Path) -> None:
    html = (out / "index.html").read_text(encoding="utf-8")
    plots = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(plots) == 6
    for plot in plots:
        assert 'role="img"' in plot
        assert re.search(r"<title[^>]*>[A-Z].+?</title>", plot)
        assert "<text" in plot
        assert not re.search(r"<svg[^>]* width=", plot)


def test_the_same_results_give_the_same_page(dataset: Dataset, out: Path, tmp_path: Path) -> None:
    results = some_results(dataset)
    written(dataset, results[::-1], tmp_path, ablation="logit_adjusted")
    names = {path.name for path in out.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        ours, theirs = ((folder / name).read_text() for folder in (out, tmp_path))
        assert ours.replace(str(out), "") == theirs.replace(str(tmp_path), ""), name


def test_the_best_is_the_one_that_validation_puts_first_whatever_the_test_says(dataset: Dataset) -> None:
    good, bad = (synthetic_result(dataset, "focal", recalls=recalls) for recalls in (STRONG, WEAK))
    lucky = bad.model_copy(update={"recipe": "baseline", "test": good.test})
    chosen = good.model_copy(update={"test": bad.test})
    assert make_comparison([lucky, chosen], dataset, "baseline").best.recipe == "focal"


def test_the_page_names_the_best_the_seeds_the_number_of_comparisons_and_the_rule(page: Reader) -> None:
    assert "validation chooses logit_adjusted" in page.text
    assert "corrected (Holm) for all 15 comparisons" in page.text
    assert "best on validation" in page.text
    assert "selected by validation; the test split was read once per run, at its end" in page.text
    assert "terciles" in page.text or "head: more than 100 training images" in page.text


def test_a_failed_run_is_listed_with_its_sentence(page: Reader) -> None:
    assert f"ride-mobilenetv2_100-0: {FAILED}" in page.text


def test_without_weights_there_are_no_photos_and_the_page_says_why(page: Reader) -> None:
    assert "No weights of logit_adjusted are left" in page.text


def test_a_removal_is_an_ablation_and_no_candidate(page: Reader, out: Path) -> None:
    assert "logit_adjusted without loss" in page.text
    assert "Comparison of 4 methods" in page.text
    roles = {row["recipe"]: row["role"] for row in rows_of(out / "overall.csv")}
    assert roles["logit_adjusted-without-loss"] == "ablation"
    assert roles["logit_adjusted"] == "best_on_validation"
    assert {row["without"] for row in rows_of(out / "ablation.csv")} == {"loss"}
    tail = next(row for row in rows_of(out / "ablation.csv") if row["figure"] == "tail")
    assert float(tail["high"]) < 0  # the loss is worth something to the tail


def test_the_files_hold_a_row_for_each_recipe_run_species_and_difference(dataset: Dataset, out: Path) -> None:
    overall = {row["recipe"]: row for row in rows_of(out / "overall.csv")}
    assert len(overall) == 5
    assert overall["baseline"]["num_seeds"] == "3"
    assert float(overall["baseline"]["tail_deviation"]) > 0
    assert overall["focal"]["tail_deviation"] == ""
    assert len(rows_of(out / "runs.csv")) == len(rows_of(out / "cost.csv")) == 7
    assert len(rows_of(out / "species.csv")) == 7 * len(dataset.labels)
    assert len(rows_of(out / "groups.csv")) == 7 * 3
    differences = rows_of(out / "comparisons.csv")
    assert len(differences) == 3 * 5
    assert {row["num_comparisons"] for row in differences} == {"15"}
    gain = next(row for row in differences if (row["recipe"], row["figure"]) == ("logit_adjusted", "tail"))
    assert float(gain["low"]) > 0.2


def test_an_empty_group_is_no_species_and_never_zero(tmp_path: Path) -> None:
    dataset = synthetic_dataset((8, 8, 3, 3))
    results = [synthetic_result(dataset, recipe) for recipe in ("baseline", "focal")]
    page = written(dataset, results, tmp_path)
    assert "no species" in page.text
    for name in ("overall.csv", "runs.csv"):
        assert {row["middle"] for row in rows_of(tmp_path / name)} == {"no species"}
    groups = [row for row in rows_of(tmp_path / "groups.csv") if row["group"] == "middle"]
    assert {(row["num_species"], row["f1"], row["ece"]) for row in groups} == {
        ("0", "no species", "no species")
    }
    middle = [row for row in rows_of(tmp_path / "comparisons.csv") if row["figure"] == "middle"]
    assert {row["difference"] for row in middle} == {"no species"}


def test_a_group_that_is_not_tested_says_so(tmp_path: Path) -> None:
    dataset = synthetic_dataset()
    untested = dataset.with_samples(
        [
            s
            for s in dataset.samples
            if s.split != "test" or dataset.groups[dataset.labels.index(s.label)] != "tail"
        ]
    )
    results = [synthetic_result(untested, recipe) for recipe in ("baseline", "focal")]
    page = written(untested, results, tmp_path)
    assert "no test photos" in page.text
    assert "There is no trade-off to show" in page.text
    assert {row["tail"] for row in rows_of(tmp_path / "overall.csv")} == {"no test photos"}
    tails = [row for row in rows_of(tmp_path / "groups.csv") if row["group"] == "tail"]
    assert {(row["num_species"], row["recall"], row["recall_low"]) for row in tails} == {
        ("3", "no test photos", "")
    }


def test_one_method_alone_still_has_a_report(tmp_path: Path) -> None:
    dataset = synthetic_dataset(families=False)
    page = written(dataset, [synthetic_result(dataset, "focal")], tmp_path, baseline="crt")
    assert "No method could be compared with the baseline crt" in page.text
    assert "names no families" in page.text
    assert "No run without one of a recipe's factors" in page.text


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    dataset = synthetic_dataset()
    taxa = (Taxon(label="<script>alert(1)</script>", family="A&B<i>"), *dataset.info.taxa[1:])
    samples = [
        s if s.label != dataset.labels[0] else type(s)(**{**s.__dict__, "label": taxa[0].label})
        for s in dataset.samples
    ]
    hostile = Dataset(dataset.folder, dataset.info.model_copy(update={"taxa": taxa}), tuple(samples))
    written(hostile, [synthetic_result(hostile, recipe) for recipe in ("baseline", "focal")], tmp_path)
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "A&amp;B&lt;i&gt;" in html


def test_methods_on_several_backbones_are_compared_on_their_own(dataset: Dataset) -> None:
    results = [
        synthetic_result(dataset, recipe, backbone=backbone)
        for recipe in ("baseline", "focal")
        for backbone in ("resnet18", "resnet34")
    ]
    comparison = make_comparison(results[1:], dataset, "baseline")
    assert {method.name for method in comparison.methods} == {
        "baseline, resnet34",
        "focal, resnet18",
        "focal, resnet34",
    }
    rows = against_baseline(comparison).rows
    assert [(row.method.name, row.reference.name) for row in rows] == [
        ("focal, resnet34", "baseline, resnet34")
    ]


def test_losses_side_by_side_are_those_that_differ_in_nothing_else(dataset: Dataset) -> None:
    recipes = ("cross_entropy", "baseline", "focal", "ldam", "drw", "mixup", "crt", "class_balanced_sampling")
    comparison = make_comparison([synthetic_result(dataset, name) for name in recipes], dataset, "baseline")
    assert {method.recipe for method in loss_methods(comparison)} == {
        "cross_entropy",
        "baseline",
        "focal",
        "ldam",
        "drw",
    }


def test_results_of_other_photos_are_refused_by_name(dataset: Dataset) -> None:
    other = synthetic_dataset(num_test=5)
    with pytest.raises(ValueError, match=r"focal-mobilenetv2_100-0: was judged on other photos"):
        make_comparison([synthetic_result(other, "focal")], dataset, "baseline")
    with pytest.raises(ValueError, match="no run has finished"):
        make_comparison([], dataset, "baseline")


def test_the_document_has_the_same_figures_as_the_page(dataset: Dataset, tmp_path: Path) -> None:
    page = written(dataset, some_results(dataset), tmp_path)
    text = (tmp_path / "tables.md").read_text(encoding="utf-8")
    assert "validation chooses logit_adjusted" in text
    row = next(
        line for line in text.splitlines() if line.startswith("| 1 logit_adjusted (best on validation) |")
    )
    figures = [cell.strip() for cell in row.split("|")[4:9]]
    assert all(figure in page.text for figure in figures)
    blocks = re.findall(r"(?:^\|.*\n){3,}", text, re.MULTILINE)
    assert len(blocks) == 5
    assert "| logit_adjusted without loss |" in text
    assert all(len({line.count("|") for line in block.splitlines()}) == 1 for block in blocks)


def test_groups_look_as_on_the_pages_of_the_service() -> None:
    css = (REPO / "app/web/static/app.css").read_text(encoding="utf-8")
    report = (REPO / "templates/report/report.css").read_text(encoding="utf-8")
    for group, colour in COLOURS.items():
        assert f"--{group}: {colour};" in css.partition("@media")[0]
        assert f"--{group}: {colour};" in report
    assert SYMBOLS == {"head": "●", "middle": "■", "tail": "◆"}
