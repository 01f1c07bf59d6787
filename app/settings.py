"""The settings: environment variables with the prefix ``LIGHTTRAP_``, or a ``.env`` file. Values only.

A wrong one stops the start with its name, its value and what was expected.
"""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

from limits import parse
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from models.card import Name

Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
PREFIX = "LIGHTTRAP_"
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}


class SettingsError(ValueError):
    """Settings that stop the start. Each line names one setting, its value and what was expected."""


def _rate(value: str) -> str:
    try:
        parse(value)
    except ValueError as error:
        raise ValueError("expected a rate such as '10/minute' or '100/hour'") from error
    return value


def _words(value: object) -> object:
    """Comma-separated text as a list; what is no text is left as it is."""
    return (
        tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value
    )


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Rate = Annotated[str, AfterValidator(_rate)]


def normalise_database_url(url: str) -> str:
    """The URL with the driver this service uses.

    >>> normalise_database_url("postgres://moth@db/lighttrap")
    'postgresql+psycopg://moth@db/lighttrap'
    >>> normalise_database_url("sqlite:///var/lighttrap.db")
    'sqlite+aiosqlite:///var/lighttrap.db'
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError("expected a URL such as postgresql://user@host/database or sqlite:///file.db")
    driver = _DRIVERS.get(scheme, scheme)
    if driver not in _DRIVERS.values():
        raise ValueError("expected a URL that begins with postgresql:// or sqlite://")
    return f"{driver}://{rest}"


_BUCKET_URL = re.compile(r"^s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?$")


@dataclass(frozen=True)
class S3Place:
    """Where bundles lie in a bucket, and the folder of this machine's copies. ``endpoint`` "": AWS's own."""

    bucket: str
    prefix: str
    endpoint: str
    cache: Path


class Settings(BaseSettings):
    """Every setting of the service. Frozen; nothing is opened or made here."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    base_url: str = Field("", description="Public address, such as https://moths.example.org; else as asked.")
    trusted_hosts: Words = Field(
        ("*",), description="Host names this service answers to, with commas between; * for any."
    )
    trusted_proxies: Words = Field(
        (),
        description="Load balancers whose X-Forwarded-For and -Proto are believed, with commas between.",
    )
    data_dir: Path = Field(Path("var"), description="Folder of the SQLite file and the photos.")
    database_url: SecretStr = Field(
        SecretStr(""), description="sqlite:// or postgresql:// URL; SQLite in the data folder where silent."
    )
    database_password_file: Path | None = Field(
        None, description="File that holds the database's password, for a URL without one (Docker secrets)."
    )
    database_pool: int = Field(10, ge=1, le=200, description="Connections to PostgreSQL that are kept.")
    store_endpoint: str = Field(
        "", description="Address of an S3-compatible server for a store in a bucket; Amazon's where silent."
    )
    store: Path | S3Place = Field(
        Path("models/store"),
        description="Folder of the bundles (<name>/<version>/), or s3://bucket/prefix.",
    )
    require_signature: bool = Field(
        False, description="Add only bundles that are signed with a key trusted here."
    )
    max_bundle_bytes: int = Field(
        1_000_000_000,
        ge=10_000,
        le=100_000_000_000,
        description="Bytes of a bundle that is added, packed and unpacked.",
    )
    check_memory_bytes: int = Field(
        4_000_000_000, ge=200_000_000, description="Memory for trying a bundle out before it is added."
    )
    check_timeout_s: float = Field(120.0, ge=1, le=3600, description="Seconds for trying a bundle out.")
    default_model: Name = Field("european-moths", description="Model that answers where none is named.")
    provider: Provider = Field("auto", description="Where models run; cuda and tensorrt fail without a GPU.")
    public_identify: bool = Field(True, description="Identify without an account or a key.")

    max_recall_fall: float = Field(
        0.01, ge=0, le=1, description="Recall that the middle or the tail may lose in a promotion."
    )
    max_ece_growth: float = Field(
        0.02, ge=0, le=1, description="What a promotion may add to the calibration error of a group."
    )
    max_photo_bytes: int = Field(20_000_000, ge=1_000, le=1_000_000_000, description="Bytes of one photo.")
    max_photo_pixels: int = Field(50_000_000, ge=1_024, le=1_000_000_000, description="Pixels of one photo.")
    max_batch_photos: int = Field(64, ge=1, le=1_000, description="Photos in one batch request.")
    max_body_bytes: int = Field(
        220_000_000, ge=1_000, le=10_000_000_000, description="Bytes of one request's whole body with photos."
    )
    max_trial_bytes: int = Field(
        500_000_000,
        ge=1_000,
        le=50_000_000_000,
        description="Bytes of a zip of photos to compare versions on.",
    )
    decode_timeout_s: float = Field(5.0, gt=0, le=120, description="Seconds one photo may take to decode.")
    decode_workers: int = Field(
        default_factory=lambda: min(2, os.cpu_count() or 1),
        ge=1,
        le=256,
        description="Decoding processes.",
    )
    max_queue: int = Field(64, ge=1, le=10_000, description="Requests that may wait; more are answered 503.")

    session_hours: float = Field(12.0, gt=0, le=24 * 90, description="Hours a login lasts.")
    login_rate: Rate = Field(
        "10/minute", description="Log-in attempts per address; ten times as many per account."
    )
    predict_rate: Rate = Field("600/minute", description="Identifications per key and per address.")
    setup_rate: Rate = Field("10/minute", description="Set-up attempts per address.")
    drain_notice_s: float = Field(
        2.0, ge=0, le=60, description="Seconds that a stopping service says so at /readyz before it closes."
    )
    drain_s: int = Field(30, ge=1, le=600, description="Seconds that running requests get at a stop.")
    follow_s: float = Field(1.0, gt=0, le=60, description="Seconds between two looks at what is deployed.")
    log_format: Literal["console", "json"] = Field("console", description="How the log is written.")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        return SecretStr(normalise_database_url(text)) if text else value

    @field_validator("store_endpoint")
    @classmethod
    def _server(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("expected an address such as https://minio.example.org")
        return value.rstrip("/")

    @field_validator("store", mode="plain")
    @classmethod
    def _place(cls, value: object, info: ValidationInfo) -> Path | S3Place:
        """After ``data_dir`` and ``store_endpoint``, which it needs; where these are wrong, they are named."""
        if not isinstance(value, str) or not value.startswith("s3:"):
            return value if isinstance(value, S3Place) else Path(str(value))
        parts = _BUCKET_URL.match(value)
        if parts is None:
            raise ValueError(
                "expected a folder, or a bucket such as s3://my-bundles or s3://my-bundles/moths"
            )
        cache = info.data.get("data_dir", Path("var")) / "bundles"
        return S3Place(parts[1], (parts[2] or "").strip("/"), info.data.get("store_endpoint", ""), cache)

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("expected an address such as https://moths.example.org")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _photo_fits_body(self) -> Self:
        if self.max_body_bytes < self.max_photo_bytes:
            raise ValueError(
                f"MAX_BODY_BYTES is {self.max_body_bytes}: expected at least {PREFIX}MAX_PHOTO_BYTES, "
                f"which is {self.max_photo_bytes}"
            )
        return self

    @property
    def database(self) -> str:
        """The database's URL, with its driver. Holds a password: never log it."""
        url = self.database_url.get_secret_value()
        return url or f"sqlite+aiosqlite:///{self.data_dir / 'lighttrap.db'}"

    @property
    def photos_dir(self) -> Path:
        """Where re-encoded photos are kept."""
        return self.data_dir / "photos"


def load_settings() -> Settings:
    """Settings from the environment. Raises SettingsError with one line for each wrong one."""
    in_file = _names_in_env_file()
    _refuse_misspelt_settings(in_file)
    given = os.environ.get("DATABASE_URL")
    try:
        silent = f"{PREFIX}DATABASE_URL" not in os.environ and f"{PREFIX}DATABASE_URL" not in in_file
        settings = Settings(database_url=SecretStr(given)) if given and silent else Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_line(dict(fault)) for fault in error.errors())) from error
    if settings.database_password_file is None:
        return settings
    url = _with_password(settings.database, settings.database_password_file)
    return settings.model_copy(update={"database_url": SecretStr(url)})


def _with_password(url: str, file: Path) -> str:
    """The URL with the password that the file holds: what a secret mounted into a container needs."""
    named = f"{PREFIX}DATABASE_PASSWORD_FILE is {str(file)!r}"
    parts = urlsplit(url)
    if not parts.username or parts.password is not None or not url.startswith("postgresql"):
        expected = "postgresql://user@host/database"
        raise SettingsError(f"{named}: expected {PREFIX}DATABASE_URL to be {expected}, without a password")
    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{named}: expected a text file this process may read") from error
    if not password:
        raise SettingsError(f"{named}: expected a password in it, but it is empty")
    user, _, rest = parts.netloc.partition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{rest}").geturl()


def _names_in_env_file() -> set[str]:
    """What ``.env`` sets, in capitals: it is read as if all its names were in small letters."""
    try:
        return {name.upper() for name in DotEnvSettingsSource(Settings).env_vars}
    except UnicodeDecodeError as error:
        raise SettingsError(".env is not UTF-8: write it anew as a text file in that encoding") from error


def _refuse_misspelt_settings(in_file: set[str]) -> None:
    """A name that is nearly a setting would be ignored in silence. Other names may belong to other tools.

    In ``.env`` as in the environment: the settings are read from both.
    """
    known = [name.upper() for name in Settings.model_fields]
    lines = []
    for name in sorted(in_file.union(os.environ)):
        given = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and given not in known:
            near = get_close_matches(given, known, n=1, cutoff=0.7)
            lines += [
                f"{name} is set, but there is no such setting: expected {PREFIX}{each}" for each in near
            ]
    if lines:
        raise SettingsError("\n".join(lines))


def _line(fault: dict[str, object]) -> str:
    location = fault["loc"]
    assert isinstance(location, tuple)
    field = str(location[0]) if location else ""
    expected = str(fault["msg"]).removeprefix("Value error, ")
    if not field:
        return f"{PREFIX}{expected}"
    shown = "(hidden)" if field == "database_url" else repr(fault["input"])
    return f"{PREFIX}{field.upper()} is {shown}: {expected}"
