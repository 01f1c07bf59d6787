"""A promotion passes the gate, or an admin says in writing why it is right; either stays in the history."""

import shutil
from pathlib import Path

import pytest

from app.db.session import Sessions
from app.db.tables import PromotionKind
from app.errors import Conflict, InvalidField, NotFound, PromotionRefused
from app.services import gate, promotion
from app.services.history import COLUMNS, history_csv
from app.services.judge import Verdict
from app.services.promotion import Wanted
from app.services.registry import prepare_registry
from app.settings import Settings
from models import bundle
from tests.conftest import store_folder
from tests.tiny_bundle import write_tiny_bundle

WORSE = "1.2.0"


@pytest.fixture
async def harmful(settings: Settings, sessions: Sessions, tmp_path: Path) -> Settings:
    """A registered store with a candidate, 1.2.0, that loses half of the tail."""
    store = Path(shutil.copytree(store_folder(settings), tmp_path / "store"))
    write_tiny_bundle(store, "tiny-moths", WORSE, seed=5)
    await prepare_registry(sessions, store)
    return settings.model_copy(update={"store": store})


def asked(version: str, override: str | None = None, kind: PromotionKind = PromotionKind.PROMOTION) -> Wanted:
    return Wanted("tiny-moths", version, 1, "ana", "Because.", kind, override)


async def test_a_harmless_version_passes_and_the_verdict_names_both_evaluations(
    harmful: Settings, sessions: Sessions
) -> None:
    async with sessions() as session:
        entry = await promotion.pass_gate(session, harmful, asked("1.1.0"))
        row = await promotion.promote(session, asked("1.1.0"), entry)
        await session.commit()
    assert row.verdict is not None
    verdict = Verdict.model_validate(row.verdict)
    assert (verdict.candidate, verdict.deployed, verdict.refused) == ("1.1.0", "1.0.0", False)
    for version, kept in (("1.0.0", row.from_evaluation_sha256), ("1.1.0", row.to_evaluation_sha256)):
        assert kept == bundle.read(store_folder(harmful) / "tiny-moths" / version).evaluation_sha256
    assert row.override_reason is None


async def test_a_harmful_version_is_refused_rule_by_rule(harmful: Settings, sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(PromotionRefused) as refused:
            await promotion.pass_gate(session, harmful, asked(WORSE))
    assert [each.field for each in refused.value.errors] == [
        "recall.tail",
        "calibration.middle",
        "calibration.tail",
    ]
    assert "Recall of the tail falls from 62.5% to 31.2%" in refused.value.detail
    assert "`override`" in refused.value.detail


async def test_an_override_stays_in_the_history_with_the_verdict(
    harmful: Settings, sessions: Sessions
) -> None:
    wanted = asked(WORSE, "The tail's test photos were mislabelled.")
    async with sessions() as session:
        row = await promotion.promote(session, wanted, await promotion.pass_gate(session, harmful, wanted))
        await session.commit()
    assert row.override_reason == "The tail's test photos were mislabelled."
    assert row.verdict is not None
    assert Verdict.model_validate(row.verdict).refused


@pytest.mark.parametrize("override", ["short", "x" * 1001])
async def test_an_override_says_why(harmful: Settings, sessions: Sessions, override: str) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidField, match="override: expected 10 to 1000"):
            await promotion.pass_gate(session, harmful, asked(WORSE, override))


async def test_an_override_that_nothing_calls_for_is_refused(harmful: Settings, sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidField, match=r"override: nothing speaks against 1\.1\.0"):
            await promotion.pass_gate(session, harmful, asked("1.1.0", "Always, without looking."))


async def test_a_rollback_is_never_refused_and_its_verdict_is_kept(
    harmful: Settings, sessions: Sessions
) -> None:
    async with sessions() as session:
        entry = await promotion.pass_gate(session, harmful, asked(WORSE, kind=PromotionKind.ROLLBACK))
    assert entry.verdict is not None
    assert entry.verdict["refusals"]
    assert entry.override_reason is None


async def test_a_rollback_is_there_while_the_deployed_bundle_is_damaged(
    harmful: Settings, sessions: Sessions
) -> None:
    (store_folder(harmful) / "tiny-moths" / "1.0.0" / "card.json").write_bytes(b"")
    async with sessions() as session:
        entry = await promotion.pass_gate(session, harmful, asked("1.1.0", kind=PromotionKind.ROLLBACK))
        assert (entry.verdict, entry.from_evaluation_sha256) == (None, None)
        with pytest.raises(PromotionRefused, match="nobody can say what would be lost"):
            await promotion.pass_gate(session, harmful, asked("1.1.0"))


async def test_a_candidate_that_cannot_be_read_is_no_candidate(harmful: Settings, sessions: Sessions) -> None:
    (store_folder(harmful) / "tiny-moths" / WORSE / "card.json").write_bytes(b"")
    async with sessions() as session:
        with pytest.raises(Conflict, match=r"1\.2\.0 cannot be loaded"):
            await promotion.pass_gate(session, harmful, asked(WORSE))


async def test_a_bundle_without_predictions_is_judged_unpaired(harmful: Settings, sessions: Sessions) -> None:
    write_tiny_bundle(store_folder(harmful), "tiny-moths", "1.3.0", seed=9, with_predictions=False)
    await prepare_registry(sessions, harmful.store)
    async with sessions() as session:
        verdict = (await gate.assess(session, harmful, "tiny-moths", "1.3.0")).verdict
    assert verdict is not None
    assert verdict.basis == "unpaired"
    assert "no predictions.csv" in verdict.notes[0]


async def test_a_protected_species_that_falls_is_refused(harmful: Settings, sessions: Sessions) -> None:
    evaluations = [
        bundle.read(store_folder(harmful) / "tiny-moths" / version).evaluation for version in ("1.0.0", WORSE)
    ]
    old, new = ({each.label: each.recall for each in found.species} for found in evaluations)
    fallen = next(label for label, recall in old.items() if recall and new[label].value < recall.value)  # type: ignore[union-attr]
    async with sessions() as session:
        await gate.protect(session, harmful, "tiny-moths", fallen, "ana")
        await session.commit()
    async with sessions() as session:
        with pytest.raises(PromotionRefused) as refused:
            await promotion.pass_gate(session, harmful, asked(WORSE))
        assert f"protected.{fallen}" in [each.field for each in refused.value.errors]
        await gate.unprotect(session, "tiny-moths", fallen)
        with pytest.raises(PromotionRefused) as refused:
            await promotion.pass_gate(session, harmful, asked(WORSE))
        assert f"protected.{fallen}" not in [each.field for each in refused.value.errors]


async def test_only_species_of_the_list_are_protected_and_once(harmful: Settings, sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidField, match="did you mean candela_striata"):
            await gate.protect(session, harmful, "tiny-moths", "candela_striate", "ana")
        await gate.protect(session, harmful, "tiny-moths", "candela_striata", "ana")
        with pytest.raises(Conflict, match="protected already"):
            await gate.protect(session, harmful, "tiny-moths", "candela_striata", "ben")
        (row,) = await gate.protected_species(session, "tiny-moths")
        assert (row.label, row.added_by) == ("candela_striata", "ana")
        with pytest.raises(NotFound):
            await gate.unprotect(session, "tiny-moths", "aurelia_viridis")
        with pytest.raises(NotFound):
            await gate.protected_species(session, "no-moths")


async def test_the_policy_is_the_settings(harmful: Settings, sessions: Sessions) -> None:
    lenient = harmful.model_copy(update={"max_recall_fall": 1.0, "max_ece_growth": 1.0})
    async with sessions() as session:
        entry = await promotion.pass_gate(session, lenient, asked(WORSE))
    assert entry.verdict is not None
    assert entry.verdict["policy"]["max_recall_fall"] == 1.0


async def test_the_history_is_a_table_without_formulas(harmful: Settings, sessions: Sessions) -> None:
    wanted = Wanted("tiny-moths", WORSE, 1, "ana", "=1+1", override="+ it is right all the same")
    async with sessions() as session:
        await promotion.promote(session, wanted, await promotion.pass_gate(session, harmful, wanted))
        text = history_csv(await promotion.history_of(session, "tiny-moths"), [], [])
    lines = text.split("\r\n")
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 4
    assert "'=1+1,'+ it is right all the same,overridden," in lines[1]
    assert ",not judged," in lines[2]
