"""Files that pages need, served under a URL that names their content. Knows nothing of pages.

A URL holds a hash of everything in its folder, so a browser may keep a file for ever and still sees the next
version at once; modules import each other relatively and so stay together. Plotly's JavaScript comes from its
Python package: nothing is fetched from another host.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request, Response

from app.errors import NotFound

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
FOR_EVER = "public, max-age=31536000, immutable"
STATIC = Path(__file__).parent / "static"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class AssetFolder:
    """Named files that share one hashed URL prefix."""

    name: str
    files: dict[str, Path]

    @cached_property
    def digest(self) -> str:
        """Hash of names and contents; changes with any file."""
        total = hashlib.sha256()
        for name in sorted(self.files):
            total.update(name.encode() + b"\0" + hashlib.sha256(self.files[name].read_bytes()).digest())
        return total.hexdigest()[:16]

    def url(self, file: str) -> str:
        """URL of one of the files. Raises KeyError for a name that is not there."""
        if file not in self.files:
            raise KeyError(f"there is no asset {file!r} in {self.name!r}")
        return f"/static/{self.name}/{self.digest}/{file}"


def _package_files(package: str, folder: str, names: tuple[str, ...]) -> dict[str, Path]:
    """Files inside an installed package, found without importing it. Raises RuntimeError where absent."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {package} is not installed: install what pyproject.toml lists")
    root = Path(spec.origin).parent / folder
    return {name: root / name for name in names}


@lru_cache
def folders() -> dict[str, AssetFolder]:
    """Every folder of assets, by name."""
    own = {path.relative_to(STATIC).as_posix(): path for path in sorted(STATIC.rglob("*")) if path.is_file()}
    return {
        folder.name: folder
        for folder in (
            AssetFolder(
                "app", {name: path for name, path in own.items() if Path(name).suffix in MEDIA_TYPES}
            ),
            AssetFolder("plotly", _package_files("plotly", "package_data", ("plotly.min.js",))),
        )
    }


def asset_url(file: str, folder: str = "app") -> str:
    """URL of an asset, for templates."""
    return folders()[folder].url(file)


@lru_cache(maxsize=64)
def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)


@router.get("/static/{folder}/{digest}/{file:path}")
def static_file(request: Request, folder: str, digest: str, file: str) -> Response:
    """One asset. An old hash still answers, so a page from before an update works, but is not kept."""
    known = folders().get(folder)
    path = known.files.get(file) if known else None
    if known is None or path is None:
        raise NotFound("There is no such file.")
    headers = {
        "Cache-Control": FOR_EVER if digest == known.digest else "no-cache",
        "ETag": f'"{known.digest}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    content = path.read_bytes()
    if path.suffix != ".png" and "gzip" in request.headers.get("accept-encoding", ""):
        content = _compressed(path)
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=MEDIA_TYPES[path.suffix], headers=headers)
