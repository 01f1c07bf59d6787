"""The process that checks a bundle before it is added. It may crash, run out of memory or be killed at its deadline.

It reads one JSON request from standard input, unpacks the bundle into a folder, verifies it there, runs the network
under its limits, and writes one JSON report to standard output. It gets no environment, so no secret.
Run as ``python -m app.services.adding.worker``.
"""

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from app.inference.session import OnnxSession
from app.services.adding.signatures import signer
from models import bundle, bundle_files
from models.bundle import MODEL, SUMS, BundleError, parse_sums

WARM_UP_IMAGES = 4
"""Photos in the largest run: the memory of a network grows with them."""


def check(request: dict[str, Any]) -> dict[str, Any]:
    """What is known of the bundle at ``source``, once it is checked and lies at ``out``. Raises BundleError."""
    source, out = Path(request["source"]), Path(request["out"])
    take = bundle_files.copy if source.is_dir() else bundle_files.unpack
    take(source, out, max_bytes=request["max_bytes"])
    _check_names(out)
    trusted = {name: bytes.fromhex(key) for name, key in request["trusted"].items()}
    signed_by = signer(out, trusted, required=request["require_signature"])
    good = bundle.read(out)
    try:
        _try_out(good)
    except BundleError:
        raise
    except (
        Exception
    ) as error:  # ONNX Runtime's own, and what an allocation raises: the file is the cause of it
        raise BundleError(f"{MODEL}: cannot be run here ({_first_line(error)})") from error
    return {
        "sha256": good.sha256,
        "signed_by": signed_by,
        "is_signed": (out / bundle.SIGNATURE).exists(),
        "has_golden": good.golden is not None,
        "has_predictions": good.predictions is not None,
    }


def _check_names(folder: Path) -> None:
    """Raises BundleError where files are missing: before a signature is read that only speaks of their sums."""
    if not (folder / SUMS).exists():
        raise BundleError(f"{SUMS}: is missing")
    parse_sums((folder / SUMS).read_bytes())


def _try_out(good: bundle.Bundle) -> None:
    """Load and run the network as the service will. Raises what it raises, BundleError for other answers."""
    size_px = good.card.preprocessing.size_px
    session = OnnxSession(good.onnx, size_px=size_px, provider="cpu")
    outputs = session.run(np.zeros((WARM_UP_IMAGES, size_px, size_px, 3), np.uint8), features=True)
    assert outputs.features is not None
    shapes = {
        "logits": (outputs.logits.shape, (WARM_UP_IMAGES, good.card.num_classes)),
        "embedding": (outputs.embedding.shape, (WARM_UP_IMAGES, good.card.embedding_dim)),
        "features": (outputs.features.shape[:2], (WARM_UP_IMAGES, good.card.embedding_dim)),
    }
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise BundleError(f"{MODEL}: gave {name} {list(found)} for {WARM_UP_IMAGES} photos")
    if not (np.isfinite(outputs.logits).all() and np.isfinite(outputs.embedding).all()):
        raise BundleError(f"{MODEL}: gave an output that is not a finite number")
    session.check(good.golden)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _limit(request: dict[str, Any]) -> None:
    """What is mapped already, the libraries, does not count."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if _HAS_PROC else 0
    memory = pages * resource.getpagesize() + request["memory_bytes"]
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, int(request["timeout_s"]) + 1),
        (resource.RLIMIT_FSIZE, request["max_bytes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


_HAS_PROC = Path("/proc/self/statm").exists()


def main() -> None:
    """Limit this process, check, report."""
    request = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends us
    _limit(request)
    try:
        report = check(request)
    except BundleError as error:
        report = {"refused": str(error)}
    except MemoryError:
        report = {"refused": f"{MODEL}: checking it takes more memory than is given to it here"}
    except OSError as error:
        report = {"failed": error.errno, "message": str(error)}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
