import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.db.repositories.registry import Deployment, Entry, deployments
from app.db.session import Sessions
from app.db.tables import PromotionKind, PromotionRow
from app.errors import Conflict, InvalidField, NotFound, StaleEpoch
from app.inference.engine import Engine
from app.services import promotion
from app.services.promotion import Deployer, Wanted, version_before
from app.services.registry import prepare_registry


@pytest.fixture
async def store(shared_store: Path, tmp_path: Path, sessions: Sessions) -> Path:
    """A registered store that this test may damage."""
    copy = Path(shutil.copytree(shared_store, tmp_path / "store"))
    await prepare_registry(sessions, copy)
    return copy


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(provider="cpu", default_model="tiny-moths", num_threads=1)
    yield engine
    engine.close()


def asked(version: str, epoch: int, actor: str = "ana", **changed: Any) -> Wanted:
    given = {"reason": f"{actor} likes it.", **changed}
    return Wanted(model="tiny-moths", version=version, expected_epoch=epoch, actor=actor, **given)


async def promote(
    sessions: Sessions, version: str, epoch: int, actor: str = "ana", **changed: Any
) -> PromotionRow:
    """A promotion that was judged elsewhere: what the gate says is tested in test_gate.py."""
    wanted = asked(version, epoch, actor, **changed)
    async with sessions() as session:
        row = await promotion.promote(session, wanted, Entry(wanted.kind, actor, wanted.reason))
        await session.commit()
        return row


async def wanted(sessions: Sessions) -> Deployment:
    async with sessions() as session:
        return next(each for each in await deployments(session) if each.model == "tiny-moths")


def answering(engine: Engine) -> tuple[str, int]:
    deployed = engine.get("tiny-moths")
    return deployed.card.version, deployed.epoch


@pytest.mark.usefixtures("store")
async def test_a_promotion_moves_the_alias_by_one_epoch(sessions: Sessions) -> None:
    row = await promote(sessions, "1.1.0", 1)
    assert (row.from_version, row.to_version, row.epoch, row.actor) == ("1.0.0", "1.1.0", 2, "ana")
    now = await wanted(sessions)
    assert (now.version, now.epoch) == ("1.1.0", 2)


@pytest.mark.usefixtures("store")
async def test_who_comes_second_is_told_who_did_what(sessions: Sessions) -> None:
    await promote(sessions, "1.1.0", 1, actor="ben")
    with pytest.raises(StaleEpoch) as stale:
        await promote(sessions, "1.1.0", 1)
    assert "ben deployed 1.1.0 on " in stale.value.detail
    assert "epoch 2; you expected epoch 1. Their reason: “ben likes it.”" in stale.value.detail


@pytest.mark.usefixtures("store")
async def test_of_many_promotions_at_once_exactly_one_wins(sessions: Sessions) -> None:
    actors = [f"admin {number}" for number in range(8)]
    outcomes = await asyncio.gather(
        *(promote(sessions, "1.1.0", 1, actor=actor) for actor in actors), return_exceptions=True
    )
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, PromotionRow)]
    losers = [outcome for outcome in outcomes if isinstance(outcome, StaleEpoch)]
    assert len(losers) == 7
    assert all(f"{winner.actor} deployed 1.1.0" in loser.detail for loser in losers)
    assert (await wanted(sessions)).epoch == 2


@pytest.mark.usefixtures("store")
async def test_two_who_both_saw_the_old_epoch_do_not_both_win(sessions: Sessions) -> None:
    async with sessions() as first, sessions() as second:
        for session in (first, second):
            await promotion.check_promotion(session, asked("1.1.0", 1))
        entries = {name: Entry(PromotionKind.PROMOTION, name, "x") for name in ("first", "second")}
        await promotion.promote(first, asked("1.1.0", 1, "first"), entries["first"])
        waiting = asyncio.create_task(
            promotion.promote(second, asked("1.1.0", 1, "second"), entries["second"])
        )
        await asyncio.sleep(0.05)
        await first.commit()
        with pytest.raises(StaleEpoch, match="first deployed"):
            await waiting


@pytest.mark.usefixtures("store")
async def test_what_is_deployed_already_is_not_promoted_again(sessions: Sessions) -> None:
    with pytest.raises(Conflict, match="is deployed already, at epoch 1"):
        await promote(sessions, "1.0.0", 1)


@pytest.mark.usefixtures("store")
async def test_a_promotion_needs_a_known_version_and_a_reason(sessions: Sessions) -> None:
    with pytest.raises(NotFound):
        await promote(sessions, "7.0.0", 1)
    with pytest.raises(InvalidField):
        await promote(sessions, "1.1.0", 1, reason="  ")


@pytest.mark.usefixtures("store")
async def test_a_rollback_goes_back_in_versions_and_forth_in_epochs(sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(Conflict, match="no earlier version of tiny-moths to roll back to"):
            await promotion.rollback_target(session, "tiny-moths")
    await promote(sessions, "1.1.0", 1)
    async with sessions() as session:
        back = await promotion.rollback_target(session, "tiny-moths")
    await promote(sessions, back, 2, actor="ben", kind=PromotionKind.ROLLBACK)
    async with sessions() as session:
        history = await promotion.history_of(session, "tiny-moths")
    assert [(row.to_version, row.epoch, row.actor) for row in history] == [
        ("1.0.0", 3, "ben"),
        ("1.1.0", 2, "ana"),
        ("1.0.0", 1, "first start"),
    ]


def line(to_version: str, kind: PromotionKind = PromotionKind.PROMOTION) -> PromotionRow:
    return PromotionRow(to_version=to_version, kind=kind)


def test_a_second_rollback_goes_further_back_and_never_forth_past_the_gate() -> None:
    back = PromotionKind.ROLLBACK
    history = [line("1.0.0", PromotionKind.START), line("1.1.0"), line("1.2.0"), line("1.1.0", back)]
    assert version_before(history[2::-1]) == "1.1.0"
    assert version_before(history[::-1]) == "1.0.0"
    history.append(line("1.0.0", back))
    assert version_before(history[::-1]) is None
    history.append(line("1.2.0"))
    assert version_before(history[::-1]) == "1.0.0"


async def test_every_replica_follows_what_is_deployed(
    sessions: Sessions, store: Path, engine: Engine
) -> None:
    deployer = Deployer(engine, sessions, store)
    await deployer.follow_once()
    assert answering(engine) == ("1.0.0", 1)
    await promote(sessions, "1.1.0", 1)
    await deployer.follow_once()
    assert answering(engine) == ("1.1.0", 2)
    assert engine.get("tiny-moths").sha256 == (await wanted(sessions)).sha256


async def test_the_epoch_that_answers_never_goes_back(
    sessions: Sessions, store: Path, engine: Engine
) -> None:
    deployer = Deployer(engine, sessions, store)
    late = await deployer.prepare(await wanted(sessions))
    await promote(sessions, "1.1.0", 1)
    await deployer.follow_once()
    await deployer.put(late)
    assert answering(engine) == ("1.1.0", 2)


async def test_a_damaged_version_leaves_the_old_one_answering(
    sessions: Sessions, store: Path, engine: Engine
) -> None:
    deployer = Deployer(engine, sessions, store)
    await deployer.follow_once()
    onnx = store / "tiny-moths" / "1.1.0" / "model.onnx"
    good = onnx.read_bytes()
    onnx.write_bytes(good[:-1])
    await promote(sessions, "1.1.0", 1)
    await deployer.follow_once()
    assert answering(engine) == ("1.0.0", 1)
    (fault,) = deployer.faults
    assert fault.startswith("tiny-moths/1.1.0: model.onnx: ")
    await promote(sessions, "1.0.0", 2)
    await deployer.follow_once()
    assert answering(engine) == ("1.0.0", 3)
    assert deployer.faults == []
