"""A zip from outside is unpacked into a bundle's files, or refused with the entry and the fault. Nothing escapes."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from models import bundle, bundle_files
from models.bundle import BundleError
from tests.hostile_bundles import files_of, with_entry, zipped
from tests.tiny_bundle import write_tiny_bundle

ROOM = 50_000_000


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def files(good: Path) -> dict[str, bytes]:
    return files_of(good)


def unpacked(data: bytes, folder: Path, max_bytes: int = ROOM) -> Path:
    archive = folder / "sent.zip"
    archive.write_bytes(data)
    bundle_files.unpack(archive, folder / "out", max_bytes=max_bytes)
    return folder / "out"


@pytest.mark.parametrize("prefix", ["", "tiny-moths-1.0.0/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_good_zip_is_the_bundle_that_was_packed(
    files: dict[str, bytes], good: Path, tmp_path: Path, prefix: str, method: int
) -> None:
    out = unpacked(zipped(files, prefix, method), tmp_path)
    assert bundle.read(out).sha256 == bundle.read(good).sha256


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("/etc/passwd", "is an absolute path"),
        ("C:/windows/x", "is an absolute path"),
        ("../card.json", "leads out of the bundle"),
        ("a/../../card.json", "leads out of the bundle"),
        ("a\\card.json", "has a character"),
        ("card.json\0.txt", "has a character"),
        ("a\ncard", "has a character"),
        ("a/b/card.json", "folders within folders"),
        ("./card.json", "folders within folders"),
        ("a/README.md", "lies in another folder"),
        ("card.json", "is there twice"),
        ("Card.json", "differs from card.json by case alone"),
        ("weights.pth", "does not belong in a bundle"),
        ("SHA256SUMS2", "does not belong in a bundle"),
    ],
)
def test_an_entry_that_leads_elsewhere_is_named(
    files: dict[str, bytes], tmp_path: Path, name: str, fault: str
) -> None:
    data = with_entry(files, name)
    with pytest.raises(BundleError, match=fault):
        unpacked(data, tmp_path)
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sent.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_a_device_is_refused(files: dict[str, bytes], tmp_path: Path, kind: int) -> None:
    without = {name: data for name, data in files.items() if name != bundle.README}
    data = with_entry(without, bundle.README, b"/etc/passwd", mode=kind | 0o777)
    with pytest.raises(BundleError, match=r"README\.md: is a link or a device"):
        unpacked(data, tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(files: dict[str, bytes], tmp_path: Path) -> None:
    bomb = zipped({**files, bundle.EVALUATION: b"\0" * 40_000_000})
    assert len(bomb) < 1_000_000
    with pytest.raises(BundleError, match=r"evaluation\.json: unpacks to more than 200 times"):
        unpacked(bomb, tmp_path)
    assert not (tmp_path / "out").exists()


def test_what_unpacks_to_more_than_there_is_room_for_is_refused(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=r"the bundle: unpacks to [\d,]+ bytes; at most 20,000"):
        unpacked(zipped(files), tmp_path, max_bytes=20_000)


def test_a_small_file_has_a_limit_of_its_own(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"SHA256SUMS: has 20,000 bytes; at most 10,000"):
        unpacked(zipped({**files, bundle.SUMS: b"x" * 20_000}, method=zipfile.ZIP_STORED), tmp_path)


def test_a_size_that_is_a_lie_is_found_out(files: dict[str, bytes], tmp_path: Path) -> None:
    """The list of files says 10 bytes, the packed data are more: no more than announced is written."""
    data = bytearray(
        zipped({bundle.CARD: b"{" * 5000, **{k: v for k, v in files.items() if k != bundle.CARD}})
    )
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<L", 10)
    with pytest.raises(BundleError, match=r"the bundle: is damaged|announced"):
        unpacked(bytes(data), tmp_path)


def test_many_entries_are_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    many = {**files, **{f"{number}.txt": b"" for number in range(1000)}}
    with pytest.raises(BundleError, match=r"holds 1,\d+ entries; at most 64"):
        unpacked(zipped(many), tmp_path)


def test_other_ways_of_packing_are_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="another method than deflate"):
        unpacked(zipped(files, method=zipfile.ZIP_LZMA), tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"\x80\x04." * 100, b"PK\x03\x04" + b"x" * 1000])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleError, match="is not a zip file, or is cut off"):
        unpacked(data, tmp_path)


def test_a_zip_that_is_cut_off_anywhere_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    whole = zipped(files)
    for number, length in enumerate(range(0, len(whole), len(whole) // 25)):
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises(BundleError):
            unpacked(whole[:length], place)


def test_a_changed_byte_is_refused_or_changes_nothing(
    files: dict[str, bytes], good: Path, tmp_path: Path
) -> None:
    whole, sha256 = zipped(files, method=zipfile.ZIP_STORED), bundle.read(good).sha256
    for number, place in enumerate(range(0, len(whole), len(whole) // 60)):
        folder = tmp_path / str(number)
        folder.mkdir()
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        try:
            found = bundle.read(unpacked(bytes(damaged), folder)).sha256
        except BundleError:
            continue
        assert found == sha256


def test_a_folder_is_copied_without_its_links(good: Path, tmp_path: Path) -> None:
    bundle_files.copy(good, tmp_path / "out", max_bytes=ROOM)
    assert bundle.read(tmp_path / "out").sha256 == bundle.read(good).sha256
    (tmp_path / "out" / bundle.README).unlink()
    (tmp_path / "out" / bundle.README).symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match=r"README\.md: is not a plain file"):
        bundle_files.copy(tmp_path / "out", tmp_path / "again", max_bytes=ROOM)
    assert not (tmp_path / "again").exists()
