"""A finished run -> a bundle: the ONNX graph, parity against torch on real photos, card and README.

Legend: B batch, N photos, H W pixels, C classes.
"""

import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from models import bundle
from models.card import ModelCard, Provenance
from models.metrics import Evaluation
from models.preprocess import Preprocessing
from models.views import Views
from training.asked import ask_network
from training.backbones import Backbone
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.crossval_result import CrossValidation
from training.data.prepared import Dataset
from training.evaluate import table
from training.figures import card_figures
from training.golden import golden_answers
from training.inference import evaluation_cache, network_logits
from training.judgement import Judgement, judged_by_folds, judged_on_test
from training.neighbours import neighbours_of
from training.onnx_traces import without_traces
from training.prior import prior_in_logits
from training.run_folder import RunRecord, read_run
from training.trained import load_run

MAX_LOGIT_DIFFERENCE = 1e-3
NUM_PARITY_PHOTOS = 64


class BundleText(BaseModel):
    """What only a person can say of a bundle, from a JSON file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    description: str = "Trained by the owner of this installation."
    data_source: str = "not stated"
    data_citation: str = "not stated"
    data_licence: str = "not stated"
    contamination: str = "not stated"
    limits: tuple[str, ...] = ()


class _Graph(nn.Module):
    """What is exported: uint8 [B, H, W, 3] in, the three outputs of a bundle out."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, embedding, features."""
        return tuple(self.classifier.outputs(image.permute(0, 3, 1, 2).float()))  # type: ignore[return-value]


def check_exports(config: RunConfig, num_classes: int) -> None:
    """Export the untrained network, in seconds, so that a backbone that cannot be is refused before hours of training.

    Raises ValueError.
    """
    untrained = config.with_(model={"pretrained": "none"})
    to_onnx(make_classifier(untrained, num_classes), config.size_px)


def to_onnx(classifier: Classifier, size_px: int) -> bytes:
    """ONNX bytes of a network: dynamic batch, normalisation inside, no traces of this machine.

    Raises ValueError where torch cannot write it.
    """
    example = torch.zeros(2, size_px, size_px, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        try:
            program = torch.onnx.export(
                _Graph(classifier).eval(),
                (example,),
                dynamo=True,
                input_names=["image"],
                output_names=["logits", "embedding", "features"],
                dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1)}},
                verbose=False,
            )
        except Exception as error:  # what the exporter raises depends on the step and the network it fails at
            raise ValueError(
                f"{classifier.backbone.name} cannot be exported to ONNX at {size_px} px ({type(error).__name__}); "
                "choose another model.backbone, such as mobilenetv2_100, resnet50, convnext_tiny or "
                "vit_small_patch16_224"
            ) from error
    assert program is not None
    return without_traces(program.model_proto)


def check_parity(onnx: bytes, logits_NC: NDArray[np.float64], photos_NHWC: NDArray[np.uint8]) -> float:
    """Largest difference of logits between ONNX Runtime and torch. Raises ValueError where it is too large."""
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    found_NC = session.run(["logits"], {"image": photos_NHWC})[0]
    difference = float(np.abs(found_NC - logits_NC).max())
    if difference > MAX_LOGIT_DIFFERENCE or (found_NC.argmax(1) != logits_NC.argmax(1)).any():
        raise ValueError(f"ONNX and torch disagree: logits differ by {difference:.2g}; the bundle is refused")
    return difference


def export(
    folder: Path,
    dataset: Dataset,
    *,
    name: str,
    version: str,
    out: Path,
    text: BundleText,
    crossval: CrossValidation | None = None,
    views: Views = "one",
) -> bundle.Bundle:
    """Write a bundle of a finished run: calibrated on val and judged on test, or calibrated by a cross-validation and
    judged by it too, unless there is a test split that no network of it saw.

    ``views``: what the service is to show the network of a photo, and what it is judged on.
    Raises ValueError or FileExistsError.
    """
    if crossval and crossval.mean:
        dataset = dataset.learning_from_validation()
    config, classifier = load_run(folder, len(dataset.labels))
    cache = evaluation_cache(dataset, Preprocessing(size_px=config.size_px, fit=config.fit))
    run = read_run(folder)
    judgement = (
        judged_by_folds(ask_network(classifier, views), cache, dataset, crossval, views=views)
        if crossval
        else judged_on_test(
            ask_network(classifier, views),
            cache,
            dataset,
            logit_prior=prior_in_logits(config, dataset.info.training_counts),
            views=views,
        )
    )
    onnx = to_onnx(classifier, config.size_px)
    places = list(range(min(NUM_PARITY_PHOTOS, len(dataset.samples))))
    logits_NC = network_logits(classifier, cache, places, torch.device("cpu"))
    check_parity(onnx, logits_NC, np.stack([cache[place] for place in places]))
    card = _card(config, classifier.backbone, dataset, judgement, run, name, version, text)
    readme = readme_of(card, judgement.evaluation)
    return bundle.write(
        out / name / version,
        onnx=onnx,
        card=card,
        evaluation=judgement.evaluation,
        readme=readme,
        predictions=judgement.predictions,
        golden=golden_answers(onnx, config.size_px),
        unknown=judgement.space,
        neighbours=neighbours_of(onnx, dataset, cache, licence=text.data_licence),
    )


def _card(
    config: RunConfig,
    backbone: Backbone,
    dataset: Dataset,
    judgement: Judgement,
    run: RunRecord,
    name: str,
    version: str,
    text: BundleText,
) -> ModelCard:
    return ModelCard(
        name=name,
        version=version,
        title=text.title or name,
        description=text.description,
        backbone=backbone.name,
        taxa=dataset.info.taxa,
        training_counts=dataset.info.training_counts,
        group_rule=dataset.info.group_rule,
        preprocessing=Preprocessing(size_px=config.size_px, fit=config.fit),
        embedding_dim=backbone.embedding_dim,
        logit_prior=prior_in_logits(config, dataset.info.training_counts),
        calibration=judgement.fitted.calibration,
        conformal=judgement.fitted.tables,
        unknown=judgement.unknown,
        adding=judgement.adding,
        views=judgement.views,
        figures=card_figures(judgement.evaluation),
        limits=text.limits,
        provenance=Provenance(
            **text.model_dump(include={"data_source", "data_citation", "data_licence", "contamination"}),
            data_sha256=dataset.info.content_sha256,
            num_training_images=sum(dataset.info.training_counts),
            pretrained_weights=Path(config.model.pretrained).name,
            recipe=config.recipe,
            commands=(dataset.info.command, *judgement.commands, run.command),
            commit=run.commit,
            seed=config.seed,
            created_at=datetime.now(UTC),
            environment=run.environment,
        ),
    )


def readme_of(card: ModelCard, evaluation: Evaluation) -> str:
    """The README of a bundle: what it is, how good it is, how it was made."""
    made = card.provenance
    commands = "\n".join(made.commands)
    limits = "\n".join(f"- {limit}" for limit in card.limits)
    return f"""# {card.title} {card.version}

{card.description}

## Judged on photos it was not trained on

```
{table(evaluation)}
```

Groups: {card.group_rule.sentence()}.

{limits}

## How it was made

Data: {made.data_source}. {made.data_citation}. Licence: {made.data_licence}.
Contamination: {made.contamination}.
Commit {made.commit}, seed {made.seed}:

```
{commands}
```
"""
