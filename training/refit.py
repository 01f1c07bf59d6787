"""``refit``: a bundle -> a new version of the same network, with all that follows training fitted and judged anew.

For bundles from before something was fitted, whose run is gone. Nothing is trained.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import onnx
import typer

from models import bundle
from models.card import ModelCard
from training.asked import ask_bundle
from training.data.prepared import Dataset, read_dataset
from training.export import BundleText, readme_of
from training.figures import card_figures
from training.golden import golden_answers
from training.judgement import Judgement, judged_on_test
from training.neighbours import neighbours_of
from training.onnx_traces import without_traces
from training.run_folder import command_line
from training.trust import CALIBRATED_ON


def refit(
    model: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    version: Annotated[str, typer.Option(help="New version, such as 1.0.1.")],
    data: Annotated[Path, typer.Option("--data", help="Prepared data that the network was trained on.")],
    out: Annotated[Path, typer.Option(help="Store of bundles.")] = Path("models/store"),
    text: Annotated[
        Path | None, typer.Option(help="JSON with title, description, citation, limits; default: the card's.")
    ] = None,
) -> None:
    """Write a new version of a bundle: the same network, fitted on val and judged on test anew, without training.

    Example: python -m training refit models/store/my-moths/1.0.0 --version 1.0.1 --data data/mine
    """
    words = BundleText.model_validate_json(text.read_bytes()) if text else None
    written = fitted_anew(
        model, read_dataset(data), version=version, out=out, command=command_line(), text=words
    )
    typer.echo(f"{written.path}  sha256 {written.sha256}")


def fitted_anew(
    path: Path, dataset: Dataset, *, version: str, out: Path, command: str, text: BundleText | None = None
) -> bundle.Bundle:
    """Write ``out/name/version``: calibrated on val and judged on test by the code that does it now.

    ``text`` None: the words of the card stay. Raises ValueError for other data than the network's own, for a bundle
    that a cross-validation judged, and for one with an added species; FileExistsError.
    """
    read = bundle.read(path)
    _check(read, dataset)
    asked = ask_bundle(read, dataset)
    judgement = judged_on_test(
        asked.ask, asked.photos, dataset, logit_prior=read.card.logit_prior, views=read.card.views
    )
    card = _card(read.card, judgement, version, command, text)
    return bundle.write(
        out / card.name / version,
        onnx=without_traces(onnx.load_from_string(read.onnx)),
        card=card,
        evaluation=judgement.evaluation,
        readme=readme_of(card, judgement.evaluation),
        predictions=judgement.predictions,
        golden=golden_answers(read.onnx, card.preprocessing.size_px),
        unknown=judgement.space,
        neighbours=neighbours_of(read.onnx, dataset, asked.photos, licence=card.provenance.data_licence),
    )


def _check(read: bundle.Bundle, dataset: Dataset) -> None:
    calibration = read.card.calibration
    if calibration.num_images and calibration.fitted_on != CALIBRATED_ON:
        raise ValueError(
            f"{read.path}: was fitted on {calibration.fitted_on}, and has learnt from all of them since; only "
            "`crossval` and `export --crossval` can judge it anew"
        )
    if read.card.provenance.data_sha256 != dataset.info.content_sha256:
        raise ValueError(f"{dataset.folder}: is not the data that {read.path} was trained on")


def _card(
    old: ModelCard, judgement: Judgement, version: str, command: str, text: BundleText | None
) -> ModelCard:
    made = old.provenance
    origin: dict[str, Any] = {
        "commands": (*made.commands, command),
        "created_at": datetime.now(UTC),
    }
    words: dict[str, Any] = {}
    if text is not None:
        words = {"title": text.title or old.title, "description": text.description, "limits": text.limits}
        origin |= text.model_dump(include={"data_source", "data_citation", "data_licence", "contamination"})
    changed = {
        "version": version,
        "calibration": judgement.fitted.calibration,
        "conformal": judgement.fitted.tables,
        "unknown": judgement.unknown,
        "adding": judgement.adding,
        "figures": card_figures(judgement.evaluation),
        "provenance": made.model_copy(update=origin),
    }
    return ModelCard.model_validate(dict(old) | words | changed)
