"""The checking process as the service sees it: start it, wait for its report no longer than its deadline."""

import asyncio
import contextlib
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from app.errors import AppError, BundleRefused, DiskFull, InternalError, StoreUnavailable
from app.settings import Settings
from app.store.folder import READ_ONLY
from models.bundle import MODEL

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.adding")
_MAX_REPORT_BYTES = 100_000
_OUT_OF_TIME = (signal.SIGXCPU,)


@dataclass(frozen=True)
class Checked:
    """What was found out of a bundle that is good. ``signed_by``: fingerprint of the trusted key."""

    sha256: str
    signed_by: str | None
    is_signed: bool
    has_golden: bool
    has_predictions: bool


async def check_bundle(
    source: Path, place: Path, settings: Settings, trusted: Mapping[str, str]
) -> tuple[Path, Checked]:
    """Check a zip or a folder in a process of its own; where it lies then, below ``place``, and what it is.

    trusted: public keys in hexadecimal, by fingerprint.
    Raises BundleRefused, DiskFull, StoreUnavailable, InternalError.
    """
    out, report = place / "bundle", place / "report.json"
    request = {
        "source": str(source.resolve()),
        "out": str(out.resolve()),
        "max_bytes": settings.max_bundle_bytes,
        "memory_bytes": settings.check_memory_bytes,
        "timeout_s": settings.check_timeout_s,
        "require_signature": settings.require_signature,
        "trusted": dict(trusted),
    }
    code = await _run(json.dumps(request).encode(), report, settings.check_timeout_s)
    found = _read(report) if code == 0 else None
    if found is None:
        raise _ended(code, settings, place)
    if "failed" in found:
        raise not_written(OSError(found["failed"], found["message"]))
    if "refused" in found:
        log.warning("a bundle was refused", fault=found["refused"])
        raise BundleRefused.of(_without(found["refused"], out))
    return out, Checked(**found)


def not_written(error: OSError) -> AppError:
    """What it means that a bundle could not be written: a full disk, or a folder that is not ours to write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("The disk has no room for this bundle, so nothing was added.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreUnavailable(READ_ONLY)
    log.error("a bundle cannot be written", fault=str(error))
    return InternalError("The bundle could not be written, so nothing was added. The log says why.")


async def _run(request: bytes, report: Path, timeout_s: float) -> int | None:
    """Exit code; None where the deadline came first."""
    with report.open("wb") as output, report.with_suffix(".log").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.services.adding.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=errors,
            env=_environment(),
            cwd=report.parent,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(timeout_s):
            await process.communicate(request)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:  # the deadline, or the request went away
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode


def _ended(code: int | None, settings: Settings, place: Path) -> BundleRefused | InternalError:
    """What it means that there is no report."""
    if code is None or -code in _OUT_OF_TIME:
        seconds = f"{settings.check_timeout_s:g}"
        return BundleRefused.of(f"{MODEL}: checking it took longer than {seconds} s, and was ended")
    last = _tail(place / "report.log")
    if code < 0 or "MemoryError" in last:
        log.warning("the checking process was ended", signal=-code, last=last)
        limit = f"{settings.check_memory_bytes:,}"
        return BundleRefused.of(
            f"{MODEL}: ended the process that tried it out, most likely by needing more than {limit} bytes of memory"
        )
    log.error("the checking process failed", code=code, last=last)
    return InternalError("The bundle could not be checked, so nothing was added. The log says why.")


def _tail(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_bytes()[-500:].decode("utf-8", "replace")
    return ""


def _read(report: Path) -> dict[str, Any] | None:
    """The report, None where there is none: a process that runs untrusted files may have written anything."""
    if report.stat().st_size > _MAX_REPORT_BYTES:
        return None
    try:
        found = json.loads(report.read_bytes())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _without(fault: str, folder: Path) -> str:
    """A fault without the folder that the bundle was unpacked to, which is nobody's business.

    >>> _without("/tmp/x/bundle: card.json is missing", Path("/tmp/x/bundle"))
    'card.json: is missing'
    """
    short = fault.removeprefix(f"{folder.resolve()}: ").removeprefix(f"{folder}: ")
    return short if short == fault else re.sub(r"^(\S+) ", r"\1: ", short)


def _environment() -> dict[str, str]:
    """No secret of the service, and one thread for each library."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    source = Path(__file__).parents[3]
    return {**kept, "PYTHONPATH": str(source), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
