"""``judge-unknown``: a run, a bundle or a cross-validation against photos of what it does not know."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from models import bundle
from models.evaluation import UnknownReport
from models.preprocess import Preprocessing
from models.views import Views
from training.asked import Asked, ask_bundle, ask_run, check_views
from training.crossval_result import FITTED_ON, RESULT, read_cross_validation
from training.data.dataset import Photos
from training.data.prepared import Dataset, read_dataset
from training.data.split import without_fold
from training.evaluate import class_indices
from training.inference import places_of
from training.judged import SEEN
from training.options import WantedViews, read_views
from training.outsiders import PhotoFiles, read_outsiders
from training.trust import CALIBRATED_ON
from training.unknown_folds import answer_fold, judge_folds, share_of
from training.unknown_lines import unknown_lines
from training.unknown_photos import (
    FittedUnknown,
    drawn_outsiders,
    fit_unknown,
    judged_part,
    shipped_rule,
)
from training.unknown_report import unknown_report

Paths = Mapping[str, tuple[Path, ...]]


def judge_unknown(
    model: Annotated[
        Path, typer.Argument(help="Run folder, bundle folder, or the folder of a cross-validation.")
    ],
    data: Annotated[Path, typer.Option("--data", help="Folder that `prepare` made: the known species.")],
    outsiders: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER or NAME=CSV?column=value; may be repeated.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Known photos to judge with; a cross-validation has its own.")
    ] = "test",
    limit: Annotated[int, typer.Option(min=1, help="Photos of each kind of outsider, drawn by lot.")] = 600,
    views: WantedViews = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Judge how well a model tells what it does not know: drawn pictures, and photos that you name.

    A bundle and a cross-validation are asked over their own views, a run over one of each photo where you do not say.

    Example: python -m training judge-unknown runs/mine --data data/mine --outsiders "butterflies=photos/butterflies"
    """
    paths = dict(read_outsiders(words, limit) for words in outsiders or [])
    wanted = read_views(views) if views else None
    report = judge(model, read_dataset(data), paths, split=split, views=wanted)
    typer.echo(report.model_dump_json(indent=1) if as_json else "\n".join(unknown_lines(report)))


def judge(
    model: Path, dataset: Dataset, outsiders: Paths, *, split: str = "test", views: Views | None = None
) -> UnknownReport:
    """The report on a run or a bundle with the photos of ``split``, or on a cross-validation with those of its folds.

    ``views`` None: a bundle's and a cross-validation's own, of runs the photos as they are. Raises ValueError.
    """
    folds = sorted(model.glob("fold-*/"))
    if folds:
        return _judge_folds(folds, dataset, outsiders, views or _views_of(model))
    if split in SEEN or not dataset.split(split):
        raise ValueError(
            f"{dataset.folder}: known photos must be ones that were neither trained on nor calibrated with, and "
            f"split {split!r} has none; give --split test, or the folder of a cross-validation"
        )
    shipped = (model / bundle.CARD).exists()
    asked, fitted = _bundle(model, dataset, views) if shipped else _run(model, dataset, views or "one")
    samples = dataset.split(split)
    part = judged_part(
        asked.ask,
        fitted,
        asked.ask(asked.photos, places_of(dataset, samples)),
        class_indices(dataset, samples),
        _all_outsiders(outsiders, asked.wanted),
    )
    return unknown_report([part], dataset.groups)


def _all_outsiders(paths: Paths, wanted: Preprocessing) -> dict[str, Photos]:
    drawn = drawn_outsiders(wanted.size_px)
    return {**drawn, **{name: PhotoFiles(found, wanted) for name, found in paths.items()}}


def _views_of(cross_validation: Path) -> Views:
    """Those that it was judged with; one while it has no result yet."""
    if not (cross_validation / RESULT).exists():
        return "one"
    return read_cross_validation(cross_validation).views


def _bundle(model: Path, dataset: Dataset, views: Views | None) -> tuple[Asked, FittedUnknown]:
    read = bundle.read(model)
    check_views(read, views)
    fitted = shipped_rule(read)
    if fitted is None:
        raise ValueError(f"{model}: does not say when something is unknown; export it again from its run")
    return ask_bundle(read, dataset), fitted


def _run(model: Path, dataset: Dataset, views: Views) -> tuple[Asked, FittedUnknown]:
    asked, validation = ask_run(model, dataset, views), dataset.split("val")
    fitted = fit_unknown(
        asked.ask,
        asked.photos,
        dataset,
        asked.ask(asked.photos, places_of(dataset, validation)),
        class_indices(dataset, validation),
        size_px=asked.wanted.size_px,
        fitted_on=CALIBRATED_ON,
    )
    if fitted is None:
        raise ValueError(
            f"{dataset.folder}: has no validation photos to fit a threshold on; prepare it with some"
        )
    return asked, fitted


def _judge_folds(folders: list[Path], dataset: Dataset, outsiders: Paths, views: Views) -> UnknownReport:
    judged = []
    for number, folder in enumerate(folders):
        fold = folder.name.removeprefix("fold-")
        without = dataset.with_samples(without_fold(dataset.samples, fold))
        asked = ask_run(folder, without, views)
        mine = share_of(_all_outsiders(outsiders, asked.wanted), number, len(folders))
        judged.append(answer_fold(asked.ask, asked.photos, without, asked.wanted, mine)[2])
    groups = dataset.learning_from_validation().groups
    return judge_folds(judged, groups, fitted_on=FITTED_ON)[1]
