"""Bundles in a bucket of a real S3 server (moto's, a program of its own): fetched once, checked, kept on the disk."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import S3Store as Bucket

from app.db.repositories import bundles
from app.db.session import Sessions
from app.errors import StoreUnavailable
from app.services import registry
from app.services.bucket import scan_bucket
from app.services.papers import read_registered
from app.services.scan import Scan
from app.settings import S3Place, Settings
from app.store.s3 import S3Store
from models import bundle
from models.bundle import BundleError
from tests.hostile_bundles import files_of, zipped
from tests.promoting import wait_until
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


@dataclass
class S3Server:
    """A running server, which can be stopped and started again at the same address."""

    url: str
    process: subprocess.Popen[str]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **CREDENTIALS},
    )
    assert process.stderr is not None
    url = None
    for line in process.stderr:
        if found := re.search(r"Running on (http://\S+)", line):
            url = found[1]
            break
    assert url is not None, "the S3 server did not start"
    drained = threading.Thread(target=process.stderr.read, daemon=True)
    drained.start()
    yield S3Server(url, process)
    process.kill()
    process.wait()
    drained.join()
    process.stderr.close()


@pytest.fixture
def place(
    s3: S3Server, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> S3Place:
    """A new bucket and a machine without copies."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    bucket = "b" + re.sub(r"[^a-z0-9]", "", tmp_path.name.lower())[-40:]
    httpx.put(f"{s3.url}/{bucket}").raise_for_status()
    return S3Place(bucket, "moths", s3.url, tmp_path / "cache")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "made", "tiny-moths", "1.2.0", seed=5)


def put(store: S3Store, folder: Path) -> tuple[str, str]:
    """Path and hash of a bundle that is put into the store."""
    sha256 = bundle.read(folder).sha256
    store.incoming.mkdir(parents=True, exist_ok=True)
    path, is_new = store.put(folder, "tiny-moths", "1.2.0", sha256)
    assert is_new
    assert path == f"tiny-moths/1.2.0/{sha256}"
    return path, sha256


def elsewhere(place: S3Place, tmp_path: Path) -> S3Place:
    """The same bucket, seen from a machine without copies."""
    return S3Place(place.bucket, place.prefix, place.endpoint, tmp_path / "elsewhere")


def raw(place: S3Place) -> Bucket:
    return Bucket(
        place.bucket,
        prefix=place.prefix,
        config={"endpoint": place.endpoint},
        client_options={"allow_http": True},
    )


def test_what_was_put_is_fetched_once_and_kept(place: S3Place, good: Path, tmp_path: Path) -> None:
    path, sha256 = put(S3Store(place), good)
    other = elsewhere(place, tmp_path)
    assert read_registered(other, path, sha256).card.version == "1.2.0"
    obstore.delete(raw(place), [f"{path}/{name}" for name in bundle.MAX_BYTES])
    assert read_registered(other, path, sha256).sha256 == sha256, "from the disk"
    with pytest.raises(BundleError, match="is not in the bucket"):
        read_registered(S3Place(place.bucket, place.prefix, place.endpoint, tmp_path / "third"), path, sha256)
    assert list((tmp_path / "third" / ".incoming").iterdir()) == []


def test_many_who_ask_at_once_get_the_same_copy(place: S3Place, good: Path, tmp_path: Path) -> None:
    path, sha256 = put(S3Store(place), good)
    store, found = S3Store(elsewhere(place, tmp_path)), []
    threads = [threading.Thread(target=lambda: found.append(store.folder(path, sha256))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert bundle.read(found[0]).sha256 == sha256


@pytest.mark.parametrize("name", [bundle.MODEL, bundle.CARD, bundle.SUMS])
def test_another_object_under_a_bundles_key_is_not_taken(
    place: S3Place, good: Path, tmp_path: Path, name: str
) -> None:
    path, sha256 = put(S3Store(place), good)
    obstore.put(raw(place), f"{path}/{name}", b"0" * 64 + b"  model.onnx\n")
    with pytest.raises(BundleError, match=name):
        S3Store(elsewhere(place, tmp_path)).folder(path, sha256)
    assert not (tmp_path / "elsewhere" / sha256).exists()


def test_a_copy_that_was_damaged_is_fetched_anew(place: S3Place, good: Path) -> None:
    path, sha256 = put(S3Store(place), good)
    model = place.cache / sha256 / bundle.MODEL
    model.write_bytes(model.read_bytes()[:-100])
    assert read_registered(place, path, sha256).sha256 == sha256


def test_a_discarded_bundle_is_gone(place: S3Place, good: Path, tmp_path: Path) -> None:
    store = S3Store(place)
    path, sha256 = put(store, good)
    store.discard(path)
    with pytest.raises(BundleError, match="not in the bucket"):
        S3Store(elsewhere(place, tmp_path)).folder(path, sha256)


def test_without_the_bucket_what_is_kept_is_read_and_the_rest_is_a_clear_error(
    place: S3Place, good: Path, tmp_path: Path
) -> None:
    path, sha256 = put(S3Store(place), good)
    dead = "http://127.0.0.1:9"
    assert read_registered(S3Place(place.bucket, place.prefix, dead, place.cache), path, sha256)
    empty = S3Store(S3Place(place.bucket, place.prefix, dead, tmp_path / "empty"))
    with pytest.raises(StoreUnavailable, match="cannot be read right now"):
        empty.folder(path, sha256)
    with pytest.raises(StoreUnavailable, match="cannot be written right now"):
        empty.put(write_tiny_bundle(tmp_path / "more", seed=3), "tiny-moths", "1.0.0", "0" * 64)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Which database it is makes no difference to a bucket."""
    return f"sqlite+aiosqlite:///{tmp_path / 'lighttrap.db'}"


def of(place: S3Place, tmp_path: Path, **changed: object) -> Settings:
    """Settings whose store is this bucket."""
    given = {"data_dir": tmp_path / "var", "store": f"s3://{place.bucket}/{place.prefix}"}
    return Settings(_env_file=None, **{**given, "store_endpoint": place.endpoint, **changed})  # type: ignore[arg-type]


async def test_what_lies_in_the_bucket_is_registered_at_a_start_as_in_a_folder(
    place: S3Place, good: Path, sessions: Sessions, tmp_path: Path
) -> None:
    path, sha256 = put(S3Store(place), good)
    obstore.put(raw(place), "tiny-moths/1.3.0/half/card.json", b"no bundle: it has no sums")
    settings = of(place, tmp_path)
    scan = await scan_bucket(sessions, settings)
    assert ([each.path for each in scan.found], scan.faults) == ([path], ())
    assert await registry.prepare_registry(sessions, settings.store, scan) == []
    assert await scan_bucket(sessions, settings) == Scan(), "it is registered"
    async with sessions() as session:
        summary = await registry.get_model(session, "tiny-moths")
        (addition,) = await bundles.additions(session, "tiny-moths")
    assert [(row.version, row.path, row.sha256) for row in summary.versions] == [("1.2.0", path, sha256)]
    assert addition.actor == "start"
    assert summary.deployed is not None, "nothing had been deployed before"


async def test_what_is_no_good_bundle_is_named_and_not_registered(
    place: S3Place, good: Path, sessions: Sessions, tmp_path: Path
) -> None:
    path, _ = put(S3Store(place), good)
    obstore.put(raw(place), f"{path}/{bundle.MODEL}", b"other bytes")
    other = write_tiny_bundle(tmp_path / "more", "tiny-moths", "1.3.0", seed=6)
    moved = f"other-moths/1.0.0/{bundle.read(other).sha256}"
    for each in other.iterdir():
        obstore.put(raw(place), f"{moved}/{each.name}", each.read_bytes())
    scan = await scan_bucket(sessions, of(place, tmp_path))
    assert scan.found == ()
    cut, misplaced = sorted(scan.faults, key=lambda fault: fault.path, reverse=True)
    assert (cut.path, "is not what SHA256SUMS says" in cut.message) == (path, True), cut
    assert (misplaced.path, "says it is tiny-moths 1.3.0" in misplaced.message) == (moved, True), misplaced


async def test_where_signatures_are_required_an_unsigned_bundle_of_the_bucket_is_not_registered(
    place: S3Place, good: Path, sessions: Sessions, tmp_path: Path
) -> None:
    put(S3Store(place), good)
    scan = await scan_bucket(sessions, of(place, tmp_path, require_signature=True))
    assert scan.found == ()
    assert "SIGNATURE" in scan.faults[0].message


async def test_a_start_does_not_wait_for_a_bucket_that_is_away(
    place: S3Place, sessions: Sessions, tmp_path: Path
) -> None:
    scan = await scan_bucket(sessions, of(place, tmp_path, store_endpoint="http://127.0.0.1:9"))
    (fault,) = scan.faults
    assert "waits for the next start" in fault.message


def test_a_place_is_read_from_the_settings(tmp_path: Path) -> None:
    given = {"store": "s3://moth-bundles/eu/2026/", "store_endpoint": "http://minio:9000/"}
    settings = Settings(_env_file=None, data_dir=tmp_path, **given)  # type: ignore[arg-type]
    assert settings.store == S3Place("moth-bundles", "eu/2026", "http://minio:9000", tmp_path / "bundles")
    for wrong in ("s3://", "s3://A_B/x", "s3:/moths"):
        with pytest.raises(ValueError, match="s3://my-bundles"):
            Settings(_env_file=None, store=wrong)


def test_a_replica_without_the_bundle_fetches_it(
    postgres_url: str,
    place: S3Place,
    new_server: Callable[..., Server],
    tmp_path: Path,
    good: Path,
) -> None:
    """Added through one process, answered by another with a data folder of its own; then the bucket goes away."""
    common = {
        "DATABASE_URL": postgres_url,
        "STORE": f"s3://{place.bucket}/{place.prefix}",
        "STORE_ENDPOINT": place.endpoint,
    }
    first = new_server(**common, DATA_DIR=str(tmp_path / "one"))
    seeded = first.run("model", "add", str(write_tiny_bundle(tmp_path / "seed", "tiny-moths", "1.0.0")))
    assert seeded.returncode == 0, seeded.stderr
    first.start()
    (entry,) = httpx.get(f"{first.url}/models").json()["models"]
    assert entry["deployed"] is None, "what was added waits for an admin"
    promoted = first.run("model", "promote", "tiny-moths", "1.0.0", "--reason", "The first one.")
    assert promoted.returncode == 0, promoted.stderr
    second = new_server(**common, DATA_DIR=str(tmp_path / "two")).start()
    wait_until(lambda: httpx.get(f"{first.url}/readyz").status_code == 200)
    for server in (first, second):
        (entry,) = httpx.get(f"{server.url}/models").json()["models"]
        assert entry["deployed"]["version"] == "1.0.0"
    key = first.run("key", "create", "robot", "--scope", "admin").stdout.strip()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/zip"}
    sent = httpx.post(
        f"{first.url}/models/tiny-moths/versions",
        content=zipped(files_of(good)),
        headers=headers,
        timeout=120,
    )
    assert sent.status_code == 201, sent.text
    card = httpx.get(f"{second.url}/models/tiny-moths/versions/1.2.0", timeout=30)
    assert card.status_code == 200
    assert card.json()["card"]["version"] == "1.2.0"

    httpx.delete(f"{place.endpoint}/{place.bucket}")
    third = new_server(**{**common, "STORE_ENDPOINT": "http://127.0.0.1:9"}, DATA_DIR=str(tmp_path / "two"))
    third.start()  # with the copies of the second, and no bucket
    assert httpx.get(f"{third.url}/readyz").status_code == 200
    fourth = new_server(**{**common, "STORE_ENDPOINT": "http://127.0.0.1:9"}, DATA_DIR=str(tmp_path / "four"))
    fourth.start()
    assert httpx.get(f"{fourth.url}/readyz").status_code == 503
    missing = httpx.get(f"{fourth.url}/models/tiny-moths/versions/1.2.0", timeout=60)
    assert (missing.status_code, missing.json()["type"]) == (503, "/problems/store-unavailable")
