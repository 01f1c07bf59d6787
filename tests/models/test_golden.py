"""Golden images say whether a network answers here as it did where it was exported."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from models.golden import Golden, check_golden, draw, dump_golden, parse_golden

SIZE_PX, NUM_CLASSES, DIM = 16, 5, 3


@pytest.fixture
def golden() -> Golden:
    rng = np.random.default_rng(0)
    return Golden(
        draw(SIZE_PX),
        rng.normal(0, 4, (4, NUM_CLASSES)).astype(np.float32),
        rng.normal(0, 1, (4, DIM)).astype(np.float32),
    )


def parsed(data: bytes) -> Golden:
    return parse_golden(data, size_px=SIZE_PX, num_classes=NUM_CLASSES, embedding_dim=DIM)


def test_what_was_written_is_what_is_read(golden: Golden) -> None:
    data = dump_golden(golden)
    assert data == dump_golden(golden)
    found = parsed(data)
    assert all((getattr(found, name) == value).all() for name, value in vars(golden).items())


def test_rounding_of_another_machine_is_no_difference(golden: Golden) -> None:
    check_golden(golden, golden.logits + np.float32(1e-3), golden.embedding * np.float32(1.0005))


@pytest.mark.parametrize("fault", [np.nan, np.inf, 1.0])
def test_another_answer_is_named_by_its_image(golden: Golden, fault: float) -> None:
    logits = golden.logits.copy()
    logits[2, 1] += fault
    with pytest.raises(ValueError, match="golden image 2: a logit is off"):
        check_golden(golden, logits, golden.embedding)
    embedding = golden.embedding.copy()
    embedding[3] = -embedding[3] + fault
    with pytest.raises(ValueError, match=r"golden image 3: the embedding (points elsewhere|is not finite)"):
        check_golden(golden, golden.logits, embedding)


def test_the_images_differ_and_are_the_same_each_time() -> None:
    images = draw(64)
    assert images.shape == (4, 64, 64, 3)
    assert len({image.tobytes() for image in images}) == 4
    assert (images == draw(64)).all()


def _npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def test_arrays_of_other_sizes_are_refused(golden: Golden) -> None:
    with pytest.raises(ValueError, match=r"logits is float32 \[4, 4\]; expected float32 \[1 to 8, 5\]"):
        parsed(dump_golden(replace(golden, logits=golden.logits[:, :4])))
    with pytest.raises(ValueError, match="of different numbers of images"):
        parsed(dump_golden(replace(golden, logits=golden.logits[:2])))
    with pytest.raises(ValueError, match="not a finite number"):
        parsed(dump_golden(replace(golden, logits=golden.logits * np.float32(np.inf))))
    with pytest.raises(ValueError, match="images is float32"):
        parsed(
            _npz(images=golden.images.astype(np.float32), logits=golden.logits, embedding=golden.embedding)
        )


def test_no_pickle_is_opened(golden: Golden) -> None:
    objects = np.array([{}, {}], dtype=object)
    with pytest.raises(ValueError, match="images is object"):
        parsed(_npz(images=objects, logits=golden.logits, embedding=golden.embedding))


def test_a_header_that_asks_for_much_memory_gets_none(golden: Golden) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999, 16, 16, 3), }"
    padded = header.ljust(118 - 1) + b"\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded)
        archive.writestr("logits.npy", b"")
        archive.writestr("embedding.npy", b"")
    with pytest.raises(ValueError, match="images is uint8"):
        parsed(stream.getvalue())


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 1000])
def test_what_is_no_npz_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be unpacked"):
        parsed(data)


def test_a_file_that_is_cut_off_is_refused(golden: Golden) -> None:
    data = dump_golden(golden)
    for length in range(0, len(data), 97):
        with pytest.raises(ValueError, match=r".+"):
            parsed(data[:length])
