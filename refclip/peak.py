"""How much memory this process has taken at most."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_mib() -> float | None:
    """The largest resident size of this process so far, in MiB, of the host's memory; None where no system says.

    Linux is asked for VmHWM: `ru_maxrss` there may be that of the parent, which a process takes over when it starts.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024  # it is in KiB
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)  # macOS: bytes
