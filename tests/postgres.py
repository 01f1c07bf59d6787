"""A PostgreSQL cluster of the tests' own, in a temporary folder, on a Unix socket only."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL_IT = (
    "PostgreSQL is not installed, so what is tested on it is skipped: install its server "
    "(Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql)"
)


def find_postgres() -> Path | None:
    """The folder of initdb and pg_ctl: on the PATH, or where Debian puts them."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    whole = [each for each in folders if (each / "pg_ctl").exists() and (each / "initdb").exists()]
    return next(iter(whole), None)


@contextmanager
def cluster(programs: Path, folder: Path) -> Iterator[str]:
    """Run a cluster; gives the part of its URLs after the database's name. Fast, not safe."""
    user = _unprivileged_user()
    data, sockets = folder / "data", folder / "s"
    sockets.mkdir()
    if user is not None:
        account = pwd.getpwnam(user)
        for owned in (folder, sockets):
            os.chown(owned, account.pw_uid, account.pw_gid)
        _let_through(folder)
    _run(user, programs / "initdb", "-D", data, "-U", "lighttrap", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-k {sockets} -c listen_addresses='' -c fsync=off -c max_connections=200"
    _run(user, programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"?user=lighttrap&host={sockets}"
    finally:
        _run(user, programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: then, somebody else. None for who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it"
    )


def _let_through(folder: Path) -> None:
    """Let the other user reach a folder that pytest made for root alone."""
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)


def _run(user: str | None, *command: str | Path) -> None:
    outcome = subprocess.run(
        [str(part) for part in command],
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if outcome.returncode:
        raise RuntimeError(f"{command[0]} failed: {outcome.stdout}")
