"""Die with the parent: `python -IS processes/tether.py SIGNAL PARENT_PID COMMAND…` becomes COMMAND, tied to its parent.

Without it the children of a parent that was killed outright live on, and the workers of an old web server share their
port with the next start and answer with old code. Only the standard library: each process starts through this file.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def tie_to_parent(parent: int, sign: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel send this process `sign` when process `parent` ends; exit at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sign)
    if os.getppid() != parent:
        sys.exit(f"process {parent} ended before its child could begin")


if __name__ == "__main__":
    tie_to_parent(int(sys.argv[2]), signal.Signals[f"SIG{sys.argv[1]}"])
    os.execvp(sys.argv[3], sys.argv[3:])  # noqa: S606  (a shell between would be the child)
