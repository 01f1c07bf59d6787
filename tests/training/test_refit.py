"""A bundle is fitted and judged anew without its run: same network, same figures, what is new on top."""

from pathlib import Path

import numpy as np
import pytest

from models import bundle
from models.bundle import Bundle
from tests.training import test_judge_unknown
from tests.training.test_judge_unknown import dataset_of
from training.data.prepared import Dataset
from training.export import BundleText, export
from training.recipes import make_recipe
from training.refit import fitted_anew
from training.run_folder import begin_run
from training.trainer import train

photos = test_judge_unknown.photos
Made = tuple[Dataset, Bundle]


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    dataset, _ = dataset_of(photos, folder / "data")
    run = folder / "run"
    config = make_recipe("debug")
    begin_run(run, config, dataset.folder, dataset.info.content_sha256, "train")
    train(config, dataset, run)
    text = BundleText(title="Drawn", limits=("Drawn moths only.",))
    return dataset, export(run, dataset, name="drawn", version="1.0.0", out=folder / "store", text=text)


def aged(old: Bundle, out: Path, **changed: object) -> Bundle:
    """The bundle as it was before there were prediction sets and unknown things, and what else is ``changed``."""
    before = {"conformal": (), "unknown": None, "adding": None}
    card = old.card.model_copy(update={**before, **changed})
    return bundle.write(
        out, onnx=old.onnx, card=card, evaluation=old.evaluation, readme=old.readme, golden=old.golden
    )


def test_a_bundle_from_before_gets_what_is_fitted_now_and_keeps_its_network_and_words(
    made: Made, tmp_path: Path
) -> None:
    dataset, exported = made
    old = aged(exported, tmp_path / "old")
    new = fitted_anew(old.path, dataset, version="1.0.1", out=tmp_path / "store", command="refit …")
    assert (new.path, new.card.version) == (tmp_path / "store/drawn/1.0.1", "1.0.1")
    assert new.onnx == old.onnx
    assert (new.card.title, new.card.limits) == (old.card.title, old.card.limits)
    assert new.card.provenance.commands == (*old.card.provenance.commands, "refit …")
    assert [table.score for table in new.card.conformal] == ["group", "prevalence", "plain"]
    assert new.card.unknown is not None
    assert new.card.calibration.temperature == pytest.approx(exported.card.calibration.temperature, rel=0.02)
    assert new.evaluation.accuracy == exported.evaluation.accuracy
    np.testing.assert_allclose(new.evaluation.ece, exported.evaluation.ece, atol=1e-3)
    told = fitted_anew(
        old.path,
        dataset,
        version="1.0.2",
        out=tmp_path / "store",
        command="refit",
        text=BundleText(title="New"),
    )
    assert (told.card.title, told.card.limits) == ("New", ())


def test_other_data_and_a_bundle_that_a_cross_validation_judged_are_refused(
    made: Made, tmp_path: Path
) -> None:
    dataset, exported = made
    pooled = exported.card.calibration.model_copy(update={"fitted_on": "photos of the folds"})
    crossed = aged(exported, tmp_path / "crossed", calibration=pooled)
    with pytest.raises(ValueError, match=r"was fitted on photos of the folds.*`export --crossval`"):
        fitted_anew(crossed.path, dataset, version="1.0.1", out=tmp_path, command="refit")
    other = dataset.with_samples(dataset.samples[1:])
    with pytest.raises(ValueError, match="is not the data that"):
        fitted_anew(exported.path, other, version="1.0.1", out=tmp_path, command="refit")
