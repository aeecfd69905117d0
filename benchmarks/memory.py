"""Peak memory of the process that asks; standard library alone, so that any interpreter can ask."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["peak_gb"]


def peak_gb() -> float:
    """Say how much memory this process has held at most, GB, libraries included.

    On Linux the kernel's high-water mark of this process: ``ru_maxrss`` would begin at what the process held that
    started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(kilobytes) / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
