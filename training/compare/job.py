"""One run of a comparison in a process of its own, so that its memory is its own and its end nobody else's.

``python -m training.compare.job FOLDER`` does what the folder's ``job.json`` says and writes its ``result.json``.
Legend: N images, C classes.
"""

import fcntl
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.decision import probabilities
from models.preprocess import Preprocessing
from training.calibrate import fit_temperature
from training.checkpoint import METRICS
from training.classifier import Classifier
from training.compare.record import Cost, Predictions, RunResult, write_result
from training.config import RunConfig
from training.data.prepared import Dataset, read_dataset
from training.evaluate import class_indices
from training.finish import check_finish
from training.hardware import hardware_name, peak_memory_mib
from training.inference import evaluation_cache, network_logits, places_of
from training.refusals import sentence
from training.run_folder import RunRecord, begin_run, read_run
from training.trainer import finish_from, train_epochs

JOB, LOCK, PEAK = "job.json", "lock", "peak_memory_mib"
SPLITS = ("val", "test")


class Job(BaseModel):
    """What is to be run. ``epochs_folder``: another run's whose epochs are this one's too, or None to train them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: RunConfig
    data: Path
    command: str
    epochs_folder: Path | None = None


def run_job(job: Job, folder: Path) -> RunResult:
    """Train what is missing, finish, and judge on validation and then, once, on test photos.

    Raises ValueError for what a user can get wrong.
    """
    dataset = read_dataset(job.data)
    begin_run(folder, job.config, job.data, dataset.info.content_sha256, job.command)
    check_finish(job.config, dataset)
    if not job.config.distillation.student:
        raise ValueError(
            "distillation.student=false has no epochs of its own to compare: use `train` and `evaluate`"
        )
    if job.epochs_folder is None:
        learnt = train_epochs(job.config, dataset, folder)
        _keep_peak(folder, peak_memory_mib(next(learnt.parameters()).device))
    epochs_folder = job.epochs_folder or folder
    began = time.monotonic()
    classifier = finish_from(job.config, dataset, epochs_folder, folder)
    finish_minutes = (time.monotonic() - began) / 60
    cost = _cost(classifier, dataset, epochs_folder, finish_minutes, shared=epochs_folder != folder)
    return _judged(job.config, classifier, dataset, cost, read_run(folder))


def _cost(
    classifier: Classifier, dataset: Dataset, epochs_folder: Path, finish_minutes: float, *, shared: bool
) -> Cost:
    """Epochs cost what they cost when they were made, in whichever process that was."""
    seconds = _seconds_of_epochs(epochs_folder)
    teachers = [
        second
        for path in epochs_folder.glob(f"teacher-*/{METRICS}")
        for second in _seconds_of_epochs(path.parent)
    ]
    peak = peak_memory_mib(next(classifier.parameters()).device)
    return Cost(
        images_per_s=len(dataset.split("train")) * len(seconds) / max(sum(seconds), 1e-9),
        minutes=(sum(seconds) + sum(teachers)) / 60,
        finish_minutes=finish_minutes,
        peak_memory_mib=max(peak, _peak_of_epochs(epochs_folder)),
        num_parameters=sum(parameter.numel() for parameter in classifier.parameters()),
        shared_epochs=shared,
    )


def _seconds_of_epochs(folder: Path) -> list[float]:
    return [json.loads(line)["seconds"] for line in (folder / METRICS).read_text().splitlines()]


def _keep_peak(folder: Path, peak_mib: float) -> None:
    """For whoever finishes on these epochs. A run made again has its epochs already: what they took stays."""
    part = folder / f"{PEAK}.part"
    part.write_text(f"{max(peak_mib, _peak_of_epochs(folder))}\n")
    part.replace(folder / PEAK)


def _peak_of_epochs(folder: Path) -> float:
    """0 where nobody kept it, as in folders of before."""
    return float((folder / PEAK).read_text()) if (folder / PEAK).exists() else 0.0


def _judged(
    config: RunConfig, classifier: Classifier, dataset: Dataset, cost: Cost, record: RunRecord
) -> RunResult:
    photos = evaluation_cache(dataset, Preprocessing(size_px=config.size_px, fit=config.fit))
    device = next(classifier.parameters()).device
    labels, logits = {}, {}
    for split in SPLITS:
        samples = dataset.split(split)
        labels[split] = class_indices(dataset, samples)
        logits[split] = network_logits(classifier, photos, places_of(dataset, samples), device)
    temperature = fit_temperature(logits["val"], labels["val"])
    said = {split: _predictions(logits[split], labels[split], temperature) for split in SPLITS}
    return RunResult(
        recipe=config.recipe,
        backbone=config.model.backbone,
        seed=config.seed,
        config=config,
        data_sha256=record.data_sha256,
        num_classes=len(dataset.labels),
        temperature=temperature,
        validation=said["val"],
        test=said["test"],
        cost=cost,
        command=record.command,
        commit=record.commit,
        hardware=hardware_name(device),
        environment=record.environment,
    )


def _predictions(
    logits_NC: NDArray[np.float64], labels_N: NDArray[np.int64], temperature: float
) -> Predictions:
    chances_NC = probabilities(logits_NC, temperature)
    return Predictions(
        labels=tuple(labels_N.tolist()),
        predicted=tuple(chances_NC.argmax(axis=1).tolist()),
        confidence=tuple(chances_NC.max(axis=1).tolist()),
    )


def main() -> None:
    """Run the job of a folder: 0 when its result is written, 1 and one sentence for what can be put right."""
    folder = Path(sys.argv[1])
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            job = Job.model_validate_json((folder / JOB).read_bytes())
            write_result(run_job(job, folder), folder)
        except BlockingIOError:
            sys.exit(f"{folder}: another process is at this run; wait for it or end it")
        except (ValueError, OSError) as error:
            sys.exit(sentence(error))
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
