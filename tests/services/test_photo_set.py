"""What is in an uploaded zip of photos is checked before anything of it is used."""

import zipfile
from pathlib import Path

import pytest

from app.errors import InvalidField
from app.services.photo_set import MAX_PHOTOS, LabelledPhoto, read_photo, read_set
from tests.photo_zips import packed

KNOWN = {"owl", "hawk"}
LIMIT = 1_000


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "photos.zip"
    path.write_bytes(data)
    return path


def test_photos_are_found_beside_the_csv_or_from_the_top(tmp_path: Path) -> None:
    table = b"\xef\xbb\xbflabel,file,remark\nowl,a.jpg,x\nhawk,other/b.jpg,\n"
    files = {
        "set/labels.csv": table,
        "set/a.jpg": b"a",
        "other/b.jpg": b"b",
        "__MACOSX/set/._labels.csv": b"",
    }
    path = written(tmp_path, packed(files))
    assert read_set(path, KNOWN, LIMIT) == (
        LabelledPhoto("set/a.jpg", "owl"),
        LabelledPhoto("other/b.jpg", "hawk"),
    )
    with zipfile.ZipFile(path) as archive:
        assert read_photo(archive, "set/a.jpg", LIMIT) == b"a"


PHOTO = {"a.jpg": b"a"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (PHOTO, "expected one CSV in the zip"),
        ({"1.0.0/SHA256SUMS": b"", "1.0.0/predictions.csv": b""}, "zip of a bundle: add it as a version"),
        ({**PHOTO, "a.csv": b"", "b.csv": b""}, "there are 2"),
        ({**PHOTO, "a.csv": b"name,kind\n"}, "has no column file and no column label"),
        ({**PHOTO, "a.csv": b"file,label\n"}, "names no photo"),
        ({**PHOTO, "a.csv": b"file,label\nb.jpg,owl\n"}, "line 2: there is no file 'b.jpg'"),
        ({**PHOTO, "a.csv": b"file,label\n../a.jpg,owl\n"}, "there is no file '../a.jpg'"),
        ({**PHOTO, "a.csv": b"file,label\na.jpg,owls\n"}, "did you mean owl?"),
        ({**PHOTO, "a.csv": b"file,label\na.jpg\n"}, "neither version knows the label ''"),
        ({**PHOTO, "a.csv": b"file,label\na.jpg,owl\na.jpg,owl\n"}, "names 'a.jpg' twice"),
        ({**PHOTO, "a.csv": b"file,label\n\xff,owl\n"}, "not in UTF-8"),
        ({**PHOTO, "a.csv": b'file,label\n"a.jpg,owl\n'}, "is no CSV"),
        ({"a.jpg": b"a" * (LIMIT + 1), "a.csv": b"file,label\na.jpg,owl\n"}, "more than 1,000 bytes"),
        ({**PHOTO, "a.csv": b"file,label\n" + b"a.jpg,owl\n" * 600_000}, "more than 5,000,000 bytes"),
        ({**PHOTO, "a.csv": b"file,label\n" + b"a.jpg,owl\n" * (MAX_PHOTOS + 1)}, "more than 10,000 photos"),
    ],
)
def test_a_set_that_is_not_right_is_refused_with_the_reason(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        read_set(written(tmp_path, packed(files)), KNOWN, LIMIT)
    assert words in refused.value.detail


def test_what_is_no_plain_zip_is_refused(tmp_path: Path) -> None:
    good = {"a.jpg": b"a", "a.csv": b"file,label\na.jpg,owl\n"}
    encrypted = bytearray(packed(good))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for place in range(len(encrypted)):
            if encrypted[place : place + 4] == signature:
                encrypted[place + offset] |= 1
    for data, words in (
        (b"", "no zip"),
        (b"Rar!", "no zip"),
        (packed(good)[:-30], "no zip"),
        (bytes(encrypted), "encrypted"),
        (packed(good, zipfile.ZIP_LZMA), "packed in a way"),
        (b"PK\x01\x02" * 20_001, "files in one zip"),
    ):
        with pytest.raises(InvalidField) as refused:
            read_set(written(tmp_path, data), KNOWN, LIMIT)
        assert words in refused.value.detail


def test_a_photo_that_is_larger_than_it_says_is_not_read(tmp_path: Path) -> None:
    data = bytearray(packed({"a.jpg": bytes(100_000), "a.csv": b"file,label\na.jpg,owl\n"}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    path = written(tmp_path, bytes(data))
    read_set(path, KNOWN, LIMIT)
    with zipfile.ZipFile(path) as archive:
        found = read_photo(archive, "a.jpg", LIMIT)
    assert found is None or len(found) <= LIMIT
