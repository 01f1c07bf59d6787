"""What a request can be refused for: one class a reason, with a status, a stable type and a sentence to read.

Knows no HTTP framework: ``app.web.problems`` turns these into RFC 9457 documents or pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """One field of a request, and what is wrong with it."""

    field: str
    message: str


class AppError(Exception):
    """A refusal. ``detail`` is for a person: it never holds a path, a stack or an internal name.

    >>> BadRequest = UnreadableRequest("The body stops in the middle.")
    >>> BadRequest.status, BadRequest.type
    (400, '/problems/unreadable-request')
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong here"
    explanation: ClassVar[str] = (
        "The service met an error that is its own fault. The request id in the answer leads to the entry in "
        "its log."
    )

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def type(self) -> str:
        """The stable path that names this kind of problem, and where a page explains it."""
        return f"/problems/{self.slug}"


class InternalError(AppError):
    """A fault of the service itself."""


class UnreadableRequest(AppError):
    """The body, a header or the query could not be read at all."""

    status = 400
    slug = "unreadable-request"
    title = "The request cannot be read"
    explanation = "The body, a header or the query is malformed: cut off, not the stated type, or empty."


class LoginRequired(AppError):
    """Nobody is logged in, or the key is not known."""

    status = 401
    slug = "login-required"
    title = "Log in first"
    explanation = (
        "This needs a logged-in account, or an API key in the header `Authorization: Bearer …` that is known,"
        " not expired and not revoked."
    )


class PasswordRequired(AppError):
    """Logged in, but too long ago for what was asked."""

    status = 401
    slug = "password-required"
    title = "Your password, once more"
    explanation = (
        "Changing which version is deployed asks for the password again when the login is older than 15 "
        "minutes. Send it as `password`, or log in again."
    )


class Forbidden(AppError):
    """Known, but not allowed."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"
    explanation = "The account's role or the key's scopes do not cover this."


class BadForm(AppError):
    """A form without the token of this session, or sent from another site."""

    status = 403
    slug = "form-expired"
    title = "This form is not valid any more"
    explanation = (
        "Forms carry a token that belongs to the session, and are accepted only from the service's own "
        "address. Open the page again and send the form once more."
    )


class NotFound(AppError):
    """No such model, version, record or page."""

    status = 404
    slug = "not-found"
    title = "There is no such thing here"
    explanation = "The model, the version, the record or the page that was asked for does not exist."


class MethodNotAllowed(AppError):
    """The address exists, but not for this method."""

    status = 405
    slug = "method-not-allowed"
    title = "Not with this method"
    explanation = "The address exists but takes another HTTP method; `Allow` says which."


class Conflict(AppError):
    """The request contradicts what is already there."""

    status = 409
    slug = "conflict"
    title = "This contradicts what is already there"
    explanation = "Something with this name is there already and differs, or the same thing was done before."


class IdempotencyConflict(Conflict):
    """The same Idempotency-Key with another body."""

    slug = "idempotency-conflict"
    title = "This Idempotency-Key was used for another request"
    explanation = "An Idempotency-Key names one request. Send the very same request again, or take a new key."


class StaleEpoch(Conflict):
    """Somebody else promoted in between."""

    slug = "stale-epoch"
    title = "Somebody promoted in between"
    explanation = (
        "`expected_epoch` is not the model's epoch any more, so nothing was changed. The detail says who "
        "deployed what; look at it, then repeat with the new epoch if you still want to."
    )


class PromotionRefused(Conflict):
    """The gate refuses a candidate."""

    slug = "promotion-refused"
    title = "This version would make something worse"
    explanation = (
        "The candidate was compared with the deployed version, and the policy refuses it; `errors` names each rule "
        "with the group or species it is about. An admin may promote it all the same by sending `override`, the "
        "reason in writing, which stays in the history."
    )


class AlreadySetUp(Conflict):
    """There is an admin already."""

    slug = "already-set-up"
    title = "This service is set up already"
    explanation = (
        "The set-up page makes the first admin and works once. Log in, or ask an admin for an account."
    )


class PhotoTooLarge(AppError):
    """More bytes or pixels than the limit."""

    status = 413
    slug = "photo-too-large"
    title = "Too large"
    explanation = (
        "A photo, or the whole body, has more bytes or pixels than this service takes. The detail says how "
        "many."
    )


class UnsupportedPhoto(AppError):
    """Not one of the photo formats."""

    status = 415
    slug = "unsupported-photo"
    title = "Not a photo format that can be read here"
    explanation = (
        "The format is what the first bytes say, whatever the name. JPEG, PNG, WebP, HEIC/HEIF, TIFF, BMP and"
        " GIF (first frame) are read."
    )


class UndecodablePhoto(AppError):
    """Looks like a photo, but cannot be decoded."""

    status = 422
    slug = "undecodable-photo"
    title = "The photo cannot be decoded"
    explanation = "The file begins like a photo but is damaged, cut off, or took too long to decode."


class InvalidField(AppError):
    """A field, a parameter or a header with a value that is not allowed, or one that is not known."""

    status = 422
    slug = "invalid-field"
    title = "A field is not right"
    explanation = (
        "`errors` names each field and what is wrong with it. Unknown parameters and form fields are refused,"
        " never ignored: a misspelt one would change the answer without a word."
    )

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidField":
        """One field that is wrong.

        >>> InvalidField.of("top_k", "must be 1 to 50").detail
        'top_k: must be 1 to 50'
        """
        return cls(f"{field}: {message}", errors=[FieldError(field, message)])


class BundleRefused(AppError):
    """A bundle that may not be added."""

    status = 422
    slug = "bundle-refused"
    title = "This bundle is refused"
    explanation = (
        "A bundle was checked before it was added, and something in it is not right; `errors` names the file and the "
        "fault. Nothing of it was kept. What is checked is written down in `docs/operations.md`."
    )

    @classmethod
    def of(cls, fault: str) -> "BundleRefused":
        """A fault that begins with the file that it is in.

        >>> BundleRefused.of("card.json: title: Field required").errors[0].field
        'card.json'
        """
        file, separator, message = fault.partition(": ")
        error = FieldError(file, message) if separator else FieldError("the bundle", fault)
        return cls(f"{fault.removesuffix('.')}. Nothing was added.", errors=[error])


class TooManyRequests(AppError):
    """Over a rate limit."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"
    explanation = (
        "A limit per address, account or key is reached. `Retry-After` says in how many seconds to come back."
    )

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after_s))})


class Busy(AppError):
    """More is waiting than can be answered in time."""

    status = 503
    slug = "busy"
    title = "Busy"
    explanation = (
        "More requests are waiting than can be answered in time. `Retry-After` says when to try again."
    )

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after_s))})


class NoModelDeployed(AppError):
    """There is nothing that could answer."""

    status = 503
    slug = "no-model-deployed"
    title = "No model is deployed"
    explanation = (
        "No bundle could be deployed. An admin can see why in the log of the service and at `/readyz`."
    )

    def __init__(self, detail: str = "No model is deployed on this service.") -> None:
        super().__init__(detail, headers={"Retry-After": "30"})


class StoreUnavailable(AppError):
    """The store of bundles cannot be read or written."""

    status = 503
    slug = "store-unavailable"
    title = "The store of bundles does not answer"
    explanation = (
        "A bundle that is not on this machine cannot be fetched, or one cannot be added, because the folder or the "
        "bucket of the store does not answer. What is answering goes on answering."
    )

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "30"})


class DiskFull(AppError):
    """The disk cannot hold the answer's record."""

    status = 507
    slug = "disk-full"
    title = "The disk is full"
    explanation = (
        "The photo or the record could not be saved, so nothing was answered. Free space, then try again."
    )


KINDS: tuple[type[AppError], ...] = (
    InternalError,
    UnreadableRequest,
    LoginRequired,
    PasswordRequired,
    Forbidden,
    BadForm,
    NotFound,
    MethodNotAllowed,
    Conflict,
    IdempotencyConflict,
    StaleEpoch,
    PromotionRefused,
    AlreadySetUp,
    PhotoTooLarge,
    UnsupportedPhoto,
    UndecodablePhoto,
    InvalidField,
    BundleRefused,
    TooManyRequests,
    Busy,
    NoModelDeployed,
    StoreUnavailable,
    DiskFull,
)

PROBLEMS: Mapping[str, type[AppError]] = {kind.slug: kind for kind in KINDS}
"""Slug of ``/problems/<slug>`` -> the kind, with its status, title and explanation."""
