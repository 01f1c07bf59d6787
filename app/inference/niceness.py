"""Work beside the answers gives way to them: the lowest priority that the kernel has, for a thread or a process."""

import contextlib
import os
import threading
from pathlib import Path

LOWEST = 19


def lower_this_thread() -> None:
    """Linux keeps a priority for each thread; elsewhere nothing is changed, rather than the whole process."""
    if os.uname().sysname == "Linux":
        lower(threading.get_native_id())


def lower(process_id: int) -> None:
    """One process, or one thread by its native id.

    A process in a session of its own is weighed as a group too (``sched_autogroup``), which has a niceness itself.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process_id, LOWEST)
    if process_id != threading.get_native_id():
        with contextlib.suppress(OSError):  # there is no such file where the kernel makes no groups
            Path(f"/proc/{process_id}/autogroup").write_text(str(LOWEST))
