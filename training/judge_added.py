"""``judge-added``: a run or a bundle that was made without some species, which are then added from a few photos."""

import csv
from pathlib import Path
from typing import Annotated

import typer

from models import bundle
from models.prototypes import AddingRule
from models.unknown import Space
from models.views import Views
from training.added_report import AddedReport, New, Old, added_lines, added_report, in_order
from training.adding import fit_adding, try_adding
from training.asked import Asked, ask_bundle, ask_run, check_views
from training.crossval_result import cross_validation_of
from training.data.left_out import LEFT_OUT
from training.data.prepared import Dataset, read_dataset
from training.evaluate import class_indices
from training.inference import places_of
from training.judged import SEEN
from training.options import WantedViews, read_views
from training.outsiders import PhotoFiles
from training.trust import CALIBRATED_ON
from training.unknown_photos import trained_space


def judge_added(
    model: Annotated[Path, typer.Argument(help="Run folder or bundle folder, made without the species.")],
    data: Annotated[Path, typer.Option("--data", help="Folder that `prepare --leave-out` made.")],
    split: Annotated[str, typer.Option(help="Photos of the old species to judge with.")] = "test",
    seed: Annotated[int, typer.Option(help="Draws the photos that species are added from.")] = 0,
    views: WantedViews = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Judge adding species without training: how well those that `prepare --leave-out` left out are found, from 1, 2,
    5, 10 and 20 photos each, and what the others lose.

    Example: python -m training judge-added runs/mine --data data/mine
    """
    wanted = read_views(views) if views else None
    report = judge(model, read_dataset(data), split=split, seed=seed, views=wanted)
    typer.echo(report.model_dump_json(indent=1) if as_json else "\n".join(added_lines(report)))


def judge(
    model: Path, dataset: Dataset, *, split: str = "test", seed: int = 0, views: Views | None = None
) -> AddedReport:
    """The report on a run or a bundle, with the species that its data leaves out.

    ``views`` None: a bundle's own, of runs the photos as they are. Raises ValueError.
    """
    samples = dataset.split(split)
    if split in SEEN or not samples:
        raise ValueError(
            f"{dataset.folder}: old photos must be ones that were neither trained on nor calibrated with, and split "
            f"{split!r} has none; give --split test, of data that was prepared with test photos"
        )
    left_out = read_left_out(dataset.folder)
    asked, space, rule = (
        _of_bundle(model, dataset, views) if _is_bundle(model) else _of_run(model, dataset, views or "one")
    )
    photos = PhotoFiles(tuple(path for path, _ in left_out), asked.wanted)
    species, labels_M = in_order([label for _, label in left_out])
    old = Old(asked.ask(asked.photos, places_of(dataset, samples)), class_indices(dataset, samples))
    new = New(asked.ask(photos, range(len(photos))), labels_M, species)
    return added_report(space, rule, old, new, seed=seed)


def read_left_out(folder: Path) -> list[tuple[Path, str]]:
    """Path and label of each photo of a species that was left out. Raises ValueError, saying what to do."""
    try:
        with (folder / LEFT_OUT).open(newline="", encoding="utf-8") as stream:
            rows = [(Path(row["path"]), row["label"]) for row in csv.DictReader(stream)]
    except (FileNotFoundError, KeyError) as error:
        raise ValueError(
            f"{folder}: leaves no species out; prepare it with --leave-out 20, train on that, and judge that run"
        ) from error
    if not rows:
        raise ValueError(f"{folder / LEFT_OUT}: is empty; prepare the data again with --leave-out 20")
    return rows


def _is_bundle(model: Path) -> bool:
    return (model / bundle.CARD).exists()


def _of_bundle(model: Path, dataset: Dataset, views: Views | None) -> tuple[Asked, Space, AddingRule]:
    read = bundle.read(model)
    check_views(read, views)
    if read.card.adding is None or read.unknown is None:
        raise ValueError(f"{model}: does not say how a species is added; export it again from its run")
    return ask_bundle(read, dataset), read.unknown, read.card.adding


def _of_run(model: Path, dataset: Dataset, views: Views) -> tuple[Asked, Space, AddingRule]:
    if cross_validation_of(model):
        raise ValueError(f"{model}: has learnt from the validation photos; export it, and judge the bundle")
    asked, validation = ask_run(model, dataset, views), dataset.split("val")
    if not validation:
        raise ValueError(
            f"{dataset.folder}: has no validation photos to fit the rule on; prepare it with some"
        )
    trained = trained_space(asked.ask, asked.photos, dataset)
    validated = asked.ask(asked.photos, places_of(dataset, validation))
    tried = try_adding(trained, validated, class_indices(dataset, validation))
    rule = fit_adding([tried], fitted_on=CALIBRATED_ON)
    if rule is None:
        raise ValueError(
            f"{model}: names no validation photo right, so nothing can be fitted; train it longer"
        )
    return asked, trained.space, rule
