import re
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from limits.aio.storage import MemoryStorage
from sqlalchemy import update

from app.db.session import Sessions
from app.db.tables import LoginRow, Role, utc_now
from app.main import create_app
from app.services import accounts
from app.services.rates import ACCOUNT_TIMES, RateLimit
from app.services.registry import prepare_registry
from app.settings import Settings
from tests.conftest import ORIGIN
from tests.web.conftest import PASSWORD, connect

PROMOTE = {"version": "1.1.0", "expected_epoch": 1, "reason": "Better on the tail."}


def token_in(page: httpx.Response) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def send_login(
    client: httpx.AsyncClient, name: str, password: str, next_path: str = "/"
) -> httpx.Response:
    token = token_in(await client.get("/login", params={"next": next_path}))
    form = {"name": name, "password": password, "next": next_path, "form_token": token}
    return await client.post("/login", data=form)


@pytest.fixture
async def setup_token(app: FastAPI) -> str:
    async with app.state.sessions() as session:
        token = await accounts.new_setup_token(session)
        await session.commit()
    return token


async def send_setup(client: httpx.AsyncClient, token: str, **changed: str) -> httpx.Response:
    page = await client.get("/setup", params={"token": token})
    form = {"token": token, "name": "ana", "password": PASSWORD, "form_token": token_in(page), **changed}
    return await client.post("/setup", data=form)


async def test_the_set_up_link_makes_the_first_admin_and_logs_them_in(
    client: httpx.AsyncClient, setup_token: str
) -> None:
    answer = await send_setup(client, setup_token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await client.get("/models/tiny-moths/history")).status_code == 200
    again = await client.get("/setup", params={"token": setup_token})
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/already-set-up"


async def test_a_short_password_is_asked_for_again_and_the_link_still_works(
    client: httpx.AsyncClient, setup_token: str
) -> None:
    refused = await send_setup(client, setup_token, password="short")
    assert refused.status_code == 422
    assert "expected 10 to 1024 characters" in refused.text
    assert (await send_setup(client, setup_token)).status_code == 303


@pytest.mark.usefixtures("setup_token")
async def test_a_made_up_set_up_token_opens_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/setup", params={"token": "made-up"})).status_code == 403
    page = await client.get("/setup")
    form = {"token": "made-up", "name": "eva", "password": PASSWORD, "form_token": token_in(page)}
    assert (await client.post("/setup", data=form)).status_code == 403


@pytest.mark.usefixtures("setup_token")
async def test_set_up_tokens_cannot_be_tried_for_ever(client: httpx.AsyncClient) -> None:
    statuses = [(await client.get("/setup", params={"token": f"try-{n}"})).status_code for n in range(11)]
    assert statuses == [403] * 10 + [429]


async def test_name_and_password_open_the_door_and_logging_out_closes_it(
    client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    answer = await send_login(client, "Ana", PASSWORD, "/models")
    assert (answer.status_code, answer.headers["location"]) == (303, "/models")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert (await client.get("/models/tiny-moths/history")).status_code == 200
    stolen = client.cookies["lighttrap"]
    page = await client.get("/problems/not-found", headers={"Accept": "text/html"})
    assert (await client.post("/logout", data={"form_token": token_in(page)})).status_code == 303
    assert "lighttrap" not in client.cookies
    client.cookies.set("lighttrap", stolen)
    assert (await client.get("/models/tiny-moths/history")).status_code == 401
    assert (await admin.get("/models/tiny-moths/history")).status_code == 200


@pytest.mark.usefixtures("admin")
async def test_a_wrong_password_gets_the_form_again(client: httpx.AsyncClient) -> None:
    for name, password in (("ana", "not it at all"), ("nobody", PASSWORD)):
        answer = await send_login(client, name, password)
        assert answer.status_code == 401
        assert "The name or the password is not right." in answer.text
        assert password not in answer.text
    assert "lighttrap" not in client.cookies


@pytest.mark.usefixtures("admin")
async def test_passwords_cannot_be_tried_for_ever(client: httpx.AsyncClient) -> None:
    statuses = [(await send_login(client, "ana", f"wrong {number}")).status_code for number in range(11)]
    assert statuses == [401] * 10 + [429]
    limited = await send_login(client, "ana", PASSWORD)
    assert limited.status_code == 429
    assert 1 <= int(limited.headers["retry-after"]) <= 60


def from_address(app: FastAPI, address: str) -> httpx.AsyncClient:
    """A browser somewhere else."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Origin": ORIGIN})


async def try_passwords(app: FastAPI, address: str, tries: int) -> list[int]:
    """Statuses of logins as ana with wrong passwords, all from one address."""
    async with from_address(app, address) as stranger:
        return [(await send_login(stranger, "ana", f"wrong {number}")).status_code for number in range(tries)]


def allow(app: FastAPI, rate: str) -> None:
    """Count log-ins by the hour: a busy machine takes a minute for a hundred, and the window would end meanwhile."""
    storage = MemoryStorage()
    app.state.login_rate = RateLimit(storage, "login", rate)
    app.state.account_rate = RateLimit(storage, "account", rate, times=ACCOUNT_TIMES)


async def make_logins_old(app: FastAPI) -> None:
    async with app.state.sessions() as session:
        await session.execute(update(LoginRow).values(authenticated_at=utc_now() - timedelta(minutes=16)))
        await session.commit()


@pytest.mark.usefixtures("admin")
async def test_a_stranger_locks_nobody_out_of_logging_in(client: httpx.AsyncClient, app: FastAPI) -> None:
    allow(app, "2/hour")
    assert await try_passwords(app, "203.0.113.9", 4) == [401] * 2 + [429] * 2
    for number in range(1, 11):  # all of a connection's IPv6 addresses count as one
        await try_passwords(app, f"2001:db8::{number}", 2)
    assert (await send_login(client, "ana", PASSWORD)).status_code == 303


async def test_no_number_of_strangers_stops_an_admin_with_a_login(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    allow(app, "2/hour")
    for number in range(11):
        await try_passwords(app, f"203.0.113.{number}", 2)
    assert (await try_passwords(app, "127.0.0.1", 1)) == [
        429
    ]  # the admin's own address, as behind one router
    await make_logins_old(app)
    promoted = await admin.post("/models/tiny-moths/promote", json={**PROMOTE, "password": PASSWORD})
    assert promoted.status_code == 200
    back = {"expected_epoch": 2, "reason": "An emergency.", "password": PASSWORD}
    assert (await admin.post("/models/tiny-moths/rollback", json=back)).status_code == 200


@pytest.mark.usefixtures("admin")
async def test_guessing_from_many_addresses_comes_to_an_end(app: FastAPI) -> None:
    allow(app, "2/hour")
    for number in range(10):
        assert await try_passwords(app, f"203.0.113.{number}", 2) == [401] * 2
    assert await try_passwords(app, "203.0.113.99", 1) == [429]


async def test_the_password_of_a_login_cannot_be_tried_for_ever_from_wherever(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    app.state.confirm_rate = RateLimit(MemoryStorage(), "confirm", "3/day")
    await make_logins_old(app)
    statuses = []
    for number in range(4):
        async with from_address(app, f"203.0.113.{number}") as thief:
            thief.cookies.update(admin.cookies)
            wrong = {**PROMOTE, "password": f"wrong {number}"}
            answer = await thief.post("/models/tiny-moths/promote", json=wrong)
            statuses.append(answer.status_code)
    assert statuses == [401] * 3 + [429]
    assert "Log out, and in again" in answer.json()["detail"]


@pytest.mark.parametrize(
    "next_path", ["https://evil.net", "//evil.net", "/\\evil.net", "javascript:alert(1)"]
)
@pytest.mark.usefixtures("admin")
async def test_a_login_leads_to_no_other_site(client: httpx.AsyncClient, next_path: str) -> None:
    assert (await send_login(client, "ana", PASSWORD, next_path)).headers["location"] == "/"


@pytest.mark.usefixtures("admin")
async def test_a_form_without_its_token_is_refused(client: httpx.AsyncClient) -> None:
    form = {"name": "ana", "password": PASSWORD, "next": "/"}
    for token in ("", "0" * 64):
        answer = await client.post("/login", data={**form, "form_token": token})
        assert answer.json()["type"] == "/problems/form-expired"
    theirs = connect(app_of(client))
    async with theirs:
        token = token_in(await theirs.get("/login"))
    assert (await client.post("/login", data={**form, "form_token": token})).status_code == 403


def app_of(client: httpx.AsyncClient) -> FastAPI:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    app = transport.app
    assert isinstance(app, FastAPI)
    return app


@pytest.mark.parametrize("foreign", [{"Origin": "https://evil.net"}, {"Origin": "null"}])
@pytest.mark.usefixtures("admin")
async def test_a_form_from_another_site_is_refused(
    client: httpx.AsyncClient, foreign: dict[str, str]
) -> None:
    token = token_in(await client.get("/login"))
    form = {"name": "ana", "password": PASSWORD, "form_token": token}
    assert (await client.post("/login", data=form, headers=foreign)).status_code == 403


async def test_an_unknown_form_field_is_named(client: httpx.AsyncClient) -> None:
    token = token_in(await client.get("/login"))
    form = {"name": "ana", "pasword": PASSWORD, "password": "x", "form_token": token}
    answer = await client.post("/login", data=form)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "pasword", "message": "unknown form field; did you mean password?"}
    ]


async def test_an_old_login_gives_its_password_to_promote(admin: httpx.AsyncClient, app: FastAPI) -> None:
    await make_logins_old(app)
    refused = await admin.post("/models/tiny-moths/promote", json=PROMOTE)
    assert (refused.status_code, refused.json()["type"]) == (401, "/problems/password-required")
    wrong = await admin.post("/models/tiny-moths/promote", json={**PROMOTE, "password": "not it"})
    assert wrong.json()["type"] == "/problems/password-required"
    right = await admin.post("/models/tiny-moths/promote", json={**PROMOTE, "password": PASSWORD})
    assert right.status_code == 200
    back = {"expected_epoch": 2, "reason": "The password counts for the next 15 minutes."}
    assert (await admin.post("/models/tiny-moths/rollback", json=back)).status_code == 200


async def test_over_tls_the_cookie_is_one_that_only_we_can_set(
    settings: Settings, sessions: Sessions
) -> None:
    await prepare_registry(sessions, settings.store)
    app = create_app(settings.model_copy(update={"base_url": "https://moths.example.org"}))
    async with app.router.lifespan_context(app), connect(app) as client:
        client.base_url = httpx.URL("https://moths.example.org")
        client.headers["Origin"] = "https://moths.example.org"
        async with app.state.sessions() as session:
            await accounts.create_user(session, app.state.passwords, "ana", PASSWORD, Role.ADMIN)
            await session.commit()
        answer = await send_login(client, "ana", PASSWORD)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-lighttrap=")
        assert "Secure" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert "max-age" in answer.headers["strict-transport-security"]
        assert (await client.get("/models/tiny-moths/history")).status_code == 200


async def test_who_is_logged_in_does_not_log_in_again(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/login", params={"next": "/species"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/species")


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        (f"{ORIGIN}/models/tiny-moths/history?before=1", "/models/tiny-moths/history%3Fbefore%3D1"),
        ("https://elsewhere.example/species", "/"),
        ("http://[", "/"),
        (f"{ORIGIN}//elsewhere.example", "/"),
        ("", "/"),
    ],
)
async def test_a_form_that_needs_a_login_leads_back_to_its_page_and_not_to_where_it_was_sent(
    client: httpx.AsyncClient, referer: str, back: str
) -> None:
    form = {"form_token": "old", "id": "4c1b7f0c-0000-4000-8000-000000000000", "model": "tiny-moths"}
    headers = {"Accept": "text/html", "Referer": referer}
    answer = await client.post("/admin/checklists/end", data=form, headers=headers)
    assert answer.status_code == 401
    assert f'href="/login?next={back}"' in answer.text


async def test_a_page_that_needs_a_login_leads_to_it_and_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models/tiny-moths/history", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/models/tiny-moths/history"
