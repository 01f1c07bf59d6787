"""Accounts by invitation, roles, logins and keys: what was taken away opens nothing from the next request on."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from limits.aio.storage import MemoryStorage

from app.db.tables import LoginRow, Role, utc_now
from app.errors import Conflict, Forbidden, LoginRequired, NotFound
from app.services import accounts, members
from app.services.rates import RateLimit
from tests.web.conftest import PASSWORD, connect, log_in

HTML = {"Accept": "text/html"}


def token_of(html: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', html)
    assert found is not None
    return found[1]


async def send(client: httpx.AsyncClient, page: str, act: str, **fields: str) -> httpx.Response:
    """What a form of a page sends."""
    html = (await client.get(page, headers=HTML)).text
    return await client.post(f"{page}/{act}", data={"form_token": token_of(html), **fields}, headers=HTML)


async def invited(admin: httpx.AsyncClient, role: str) -> str:
    """The path of a new invitation."""
    answer = await send(admin, "/admin/users", "invite", role=role)
    found = re.search(r"http://lighttrap\.test(/invitation\?token=\S{43})<", answer.text)
    assert found is not None, answer.text
    return found[1]


async def join(browser: httpx.AsyncClient, path: str, name: str) -> httpx.Response:
    html = (await browser.get(path, headers=HTML)).text
    form = {"form_token": token_of(html), "token": path.partition("=")[2], "name": name, "password": PASSWORD}
    return await browser.post("/invitation", data=form, headers=HTML)


async def test_an_invitation_makes_one_account_of_its_role_and_logs_it_in(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    path = await invited(admin, "reviewer")
    assert path not in (await admin.get("/admin/users", headers=HTML)).text, "shown once"
    async with connect(app) as browser:
        taken = await join(browser, path, "ana")
        assert (taken.status_code, "an account named ana already" in taken.text) == (409, True)
        assert (await join(browser, path, "cleo")).status_code == 303
        assert "with the role reviewer" in (await browser.get("/account", headers=HTML)).text
        assert (await browser.get("/admin/users", headers=HTML)).status_code == 403
    async with connect(app) as late:
        assert (await late.get(path)).status_code == 403


async def test_of_two_who_accept_at_once_one_gets_in(app: FastAPI) -> None:
    async with app.state.sessions() as session:
        token = await members.invite(session, Role.VIEWER, "ana")
        await session.commit()

    async def accept(name: str) -> str:
        async with app.state.sessions() as session:
            user = await members.accept(session, app.state.passwords, token, name, PASSWORD)
            await session.commit()
            return user.name

    outcomes = await asyncio.gather(accept("one"), accept("two"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)] == [Forbidden]
    async with app.state.sessions() as session:
        assert await members.open_invitations(session) == []


async def test_an_invitation_that_was_revoked_or_is_over_opens_nothing(
    admin: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await invited(admin, "viewer")
    html = (await admin.get("/admin/users", headers=HTML)).text
    found = re.search(r'revoke-invitation">.*?name="id" value="([^"]+)"', html, re.S)
    assert found is not None
    assert (await send(admin, "/admin/users", "revoke-invitation", id=found[1])).status_code == 200
    assert (await admin.get(path)).status_code == 403
    assert (await send(admin, "/admin/users", "revoke-invitation", id=found[1])).status_code == 404
    monkeypatch.setattr(members, "INVITATION_LASTS", timedelta(0))
    assert (await admin.get(await invited(admin, "viewer"))).status_code == 403


async def test_a_role_holds_from_the_next_request_on(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    assert (await viewer.get("/admin/users")).status_code == 403
    assert (await send(admin, "/admin/users", "role", name="ben", role="admin")).status_code == 200
    assert (await viewer.get("/admin/users")).status_code == 200
    assert (await send(admin, "/admin/users", "remove", name="ben")).status_code == 200
    assert (await viewer.get("/admin/users")).status_code == 401


async def test_the_last_admin_stays_one(admin: httpx.AsyncClient, app: FastAPI) -> None:
    async with app.state.sessions() as session:
        with pytest.raises(Conflict, match="ana is the only admin"):
            await members.set_role(session, "ana", Role.VIEWER)
        with pytest.raises(Conflict, match="ana is the only admin"):
            await members.remove(session, "ana")
        with pytest.raises(NotFound, match="no account named 'nobody'"):
            await members.remove(session, "nobody")
    refused = await send(admin, "/admin/users", "role", name="ana", role="viewer")
    assert (refused.status_code, "ana is the only admin" in refused.text) == (409, True)


async def test_a_login_is_ended_from_another_browser(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, app: FastAPI
) -> None:
    async with connect(app) as phone, connect(app) as tablet:
        for other in (phone, tablet):
            async with app.state.sessions() as session:
                user = await accounts.log_in(session, app.state.passwords, "ana", PASSWORD)
                lasts = timedelta(hours=1)
                other.cookies.set("lighttrap", await accounts.start_login(session, user, lasts))
                await session.commit()
        html = (await admin.get("/account", headers=HTML)).text
        ids = re.findall(r'name="login" value="([0-9a-f]{16})"', html)
        assert (len(ids), html.count("this browser")) == (2, 1)
        assert (await send(admin, "/account", "end", login=ids[0])).status_code == 303
        alive = [(await other.get("/account")).status_code for other in (phone, tablet)]
        assert sorted(alive) == [200, 401]
        assert (await send(viewer, "/account", "end", login=ids[1])).status_code == 404, "not theirs"
        assert (await send(admin, "/account", "end", login="")).status_code == 303
        alive = [(await other.get("/account")).status_code for other in (phone, tablet)]
        assert alive == [401, 401]
    assert (await admin.get("/account")).status_code == 200
    assert (await viewer.get("/account")).status_code == 200


async def test_another_password_ends_every_other_login(admin: httpx.AsyncClient, app: FastAPI) -> None:
    new = "another sentence about moths"
    async with connect(app) as phone:
        async with app.state.sessions() as session:
            user = await accounts.log_in(session, app.state.passwords, "ana", PASSWORD)
            phone.cookies.set("lighttrap", await accounts.start_login(session, user, timedelta(hours=1)))
            await session.commit()
        done = await send(admin, "/account", "password", password=PASSWORD, new_password=new)
        assert (done.status_code, done.headers["location"]) == (303, "/account?done=true")
        assert (await phone.get("/account")).status_code == 401
    assert "Your password was changed" in (await admin.get("/account?done=true", headers=HTML)).text
    async with app.state.sessions() as session:
        await accounts.log_in(session, app.state.passwords, "ana", new)
        with pytest.raises(LoginRequired):
            await accounts.log_in(session, app.state.passwords, "ana", PASSWORD)


@pytest.mark.parametrize(
    ("password", "new", "status", "words"),
    [
        ("not hers", "another sentence about moths", 401, "Your present password is not right"),
        (PASSWORD, "short", 422, "expected 10 to 1024 characters"),
    ],
)
async def test_a_password_is_not_changed_without_the_old_one_or_to_a_poor_one(
    admin: httpx.AsyncClient, app: FastAPI, password: str, new: str, status: int, words: str
) -> None:
    refused = await send(admin, "/account", "password", password=password, new_password=new)
    assert (refused.status_code, words in refused.text) == (status, True)
    async with app.state.sessions() as session:
        await accounts.log_in(session, app.state.passwords, "ana", PASSWORD)


async def test_tries_at_the_present_password_are_counted(admin: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.confirm_rate = RateLimit(MemoryStorage(), "confirm", "3/day")
    form = {"password": "not hers", "new_password": "another sentence about moths"}
    statuses = [(await send(admin, "/account", "password", **form)).status_code for _ in range(4)]
    assert statuses == [401] * 3 + [429]


async def test_a_key_is_made_shown_once_and_revoked_for_its_next_request(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    made = await send(admin, "/admin/users", "key", name="tablet", scope="admin", days="30")
    found = re.search(r"(lt_[\w-]{43})<", made.text)
    assert found is not None
    assert made.headers["cache-control"] == "no-store"
    assert found[1] not in (await admin.get("/admin/users", headers=HTML)).text
    async with connect(app, Authorization=f"Bearer {found[1]}") as tablet:
        assert (await tablet.get("/models/tiny-moths/history")).status_code == 200
        html = (await admin.get("/admin/users", headers=HTML)).text
        key_id = re.search(r'revoke-key">.*?name="id" value="([^"]+)"', html, re.S)
        assert key_id is not None
        assert (await send(admin, "/admin/users", "revoke-key", id=key_id[1])).status_code == 200
        assert (await tablet.get("/models/tiny-moths/history")).status_code == 401
    assert (await send(admin, "/admin/users", "key", name="nothing")).status_code == 422


async def test_an_old_login_gives_its_password_for_what_gives_power(
    admin: httpx.AsyncClient, app: FastAPI
) -> None:
    async with app.state.sessions() as session:
        row = await session.get_one(LoginRow, accounts.digest(admin.cookies["lighttrap"]))
        row.authenticated_at = utc_now() - timedelta(minutes=16)
        await session.commit()
    for act, fields in (
        ("invite", {"role": "viewer"}),
        ("key", {"name": "x", "scope": "predict"}),
        ("role", {"name": "ana", "role": "admin"}),
    ):
        refused = await send(admin, "/admin/users", act, **fields)
        assert (refused.status_code, "give your password again" in refused.text) == (401, True)
    done = await send(admin, "/admin/users", "invite", role="viewer", password=PASSWORD)
    assert (done.status_code, "/invitation?token=" in done.text) == (200, True)


async def test_forms_without_their_token_change_nothing(admin: httpx.AsyncClient, app: FastAPI) -> None:
    await log_in(admin, app, "dora", Role.ADMIN)
    for path, fields in (
        ("/admin/users/invite", {"role": "admin"}),
        ("/admin/users/key", {"name": "x", "scope": "admin"}),
        ("/admin/users/remove", {"name": "ana"}),
        ("/account/end", {}),
        ("/account/password", {"password": PASSWORD, "new_password": "another sentence about moths"}),
    ):
        answer = await admin.post(path, data=fields)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/form-expired")
    async with app.state.sessions() as session:
        assert await members.open_invitations(session) == []
