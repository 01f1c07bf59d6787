"""What a recipe says of itself is what its bundle carries."""

from pathlib import Path

import numpy as np
import pytest

from models import bundle
from training.data.prepared import Dataset
from training.export import BundleText, export
from training.inference import bundle_answers, evaluation_cache
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train


def exported(recipe: str, dataset: Dataset, folder: Path) -> bundle.Bundle:
    """A recipe trained for two epochs of the debugging network, as a bundle."""
    config = make_recipe(recipe).with_(
        size_px=32,
        workers=0,
        model={"backbone": make_recipe("debug").model.backbone},
        optimisation={"epochs": 2, "batch_size": 8, "ema_decay": 0.5},
    )
    begin_run(folder / "run", config, dataset.folder, dataset.info.content_sha256, "train")
    train(config, dataset, folder / "run")
    return export(
        folder / "run", dataset, name="tiny", version="1.0.0", out=folder / "store", text=BundleText()
    )


def test_a_bundle_of_a_cosine_head_has_the_scale_inside_its_logits(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    written = exported("ldam_drw", tiny_dataset, tmp_path)
    photos = evaluation_cache(tiny_dataset, written.card.preprocessing)
    logits = bundle_answers(written, photos, range(len(tiny_dataset.samples))).logits_NC
    assert 1.0 < np.abs(logits).max() <= 30.0 * (1 + 1e-5)
    assert written.card.logit_prior == "none"


@pytest.mark.parametrize(
    ("recipe", "prior"), [("mislas", "none"), ("square_root_sampling", "partial"), ("paco", "partial")]
)
def test_a_card_records_the_prior_that_is_left(
    tiny_dataset: Dataset, tmp_path: Path, recipe: str, prior: str
) -> None:
    assert exported(recipe, tiny_dataset, tmp_path).card.logit_prior == prior
