"""A store that is a bucket of an S3-compatible server. A bundle is fetched once, hash-checked and kept on the disk.

A bundle's keys hold its hash, so that two uploads of one version at once never mix: the registry decides which of
them is the version. Credentials come from where AWS's own tools take them: environment or instance.
"""

from __future__ import annotations  # for a type that the library has for type checkers only

import hashlib
import re
import shutil
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import obstore
import structlog
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store as Bucket

from app.errors import StoreUnavailable
from app.settings import S3Place
from app.store.folder import sync_folder
from app.store.incoming import new_place
from models.bundle import MAX_BYTES, SUMS, BundleError, parse_sums

if TYPE_CHECKING:
    from obstore.store import S3Config

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.store")
_CHUNK_BYTES = 1 << 20
_BUNDLE = re.compile(
    rf"(?P<path>(?P<name>[^/]+)/(?P<version>[^/]+)/(?P<sha256>[0-9a-f]{{64}}))/{re.escape(SUMS)}", re.ASCII
)


class Listed(NamedTuple):
    """Where a bundle lies in a bucket, and what its path says of it, which nobody has checked."""

    path: str
    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class S3Store:
    """Bundles at ``<prefix>/<name>/<version>/<sha256>/`` of a bucket, copies of them in ``place.cache``."""

    place: S3Place
    _fetching: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def incoming(self) -> Path:
        """Where bundles wait that are not added or not fetched yet."""
        return self.place.cache / ".incoming"

    def folder(self, path: str, sha256: str) -> Path:
        """The copy on this machine. Raises StoreUnavailable, BundleError, OSError."""
        kept = self.place.cache / sha256
        with self._fetching:  # replicas' requests come together: one of them fetches
            if not kept.is_dir():
                self._fetch(path, sha256, kept)
        return kept

    def put(self, bundle: Path, name: str, version: str, sha256: str) -> tuple[str, bool]:
        """Upload it, ``SHA256SUMS`` last, and keep the folder as this machine's copy."""
        path = f"{name}/{version}/{sha256}"
        names = sorted((each.name for each in bundle.iterdir()), key=lambda each: (each == SUMS, each))
        try:
            for each in names:
                with (bundle / each).open("rb") as file:
                    obstore.put(self._bucket, f"{path}/{each}", file)
        except BaseError as error:
            raise self._unavailable("written", error) from error
        self._keep(bundle, self.place.cache / sha256)
        return path, True

    def discard(self, path: str) -> None:
        """Remove its objects, as far as that is possible now: left over they do no harm."""
        try:
            obstore.delete(self._bucket, [f"{path}/{name}" for name in MAX_BYTES])
        except BaseError as error:
            log.warning("objects are left over", path=path, fault=str(error))

    def forget(self, sha256: str) -> bool:
        """Remove the copy on this machine."""
        shutil.rmtree(self.place.cache / sha256, ignore_errors=True)
        return True

    def listed(self) -> list[Listed]:
        """Every bundle that lies there whole, by path: ``SHA256SUMS`` is uploaded last. Raises StoreUnavailable."""
        try:
            keys = [str(each["path"]) for page in obstore.list(self._listing) for each in page]
        except (
            BaseError,
            FileNotFoundError,
        ) as error:  # the library raises either where there is no such bucket
            raise self._unavailable("listed", error) from error
        found = (_BUNDLE.fullmatch(key) for key in sorted(keys))
        return [Listed(each["path"], each["name"], each["version"], each["sha256"]) for each in found if each]

    @cached_property
    def _bucket(self) -> Bucket:
        return self._open(max_retries=2, retry_s=10)

    @cached_property
    def _listing(self) -> Bucket:
        """The same for a start, which must not wait long for a bucket that is away."""
        return self._open(max_retries=0, retry_s=1)

    def _open(self, *, max_retries: int, retry_s: float) -> Bucket:
        config: S3Config = {"endpoint": self.place.endpoint} if self.place.endpoint else {}
        return Bucket(
            self.place.bucket,
            prefix=self.place.prefix or None,
            client_options={
                "allow_http": self.place.endpoint.startswith("http://"),
                "connect_timeout": "5s",
                "timeout": "300s",
            },
            retry_config={"max_retries": max_retries, "retry_timeout": timedelta(seconds=retry_s)},
            config=config,
        )

    def _fetch(self, path: str, sha256: str, kept: Path) -> None:
        with new_place(self.incoming) as place:
            folder = place / "bundle"
            folder.mkdir()
            try:
                self._download(f"{path}/{SUMS}", folder / SUMS, SUMS)
                sums = (folder / SUMS).read_bytes()
                if hashlib.sha256(sums).hexdigest() != sha256:
                    raise BundleError(f"{SUMS}: the bucket has another one than was registered")
                for name, expected in parse_sums(sums).items():
                    if self._download(f"{path}/{name}", folder / name, name) != expected:
                        raise BundleError(f"{name}: what the bucket has is not what {SUMS} says")
            except (NotFoundError, FileNotFoundError) as error:  # the library raises either
                raise BundleError(f"{path}: is not in the bucket, or not whole") from error
            except BaseError as error:
                raise self._unavailable("read", error) from error
            self._keep(folder, kept)
        log.info("fetched", path=path)

    def _download(self, key: str, target: Path, name: str) -> str:
        """Write one object; the SHA-256 of what was written."""
        if name not in MAX_BYTES:
            raise BundleError(f"{name[:100]}: does not belong in a bundle")
        found = obstore.get(self._bucket, key)
        if found.meta["size"] > MAX_BYTES[name]:
            raise BundleError(f"{name}: has more than {MAX_BYTES[name]:,} bytes")
        digest = hashlib.sha256()
        with target.open("xb") as file:
            for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _keep(self, folder: Path, kept: Path) -> None:
        try:
            folder.rename(kept)
            sync_folder(kept.parent)
        except OSError:
            if not kept.is_dir():  # else another process was faster, with the same bundle
                raise

    def _unavailable(self, what: str, error: BaseError | FileNotFoundError) -> StoreUnavailable:
        log.error("the bucket does not answer", bucket=self.place.bucket, fault=str(error))
        return StoreUnavailable(f"The store of bundles cannot be {what} right now. The log says why.")
