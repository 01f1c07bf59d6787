"""What makes a form ours: the login's cookie, the token in the form, the Origin of the request."""

import hashlib
import secrets
from urllib.parse import urlsplit

from fastapi import Request, Response

from app.errors import BadForm

_FORM_COOKIE_HOURS = 12


def is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS with us, or with the load balancer in front."""
    base_url: str = request.app.state.settings.base_url
    return base_url.startswith("https://") if base_url else request.url.scheme == "https"


def own_origin(request: Request) -> str:
    """Our origin as a browser writes it."""
    base_url: str = request.app.state.settings.base_url
    if not base_url:
        return f"{request.url.scheme}://{request.url.netloc}".lower()
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def login_cookie(request: Request) -> str:
    """Name of the cookie that holds the login's token: with TLS, one that no subdomain can set."""
    return "__Host-lighttrap" if is_secure(request) else "lighttrap"


def form_cookie(request: Request) -> str:
    """Name of the cookie that forms are tied to while nobody is logged in."""
    return f"{login_cookie(request)}-form"


def set_cookie(request: Request, response: Response, name: str, value: str, max_age_s: int) -> None:
    """A cookie that scripts cannot read and other sites' forms do not send."""
    response.set_cookie(
        name, value, max_age=max_age_s, path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )


def form_token(request: Request) -> str:
    """The token for forms of this browser: derived from its cookie, which only it and we know."""
    secret = request.cookies.get(login_cookie(request)) or request.cookies.get(form_cookie(request))
    return _token(secret) if secret else ""


def start_form(request: Request) -> tuple[str, str]:
    """Token and cookie of a form that is shown before a login. The cookie is kept where there is one."""
    secret = request.cookies.get(form_cookie(request)) or secrets.token_urlsafe(32)
    return _token(secret), secret


def keep_form(request: Request, response: Response, secret: str) -> None:
    """Give the browser the cookie that its form is tied to."""
    set_cookie(request, response, form_cookie(request), secret, _FORM_COOKIE_HOURS * 3600)


def check_form(request: Request, token: str) -> None:
    """Raises BadForm unless the form came from a page of ours in the same browser."""
    check_origin(request)
    cookies = (request.cookies.get(login_cookie(request)), request.cookies.get(form_cookie(request)))
    good = [_token(secret) for secret in cookies if secret]
    if not any(secrets.compare_digest(each.encode(), token.encode()) for each in good):
        raise BadForm("This form is too old, or cookies are off. Open the page again and send it once more.")


def check_origin(request: Request) -> None:
    """Raises BadForm when a browser says that another site made it send this."""
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() != own_origin(request):
        raise BadForm("This was sent from another site, so nothing was changed.")
    if origin is None and request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise BadForm("This was sent from another site, so nothing was changed.")


def own_path(path: str) -> str:
    """The path when it leads to a page of ours, else the front page: no login sends people elsewhere.

    >>> own_path("/species?q=owl"), own_path("//evil.net"), own_path("https://evil.net")
    ('/species?q=owl', '/', '/')
    """
    plain = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain and path.isprintable() and "\\" not in path else "/"


def _token(secret: str) -> str:
    return hashlib.sha256(f"form {secret}".encode()).hexdigest()
