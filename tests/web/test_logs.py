"""What an unexpected error leaves in the log: where it was, and none of what was being worked on."""

import json
import subprocess
import sys

import pytest

SECRET = "a sentence about moths"
FAIL = f"""
import structlog
from app.web.logs import configure_logs

def log_in(password: str) -> None:
    raise RuntimeError("nobody expected this")

configure_logs({{log_format!r}})
try:
    log_in({SECRET!r}.upper())
except RuntimeError as error:
    structlog.get_logger("lighttrap").error("unexpected error", exc_info=error)
"""


def written(log_format: str) -> str:
    """What a process of its own writes: the log is configured for a process as a whole."""
    program = FAIL.format(log_format=log_format)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_the_log_says_where_an_error_was_and_holds_no_variable(log_format: str) -> None:
    log = written(log_format)
    assert ("in log_in" in log, "RuntimeError: nobody expected this" in log) == (True, True)
    assert SECRET.upper() not in log


def test_an_error_is_one_line_for_programs() -> None:
    (line,) = written("json").splitlines()
    assert json.loads(line)["event"] == "unexpected error"
