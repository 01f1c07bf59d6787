"""The tables. Migrations import this module and nothing else of the service.

"Model" is kept for the thing that names moths: ORM classes here are tables.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Role(StrEnum):
    """What an account may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    ADMIN = "admin"


class PromotionKind(StrEnum):
    """How a version came to be deployed: judged by the gate, taken back to, or put there by a start."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    START = "start"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on every database. SQLite keeps no zone, so it gets one back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; only aware times are stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Table(DeclarativeBase):
    """Base of every table. Constraints are named, so that migrations can speak of them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime(), dict[str, Any]: JSON()}


def words_of(kind: type[StrEnum]) -> Enum:
    """A column that holds the values of an enumeration as text."""
    return Enum(
        kind, native_enum=False, length=16, values_callable=lambda members: [each.value for each in members]
    )


class ModelRow(Table):
    """A named line of bundles."""

    __tablename__ = "model"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    versions: Mapped[list["VersionRow"]] = relationship(back_populates="model_row", lazy="raise")


class VersionRow(Table):
    """One bundle of a model, as it was when it was registered. ``path`` is relative to the store."""

    __tablename__ = "version"
    __table_args__ = (UniqueConstraint("model", "sha256"),)

    model: Mapped[str] = mapped_column(ForeignKey("model.name"), primary_key=True)
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    num_species: Mapped[int]
    figures: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    added_at: Mapped[datetime] = mapped_column(default=utc_now)

    model_row: Mapped[ModelRow] = relationship(back_populates="versions", lazy="raise")


class AliasRow(Table):
    """Which version is deployed. ``epoch`` grows by one with each promotion and never goes back."""

    __tablename__ = "alias"
    __table_args__ = (
        ForeignKeyConstraint(["model", "version"], ["version.model", "version.version"]),
        CheckConstraint("epoch >= 1", name="epoch_positive"),
    )

    model: Mapped[str] = mapped_column(ForeignKey("model.name"), primary_key=True)
    alias: Mapped[str] = mapped_column(String(32), primary_key=True, default="production")
    version: Mapped[str] = mapped_column(String(32))
    epoch: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class PromotionRow(Table):
    """The history of the alias, one row an epoch. Triggers of the database refuse to change or delete a row.

    ``verdict``: what the gate said, as it was; None where it could not judge, or was not asked (a start).
    """

    __tablename__ = "promotion"
    __table_args__ = (
        UniqueConstraint("model", "epoch"),
        ForeignKeyConstraint(["model", "to_version"], ["version.model", "version.version"]),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model: Mapped[str] = mapped_column(ForeignKey("model.name"))
    from_version: Mapped[str | None] = mapped_column(String(32))
    to_version: Mapped[str] = mapped_column(String(32))
    epoch: Mapped[int]
    kind: Mapped[PromotionKind] = mapped_column(words_of(PromotionKind), default=PromotionKind.PROMOTION)
    actor: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    override_reason: Mapped[str | None] = mapped_column(Text)
    verdict: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    from_evaluation_sha256: Mapped[str | None] = mapped_column(String(64))
    to_evaluation_sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class AdditionRow(Table):
    """Who added a version, one row a version. Triggers of the database refuse to change or delete a row.

    ``signed_by``: name of the trusted key that signed it. Versions from before this was kept have no row.
    """

    __tablename__ = "addition"
    __table_args__ = (
        UniqueConstraint("model", "version"),
        ForeignKeyConstraint(["model", "version"], ["version.model", "version.version"]),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(Text)
    signed_by: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class TrustedKeyRow(Table):
    """An Ed25519 public key (hex) whose signature under a bundle counts. ``fingerprint``: its SHA-256."""

    __tablename__ = "trusted_key"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    public_key: Mapped[str] = mapped_column(String(64))
    added_by: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(default=utc_now)


class ProtectedSpeciesRow(Table):
    """A species whose recall no promotion may lower: kept by the admins, by label of the model's species list."""

    __tablename__ = "protected_species"

    model: Mapped[str] = mapped_column(ForeignKey("model.name"), primary_key=True)
    label: Mapped[str] = mapped_column(String(200), primary_key=True)
    added_by: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(default=utc_now)


class UserRow(Table):
    """An account. ``name`` is what is typed at the login, in lower case."""

    __tablename__ = "user"

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(words_of(Role), default=Role.VIEWER)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class LoginRow(Table):
    """A session in a browser. Only the hash of its token is kept."""

    __tablename__ = "session"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    authenticated_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    user: Mapped[UserRow] = relationship(lazy="joined", innerjoin=True)


class SetupTokenRow(Table):
    """A one-time token that lets its holder make the first admin. Only its hash is kept."""

    __tablename__ = "setup_token"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    used_at: Mapped[datetime | None]


class InvitationRow(Table):
    """A link that lets its holder make one account of a role. Only the hash of its token is kept."""

    __tablename__ = "invitation"

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True, default=uuid4)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[Role] = mapped_column(words_of(Role))
    invited_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ApiKeyRow(Table):
    """A key of a program: 256 random bits, shown once, kept as a hash. ``scopes``: words, spaces between."""

    __tablename__ = "api_key"

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class RateRow(Table):
    """How often something was tried in a window of time, so that all replicas count together."""

    __tablename__ = "rate"

    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class IdentificationRow(Table):
    """One answer to one request, with the JSON exactly as it was answered."""

    __tablename__ = "identification"
    __table_args__ = (
        UniqueConstraint("idempotency_scope", "idempotency_key"),
        Index("ix_identification_created_at_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True, default=uuid4)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    model: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    is_anonymous: Mapped[bool] = mapped_column(server_default=false())
    """Made by nobody in particular. An account that was deleted since, or a key, is somebody."""
    reliability: Mapped[float] = mapped_column(Double)
    top_k: Mapped[int]
    response: Mapped[str] = mapped_column(Text)
    idempotency_scope: Mapped[str | None] = mapped_column(String(100))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    body_sha256: Mapped[str | None] = mapped_column(String(64))

    photos: Mapped[list["PhotoRow"]] = relationship(
        back_populates="identification",
        order_by="PhotoRow.position",
        lazy="selectin",
        cascade="all, delete-orphan",
    )


class PhotoRow(Table):
    """A photo of an identification. ``stored_name`` is its re-encoded file, if it was kept."""

    __tablename__ = "identification_photo"

    identification_id: Mapped[UUID] = mapped_column(
        ForeignKey("identification.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    width_px: Mapped[int]
    height_px: Mapped[int]
    format: Mapped[str] = mapped_column(String(16))
    stored_name: Mapped[str | None] = mapped_column(String(100))

    identification: Mapped[IdentificationRow] = relationship(back_populates="photos", lazy="raise")
