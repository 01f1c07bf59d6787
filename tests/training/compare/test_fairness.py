"""Costs and differences are of one machine and of one seed with itself, or the report says that they are not."""

from pathlib import Path

import pytest
import torch

from tests.training.compare.reports import STRONG, WEAK, Reader, rows_of, written
from tests.training.compare.synthetic import synthetic_result
from training.compare.differences import ablations, against_baseline
from training.compare.methods import make_comparison
from training.compare.record import RunResult
from training.data.prepared import Dataset
from training.hardware import hardware_name


def two_machines(dataset: Dataset) -> list[RunResult]:
    """A full recipe with three seeds on processors, one of its removals on a GPU and one on the processor."""
    return [
        *(synthetic_result(dataset, "baseline", seed=seed, recalls=STRONG) for seed in (0, 1)),
        synthetic_result(dataset, "baseline", seed=2, recalls=STRONG, hardware="drawn, 16 cores"),
        synthetic_result(dataset, "baseline-without-mixup", recalls=WEAK, hardware="Drawn H1"),
        synthetic_result(dataset, "baseline-without-flip", recalls=WEAK),
    ]


def test_costs_are_averaged_within_one_machine_and_say_whose_memory_they_count(
    dataset: Dataset, tmp_path: Path
) -> None:
    results = two_machines(dataset)
    results = [
        run.model_copy(update={"cost": run.cost.model_copy(update={"minutes": float(minutes)})})
        for run, minutes in zip(results, (10, 20, 3, 1, 9), strict=True)
    ]
    page = written(dataset, results, tmp_path)
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (tmp_path / "tables.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| baseline |")
    ]
    assert [line[:3] + line[4:5] for line in lines if "cores" in line[1]] == [
        ["baseline", "drawn, 2 cores", "2", "15.0"],
        ["baseline", "drawn, 16 cores", "1", "3.0"],
    ]
    assert "memory of the process or of the GPU" in page.text
    memory = {row["hardware"]: row["peak_memory_of"] for row in rows_of(tmp_path / "cost.csv")}
    assert memory == {"drawn, 2 cores": "process", "drawn, 16 cores": "process", "Drawn H1": "GPU"}
    assert "(process) |" in (tmp_path / "tables.md").read_text(encoding="utf-8")


def test_a_processor_is_told_from_a_gpu_by_the_name_that_runs_record(dataset: Dataset) -> None:
    here = synthetic_result(dataset, "baseline", hardware=hardware_name(torch.device("cpu")))
    assert here.memory_of == "process"
    assert synthetic_result(dataset, "baseline", hardware="NVIDIA H200").memory_of == "GPU"


def test_what_was_trained_on_other_hardware_than_its_reference_is_named_beside_the_differences(
    dataset: Dataset, tmp_path: Path
) -> None:
    page = written(dataset, two_machines(dataset), tmp_path, ablation="baseline")
    said = (
        "Not trained on the hardware of what they are compared with, so that a part of their difference may be that of "
        "the machines, and of the number format that precision=auto chooses on each: without mixup "
        "(Drawn H1 against drawn, 2 cores)."
    )
    assert said in page.text
    assert said in (tmp_path / "tables.md").read_text(encoding="utf-8")
    hardware = {
        (row["without"], row["hardware"], row["reference_hardware"])
        for row in rows_of(tmp_path / "ablation.csv")
    }
    assert hardware == {
        ("mixup", "Drawn H1", "drawn, 2 cores"),
        ("flip", "drawn, 2 cores", "drawn, 2 cores"),
    }


def test_where_all_ran_on_one_machine_nothing_is_said_of_hardware(page: Reader, out: Path) -> None:
    assert "Not trained on the hardware" not in page.text
    assert "Not trained on the hardware" not in (out / "tables.md").read_text(encoding="utf-8")


def test_a_run_is_compared_with_the_seeds_that_both_have(dataset: Dataset) -> None:
    results = two_machines(dataset)
    first, *_, without, _ = results
    alone, among = (
        ablations(make_comparison(of, dataset, "baseline"), None).rows for of in ([first, without], results)
    )
    (alone_row,) = alone
    among_row = next(row for row in among if row.method.recipe == without.recipe)
    assert among_row.seeds == (0,)
    assert {name: one.value for name, one in among_row.differences.items()} == {
        name: one.value for name, one in alone_row.differences.items()
    }
    gain = without.test.correct.mean() - first.test.correct.mean()
    assert among_row.differences["accuracy"].value == pytest.approx(gain, abs=1e-12)


def test_where_no_seed_is_shared_all_are_compared_and_the_table_says_so(
    dataset: Dataset, tmp_path: Path
) -> None:
    results = [
        *(synthetic_result(dataset, "baseline", seed=seed, recalls=WEAK) for seed in (1, 2)),
        synthetic_result(dataset, "focal", recalls=STRONG),
    ]
    (row,) = against_baseline(make_comparison(results, dataset, "baseline")).rows
    theirs = sum(run.test.correct.mean() for run in results[:2]) / 2
    gain = results[2].test.correct.mean() - theirs
    assert row.seeds == ()
    assert row.differences["accuracy"].value == pytest.approx(gain, abs=1e-12)
    assert "none in common" in written(dataset, results, tmp_path).text
    assert {line["seeds"] for line in rows_of(tmp_path / "comparisons.csv")} == {"none in common"}


def test_the_tables_of_a_document_say_that_other_seeds_are_not_in_their_p_values(
    page: Reader, out: Path
) -> None:
    text = (out / "tables.md").read_text(encoding="utf-8")
    for said in (text, page.text):
        assert said.count("they say nothing of other training photos or of other seeds") == 2
