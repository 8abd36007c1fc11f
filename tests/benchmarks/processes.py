"""Processes that are measured: their time, their CPU time and their memory."""

from __future__ import annotations

import os
import subprocess
import sys
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


_LAUNCHER = """
import os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, handle, os.devnull, os.O_WRONLY, 0) for handle in (1, 2)]
begun = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(process, 0)
wall = time.perf_counter() - begun
code = os.waitstatus_to_exitcode(status)
print(code, usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1000)
"""
"""A small process that starts the measured one: a peak of memory counts what it was forked from."""


def measured(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    code: int | None = 0,
) -> Cost:
    """Run *command* to its end; None as *code* accepts any exit code. Raises RuntimeError."""
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    shown = subprocess.run(launcher, env=environ, cwd=folder, stdout=subprocess.PIPE, check=True)
    ended, cpu, wall, peak = shown.stdout.split()
    if code is not None and int(ended) != code:
        raise RuntimeError(f"{' '.join(command)} ended with {int(ended)}")
    return Cost(float(cpu), float(wall), float(peak))


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """Let processes use a workspace in *folder*, and keep their bytecode beside it.

    An installed program has its bytecode, so what is compiled here is no part of its cost.
    """
    own = {
        "OCSYNC_WORKSPACE": str(folder / ".ocsync"),
        "OCSYNC_DATA_DIR": str(folder / "data"),
        "S": "emulator",
        "PYTHONPATH": str(ROOT),
    }
    folder.mkdir(parents=True, exist_ok=True)
    before = dict(os.environ)
    os.environ.update(own)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(folder.parent / "bytecode"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
