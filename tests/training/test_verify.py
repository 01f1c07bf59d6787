"""Every method passes every identity of its definition, and a method that does not is found out."""

import pytest
import torch
from typer.testing import CliRunner

from training.__main__ import app
from training.hardware import one_thread
from training.identities.check import Check, close, rises
from training.losses import Focal
from training.verify import CHECKS, verdicts


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.method}: {check.statement}")
def test_the_identity_holds(check: Check) -> None:
    with one_thread():
        assert check.holds()


def test_no_statement_is_made_twice() -> None:
    assert len({(check.method, check.statement) for check in CHECKS}) == len(CHECKS)


def test_a_user_reads_one_line_for_each_identity() -> None:
    done = CliRunner().invoke(app, ["verify"])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [f"pass  {check.method}: {check.statement}" for check in CHECKS]


def test_a_loss_that_is_not_what_its_name_says_fails_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Focal, "forward", lambda self, logits, labels: 2 * logits.gather(1, labels[:, None])[:, 0]
    )
    done = CliRunner().invoke(app, ["verify"])
    assert isinstance(done.exception, ValueError)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert {line.removeprefix("FAIL  ").partition(":")[0] for line in failed} == {"focal", "every loss"}
    assert "FAIL  focal: gamma = 0 is cross-entropy" in failed


def test_a_check_that_raises_does_not_hold_and_says_why() -> None:
    def broken() -> bool:
        raise ZeroDivisionError("by zero")

    ((_, holds, line),) = verdicts([Check("a method", "it works", broken)])
    assert not holds
    assert line == "FAIL  a method: it works (ZeroDivisionError: by zero)"


def test_nothing_is_close_to_nan_or_to_another_shape() -> None:
    assert not close(torch.tensor([torch.nan]), torch.tensor([torch.nan]))
    assert not close(torch.zeros(2), torch.zeros(1))
    assert not rises(torch.tensor([1.0, 1.0]))
