"""``python -m tests.dying serve``: the service, in a process that ends itself as ``kill -9`` would, at a chosen step.

A step is a moment right before or right after one write: a statement that changes the database, a commit of one, a
file that is opened to be written, renamed or removed, a version that is loaded or begins to answer. While the file
that ``DYING_AT`` names is there, the process dies at the first step that the file does not list yet, and adds it. The
service knows nothing of it: SQLAlchemy's seam to the driver, Python's audit events and one class are hooked.
"""

import os
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine as DatabaseEngine
from sqlalchemy.engine.default import DefaultDialect

from app.cli.program import main as service
from app.inference.engine import Engine

WRITES = ("INSERT", "UPDATE", "DELETE")
RENAMES = {"os.rename": "rename", "os.remove": "remove", "os.link": "link"}


class Steps:
    """Ends this process at the first step that is not in the list yet."""

    def __init__(self, survived: Path) -> None:
        self._survived = survived
        self._lock = threading.Lock()
        self._within = threading.local()

    def reach(self, name: str) -> None:
        """A step; perhaps the last one."""
        if getattr(self._within, "step", False):
            return  # the list is a file itself
        self._within.step = True
        try:
            with self._lock:
                self._end_at(name)
        finally:
            self._within.step = False

    def _end_at(self, name: str) -> None:
        if not self._survived.exists() or name in self._survived.read_text().splitlines():
            return
        with self._survived.open("a") as survived:
            survived.write(f"{name}\n")
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


def hook_database(steps: Steps) -> None:
    """Before and after every statement that writes, and every commit that has something to commit."""
    written: dict[int, list[str]] = defaultdict(list)

    def before(connection: Connection, _cursor: Any, statement: str, *_: object) -> None:
        if statement.lstrip().startswith(WRITES):
            written[id(connection.connection.dbapi_connection)].append(_named(statement))
            steps.reach(f"before {_named(statement)}")

    def after(_connection: Connection, _cursor: Any, statement: str, *_: object) -> None:
        if statement.lstrip().startswith(WRITES):
            steps.reach(f"after {_named(statement)}")

    event.listen(DatabaseEngine, "before_cursor_execute", before)
    event.listen(DatabaseEngine, "after_cursor_execute", after)
    commit: Callable[[DefaultDialect, Any], None] = DefaultDialect.do_commit

    def do_commit(self: DefaultDialect, pooled: Any) -> None:
        what = ", ".join(written.pop(id(pooled.dbapi_connection), []))
        if what:
            steps.reach(f"before commit of {what}")
        commit(self, pooled)
        if what:
            steps.reach(f"after commit of {what}")

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def _named(statement: str) -> str:
    """The statement's verb and table.

    >>> _named('INSERT INTO promotion (model) VALUES (1)'), _named('UPDATE alias SET epoch=2')
    ('insert promotion', 'update alias')
    """
    words = statement.replace("INSERT INTO", "INSERT").replace("DELETE FROM", "DELETE").split()
    return f"{words[0]} {words[1]}".lower()


def hook_files(steps: Steps) -> None:
    """Right before every file that is opened to be written, renamed or removed. What comes after is the next step."""

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        if name in RENAMES:
            steps.reach(f"before {RENAMES[name]}")
        elif name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            steps.reach("before open to write")

    sys.addaudithook(hear)


def hook_engine(steps: Steps) -> None:
    """Before and after a version is loaded, and before and after it begins to answer."""
    for name in ("load", "swap"):
        original = getattr(Engine, name)

        def act(*given: Any, _original: Any = original, _name: str = name, **named: Any) -> Any:
            steps.reach(f"before {_name}")
            outcome = _original(*given, **named)
            steps.reach(f"after {_name}")
            return outcome

        setattr(Engine, name, act)


def main() -> None:
    """Hook everything, then be the service."""
    steps = Steps(Path(os.environ["DYING_AT"]))
    hook_database(steps)
    hook_engine(steps)
    hook_files(steps)
    service()


if __name__ == "__main__":
    main()
