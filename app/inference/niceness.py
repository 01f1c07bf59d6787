"""Work beside the answers gives way to them: a tenth of the weight, for a thread or a process.

Not the lowest: on a machine that does much else, what has the lowest weight does not even start within a minute.
"""

import contextlib
import os
import threading
from pathlib import Path

NICENESS = 10
"""Of 110 to 1024: a core that both want goes to an answer nine times of ten (Linux, ``sched_prio_to_weight``)."""


def lower_this_thread() -> None:
    """Linux keeps a priority for each thread; elsewhere nothing is changed, rather than the whole process."""
    if os.uname().sysname == "Linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def lower_process(process_id: int) -> None:
    """One process. In a session of its own it is weighed as a group too (``sched_autogroup``), which has a niceness."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process_id, NICENESS)
    with contextlib.suppress(OSError):  # there is no such file where the kernel makes no groups
        Path(f"/proc/{process_id}/autogroup").write_text(str(NICENESS))
