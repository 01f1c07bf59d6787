"""Mirrored views and several photos, from a network or a bundle to an evaluation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import bundle
from models.card import Calibration
from models.preprocess import Preprocessing
from training.classifier import make_classifier
from training.crossval import _Judged, pool
from training.data.prepared import Dataset, write_dataset
from training.evaluate import class_indices
from training.export import BundleText, export
from training.inference import bundle_answers, evaluation_cache, network_answers, network_logits, places_of
from training.judged import evaluate_models
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.several import Answers, several_reports
from training.trainer import train

CPU = torch.device("cpu")
CONFIG = make_recipe("debug").with_(optimisation={"epochs": 1})


@pytest.fixture(scope="module")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_dataset(tiny_dataset, ())
    begin_run(folder, CONFIG, tiny_dataset.folder, tiny_dataset.info.content_sha256, "train words")
    train(CONFIG, tiny_dataset, folder)
    return folder


def test_mirrored_logits_are_the_mean_of_both_views_and_of_their_embeddings(tiny_dataset: Dataset) -> None:
    network = make_classifier(CONFIG, len(tiny_dataset.labels)).eval()
    cache = evaluation_cache(tiny_dataset, Preprocessing(size_px=CONFIG.size_px, fit=CONFIG.fit))
    places = places_of(tiny_dataset, tiny_dataset.samples)
    both, as_it_is, embedded = network_answers(network, cache, places, CPU, "mirrored")
    with torch.inference_mode():
        photos = torch.from_numpy(np.stack([cache[place] for place in places])).permute(0, 3, 1, 2).float()
        expected = ((network(photos) + network(photos.flip(3))) / 2).numpy()
    np.testing.assert_allclose(both, expected, atol=1e-5)
    np.testing.assert_allclose(network_logits(network, cache, places, CPU, "mirrored"), both, atol=1e-6)
    one = network_answers(network, cache, places, CPU)
    np.testing.assert_allclose(as_it_is, one.embeddings_ND, atol=1e-5)
    assert embedded is not None
    np.testing.assert_allclose(embedded.head(embedded.embeddings_ND), both, atol=1e-5)


def test_of_a_linear_head_the_mean_of_embeddings_is_the_mean_of_log_probabilities(
    tiny_dataset: Dataset,
) -> None:
    """Up to a calibration that gives each photo a temperature of its own."""
    network = make_classifier(CONFIG, len(tiny_dataset.labels)).eval()
    cache = evaluation_cache(tiny_dataset, Preprocessing(size_px=CONFIG.size_px, fit=CONFIG.fit))
    samples = tiny_dataset.samples
    logits, _, embedded = network_answers(network, cache, places_of(tiny_dataset, samples), CPU)
    assert embedded is not None
    pair = embedded.head(embedded.embeddings_ND[:2].mean(axis=0, keepdims=True))
    np.testing.assert_allclose(pair[0], logits[:2].mean(axis=0), atol=1e-5)


def test_a_mirrored_bundle_is_judged_as_it_was_exported(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    made = export(
        run,
        tiny_dataset,
        name="drawn",
        version="1.0.0",
        out=tmp_path,
        text=BundleText(),
        views="mirrored",
    )
    read = bundle.read(made.path)
    assert read.card.views == "mirrored"
    by_bundle = evaluate_models([made.path], tiny_dataset, "test")
    by_run = evaluate_models([run], tiny_dataset, "test", views="mirrored")
    assert by_bundle.accuracy == by_run.accuracy == read.evaluation.accuracy
    assert by_bundle.ece == pytest.approx(read.evaluation.ece, abs=1e-5)
    cache = evaluation_cache(tiny_dataset, read.card.preprocessing)
    one = replace(read, card=read.card.model_copy(update={"views": "one"}))
    both, alone = (bundle_answers(each, cache, [0, 1]) for each in (read, one))
    assert not np.allclose(both.logits_NC, alone.logits_NC, atol=1e-7)
    np.testing.assert_allclose(both.embeddings_ND, alone.embeddings_ND, atol=1e-5)
    with pytest.raises(ValueError, match="calibrated for views 'mirrored'"):
        evaluate_models([made.path], tiny_dataset, "test", views="one")


def test_a_cross_validation_of_other_views_does_not_stand_for_a_bundle(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    samples = tiny_dataset.split("test")
    judged = [
        _Judged((sample,), np.eye(3)[[place]] * 3, class_indices(tiny_dataset, (sample,)))
        for place, sample in enumerate(samples)
    ]
    pooled = pool(judged, tiny_dataset, "crossval", logit_prior="none")
    assert pooled.views == "one"
    with pytest.raises(ValueError, match="crossval --views mirrored"):
        export(
            run,
            tiny_dataset,
            name="drawn",
            version="1.0.1",
            out=tmp_path,
            text=BundleText(),
            crossval=pooled,
            views="mirrored",
        )


def test_photos_of_two_networks_never_meet_and_a_session_is_one_of_a_species(tiny_dataset: Dataset) -> None:
    samples = [replace(sample, session="night") for sample in tiny_dataset.samples[:4]]
    assert len({sample.label for sample in samples}) == 1
    counts = tiny_dataset.info.training_counts
    calibration = Calibration(fitted_on="nothing", num_images=0)

    def part(of: slice) -> Answers:
        labels = class_indices(tiny_dataset, tuple(samples[of]))
        return Answers(samples[of], labels, np.full((len(labels), 3), 1 / 3), calibration, None)

    whole = several_reports([part(slice(0, 4))], counts, tiny_dataset.groups)
    halves = several_reports([part(slice(0, 1)), part(slice(1, 4))], counts, tiny_dataset.groups)
    sizes = [[(r.animal, r.num_photos, r.groups[0].num_animals) for r in each] for each in (whole, halves)]
    assert sizes[0] == [("session", 2, 2), ("session", 3, 1), ("species", 2, 2), ("species", 3, 1)]
    assert sizes[1] == [("session", 2, 1), ("session", 3, 1), ("species", 2, 1), ("species", 3, 1)]
    assert several_reports([part(slice(0, 1))], counts, tiny_dataset.groups) == ()
