"""View -> page. The one place that knows Jinja; templates get a frozen view and format it, never decide."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.db.tables import Role
from app.errors import AppError
from app.services.accounts import ANONYMOUS, Caller
from app.web.assets import asset_url
from app.web.formatting import GROUP_SYMBOLS, moment_words

TEMPLATES = Path(__file__).parents[2] / "templates"


class View(Protocol):
    """What a template shows: a frozen dataclass that names its template and the title of its page."""

    template: ClassVar[str]

    @property
    def title(self) -> str:
        """Title of the page, without the product's name."""


@dataclass(frozen=True)
class NavLink:
    """One entry of the navigation."""

    path: str
    text: str
    current: bool


@dataclass(frozen=True)
class Shell:
    """What surrounds every page: where we are and who is logged in."""

    path: str
    links: tuple[NavLink, ...]
    user_name: str | None
    form_token: str


def render(
    request: Request,
    view: View,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    refused: AppError | None = None,
) -> HTMLResponse:
    """The page of a view; with the status and the headers of what was ``refused``, where it tells of that.

    Who is logged in is read from ``request.state.caller`` and the token of the forms from
    ``request.state.form_token``; without them the page shows nobody.
    """
    html = _environment().get_template(view.template).render(view=view, shell=_shell(request))
    if refused is not None:
        status_code, headers = refused.status, {**refused.headers, **(headers or {})}
    return HTMLResponse(html, status_code=status_code, headers=dict(headers or {}))


def render_fragment(view: View) -> HTMLResponse:
    """A view's template alone, for a script that inserts it: the markup that its page includes."""
    return HTMLResponse(_environment().get_template(view.template).render(view=view))


def _shell(request: Request) -> Shell:
    caller: Caller = getattr(request.state, "caller", ANONYMOUS)
    path = request.url.path
    pages = [
        ("/", "Identify"),
        ("/identifications", "Identifications"),
        ("/species", "Species"),
        ("/performance", "Performance"),
    ]
    if caller.has_role(Role.ADMIN):
        pages += [("/admin/models", "Models"), ("/admin/checklists", "Checklists"), ("/admin/users", "Users")]
    return Shell(
        path=path,
        links=tuple(NavLink(to, text, _is_current(to, path)) for to, text in pages),
        user_name=caller.actor if caller.user_id is not None else None,
        form_token=getattr(request.state, "form_token", ""),
    )


def _is_current(target: str, path: str) -> bool:
    """Whether ``path`` belongs to the entry ``target``.

    >>> _is_current("/", "/species"), _is_current("/identifications", "/identifications/7")
    (False, True)
    """
    return path == target or (target != "/" and path.startswith(f"{target}/"))


def script_json(value: Any) -> Markup:
    """Value as JSON that is safe inside a ``<script type="application/json">``.

    >>> script_json({"name": "</script>"})
    Markup('{"name":"\\\\u003c/script>"}')
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(asset=asset_url, group_symbols=GROUP_SYMBOLS)
    environment.filters.update(moment=moment_words, script_json=script_json)
    return environment
