"""The command line in processes of its own, without the time that a start takes.

Each is forked from a server that has loaded everything and done nothing (and started anew where
the system has no fork). It is what `python -m ocsync WORDS...` is in all but that: its own process
ID, session, working directory, environment and streams, and it can be killed at any time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self

_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT: Any = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
if _FORKS:
    _CONTEXT.set_forkserver_preload([
        "pytest", "tests.processes", "tests.crash_points", "ocsync.cli.app", "ocsync.client",
        "ocsync.delivery.http_listener", "ocsync.engine.resume.conductor", "ocsync.engine.pause.window", "ocsync.intake", "ocsync.render.resume",
        "ocsync.render.progress",
    ])  # fmt: skip


class Done(NamedTuple):
    """How a command ended; a signal is a negative code."""

    code: int
    out: str
    err: str


class Started:
    """A command under way; leaving its block waits for it."""

    def __init__(self, *words: str, program: str = "ocsync.cli.app", **env: str) -> None:
        self._said = [tempfile.NamedTemporaryFile(prefix="ocsync-said-") for _ in range(2)]  # noqa: SIM115
        self._process = _CONTEXT.Process(
            target=_command,
            args=(program, words, str(Path.cwd()), {**os.environ, **env},
                  [one.name for one in self._said]),
        )  # fmt: skip
        self._process.start()

    @property
    def pid(self) -> int:
        """The process's ID."""
        assert self._process.pid
        return int(self._process.pid)

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return bool(self._process.is_alive())

    def said(self) -> tuple[str, str]:
        """What it has said so far, on both streams."""
        out, err = (Path(one.name).read_text() for one in self._said)
        return out, err

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a failing machine would."""
        self._process.kill()

    def heard(self) -> str:
        """What it has said so far, beside its answer."""
        return Path(self._said[1].name).read_text()

    def wait(self, timeout: float = 50.0) -> Done:
        """How it ended, at most *timeout* seconds from now."""
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, "it did not end"
        return Done(code, *self.said())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(AssertionError):
            self.wait()
        self._process.kill()
        for one in self._said:
            one.close()


def call(*words: str, program: str = "ocsync.cli.app", **env: str) -> Done:
    """Run a command to its end."""
    with Started(*words, program=program, **env) as command:
        return command.wait()


def _command(
    program: str, words: tuple[str, ...], folder: str, environment: dict[str, str], said: list[str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if hasattr(os, "setsid"):
        os.setsid()  # the terminal's Ctrl-C is for the tests alone
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, path in zip((sys.stdout, sys.stderr), said, strict=True):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, stream.fileno())
    code = import_module(program).run(list(words))
    sys.stdout.flush()
    sys.exit(code)
