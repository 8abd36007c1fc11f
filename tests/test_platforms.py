"""Branches for systems other than this one, as far as they are plain code."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ocsync.engine.pause import child_process
from ocsync.engine.pause.child_process import ChildCommand
from ocsync.engine.signals import Signals
from ocsync.render.windows_console import enable_escape_codes
from ocsync.secrets import command_line, program_of
from ocsync.store import files
from ocsync.store.identity import operator
from ocsync.suggestions import set_variable


def test_the_operator_where_there_is_no_user_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none, and a service may have no USERNAME."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "pwd", None)
    with pytest.raises((ImportError, OSError)):
        getpass.getuser()
    assert operator().startswith("unknown@")


@pytest.mark.parametrize(("refusals", "replaced"), [(0, True), (3, True), (10_000, False)])
def test_a_file_that_is_being_read_is_replaced_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, replaced: bool
) -> None:
    """Windows refuses that while the reader has it open."""
    real, left = Path.replace, [refusals]

    def busy(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(13, "in use", str(target))
        return real(self, target)

    monkeypatch.setattr(files, "_REPLACES_OPEN_FILES", False)
    monkeypatch.setattr(files, "_REPLACE_SECONDS", 0.0)
    monkeypatch.setattr(Path, "replace", busy)
    path = tmp_path / "pause.toml"
    path.write_bytes(b"old")
    if replaced:
        files.write_atomically(path, b"new")
    else:
        with pytest.raises(PermissionError):
            files.write_atomically(path, b"new")
    assert path.read_bytes() == (b"new" if replaced else b"old")
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("command", "system", "started", "program"), [
    ("op read 'a b'", "posix", ["op", "read", "a b"], "op"),
    (r"C:\tools\op.exe read x", "nt", r"C:\tools\op.exe read x", r"C:\tools\op.exe"),
    (r'"C:\Program Files\op.exe" read', "nt", r'"C:\Program Files\op.exe" read', r"C:\Program Files\op.exe"),
])  # fmt: skip
def test_a_secrets_command_keeps_its_path(
    command: str, system: str, started: Any, program: str
) -> None:
    assert command_line(command, system) == started
    assert program_of(command, system) == program


class _WithoutSignals(asyncio.SelectorEventLoop):
    """A loop as that of Windows, which handles no signals."""

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


def test_signals_reach_a_loop_that_handles_none() -> None:
    async def main() -> list[int]:
        signals, came = Signals(), asyncio.Event()
        signals.start()
        with signals.going_to(lambda _: came.set()):
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
            await asyncio.wait_for(came.wait(), 10)
        signals.stop()
        return signals.seen

    usual = signal.default_int_handler  # a shell starts what runs in the background to ignore it
    before = signal.signal(signal.SIGINT, usual)
    try:
        with asyncio.Runner(loop_factory=_WithoutSignals) as runner:
            assert runner.run(main()) == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is usual
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_not_passed_on_where_all_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "ctermid", raising=False)
    assert child_process._from_keys(signal.SIGINT)
    assert not child_process._from_keys(signal.SIGTERM)


def test_windows_starts_a_script_by_the_path_that_was_found(tmp_path: Path) -> None:
    script = tmp_path / "npm"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    command = ChildCommand(("npm", "run"), {"PATH": str(tmp_path)})
    assert command.words_to_start("nt") == (str(script), "run")
    assert command.words_to_start("posix") == ("npm", "run")


def test_a_variable_is_set_as_the_usual_shell_does() -> None:
    assert set_variable("X", "1", "posix") == "export X=1"
    assert set_variable("X", "1", "nt") == "$env:X = '1'"


class _Kernel:
    """The console functions of kernel32, for a console in *mode* that takes new modes, or not."""

    def __init__(self, mode: int | None, *, takes: bool = True) -> None:
        self.mode, self._takes = mode, takes
        self.GetStdHandle = _Function(lambda number: 7)

    def GetConsoleMode(self, handle: Any, mode: Any) -> int:  # noqa: N802 - the system's name
        if self.mode is not None:
            mode._obj.value = self.mode
        return self.mode is not None

    def SetConsoleMode(self, handle: Any, mode: int) -> int:  # noqa: N802
        self.mode = mode if self._takes else self.mode
        return self._takes


class _Function:
    restype: Any = None

    def __init__(self, function: Callable[[int], int]) -> None:
        self._function = function

    def __call__(self, number: int) -> int:
        return self._function(number)


@pytest.mark.parametrize(("kernel", "obeys", "mode"), [
    (_Kernel(3), True, 7), (_Kernel(7), True, 7), (_Kernel(3, takes=False), False, 3), (_Kernel(None), False, None),
])  # fmt: skip
def test_a_console_of_windows_is_told_to_obey_escape_codes(
    kernel: _Kernel, obeys: bool, mode: int | None
) -> None:
    assert enable_escape_codes("stderr", kernel) is obeys
    assert kernel.mode == mode
