"""Why a photo got its answer: where the model looked, and which training photos are like it. Pure."""

import base64

from app.inference.decode_process import DecodedPhoto
from app.inference.engine import DeployedModel, EngineAnswer
from app.inference.heatmap import METHOD, heatmap_base64
from app.services.answer_parts.explanation import Explanation, NearestImage
from models.neighbours import Neighbour

NUM_NEAREST = 6
NEAREST_METHOD = (
    "The nearest among {num:,} of the photos that the model learned from. The figure is how alike its descriptions of "
    "both photos are (their cosine: 1 is the same). What it takes to be alike is evidence only where the eye agrees."
)
NO_NEIGHBOURS = (
    "This version of the model carries no codes of its training photos, so none can be shown. Versions exported "
    "since carry them."
)


def explain(photo: DecodedPhoto, outputs: EngineAnswer, deployed: DeployedModel) -> Explanation:
    """The explanation of one photo. ``outputs`` must have been asked for with features."""
    assert outputs.features is not None
    neighbours = deployed.neighbours
    found = () if neighbours is None else neighbours.nearest(outputs.embedding[0], NUM_NEAREST)
    return Explanation(
        heatmap_png_base64=heatmap_base64(photo.pixels, outputs.features[0], outputs.embedding[0]),
        heatmap_method=METHOD,
        nearest=tuple(_nearest(each, deployed) for each in found),
        nearest_method=NO_NEIGHBOURS if neighbours is None else NEAREST_METHOD.format(num=len(neighbours)),
    )


def _nearest(found: Neighbour, deployed: DeployedModel) -> NearestImage:
    taxon = deployed.card.taxa[found.label]
    thumbnail = found.thumbnail
    return NearestImage(
        label=taxon.label,
        scientific_name=taxon.scientific_name,
        similarity=found.similarity,
        reference=found.reference or None,
        thumbnail_jpeg_base64=None if thumbnail is None else base64.b64encode(thumbnail).decode("ascii"),
    )
