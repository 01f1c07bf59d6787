"""A comparison as the command makes it: what is missing is run, what failed is named, what is done stays done."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from tests.house.tree import REPO
from training.checkpoint import CHECKPOINT, METRICS, WEIGHTS
from training.compare import ahead, command, runner
from training.compare.command import TABLES, compare
from training.compare.job import JOB, LOCK
from training.compare.plan import run_key
from training.compare.record import RunResult, read_result
from training.compare.report import PAGE, write_report
from training.compare.runner import Place, Runner, missing_runs, why_it_failed
from training.config import RunConfig
from training.data.prepared import Dataset, write_dataset
from training.overrides import apply_overrides
from training.recipes import make_recipe
from training.run_folder import begin_run

TINY = (
    "device=cpu",
    "threads=1",
    "workers=0",
    "size_px=32",
    "optimisation.epochs=2",
    "optimisation.batch_size=8",
    "optimisation.ema_decay=0.5",
)
BASELINE, TAU_NORM = "baseline-test_efficientnet-0", "tau_norm-test_efficientnet-0"


class Reported(NamedTuple):
    """What a report was asked for."""

    results: tuple[RunResult, ...]
    baseline: str
    failures: dict[str, str]
    commands: tuple[str, ...]
    ablation: str | None


class Done(NamedTuple):
    """How a command ended."""

    code: int
    said: str
    reported: Reported | None


def run_compare(*words: str) -> Done:
    """The command in this process; what its report was asked for is remembered."""
    found: list[Reported] = []

    def remember(dataset: Dataset, results: Sequence[RunResult], out: Path, **asked: Any) -> None:
        failures, commands = dict(asked["failures"]), tuple(asked["commands"])
        found.append(Reported(tuple(results), asked["baseline"], failures, commands, asked["ablation"]))
        write_report(dataset, results, out, **asked)

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(compare)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "write_report", remember)
        done = CliRunner().invoke(app, words)
    refusal = str(done.exception) if isinstance(done.exception, ValueError) else ""
    return Done(done.exit_code, done.output + refusal, found[0] if found else None)


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset) -> Path:
    write_dataset(tiny_dataset, [])
    return tiny_dataset.folder


@pytest.fixture(scope="module")
def compared(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Two recipes of the same epochs on a backbone that there is, and on one whose weights are missing."""
    out = tmp_path_factory.mktemp("report")
    words = (
        "--backbones",
        f"test_efficientnet,test_resnet={out}/missing.safetensors",
        "--parallel",
        "2",
        *TINY,
    )
    return out, run_compare("--data", str(data), "--out", str(out), "--recipes", "baseline,tau_norm", *words)


def place_of(out: Path, data: Path, dataset: Dataset) -> Place:
    return Place(out / "runs", out / "results", data, dataset.info.content_sha256, "compare")


def test_a_bad_run_ends_no_other_and_is_named_with_its_reason(compared: tuple[Path, Done]) -> None:
    out, done = compared
    assert done.code == 1
    assert done.reported is not None
    assert [result.key for result in done.reported.results] == [BASELINE, TAU_NORM]
    assert set(done.reported.failures) == {"baseline-test_resnet-0", "tau_norm-test_resnet-0"}
    assert set(done.reported.failures.values()) == {f"{out}/missing.safetensors: there are no weights here"}
    assert "2 runs failed (baseline-test_resnet-0: " in done.said


def test_a_report_is_written_of_what_there_is_and_its_tables_beside_the_results(
    compared: tuple[Path, Done],
) -> None:
    out, _ = compared
    page = (out / PAGE).read_text()
    assert "baseline-test_resnet-0" in page
    assert "there are no weights here" in page
    tables = (out / "results" / TABLES).read_text()
    correct = read_result(out / "results" / f"{TAU_NORM}.json").test.correct
    row = next(line for line in tables.splitlines() if "tau_norm" in line and line.startswith("| "))
    assert f"| {100 * correct.mean():.1f} |" in row


def test_a_second_stage_is_made_on_the_epochs_of_another_run(compared: tuple[Path, Done]) -> None:
    out, done = compared
    assert f"{TAU_NORM} begins on the epochs of {BASELINE}" in done.said
    assert (out / "runs" / BASELINE / CHECKPOINT).exists()
    assert not (out / "runs" / TAU_NORM / CHECKPOINT).exists()
    assert (out / "runs" / TAU_NORM / WEIGHTS).exists()
    results = [read_result(out / "results" / f"{key}.json") for key in (BASELINE, TAU_NORM)]
    assert [result.cost.shared_epochs for result in results] == [False, True]


def test_each_run_says_how_it_did_and_the_best_by_validation_stand_first(compared: tuple[Path, Done]) -> None:
    _, done = compared
    assert "[1/4] baseline-test_efficientnet-0 begins" in done.said
    assert "min; validation recall head " in done.said
    standings = [line for line in done.said.splitlines() if "on test_efficientnet, 1 seed:" in line]
    means = [float(line.split("%")[0]) for line in standings]
    assert len(means) == 2
    assert means == sorted(means, reverse=True)


def test_what_has_finished_is_not_run_again_and_needs_no_run_folder(
    compared: tuple[Path, Done], data: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(compared[0] / "results", kept)
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    done = run_compare(
        *("--data", str(data), "--out", str(tmp_path / "new"), "--results", str(kept)),
        *("--recipes", "baseline,tau_norm", "--backbones", "test_efficientnet", *TINY),
    )
    assert done.code == 0, done.said
    assert "2 runs, 2 of them finished" in done.said
    assert list((tmp_path / "new" / "runs").iterdir()) == []
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_a_report_can_be_written_from_results_alone(
    compared: tuple[Path, Done], data: Path, tmp_path: Path
) -> None:
    words = ("--data", str(data), "--out", str(tmp_path), "--results", str(compared[0] / "results"))
    done = run_compare(*words, "--only-report", "--baseline", "tau_norm", "--ablate", "baseline")
    assert done.code == 0, done.said
    assert done.reported is not None
    assert [result.key for result in done.reported.results] == [BASELINE, TAU_NORM]
    assert (done.reported.baseline, done.reported.ablation) == ("tau_norm", "baseline")
    assert done.reported.commands[0] == done.reported.results[0].command
    done = run_compare(*words, "--only-report", "--baseline", "focal")
    assert "no run of it has a result; choose from baseline, tau_norm" in done.said


def test_a_report_alone_is_of_the_recipes_and_backbones_that_are_named(
    compared: tuple[Path, Done], data: Path, tmp_path: Path
) -> None:
    words = (
        *("--data", str(data), "--out", str(tmp_path), "--results", str(compared[0] / "results")),
        *("--only-report", "--protocol", "cifar"),
    )

    def keys_of(*more: str) -> list[str]:
        done = run_compare(*words, *more)
        assert done.code == 0, done.said
        assert done.reported is not None
        return [result.key for result in done.reported.results]

    tables = compared[0] / "results" / TABLES
    whole = tables.read_text()
    assert keys_of("--recipes", "tau_norm:2,focal") == [TAU_NORM]
    assert tables.read_text() == whole, "the tables beside the results are of all of them"
    assert keys_of("--recipes", "focal,tau_norm", "--baseline", "baseline") == [BASELINE, TAU_NORM]
    assert keys_of("--recipes", "tau_norm", "--ablate", "baseline:2") == [BASELINE, TAU_NORM]
    assert keys_of("--backbones", "resnet18,test_efficientnet") == [BASELINE, TAU_NORM]
    for nothing in (("--recipes", "focal"), ("--backbones", "resnet18")):
        done = run_compare(*words, *nothing)
        assert "asked for has a result; there are baseline on test_efficientnet, tau_norm on" in done.said


def test_a_baseline_may_be_planned_or_finished_and_is_else_refused_before_anything_runs(
    compared: tuple[Path, Done], data: Path, tmp_path: Path
) -> None:
    words = ("--data", str(data), "--out", str(tmp_path / "new"), "--backbones", "test_efficientnet", *TINY)
    done = run_compare(*words, "--recipes", "baseline,focal", "--baseline", "tau_nrom")
    assert done.code == 1
    assert (
        "--baseline tau_nrom: no run of it is asked for or has a result; choose from baseline, focal"
        in done.said
    )
    assert not (tmp_path / "new").exists()
    kept = tmp_path / "kept"
    shutil.copytree(compared[0] / "results", kept)
    done = run_compare(*words, "--results", str(kept), "--recipes", "baseline", "--baseline", "tau_norm")
    assert done.code == 0, done.said
    assert done.reported is not None
    assert done.reported.baseline == "tau_norm"


def test_a_network_that_cannot_be_is_refused_alone_and_named_in_the_report(
    compared: tuple[Path, Done], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(config: RunConfig, num_classes: int) -> None:
        if config.model.backbone == "test_resnet":
            raise ValueError("test_resnet cannot be exported")

    monkeypatch.setattr(ahead, "check_exports", export)
    monkeypatch.setattr(sys, "executable", str(pretended_python(tmp_path, "echo begun; exit 1")))
    kept = tmp_path / "kept"
    shutil.copytree(compared[0] / "results", kept)
    done = run_compare(
        *("--data", str(data), "--out", str(tmp_path / "out"), "--results", str(kept)),
        *("--recipes", "focal,tau_norm", "--backbones", "test_resnet,test_efficientnet", *TINY),
    )
    assert done.code == 1
    assert done.reported is not None
    assert done.reported.failures == {
        "focal-test_resnet-0": "test_resnet cannot be exported",
        "tau_norm-test_resnet-0": "test_resnet cannot be exported",
        "focal-test_efficientnet-0": "begun",
    }
    assert "tau_norm-test_resnet-0 cannot be run: test_resnet cannot be exported" in done.said
    assert "test_resnet cannot be exported" in (tmp_path / "out" / PAGE).read_text()


def pretended_python(folder: Path, script: str) -> Path:
    """A program for each run in the place of Python; ``$3`` is the run's folder."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("parallel", "seen"), [("2", "2 caches"), ("1", "0 caches")])
def test_photos_are_decoded_before_runs_begin_together(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: str, seen: str
) -> None:
    fresh = tmp_path / "data"
    write_dataset(Dataset(fresh, tiny_dataset.info, tiny_dataset.samples), [])
    count = f'echo "$(ls {fresh}/cache 2>/dev/null | grep -c json) caches"; exit 1'
    monkeypatch.setattr(sys, "executable", str(pretended_python(tmp_path, count)))
    monkeypatch.setattr(ahead, "check_exports", lambda config, num_classes: None)
    done = run_compare(
        *("--data", str(fresh), "--out", str(tmp_path / "out"), "--parallel", parallel),
        *("--recipes", "focal,baseline", "--backbones", "test_efficientnet", *TINY),
    )
    assert f"focal-test_efficientnet-0 failed: {seen}" in done.said
    assert f"baseline-test_efficientnet-0 failed: {seen}" in done.said


def test_a_result_of_other_settings_is_named_with_what_differs(
    compared: tuple[Path, Done], data: Path, tiny_dataset: Dataset
) -> None:
    result = read_result(compared[0] / "results" / f"{BASELINE}.json")
    place = place_of(compared[0], data, tiny_dataset)
    other = apply_overrides(result.config, ["optimisation.epochs=3"])
    with pytest.raises(
        ValueError, match=rf"{BASELINE}\.json: was run with another optimisation\.epochs; choose"
    ):
        missing_runs([other], place)
    assert missing_runs([result.config.with_(workers=3)], place) == ()


def test_a_result_of_other_data_is_named(
    compared: tuple[Path, Done], data: Path, tiny_dataset: Dataset
) -> None:
    place = place_of(compared[0], data, tiny_dataset)
    moved = Place(place.runs, place.results, place.data, "another", place.command)
    with pytest.raises(ValueError, match=rf"{BASELINE}\.json: was run on other data than"):
        missing_runs([], moved)


def test_runs_after_epochs_that_broke_off_are_not_begun(
    data: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    first, second = (apply_overrides(make_recipe(name), list(TINY)) for name in ("baseline", "tau_norm"))
    place = place_of(tmp_path, data, tiny_dataset)
    folder = place.runs / run_key(first)
    begin_run(folder, first, data, place.data_sha256, "compare")
    (folder / CHECKPOINT).write_bytes(b"half a checkpoint")
    lines: list[str] = []
    failures = Runner(place, 1, say=lines.append, describe=lambda result: "").run([first, second])
    assert "damaged; delete it to begin this run again" in failures[run_key(first)]
    assert failures[run_key(second)] == f"its epochs are those of {run_key(first)}, which failed"
    assert not (place.runs / run_key(second)).exists()
    assert lines[-1].startswith("[2/2]")


def test_a_result_that_this_checkout_cannot_read_ends_no_other_run(
    data: Path, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_code = pretended_python(tmp_path, """echo '{"of": "tomorrow"}' > "$3/result.json" """)
    monkeypatch.setattr(sys, "executable", str(other_code))
    configs = [apply_overrides(make_recipe(name), list(TINY)) for name in ("baseline", "focal")]
    place = place_of(tmp_path, data, tiny_dataset)
    failures = Runner(place, 1, say=lambda line: None, describe=lambda result: "").run(configs)
    assert failures.keys() == {run_key(config) for config in configs}
    assert all("result.json: not a finished run's result" in reason for reason in failures.values())
    assert missing_runs(configs, place) == tuple(configs)


def test_what_cannot_be_written_fails_the_run_that_it_is_of_and_no_other(
    compared: tuple[Path, Done],
    data: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished = compared[0] / "results" / f"{BASELINE}.json"
    copy = pretended_python(tmp_path, f'cp {finished} "$3/result.json"')
    monkeypatch.setattr(sys, "executable", str(copy))
    configs = [apply_overrides(make_recipe(name), list(TINY)) for name in ("baseline", "focal", "ldam")]
    unwritten, uncopied, kept = map(run_key, configs)
    place = place_of(tmp_path, data, tiny_dataset)
    (place.runs / unwritten / JOB).mkdir(parents=True)
    (place.results / f"{uncopied}.part").mkdir(parents=True)
    lines: list[str] = []
    failures = Runner(place, 1, say=lines.append, describe=lambda result: "").run(configs)
    told = "could not be written (Is a directory): make room there, then start the same command again"
    assert failures == {
        unwritten: f"{place.runs / unwritten}: {told}",
        uncopied: f"{place.results / uncopied}.json: {told}",
    }
    assert (place.results / f"{kept}.json").read_bytes() == finished.read_bytes()
    assert [line.split()[0] for line in lines] == ["[1/3]", "[2/3]", "[2/3]", "[3/3]", "[3/3]"]


def test_a_process_that_does_not_end_when_it_is_asked_to_is_made_to(
    data: Path, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = "trap '' TERM; echo $$ > \"$3/pid\"; while :; do sleep 0.05; done"
    monkeypatch.setattr(sys, "executable", str(pretended_python(tmp_path, deaf)))
    monkeypatch.setattr(runner, "_ENDED_S", 0.2)
    config = apply_overrides(make_recipe("baseline"), list(TINY))
    place = place_of(tmp_path, data, tiny_dataset)
    pid = place.runs / run_key(config) / "pid"

    def interrupted_once_it_runs(line: str) -> None:
        while not (pid.exists() and pid.read_text().endswith("\n")):
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Runner(place, 1, say=interrupted_once_it_runs, describe=lambda result: "").run([config])
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    "interrupt",
    [lambda pid: os.killpg(pid, signal.SIGINT), lambda pid: os.kill(pid, signal.SIGTERM)],
    ids=["Ctrl-C", "kill"],
)
def test_interrupted_it_leaves_no_process_behind_and_goes_on_where_it_was(
    data: Path, tmp_path: Path, interrupt: Callable[[int], None]
) -> None:
    words = [
        *("compare", "--data", str(data), "--out", str(tmp_path), "--recipes", "baseline"),
        *("--backbones", "test_efficientnet", *TINY, "optimisation.epochs=60"),
    ]
    process = subprocess.Popen(
        # Behind this process, which must see its first epoch before it has done the last.
        ["nice", "-n", "10", sys.executable, "-m", "training", *words],
        cwd=REPO,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    folder = tmp_path / "runs" / BASELINE
    while process.poll() is None and not (folder / CHECKPOINT).exists():
        time.sleep(0.01)
    interrupt(process.pid)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "interrupted; the same command goes on where it was" in said
    assert "Traceback" not in said
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    before = (folder / METRICS).read_text().splitlines()
    assert len(before) < 60
    done = run_compare(*words[1:])
    assert done.code == 0, done.said
    after = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    assert [line["epoch"] for line in after] == list(range(60))
    assert [json.loads(line) for line in before][: len(before) - 1] == after[: len(before) - 1]


def test_a_signal_and_a_silent_end_are_put_into_words(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("epoch 1\nthe loss is nan: lower optimisation.lr\n\n")
    assert why_it_failed(1, log) == "the loss is nan: lower optimisation.lr"
    assert "signal 9: the machine had too little memory for it" in why_it_failed(-9, log)
    log.write_text("")
    assert why_it_failed(3, log) == "it ended with code 3 and said nothing"


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--recipes", "focl"), "unknown recipe 'focl'; choose from focal, "),
        (
            ("--recipes", "focal", "--backbones", "rensnet18"),
            "unknown backbone 'rensnet18'; near names: resnet18",
        ),
        ((), "nothing to compare: give --recipes, --ablate or --only-report"),
        (("--ablate", "focal,crt"), "takes one recipe at a time"),
        (("--only-report",), "no run has a result"),
        (("--recipes", "focal", "epoch=1"), "unknown key 'epoch': choose from optimisation.epochs"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    data: Path, tmp_path: Path, words: tuple[str, ...], refusal: str
) -> None:
    done = run_compare("--data", str(data), "--out", str(tmp_path), *words)
    assert done.code == 1
    assert refusal in done.said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("split", ["val", "test"])
def test_data_to_choose_or_to_judge_on_is_needed(tiny_dataset: Dataset, tmp_path: Path, split: str) -> None:
    less = tiny_dataset.with_samples([one for one in tiny_dataset.samples if one.split != split])
    write_dataset(Dataset(tmp_path / "data", less.info, less.samples), [])
    done = run_compare("--data", str(tmp_path / "data"), "--out", str(tmp_path), "--recipes", "focal")
    assert done.code == 1
    assert f"no photo is in split '{split}'" in done.said


def test_a_folder_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_compare("--data", str(data), "--out", str(tmp_path / "file"), "--recipes", "focal")
    assert done.code == 1
    assert "file/runs: cannot be written to (Not a directory); choose another --out" in done.said
