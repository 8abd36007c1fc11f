"""Processes of this machine."""

from __future__ import annotations

import os


def is_alive(pid: int) -> bool | None:
    """Return whether the process *pid* exists; None where asking would signal it (Windows)."""
    if os.name != "posix":
        return None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it belongs to another user
    return True
