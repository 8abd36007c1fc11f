"""The secret is in no file, line, error or process list, whatever happens."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocsync.secrets import SecretSource, resolve
from tests.builders import HTTP, Shop
from tests.cli.test_crashes import wait_for_writes
from tests.conftest import Run
from tests.processes import Started

SECRET = "Tr0ub4dor-and-3-corr3ct-horses"
DELIVERY = "delivery-hunter2-secret"


HOOKED = """
[[deliveries]]
ID = "hooked"
Name = "hooked"
[deliveries.DeliveryTargets.Http]
Endpoint = "http://127.0.0.1:9/hook"
Secret = { env = "HOOK" }
"""


def everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()


KEYRING = """
from pathlib import Path

def get_password(service, name):
    assert service == "ocsync"
    return Path({keeper!r}).read_text()
"""
"""A keyring as the real one is asked; the library itself asks the desktop."""


@pytest.mark.quick(1)
@pytest.mark.parametrize("source", ["env", "command", "keyring"])
def test_a_whole_run_at_verbose_leaves_no_secret(
    run: Run, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    shop.seed(clients=[{"ID": "ci", "Secret": SECRET, "Roles": ["FullAccess"]}])
    http = {"Http": {"Endpoint": "http://nowhere.invalid", "Secret": DELIVERY}}
    shop.call(
        "PUT",
        "/integrations/deliveryconfig/emulator-log",
        {"Name": "x", "Enabled": True, "DeliveryTargets": http},
    )
    refs = shop.stock(records=40)
    monkeypatch.setenv("MY_SECRET", SECRET)
    keeper = tmp_path.parent / f"{tmp_path.name}-keeper"
    keeper.write_text(SECRET)
    library = tmp_path.parent / f"{tmp_path.name}-library"
    library.mkdir()
    (library / "keyring.py").write_text(KEYRING.format(keeper=str(keeper)))
    monkeypatch.syspath_prepend(library)
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    monkeypatch.setenv("HOOK", DELIVERY)
    file = tmp_path / "delivery.toml"
    file.write_text(HOOKED)
    words = {
        "env": ("--secret-env", "MY_SECRET"),
        "command": ("--secret-command", f"cat {keeper}"),
        "keyring": ("--secret-keyring",),
    }[source]
    said = []

    def go(*words: str, code: int | None = 0) -> None:
        result = run(*words, "--verbose")
        said.append(result.out + result.err)
        assert code is None or result.code == code, result

    go("init")
    go("profile", "add", "x", "--api-url", shop.url, "--client-id", "ci", *words)
    if source == "command":
        go("profile", "trust", "x", "--yes")
    for first in (
        ("profile", "show"),
        ("profile", "check"),
        ("targets",),
        ("pause", "inventory", "--reason", "r"),
    ):
        go(*first)
    for ref in refs:
        run("stage", "set", ref, "QuantityAvailable=9")
    go("plan", "--diff", "--json")
    shop.faults(
        {"method": "PATCH", "path": "R3", "status": 400},
        {"action": "revoke", "after": 3},
        {"status": 500, "after": 9, "effect": True},
    )
    go("resume", "--verify", code=None)
    go("resume", "--verify", "--json", code=None)
    for step in (
        ("status", "--json"),
        ("history", "--json"),
        ("verify",),
        ("delete", refs[0], "--yes"),
        ("resync", "inventory", "P1/R1", "--yes"),
        ("delivery", "apply", str(file), "--yes"),
        ("delivery", "show", "hooked", "--json"),
        ("rollback", "--dry-run"),
        ("window", "catalogs", "--", "true"),
        ("doctor", "--json"),
    ):
        go(*step, code=None)
    assert any(row["ID"] == "hooked" for row in shop.get("/integrations/deliveryconfig")["Items"])
    shop.seed(clients=[{"ID": "ci", "Secret": "another one", "Roles": ["FullAccess"]}])
    HTTP.post(shop.url + "/_emulator/revoke")
    go("status", code=4)
    monkeypatch.setattr("ocsync.engine.status.read_targets", lambda *a: 1 / 0, raising=False)
    monkeypatch.setattr("ocsync.client.api.Api.identity", lambda *a: 1 / 0)
    go("status", code=1)
    tokens = [b"eyJ", base64.b64encode(SECRET.encode()).rstrip(b"=")]
    for place, data in [*everything(tmp_path), *(("output", text.encode()) for text in said)]:
        for secret in (SECRET.encode(), DELIVERY.encode(), *tokens):
            assert secret not in data, place
    for path in (tmp_path / ".ocsync").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.slow
def test_the_process_list_shows_no_secret(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("this system has no /proc to look at")
    shop.seed(clients=[{"ID": "ci", "Secret": SECRET, "Roles": ["FullAccess"]}])
    monkeypatch.setenv("MY_SECRET", SECRET)
    run("init")
    run(
        "profile",
        "add",
        "x",
        "--api-url",
        shop.url,
        "--client-id",
        "ci",
        "--secret-env",
        "MY_SECRET",
    )
    for ref in shop.stock(records=30):
        run("stage", "set", ref, "QuantityAvailable=9")
    shop.switch(latency=0.1)
    with subprocess.Popen(
        [sys.executable, "-m", "ocsync", "resume"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_for_writes(shop, 2)
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.terminate()
    assert SECRET.encode() not in shown


@pytest.mark.quick(3)
@pytest.mark.parametrize("source", ["env", "command", "keyring"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", " \n\n"])
def test_a_secret_from_a_file_may_end_in_a_line_break(
    run: Run, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, ending: str
) -> None:
    keeper = tmp_path / "keeper"
    keeper.write_text(f"emulator{ending}")
    (tmp_path / "keyring.py").write_text(KEYRING.format(keeper=str(keeper)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    monkeypatch.setenv("KEPT", f"emulator{ending}")
    words = {
        "env": ("--secret-env", "KEPT"),
        "command": ("--secret-command", f"cat {keeper}"),
        "keyring": ("--secret-keyring",),
    }[source]
    run("init")
    run("profile", "add", "x", "--api-url", shop.url, "--client-id", "emulator", *words)
    run("profile", "trust", "x", "--yes")
    assert run("status").code == 0


@pytest.mark.parametrize(("value", "said"), [
    ("", "KEPT is empty"), ("\n", "KEPT is empty"), ("one\ntwo", "KEPT holds line breaks"),
    ("hunter2\x1b[0m", "KEPT holds line breaks"), ("hunter2\udcff", "bytes that are not UTF-8"),
])  # fmt: skip
def test_a_secret_that_cannot_be_sent_is_told(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("KEPT", value)
    run("init")
    run("profile", "add", "x", "--api-url", shop.url, "--client-id", "emulator",
        "--secret-env", "KEPT")  # fmt: skip
    result = run("status")
    assert (result.code, said in result.err) == (78, True), result
    assert "hunter2" not in result.err
    assert not shop.requests()


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_command_is_not_waited_for_beyond_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves in the background keeps the pipe open; what it printed is enough."""
    start = time.monotonic()
    assert (
        resolve(SecretSource(command="sh -c 'printf secret; sleep 20 & echo $! > pid'")) == "secret"
    )
    assert time.monotonic() - start < 5
    os.kill(int(Path("pid").read_text()), signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(("words", "told"), [
    (("status",), "interrupted; nothing was changed"), (("resume",), "the client secret ran"),
])  # fmt: skip
def test_ctrl_c_ends_a_hanging_command_at_once(
    run: Run, shop: Shop, words: tuple[str, ...], told: str
) -> None:
    run("profile", "add", "x", "--api-url", shop.url, "--client-id", "c",
        "--secret-command", "sh -c 'touch begun; exec sleep 40'")  # fmt: skip
    run("stage", "set", "catalog/C", "Name=x")
    with Started(*words) as process:
        while not Path("begun").exists():
            time.sleep(0.02)
        start = time.monotonic()
        process.signal(signal.SIGINT)
        done = process.wait()
    assert time.monotonic() - start < 5
    assert (done.code, told in done.err) == (130, True), done
