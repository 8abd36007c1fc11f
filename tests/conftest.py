"""What the tests stand on: a marketplace behind a socket, a workspace of its own, and guards."""

from __future__ import annotations

import compileall
import gc
import importlib
import io
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.emulator.seeds import load_seed
from tests.builders import Result, Shop
from tests.json_schemas import faults_of

SECRET = "TEST_SECRET"
_FOREIGN = (
    "OCSYNC_", "XDG_", "CI", "GITHUB_", "RUNNER_", "GITLAB_", "AGENT_", "BUILD_", "SYSTEM_",
    "BITBUCKET_", "JENKINS_",
)  # fmt: skip
"""What settings of the developer's and variables of a CI begin with."""


_MEMORY = Path("/dev/shm")
_ROOM = 2**30


settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Save time that no test is about: syncs of a disk, and compilation in every worker."""
    if os.access(_MEMORY, os.R_OK | os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        sys.dont_write_bytecode = False
        _compile()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all but some cases of a test, evenly chosen, that `quick` gives a number for."""
    cases: dict[tuple[str, int], list[pytest.Item]] = {}
    for item in items:
        for mark in item.iter_markers("quick"):
            cases.setdefault((item.nodeid.partition("[")[0], mark.args[0]), []).append(item)
    for (_, number), same in cases.items():
        chosen = {place * len(same) // number for place in range(number)}
        for place, item in enumerate(same):
            if place not in chosen:
                item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Look for garbage rarely, and not among what the modules have loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _compile() -> None:
    """Compile the program, and the tests in two processes at a time."""
    here = Path(__file__).parent
    compileall.compile_dir(here.parent / "ocsync", quiet=2)
    names = [
        ".".join(path.relative_to(here.parent).with_suffix("").parts)
        for path in sorted(here.rglob("test_*.py"))
    ]
    child = os.fork() if hasattr(os, "fork") else None
    for name in names[bool(child) :: 1 if child is None else 2]:
        with suppress(pytest.skip.Exception):  # of a module for which something is missing
            importlib.import_module(name)
    if child == 0:
        os._exit(0)
    if child:
        os.waitpid(child, 0)


@pytest.fixture(autouse=True)
def _guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's home, settings or network."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name in (
            "NO_COLOR",
            "FORCE_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "TF_BUILD",
        ):
            monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OCSYNC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv(SECRET, "emulator")
    monkeypatch.chdir(tmp_path)
    real = socket.socket.connect

    def only_here(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"
        assert host in ("127.0.0.1", "localhost", "::1"), f"a test wants to talk to {host}"
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", only_here)


@pytest.fixture(scope="session")
def executable() -> Iterator[Path]:
    """An `ocsync` for shell scripts, which takes no time to start."""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork on Windows")
    from tests.processes import write_executable

    with tempfile.TemporaryDirectory(prefix="ocsync-tests-") as folder:
        path = Path(folder) / "ocsync"
        write_executable(path)
        yield path


@pytest.fixture(scope="session")
def _emulator() -> Iterator[Shop]:
    with serve_in_thread(EmulatorOptions()) as emulator:
        yield Shop(emulator.url, emulator.emulator)


@pytest.fixture
def shop(_emulator: Shop) -> Shop:
    """An empty marketplace with a config for every target."""
    emulator = _emulator.emulator
    emulator.reset()
    load_seed(emulator.market, {"targets": "all"}, emulator.publisher)
    return _emulator


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the real entry point in this process: `run("plan", "--json")`.

    What it prints as JSON must be as `ocsync schema` says.
    """
    from ocsync.cli.app import run as entry

    def call(*words: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        code = entry(list(words))
        out, err = capfd.readouterr()
        if "--json" in words:
            assert not (faults := faults_of(words, out, err)), "\n".join(faults)
        return Result(int(code), out, err)

    return call


@pytest.fixture
def ocsync(run: Run, shop: Shop) -> Run:
    """The same, in a workspace with a profile for the marketplace."""
    result = run("init")
    assert result.code == 0, result
    add_profile(run, shop)
    return run


def add_profile(run: Run, shop: Shop, name: str = "test") -> None:
    """Add a profile for *shop*."""
    result = run("profile", "add", name, "--api-url", shop.url, "--client-id", "emulator",
                 "--secret-env", SECRET)  # fmt: skip
    assert result.code == 0, result
