"""A small real bundle: an ONNX graph of random filters whose head was fitted, here, to drawn moths.

It keeps the contract of a bundle to the letter and names drawn moths mostly right, rare kinds less often.
"""

import argparse
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image

from models import bundle, decision, metrics
from models.card import Calibration, Figure, ModelCard, Provenance
from models.golden import Golden, draw
from models.groups import choose_rule
from models.neighbours import Neighbours, encode_photos
from models.predictions import Prediction
from models.preprocess import Preprocessing, fit
from models.prototypes import AddingRule
from models.taxonomy import Taxon
from models.unknown import Space, UnknownRule
from tests.drawn_photos import draw_moth, encode
from training.adding import fit_adding, try_adding
from training.inference import Answers
from training.outsiders import DRAWN_KINDS, DrawnPictures
from training.unknown import ForRule, fit_rule, score, span

SIZE_PX = 32
EMBEDDING_DIM = 24
TRAINING_COUNTS = (40, 24, 12, 9, 4, 2, 1)
NUM_TEST_IMAGES = 8
TAXA = (
    Taxon(
        label="aurelia_ferruginea",
        scientific_name="Aurelia ferruginea",
        taxon_rank="species",
        taxon_id="gbif:900000001",
        vernacular_name="Rusty Lantern",
        genus="Aurelia",
        family="Lampadidae",
    ),
    Taxon(
        label="aurelia_viridis",
        scientific_name="Aurelia viridis",
        taxon_rank="species",
        taxon_id="gbif:900000002",
        vernacular_name="Green Lantern",
        genus="Aurelia",
        family="Lampadidae",
    ),
    Taxon(
        label="candela_striata",
        scientific_name="Candela striata",
        taxon_rank="species",
        taxon_id="gbif:900000003",
        vernacular_name="Striped Candle",
        genus="Candela",
        family="Lampadidae",
    ),
    Taxon(
        label="noctivaga_rubra",
        scientific_name="Noctivaga rubra",
        taxon_rank="species",
        taxon_id="gbif:900000004",
        vernacular_name=None,
        genus="Noctivaga",
        family="Umbridae",
    ),
    Taxon(
        label="noctivaga_grisea_agg",
        scientific_name="Noctivaga grisea agg.",
        taxon_rank="aggregate",
        taxon_id=None,
        vernacular_name="Grey Wanderers",
        genus="Noctivaga",
        family="Umbridae",
    ),
    Taxon(
        label="silentia_lutea",
        scientific_name="Silentia lutea",
        taxon_rank="species",
        taxon_id="gbif:900000006",
        vernacular_name="Yellow Hush",
        genus="Silentia",
        family="Umbridae",
    ),
    Taxon(label="unplaced_brown"),
)
"""Invented species: two families, four genera, an aggregate, and one label that has no taxonomy."""


def write_tiny_bundle(
    store: Path,
    name: str = "tiny-moths",
    version: str = "1.0.0",
    seed: int = 0,
    *,
    with_predictions: bool = True,
    with_unknown: bool = False,
    with_golden: bool = True,
    with_neighbours: bool = False,
) -> Path:
    """Write the bundle to ``store/name/version`` and return that folder. Another ``seed``, other weights.

    ``with_unknown``: it says when something is no drawn moth, and how a species is added.
    """
    path = store / name / version
    graph, probabilities, labels = _fitted(seed)
    rule = choose_rule(TRAINING_COUNTS)
    unknown = _unknown(graph) if with_unknown else None
    evaluation = metrics.evaluate(
        probabilities,
        labels,
        class_labels=[taxon.label for taxon in TAXA],
        training_counts=TRAINING_COUNTS,
        groups=rule.assign(TRAINING_COUNTS),
        split="test",
        data_sha256="0" * 64,
        notes=("Measured on moths drawn by the test code.",),
    )
    accuracy = Figure(
        name="accuracy",
        value=evaluation.accuracy.value,
        interval=evaluation.accuracy.interval,
        definition="share of drawn test moths that are named right",
    )
    card = ModelCard(
        name=name,
        version=version,
        title="Tiny drawn moths",
        description="Seven invented moths that the tests draw. Names nothing real.",
        backbone="random-filters",
        taxa=TAXA,
        training_counts=TRAINING_COUNTS,
        group_rule=rule,
        preprocessing=Preprocessing(size_px=SIZE_PX),
        embedding_dim=EMBEDDING_DIM,
        logit_prior="none",
        calibration=Calibration(fitted_on="nothing: the temperature is 1", num_images=0),
        reliability=0.8,
        unknown=unknown[0] if unknown else None,
        adding=unknown[2] if unknown else None,
        figures=(accuracy,),
        limits=("It knows drawn moths only.",),
        provenance=_provenance(seed),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle.write(
        path,
        onnx=graph,
        card=card,
        evaluation=evaluation,
        readme=f"# {name} {version}\n\nDrawn moths.\n",
        predictions=_predictions(probabilities, labels) if with_predictions else None,
        unknown=unknown[1] if unknown else None,
        golden=_golden(seed) if with_golden else None,
        neighbours=_neighbours(graph) if with_neighbours else None,
    )
    return path


def _unknown(graph: bytes) -> tuple[UnknownRule, Space, AddingRule | None]:
    """The rules of this graph, fitted on drawn moths that its head was not fitted to."""

    def answers(images: NDArray[np.uint8]) -> Answers:
        logits, embeddings = (_run(graph, images, name).astype(float) for name in ("logits", "embedding"))
        return Answers(logits, embeddings)

    train, labels = drawn_inputs(TRAINING_COUNTS, first_seed=0)
    held_out, held_out_labels = drawn_inputs([12] * len(TAXA), first_seed=2000)
    pictures = DrawnPictures(DRAWN_KINDS, range(20), SIZE_PX)
    trained = span(answers(train).embeddings_ND, labels, len(TAXA))
    known = answers(held_out)
    seen = ForRule(
        score(trained, known),
        score(trained, known, without_N=held_out_labels),
        score(trained, answers(np.stack([pictures[place] for place in range(len(pictures))]))),
    )
    groups = choose_rule(TRAINING_COUNTS).assign(TRAINING_COUNTS)
    fitted_on = "drawn moths, not fitted to"
    adding = fit_adding([try_adding(trained, known, held_out_labels)], fitted_on=fitted_on, loss=0.01)
    return fit_rule(seen, groups, fitted_on=fitted_on), trained.space, adding


def _neighbours(graph: bytes) -> Neighbours:
    """The drawn training moths, each with a small picture of it."""
    images, labels = drawn_inputs(TRAINING_COUNTS, first_seed=0)
    pictures = [encode(Image.fromarray(image).resize((96, 96))) for image in images]
    references = [f"{TAXA[label].label}/{number}.jpg" for number, label in enumerate(labels)]
    return encode_photos(_run(graph, images, "embedding"), labels, references, pictures)


def _predictions(
    probabilities_NC: NDArray[np.float64], labels_N: NDArray[np.int64]
) -> tuple[Prediction, ...]:
    """Of the drawn test moths, which are the same for every seed: their number stands for their photo."""
    return tuple(
        Prediction(
            hashlib.sha256(f"drawn test moth {number}".encode()).hexdigest(),
            TAXA[label].label,
            TAXA[int(named.argmax())].label,
            float(named.max()),
        )
        for number, (named, label) in enumerate(zip(probabilities_NC, labels_N, strict=True))
    )


def _provenance(seed: int) -> Provenance:
    return Provenance(
        data_source="drawn by tests/drawn_photos.py",
        data_citation="none",
        data_licence="none needed",
        data_sha256="0" * 64,
        num_training_images=sum(TRAINING_COUNTS),
        contamination="none: training and test moths are drawn with different seeds",
        pretrained_weights="none",
        recipe="tiny",
        commands=("python -m tests.tiny_bundle STORE",),
        commit="0" * 40,
        seed=seed,
        created_at=datetime(2024, 7, 1, tzinfo=UTC),
        environment={},
    )


def drawn_inputs(num_images: Sequence[int], first_seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """``num_images`` drawn moths of each kind as model input uint8 [N, 32, 32, 3], and the kind of each."""
    wanted = Preprocessing(size_px=SIZE_PX)
    drawn = [
        (fit(draw_moth(kind, seed=first_seed + number, size=(96, 72)), wanted), kind)
        for kind, count in enumerate(num_images)
        for number in range(count)
    ]
    return np.stack([image for image, _ in drawn]), np.array([kind for _, kind in drawn], dtype=np.int64)


@cache
def _fitted(seed: int) -> tuple[bytes, NDArray[np.float64], NDArray[np.int64]]:
    """The graph, and its probabilities and the labels on drawn test moths."""
    rng = np.random.default_rng(seed)
    filters = rng.normal(0, 0.12, (EMBEDDING_DIM, 3, 5, 5)).astype(np.float32)
    filters += rng.normal(0, 0.12, (EMBEDDING_DIM, 3, 1, 1)).astype(np.float32)
    bias = rng.uniform(-0.2, 0.2, EMBEDDING_DIM).astype(np.float32)
    train, labels = drawn_inputs(TRAINING_COUNTS, first_seed=0)
    unfitted = np.zeros((EMBEDDING_DIM, len(TAXA)), np.float32), np.zeros(len(TAXA), np.float32)
    embedding = _run(_graph(filters, bias, *unfitted), train, "embedding")
    graph = _graph(filters, bias, *_fit_head(embedding, labels))
    test, test_labels = drawn_inputs([NUM_TEST_IMAGES] * len(TAXA), first_seed=1000)
    return graph, decision.probabilities(_run(graph, test, "logits")), test_labels


@cache
def _golden(seed: int) -> Golden:
    """By the reference implementation of ONNX, so that whatever runs the graph is compared with another."""
    graph, images = _fitted(seed)[0], draw(SIZE_PX)
    return Golden(images, _run(graph, images, "logits"), _run(graph, images, "embedding"))


def _run(graph: bytes, images: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
    values = ReferenceEvaluator(onnx.load_model_from_string(graph)).run([output], {"image": images})
    return np.asarray(values[0])  # type: ignore[index]


def _fit_head(
    embedding_ND: NDArray[np.float32], labels_N: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ridge regression to one-hot targets, scaled so that the softmax of it is neither flat nor certain."""
    targets = np.eye(len(TAXA))[labels_N]
    design = np.hstack([embedding_ND.astype(np.float64), np.ones((len(labels_N), 1))])
    solution = np.linalg.solve(design.T @ design + 1e-3 * np.eye(design.shape[1]), design.T @ targets) * 8.0
    return solution[:-1].astype(np.float32), solution[-1].astype(np.float32)


def _graph(
    filters: NDArray[np.float32],
    bias: NDArray[np.float32],
    weights: NDArray[np.float32],
    offsets: NDArray[np.float32],
) -> bytes:
    constants = {
        "scale": np.float32(1 / 255),
        "centre": np.float32(0.5),
        "filters": filters,
        "bias": bias,
        "weights": weights,
        "offsets": offsets,
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "centre"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv", ["planes", "filters", "bias"], ["filtered"], strides=[4, 4], pads=[2, 2, 2, 2]
        ),
        helper.make_node("Relu", ["filtered"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("LpNormalization", ["flat"], ["embedding"], axis=1, p=2),
        helper.make_node("Gemm", ["embedding", "weights", "offsets"], ["logits"]),
    ]
    side = SIZE_PX // 4
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", SIZE_PX, SIZE_PX, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", len(TAXA)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", EMBEDDING_DIM]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", EMBEDDING_DIM, side, side]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the tiny bundle of the tests to a store.")
    parser.add_argument("store", type=Path)
    write_tiny_bundle(parser.parse_args().store)
