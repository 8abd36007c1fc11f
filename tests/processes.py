"""The command line in processes of its own, without the time that a start takes.

Each is forked from a server that has loaded everything and done nothing (or spawned where the
system has no fork). It is what `python -m ocsync WORDS...` is in all but that: its own process ID,
session, working directory, environment and streams, and it can be killed at any time.

`Started` and `call` run a command for a test; `Terminal` runs one on a terminal; `write_executable`
makes an `ocsync` for shell scripts.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self

_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT: Any = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
if _FORKS:
    _CONTEXT.set_forkserver_preload(["tests.preloaded"])


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


class Terminal:
    """A command on a terminal of its own, which can be typed at."""

    def __init__(self, *words: str, size: tuple[int, int] = (40, 100)) -> None:
        import pty
        import termios
        from multiprocessing.reduction import DupFd

        from pexpect import fdpexpect

        keyboard, screen = pty.openpty()
        termios.tcsetwinsize(screen, size)
        self._process = _CONTEXT.Process(
            target=_command_on_terminal,
            args=(words, str(Path.cwd()), dict(os.environ), DupFd(screen)), daemon=True,
        )  # fmt: skip
        with contextlib.closing(os.fdopen(screen)):
            # what is forked has the screen when this returns
            self._process.start()
        self._screen: Any = fdpexpect.fdspawn(keyboard, timeout=20, encoding="utf-8")

    def expect(self, pattern: str, timeout: float = 20.0) -> None:
        """Wait until *pattern* is on the screen."""
        self._screen.expect(pattern, timeout=timeout)

    def type_line(self, text: str) -> None:
        """Type *text* and press enter."""
        self._screen.sendline(text)

    def press(self, key: str) -> None:
        """Press one key."""
        self._screen.send(key)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.press("\x03")

    def signal(self, number: int) -> None:
        """Send a signal to the command alone."""
        os.kill(self._process.pid, number)

    def wait(self) -> Done:
        """Wait for the end of the command, and return what was on the screen since `expect`."""
        import pexpect

        self._screen.expect(pexpect.EOF)
        self._screen.close()
        self._process.join(20)
        code = self._process.exitcode
        assert code is not None, "it did not end"
        return Done(code, self._screen.before, "")


_EXECUTABLE = """\
#!{python} -SE
import json, os, signal, socket, sys
message = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(message)
    answer = server.makefile("rb")
    command = int(answer.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda got, _: os.kill(command, got))
    sys.exit(int(answer.readline() or b"137"))
"""


def write_executable(path: Path) -> None:
    """Write an `ocsync` to *path* that has the command line forked with its streams.

    SIGINT, SIGTERM and SIGHUP are passed on to the command. Variables of the interpreter have no
    effect on it.
    """
    from multiprocessing.reduction import DupFd

    address = str(path.with_suffix(".socket"))
    path.write_text(_EXECUTABLE.format(python=sys.executable, address=address))
    path.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        _CONTEXT.Process(
            target=_fork_on_request, args=(DupFd(listener.fileno()),), daemon=True
        ).start()


def _fork_on_request(handle: Any) -> None:
    """Fork a command for each connection of an executable, until the tests end."""
    parent = multiprocessing.parent_process()
    assert parent
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for what is forked here
    with socket.socket(fileno=handle.detach()) as listener:
        watched: list[Any] = [listener, parent.sentinel]
        while listener in select.select(watched, [], [])[0]:
            connection, _ = listener.accept()
            size, handles, *_ = socket.recv_fds(connection, 4, 3)
            message = b""
            while len(message) < int.from_bytes(size, "big"):
                message += connection.recv(2**20)
            if os.fork() == 0:
                code = 70
                try:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    listener.close()
                    connection.sendall(b"%d\n" % os.getpid())
                    words, folder, environment = json.loads(message)
                    code = _answer("ocsync.cli.app", words, folder, environment, handles)
                    connection.sendall(b"%d" % code)
                finally:
                    os._exit(code)
            for one in handles:
                os.close(one)
            connection.close()


def _command(
    program: str, words: Sequence[str], folder: str, environment: dict[str, str], said: list[str]
) -> None:
    handles = [os.open(path, os.O_WRONLY | os.O_APPEND) for path in said]
    null = os.open(os.devnull, os.O_RDONLY)
    sys.exit(_answer(program, words, folder, environment, [null, *handles]))


def _command_on_terminal(
    words: Sequence[str], folder: str, environment: dict[str, str], screen: Any
) -> None:
    handle = screen.detach()
    sys.exit(_answer("ocsync.cli.app", words, folder, environment, [handle] * 3))


def _answer(
    program: str,
    words: Sequence[str],
    folder: str,
    environment: dict[str, str],
    handles: Sequence[int],
) -> int:
    """Be the command in this process, with its streams at *handles*, and return its exit code."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if hasattr(os, "setsid"):
        os.setsid()  # a Ctrl-C in the terminal of the tests is for the tests alone
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
    for handle in {*handles} - {0, 1, 2}:
        os.close(handle)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdin.isatty():
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    code = int(import_module(program).run(list(words)))
    sys.stdout.flush()
    return code
