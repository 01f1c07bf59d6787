"""Photos on disk: named by their content, whole or not there."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from app.services.photo_files import PhotoFiles


async def test_a_photo_is_found_under_the_name_it_was_given(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path / "not" / "yet" / "there")
    name = await files.keep(b"moth")
    digest = hashlib.sha256(b"moth").hexdigest()
    assert name == f"{digest[:2]}/{digest}.jpg"
    path = files.path(name)
    assert path is not None
    assert path.read_bytes() == b"moth"


async def test_the_same_photo_many_times_at_once_is_one_file(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    names = await asyncio.gather(*(files.keep(b"moth") for _ in range(20)))
    assert len(set(names)) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(names[0]).name]


@pytest.mark.parametrize("name", ["../secret.jpg", "aa/../../secret.jpg", "", "aa/bb.jpg", "/etc/passwd"])
def test_a_name_that_is_not_ours_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    assert PhotoFiles(tmp_path / "photos").path(name) is None


async def test_a_photo_that_is_gone_is_none(tmp_path: Path) -> None:
    files = PhotoFiles(tmp_path)
    name = await files.keep(b"moth")
    (tmp_path / name).unlink()
    assert files.path(name) is None
