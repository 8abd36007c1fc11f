"""Processes that are measured: their time, their CPU time and their memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

OCSYNC = (sys.executable, "-m", "ocsync")
ROOT = Path(__file__).parent.parent.parent


class Cost(NamedTuple):
    """CPU seconds, wall seconds and peak MB of a process."""

    cpu: float
    wall: float
    peak: float


def measured(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    code: int | None = 0,
) -> Cost:
    """Run *command* to its end; None as *code* accepts any exit code. Raises RuntimeError."""
    begun = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environ, cwd=folder, stdout=quiet, stderr=quiet)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if code is not None and process.returncode != code:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1000)


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """Let processes use a workspace in *folder*, and keep their bytecode there.

    An installed program has its bytecode, so none is compiled while anything is measured.
    """
    own = {
        "OCSYNC_WORKSPACE": str(folder / ".ocsync"),
        "OCSYNC_DATA_DIR": str(folder / "data"),
        "S": "emulator",
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    before = dict(os.environ)
    os.environ.update(own)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
