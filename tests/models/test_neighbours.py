"""Codes of training photos: near stays near, and a file that lies is refused."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.neighbours import MAX_UNPACKED_BYTES, dump_neighbours, encode_photos, parse_neighbours


def clustered(num: int, dim: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings of length one around ten centres, as a trained network gives them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, num)
    found = rng.normal(0, 1, (10, dim))[labels] + rng.normal(0, 0.5, (num, dim))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), labels


def test_a_training_photo_is_nearest_to_itself_and_cosines_are_kept() -> None:
    embeddings, labels = clustered(500, 96)
    coded = encode_photos(embeddings, labels, [f"photo-{n}.jpg" for n in range(500)], code_dim=64)
    for place in (0, 7, 499):
        best = coded.nearest(embeddings[place], 3)
        assert best[0].reference == f"photo-{place}.jpg"
        assert best[0].label == labels[place]
        assert [each.similarity for each in best] == sorted((each.similarity for each in best), reverse=True)
    exact = embeddings @ embeddings[3]
    assert np.abs(coded.similarities(embeddings[3]) - exact).max() < 0.12


def test_with_as_many_dimensions_only_rounding_is_lost() -> None:
    embeddings, labels = clustered(50, 32)
    coded = encode_photos(embeddings, labels, ["x"] * 50)
    assert np.abs(coded.similarities(embeddings[3]) - embeddings @ embeddings[3]).max() < 0.02


def test_a_file_is_read_as_it_was_written_and_written_alike() -> None:
    embeddings, labels = clustered(20, 16)
    references = [f"Noctua/\u00e4 photo\n{n}.jpg" for n in range(20)]
    coded = encode_photos(embeddings, labels, references, [b"jpeg" * n for n in range(20)])
    data = dump_neighbours(coded)
    assert data == dump_neighbours(coded)
    read = parse_neighbours(data, num_classes=10, embedding_dim=16)
    assert read.references[3] == "Noctua/\u00e4 photo 3.jpg"
    for query in embeddings[:5]:
        assert read.nearest(query, 4) == coded.nearest(query, 4)
    assert {each.thumbnail for each in read.nearest(embeddings[0], 20)} == {
        None,
        *(b"jpeg" * n for n in range(1, 20)),
    }
    assert len(read.nearest(embeddings[0], 99)) == 20


def changed(**arrays: Any) -> bytes:
    embeddings, labels = clustered(20, 16)
    with np.load(io.BytesIO(dump_neighbours(encode_photos(embeddings, labels, ["x"] * 20)))) as archive:
        kept = dict(archive)
    stream = io.BytesIO()
    np.savez(stream, **{name: value for name, value in {**kept, **arrays}.items() if value is not None})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"labels": np.full(20, 10, np.int32)}, "none of the 10"),
        ({"labels": np.full(20, -1, np.int32)}, "none of the 10"),
        ({"labels": np.zeros(20, np.int64)}, "labels must be int32"),
        ({"scales": np.full(20, np.nan, np.float32)}, "not finite"),
        ({"codes": np.zeros((0, 16), np.int8)}, "must be|has 0 photos"),
        ({"components": np.zeros((16, 15), np.float16)}, "components must be"),
        ({"references": np.frombuffer(b"a\nb", np.uint8)}, "20 photos but 2 references"),
        ({"references": np.full(3, 255, np.uint8)}, "not UTF-8"),
        ({"thumbnail_ends": np.arange(20)}, "do not cut"),
        ({"labels": None}, "exactly the arrays"),
        ({"more": np.zeros(1)}, "exactly the arrays"),
        ({"labels": np.array([{}] * 20)}, "pickle"),
    ],
)
def test_a_file_that_disagrees_with_the_card_is_refused(arrays: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_neighbours(changed(**arrays), num_classes=10, embedding_dim=16)


def test_what_is_no_archive_or_unpacks_to_too_much_is_refused() -> None:
    for data in (b"", b"PK", b"\x93NUMPY", changed()[:400]):
        with pytest.raises(ValueError, match=r"is not an \.npz file"):
            parse_neighbours(data, num_classes=10, embedding_dim=16)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("components", "scales", "labels", "references", "thumbnails", "thumbnail_ends"):
            archive.writestr(f"{name}.npy", b"")
        archive.writestr("codes.npy", bytes(MAX_UNPACKED_BYTES + 1))
    with pytest.raises(ValueError, match="unpacks to"):
        parse_neighbours(stream.getvalue(), num_classes=10, embedding_dim=16)
