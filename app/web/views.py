"""Frozen views of the small pages: one class for each template, the values it shows and nothing to decide."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from app.errors import AppError


@dataclass(frozen=True)
class ModelChoice:
    """One deployed model in a selector."""

    name: str
    title: str
    version: str
    num_species: int
    selected: bool

    @property
    def text(self) -> str:
        """What the selector says."""
        return f"{self.title} ({self.num_species} species)"


@dataclass(frozen=True)
class IdentifyView:
    """``/``: where photos go in."""

    template: ClassVar[str] = "identify.html"
    title: ClassVar[str] = "Identify moths"

    models: tuple[ModelChoice, ...]
    may_identify: bool
    max_photo_bytes: int
    max_photo_megabytes: int
    max_photo_megapixels: int
    max_photos: int
    problem: str | None = None


@dataclass(frozen=True)
class IdentificationRecord:
    """One identification in the list."""

    id: str
    created_at: datetime
    name: str
    italic: bool
    common_name: str | None
    certainty: str
    model: str
    photo_url: str


@dataclass(frozen=True)
class IdentificationsView:
    """``/identifications``: newest first. ``lede``: whose they are."""

    template: ClassVar[str] = "identifications.html"
    title: ClassVar[str] = "Identifications"

    records: tuple[IdentificationRecord, ...]
    newer_url: str | None
    older_url: str | None
    lede: str


@dataclass(frozen=True)
class UnansweredPhoto:
    """A photo of several that got no answer, and why."""

    file: str
    problem: str


@dataclass(frozen=True)
class PartlyAnsweredView:
    """What a form of several photos leads to where not all of them could be answered, in their order."""

    template: ClassVar[str] = "partly_answered.html"

    title: str
    lede: str
    records: tuple[IdentificationRecord, ...]
    unanswered: tuple[UnansweredPhoto, ...]


@dataclass(frozen=True)
class TaxonName:
    """A name as it is set: scientific names below family in italics, labels and families upright."""

    text: str
    italic: bool
    common: str | None = None


@dataclass(frozen=True)
class LoginView:
    """``/login``."""

    template: ClassVar[str] = "login.html"
    title: ClassVar[str] = "Sign in"

    form_token: str
    next_path: str = "/"
    name: str = ""
    error: str | None = None


@dataclass(frozen=True)
class SetupView:
    """``/setup``: makes the first admin, once."""

    template: ClassVar[str] = "setup.html"
    title: ClassVar[str] = "Set up Lighttrap"

    form_token: str
    token: str
    min_password: int
    name: str = ""
    error: str | None = None


@dataclass(frozen=True)
class InvitationView:
    """``/invitation``: makes an account of the invited role, once."""

    template: ClassVar[str] = "invitation.html"
    title: ClassVar[str] = "Join Lighttrap"

    form_token: str
    token: str
    role: str
    min_password: int
    name: str = ""
    error: str | None = None


@dataclass(frozen=True)
class LoginEntry:
    """One login of an account, and whether it is the one that looks."""

    id: str
    began_at: datetime
    password_at: datetime
    ends_at: datetime
    current: bool


@dataclass(frozen=True)
class RefusedView:
    """Why what a form asked for was refused."""

    title: str
    detail: str

    @classmethod
    def of(cls, refused: AppError | None) -> "RefusedView | None":
        """View of a refusal; None of none."""
        return cls(refused.title, refused.detail) if refused else None


@dataclass(frozen=True)
class AccountView:
    """``/account``: an account's own logins and its password. ``changed``: the password was, just now."""

    template: ClassVar[str] = "account.html"
    title: ClassVar[str] = "Your account"

    name: str
    role: str
    logins: tuple[LoginEntry, ...]
    form_token: str
    min_password: int
    changed: bool
    refused: RefusedView | None


@dataclass(frozen=True)
class UserEntry:
    """One account."""

    name: str
    role: str
    created_at: datetime
    is_self: bool


@dataclass(frozen=True)
class InvitationEntry:
    """An invitation that somebody could still accept."""

    id: str
    role: str
    invited_by: str
    expires_at: datetime


@dataclass(frozen=True)
class KeyEntry:
    """One API key; ``state`` says whether it opens anything."""

    id: str
    name: str
    scopes: str
    state: str
    is_open: bool
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class UsersView:
    """``/admin/users``: accounts, invitations and keys. ``secret`` is shown this once."""

    template: ClassVar[str] = "admin_users.html"
    title: ClassVar[str] = "Users and keys"

    users: tuple[UserEntry, ...]
    invitations: tuple[InvitationEntry, ...]
    keys: tuple[KeyEntry, ...]
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    form_token: str
    needs_password: bool
    secret_text: str | None
    secret: str | None
    refused_title: str | None
    refused_detail: str | None


@dataclass(frozen=True)
class ProblemField:
    """A field that is wrong, and how."""

    field: str
    message: str


@dataclass(frozen=True)
class ProblemView:
    """A refused request, as a page."""

    template: ClassVar[str] = "problem.html"

    title: str
    status: int
    detail: str
    type: str
    request_id: str | None = None
    errors: tuple[ProblemField, ...] = ()
    login_url: str | None = None


@dataclass(frozen=True)
class ProblemExplainedView:
    """``/problems/<slug>``: what a kind of problem means."""

    template: ClassVar[str] = "problem_explained.html"

    title: str
    status: int
    type: str
    explanation: str


@dataclass(frozen=True)
class NothingDeployedView:
    """A page that needs a model where none is deployed."""

    template: ClassVar[str] = "nothing_deployed.html"

    title: str
