import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db.repositories import accounts as repository
from app.db.session import Sessions
from app.db.tables import ApiKeyRow, LoginRow, Role, SetupTokenRow, UserRow, utc_now
from app.errors import (
    AlreadySetUp,
    AppError,
    Conflict,
    Forbidden,
    InvalidField,
    LoginRequired,
    PasswordRequired,
)
from app.services import accounts
from app.services.accounts import Caller, Passwords

PASSWORD = "a sentence about moths"
HOUR = timedelta(hours=1)


async def setup_token(sessions: Sessions) -> str:
    async with sessions() as session:
        token = await accounts.new_setup_token(session)
        await session.commit()
        return token


async def set_up(sessions: Sessions, token: str, name: str = "ana") -> UserRow:
    async with sessions() as session:
        user = await accounts.set_up(session, Passwords(), token, name, PASSWORD)
        await session.commit()
        return user


async def test_the_holder_of_the_token_becomes_the_first_admin(sessions: Sessions) -> None:
    user = await set_up(sessions, await setup_token(sessions))
    assert (user.name, user.role) == ("ana", Role.ADMIN)
    assert user.password_hash.startswith("$argon2id$")


async def test_a_token_works_once(sessions: Sessions) -> None:
    token = await setup_token(sessions)
    await set_up(sessions, token)
    with pytest.raises(AlreadySetUp):
        await set_up(sessions, token, "ben")
    with pytest.raises(AlreadySetUp):
        await setup_token(sessions)


async def test_of_two_with_the_same_token_one_becomes_admin(sessions: Sessions) -> None:
    token = await setup_token(sessions)
    outcomes = await asyncio.gather(
        *(set_up(sessions, token, name) for name in ("ana", "ben", "eva")), return_exceptions=True
    )
    assert sum(isinstance(outcome, UserRow) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadySetUp | Forbidden) for outcome in outcomes) == 2


async def test_a_new_link_ends_the_old_one(sessions: Sessions) -> None:
    old = await setup_token(sessions)
    new = await setup_token(sessions)
    with pytest.raises(Forbidden, match="admin setup-link"):
        await set_up(sessions, old)
    await set_up(sessions, new)


async def test_the_first_start_makes_a_token_and_the_second_does_not(sessions: Sessions) -> None:
    async with sessions() as session:
        token = await accounts.first_setup_token(session)
        await session.commit()
        assert token is not None
        assert await accounts.first_setup_token(session) is None
        await session.commit()
    await set_up(sessions, token)
    async with sessions() as session:
        assert await accounts.first_setup_token(session) is None


async def test_secrets_are_kept_as_hashes_only(sessions: Sessions) -> None:
    token = await setup_token(sessions)
    user = await set_up(sessions, token)
    async with sessions() as session:
        login = await accounts.start_login(session, user, HOUR)
        _, key = await accounts.create_key(session, "tablet", ["predict"], None)
        await session.commit()
        kept = [
            *await session.scalars(select(SetupTokenRow.sha256)),
            *await session.scalars(select(LoginRow.token_sha256)),
            *await session.scalars(select(ApiKeyRow.sha256)),
            *await session.scalars(select(UserRow.password_hash)),
        ]
    for secret in (token, login, key, PASSWORD):
        assert not any(secret in value for value in kept)


async def test_a_wrong_name_and_a_wrong_password_sound_the_same(sessions: Sessions) -> None:
    await set_up(sessions, await setup_token(sessions))
    passwords, told = Passwords(), []
    async with sessions() as session:
        assert (await accounts.log_in(session, passwords, " ANA ", PASSWORD)).name == "ana"
        for name, password in (("ana", "wrong"), ("nobody", PASSWORD), ("", ""), ("ana\x00", "x" * 5000)):
            with pytest.raises(LoginRequired) as refused:
                await accounts.log_in(session, passwords, name, password)
            told.append(refused.value.detail)
    assert len(set(told)) == 1


async def test_a_login_ends_when_it_is_over_or_ended(sessions: Sessions) -> None:
    user = await set_up(sessions, await setup_token(sessions))
    async with sessions() as session:
        over = await accounts.start_login(session, user, timedelta(seconds=-1))
        token = await accounts.start_login(session, user, HOUR)
        caller = await accounts.caller_of_login(session, token)
        assert (caller.actor, caller.role) == ("ana", Role.ADMIN)
        assert (await accounts.caller_of_login(session, over)).is_anonymous
        await accounts.end_login(session, caller)
        assert (await accounts.caller_of_login(session, token)).is_anonymous
        assert (await accounts.caller_of_login(session, "made up")).is_anonymous


async def test_an_old_login_is_asked_for_the_password_again(sessions: Sessions) -> None:
    user = await set_up(sessions, await setup_token(sessions))
    passwords = Passwords()
    async with sessions() as session:
        token = await accounts.start_login(session, user, HOUR)
        await session.execute(update(LoginRow).values(authenticated_at=utc_now() - timedelta(minutes=16)))
        old = await accounts.caller_of_login(session, token)
        for wrong in (None, "", "not it"):
            with pytest.raises(PasswordRequired):
                await accounts.confirm(session, passwords, old, wrong)
        await accounts.confirm(session, passwords, old, PASSWORD)
        fresh = await accounts.caller_of_login(session, token)
        assert await accounts.confirm(session, passwords, fresh, None) == fresh


@pytest.mark.parametrize(
    ("name", "password"),
    [("", PASSWORD), ("a b", PASSWORD), ("x" * 255, PASSWORD), ("ana", "short"), ("ana", "x" * 1025)],
)
async def test_accounts_need_a_name_and_a_password_worth_it(
    sessions: Sessions, name: str, password: str
) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidField):
            await accounts.create_user(session, Passwords(), name, password)


@pytest.mark.parametrize("name", ["start", " Start", "anonymous"])
async def test_nobody_is_called_as_the_service_calls_itself_in_the_history(
    sessions: Sessions, name: str
) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidField, match="the service itself"):
            await accounts.create_user(session, Passwords(), name, PASSWORD)


async def test_a_name_is_taken_once_whatever_its_case(sessions: Sessions) -> None:
    async with sessions() as session:
        await accounts.create_user(session, Passwords(), "Ana", PASSWORD)
        with pytest.raises(Conflict, match="named ana"):
            await accounts.create_user(session, Passwords(), "aNA", PASSWORD)


async def test_a_key_opens_its_scopes_until_it_is_revoked(sessions: Sessions) -> None:
    async with sessions() as session:
        row, secret = await accounts.create_key(session, "tablet", ["predict"], HOUR)
        caller = await accounts.caller_of_key(session, secret)
        assert (caller.actor, caller.may("predict"), caller.may("admin")) == ("key tablet", True, False)
        assert caller.role is None
        await session.refresh(row)
        assert row.last_used_at is not None
        assert await repository.revoke_key(session, row.id, utc_now())
        assert not await repository.revoke_key(session, row.id, utc_now())
        with pytest.raises(LoginRequired):
            await accounts.caller_of_key(session, secret)


async def test_a_key_expires(sessions: Sessions) -> None:
    async with sessions() as session:
        _, secret = await accounts.create_key(session, "tablet", ["predict"], timedelta(seconds=-1))
        with pytest.raises(LoginRequired):
            await accounts.caller_of_key(session, secret)


@pytest.mark.parametrize(("name", "scopes"), [("", ["predict"]), ("tablet", []), ("tablet", ["root"])])
async def test_keys_say_what_they_are_for(sessions: Sessions, name: str, scopes: list[str]) -> None:
    async with sessions() as session:
        with pytest.raises(AppError):
            await accounts.create_key(session, name, scopes, None)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_lesser_roles_may(role: Role) -> None:
    order = [Role.VIEWER, Role.REVIEWER, Role.ADMIN]
    caller = Caller(role=role)
    assert [caller.has_role(other) for other in order] == [
        other in order[: order.index(role) + 1] for other in order
    ]
