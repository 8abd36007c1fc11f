"""`ocsync doctor`: what it finds, what it says to do, and that looking changes nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ocsync.engine.doctor import LOCAL
from ocsync.engine.doctor.server import CHECKS
from tests.builders import Result, Shop
from tests.cli.test_hostile import Liar
from tests.conftest import SECRET, Run
from tests.crash_points import CrashPoint, crash_resume

FOLDER = Path(".ocsync/profiles/test")
PROFILE = FOLDER / "profile.toml"


def said(result: Result, name: str) -> list[dict[str, Any]]:
    """What the check *name* says that is not fine."""
    return [c for c in result.data["checks"] if c["id"] == name and c["level"] != "fine"]


def look(run: Run, *words: str) -> Result:
    return run("doctor", "--offline", "--json", *words)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def contents(root: Path) -> dict[str, Any]:
    return {str(p): (p.read_bytes() if p.is_file() else b"", p.stat().st_mode, p.stat().st_mtime_ns)
            for p in root.rglob("*")}  # fmt: skip


def test_without_a_workspace_it_says_how_to_begin(run: Run) -> None:
    for words in (("--offline",), ()):
        result = run("doctor", "--json", *words)
        assert result.code == 78
        [workspace] = said(result, "workspace")
        assert "ocsync init" in workspace["fix"]
        assert {"id": "secret", "needs": "a workspace"} in result.data["skipped"]
    shown = run("doctor")
    assert "not checked without a workspace: format, owner" in shown.out
    assert shown.out.splitlines()[-1].startswith("✗ 1 problem")
    assert run("init").code == 0
    assert "ocsync profile add" in said(run("doctor", "--json"), "profile")[0]["fix"]


def test_of_a_sound_set_up_every_check_is_made_and_nothing_is_touched(
    ocsync: Run, shop: Shop
) -> None:
    ocsync("stage", "set", "catalog/C", "Description=d")
    before = contents(Path())
    result = ocsync("doctor", "--json")
    assert result.code == 0
    made = {c["id"] for c in result.data["checks"]}
    assert made == {check.id for check in LOCAL} | {*CHECKS, "sign-in"}
    assert result.data["skipped"] == []
    assert [c["id"] for c in result.data["checks"] if c["level"] == "note"] == ["host"]
    assert contents(Path()) == before, "not even the marketplace was pinned"
    assert not [r for r in shop.requests() if r["method"] not in ("GET", "POST")]
    shown = ocsync("doctor")
    assert "✓ sign-in      emulator on Emulated marketplace" in shown.out
    assert shown.out.splitlines()[-1] == "✓ no problems, 1 note; 36 checks OK"
    assert ocsync("doctor", "--quiet").out.count("\n") == 4


WRONG: list[tuple[str, Callable[[], Any], str, str]] = [
    ("secret", lambda: os.environ.pop(SECRET), "is not set", f"export {SECRET}="),
    ("secret", lambda: edit(PROFILE, f'env = "{SECRET}"', ""), "no source", "edit"),
    ("secret", lambda: edit(PROFILE, f'env = "{SECRET}"', 'command = "no-such-program x"'),
     "was not found", "install it"),
    ("secret", lambda: edit(PROFILE, f'env = "{SECRET}"', "keyring = true"),
     "keyring is not installed", "ocsync[keyring]"),
    ("secret", lambda: edit(PROFILE, "[secret]", '[secret]\ncommand = "sh"'), "several", "edit"),
    ("trust", lambda: edit(PROFILE, "http://127.0.0.1", "https://elsewhere.example"),
     "not trusted", "profile trust test"),
    ("profile", lambda: edit(PROFILE, 'client_id = "emulator"', 'client_id = ""'), "no client ID", "edit"),
    ("profile", lambda: edit(PROFILE, "[secret]", 'environment = "useast-sandbox"\n[secret]'),
     "says useast-sandbox", "edit"),
    ("profile", lambda: PROFILE.write_text("nonsense"), "not TOML", "edit it by hand"),
    ("profile", lambda: PROFILE.write_text('name = "test"'), "not a profile", "edit it by hand"),
    ("profile", lambda: edit(Path(".ocsync/workspace.toml"), 'profile = "test"', ""),
     "no profile is current", "ocsync profile use test"),
    ("format", lambda: edit(Path(".ocsync/workspace.toml"), "format = 1", "format = 9"),
     "has format 9", "install the newest"),
    ("workspace", lambda: Path(".ocsync/workspace.toml").unlink(), "no workspace.toml", "profile use"),
    ("pauses", lambda: (FOLDER / "pause.toml").write_text("x = 1"), "not a pause", "--adopt"),
    ("listeners", lambda: (FOLDER / "attached.toml").write_text("x = 1"), "not an attached listener", "detach TARGET"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spoil", "what", "fix"), WRONG, ids=[f"{w[0]}-{w[2]}" for w in WRONG]
)
def test_what_is_wrong_is_told_with_its_fix(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, name: str, spoil: Any, what: str, fix: str
) -> None:
    monkeypatch.setenv(SECRET, "emulator")
    monkeypatch.setitem(sys.modules, "keyring", None)  # as where that extra is not installed
    spoil()
    result = ocsync("doctor", "--json")
    found = [c for c in said(result, name) if c["level"] == "wrong"]
    assert result.code == 78
    assert what in found[0]["what"]
    assert fix in found[0]["fix"]
    assert found[0]["why"]
    assert "sign-in" in [row["id"] for row in result.data["skipped"]] or name in (
        "pauses",
        "listeners",
        "workspace",
    )


NOTED: list[tuple[str, Callable[[], Any], str]] = [
    ("profile", lambda: edit(PROFILE, "[secret]", 'marketplac = "x"\n[secret]\nenvv = "Y"'),
     "marketplac, secret.envv"),
    ("ignored", lambda: Path(".ocsync/.gitignore").unlink(), ".gitignore"),
    ("modes", lambda: FOLDER.chmod(0o750), "other users can read"),
    ("environment", lambda: os.environ.__setitem__("OCSYNC_YES", "1"), "OCSYNC_YES"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "what"), NOTED, ids=[n[0] for n in NOTED])
def test_what_is_odd_is_noted_and_no_fault(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch, name: str, change: Any, what: str
) -> None:
    monkeypatch.setenv("OCSYNC_YES", "")
    change()
    result = look(ocsync)
    assert result.code == 0
    assert what in said(result, name)[0]["what"]


def test_the_safe_repairs(ocsync: Run) -> None:
    ocsync("stage", "set", "catalog/C", "Active=true")
    journal = FOLDER / "journal/000001.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"crc":"00')
    old = Path(".ocsync/profiles/test/.pause.toml.99.tmp")
    old.write_text("half")
    os.utime(old, (0, 0))
    fresh = Path(".ocsync/.workspace.toml.98.tmp")
    fresh.write_text("at work")
    (FOLDER / "runs/0101-0000.new").mkdir(parents=True)
    Path(".ocsync/.gitignore").unlink()
    PROFILE.chmod(0o666)
    found = look(ocsync)
    assert found.code == 1, "others may write a profile"
    assert {c["id"] for c in found.data["checks"] if c["repairable"]} == {
        "modes", "ignored", "leftovers", "logs", "seals",
    }  # fmt: skip
    result = look(ocsync, "--fix", "--no-input")

    assert result.code == 0
    assert {r["id"] for r in result.data["repaired"]} == {
        "modes", "ignored", "leftovers", "logs", "seals",
    }  # fmt: skip
    assert journal.read_bytes() == whole
    assert (old.exists(), fresh.exists()) == (False, True)
    assert not list(FOLDER.glob("runs/*"))
    assert PROFILE.stat().st_mode & 0o777 == 0o600
    assert look(ocsync, "--fix").data["repaired"] == []
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 1


def test_a_holder_is_named_and_a_dead_one_blocks_nobody(ocsync: Run) -> None:
    here = socket.gethostname()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    def held(who: str, pid: int) -> str:
        (FOLDER / "run.lock.holder").write_text(json.dumps(
            {"who": who, "pid": str(pid), "command": "ocsync resume", "since": "2026-01-01T00:00:00Z"}))  # fmt: skip
        result = look(ocsync)
        assert result.code == 0
        [found] = said(result, "locks")
        return f"{found['what']}; {found['why']}"

    assert f"`ocsync resume` (mara@{here}, pid {os.getppid()}," in held(
        f"mara@{here}", os.getppid()
    )
    assert "the lock is ignored" in held(f"mara@{here}", gone.pid)
    assert "on another machine" in held("mara@elsewhere", 1)


def test_nothing_is_repaired_while_another_command_is_at_work(ocsync: Run) -> None:
    Path(".ocsync/.gitignore").unlink()
    code = (
        "import sys; from pathlib import Path; from ocsync.store.lock import hold\n"
        "with hold(Path(sys.argv[1]), what='ocsync resume'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, FOLDER / "run.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout
        other.stdout.readline()
        result = look(ocsync, "--fix")
        assert result.code == 7
        assert "`ocsync resume`" in result.err
        assert "`ocsync resume`" in said(result, "locks")[0]["what"]
        other.communicate(b"")
    assert not Path(".ocsync/.gitignore").exists()
    assert look(ocsync, "--fix").code == 0


def ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")


PAUSES = [
    ("paused", 2, 1, "wrong", "1 h longer", "ocsync expire"),
    ("paused", 80, None, "note", "3 days, with no end set", "unpause inventory"),
    ("pausing", 1, None, "wrong", "not confirmed", "ocsync pause inventory"),
    ("lifting", 1, None, "wrong", "not confirmed", "ocsync unpause inventory"),
    ("paused", -24, None, "wrong", "begins in the future (2", "unpause inventory"),
    ("paused", -24, -48, "wrong", "begins in the future", "unpause inventory"),
    ("paused", -0.01, None, "", "", ""),
    ("paused", 2, None, "", "", ""),
    ("paused", 2, -1, "", "", ""),
]


@pytest.mark.parametrize(("phase", "since", "until", "level", "what", "fix"), PAUSES)
def test_pauses_that_are_overdue_forgotten_or_not_settled(
    ocsync: Run, phase: str, since: float, until: float | None, level: str, what: str, fix: str
) -> None:
    end = f'until = "{ago(until)}"\n' if until is not None else ""
    (FOLDER / "pause.toml").write_text(
        f'[inventory]\nphase = "{phase}"\nsince = "{ago(since)}"\n{end}'
    )
    (FOLDER / "pause.toml").chmod(0o600)
    result = look(ocsync)
    assert result.code == (1 if level == "wrong" else 0)
    found = said(result, "pauses")
    assert [c["level"] for c in found] == [level] * bool(level)
    assert all(what in c["what"] and fix in c["fix"] for c in found)


@pytest.mark.parametrize(("phase", "hours", "level", "what"), [
    ("attached", 1, "", ""), ("attached", 49, "note", "for 2 d (https://t.example/)"), ("attaching", 1, "wrong", "not confirmed"),
])  # fmt: skip
def test_listeners_that_are_forgotten_or_not_settled(
    ocsync: Run, phase: str, hours: float, level: str, what: str
) -> None:
    path = FOLDER / "attached.toml"
    shown = '["c/Http".shown]\nEndpoint = "https://t.example/"\n'
    path.write_text(f'["c/Http"]\nphase = "{phase}"\nsince = "{ago(hours)}"\n{shown}')
    path.chmod(0o600)
    result = look(ocsync)
    assert result.code == (1 if level == "wrong" else 0)
    found = said(result, "listeners")
    assert [c["level"] for c in found] == [level] * bool(level)
    assert all(what in c["what"] and "ocsync delivery detach" in c["fix"] for c in found)


def test_what_another_profile_left_is_told(ocsync: Run, shop: Shop) -> None:
    from tests.conftest import add_profile

    add_profile(ocsync, shop, "live")
    (FOLDER.parent / "live/pause.toml").write_text(
        f'[products]\nphase = "paused"\nsince = "{ago(9)}"\nuntil = "{ago(5)}"\n'
    )
    [found] = said(look(ocsync), "others")
    assert "profile live: products has been paused 5 h longer" in found["what"]
    assert "--profile live" in found["fix"]
    edit(FOLDER.parent / "live/profile.toml", "client_id", "klient")
    assert "not a profile" in said(look(ocsync), "others")[0]["what"]


def test_a_run_that_was_cut_off_is_told(ocsync: Run, shop: Shop) -> None:
    [ref, *_] = shop.stock(records=2)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    crash_resume(shop, CrashPoint("request", 1, "after"))
    result = ocsync("doctor", "--json")
    assert result.code == 1
    [found] = said(result, "runs")
    assert "(resume) is not finished: 0 of 1 step done" in found["what"]
    assert found["fix"] == "to continue it: ocsync resume"
    assert ocsync("resume").code == 0
    assert said(ocsync("doctor", "--json"), "runs") == []


def test_roles_are_looked_at_for_what_is_in_use(ocsync: Run, shop: Shop) -> None:
    shop.seed(clients=[{"ID": "some", "Secret": "emulator",
                        "Roles": ["CatalogAdmin", "EntitySyncConfigAdmin", "ProductReader"]}])  # fmt: skip
    edit(PROFILE, 'client_id = "emulator"', 'client_id = "some"')
    assert ocsync("doctor", "--json").code == 0, "nothing is in use yet"
    [note] = said(ocsync("doctor", "--json"), "roles")
    assert (note["level"], "no role to pause products" in note["what"]) == ("note", True)
    for name, lacking in (("inventory", "ProductAdmin"), ("products", "ProductSyncConfigAdmin")):
        asked = ocsync("doctor", name, "--json")
        wrong = " ".join(c["what"] for c in said(asked, "roles") if c["level"] == "wrong")
        assert (asked.code, "(asked for)" in wrong, lacking in wrong) == (4, True, True)
    assert ocsync("doctor", "nonsense").code == 64
    ocsync("stage", "set", "catalog/C", "Active=true")
    assert ocsync("doctor", "--json").code == 0
    ocsync("stage", "set", "inventory/P/R", "QuantityAvailable=1")
    result = ocsync("doctor", "--json")
    assert result.code == 4
    [found] = [c for c in said(result, "roles") if c["level"] == "wrong"]
    assert "no role to write inventory (staged): ProductAdmin" in found["what"]
    ocsync("stage", "set", "product/P", "Active=true")
    texts = [c["what"] for c in said(ocsync("doctor", "--json"), "roles")]
    assert any("no role to pause products (staged): ProductSyncConfigAdmin" in t for t in texts)
    assert "could not be read: needs ProductSyncConfigAdmin" in said(
        ocsync("doctor", "--json"), "targets"
    )[0]["what"]  # fmt: skip


def test_full_access_is_not_for_production(ocsync: Run, shop: Shop) -> None:
    assert said(ocsync("doctor", "--json"), "roles") == []
    shown = ocsync("doctor", "--verbose").out
    assert "FullAccess, which should not be used in production" in shown
    edit(PROFILE, 'client_id = "emulator"', 'client_id = "emulator"\nproduction = true')
    result = ocsync("doctor", "--json")
    [found] = said(result, "roles")
    assert (result.code, found["level"]) == (0, "note")
    assert "FullAccess on a production marketplace" in found["what"]


def test_limits_of_what_is_staged_are_told(ocsync: Run, shop: Shop) -> None:
    assert said(ocsync("doctor", "--json"), "limits") == []
    ocsync("stage", "set", "catalog/C", "Active=false", f"xp.a={'ä' * 5000}")
    found = said(ocsync("doctor", "--json"), "limits")
    assert [one["level"] for one in found] == ["note", "note"]
    texts = " ".join(one["what"] for one in found)
    assert "more than 8,000 bytes of xp" in texts
    assert "only after an index rebuild in the Portal" in texts
    ocsync("stage", "set", "category/C/A", "ParentID=B")
    ocsync("stage", "set", "category/C/B", "ParentID=A")
    [cycle] = said(ocsync("doctor", "--json"), "limits")
    assert (cycle["level"], "depend on each other" in cycle["what"]) == ("wrong", True)


def test_a_sign_in_that_can_pause_nothing_is_wrong(ocsync: Run, shop: Shop) -> None:
    shop.seed(clients=[{"ID": "some", "Secret": "emulator", "Roles": ["CatalogAdmin"]}])
    edit(PROFILE, 'client_id = "emulator"', 'client_id = "some"')
    result = ocsync("doctor", "--json")
    found = " ".join(c["what"] for c in said(result, "roles"))
    assert result.code == 4
    assert "EntitySyncConfigAdmin" in found
    assert "ProductSyncConfigAdmin" in found


CONFIG = "/integrations/entitysync/products/inventoryrecords"


def somebody(shop: Shop, body: dict[str, Any]) -> None:
    assert shop.call("PATCH", CONFIG, body).status_code == 200


DRIFT: list[tuple[Callable[[Shop], Any], str, str, str]] = [
    (lambda s: somebody(s, {"Paused": False}), "wrong", "someone else unpaused", "ocsync pause inventory"),
    (lambda s: somebody(s, {"SyncEntityDeleted": False}), "note", "SyncEntityDeleted was true", "targets"),
    (lambda s: somebody(s, {"SyncEntityChanged": False}), "note", "SyncEntityChanged=false", "resync"),
    (lambda s: s.call("DELETE", CONFIG), "wrong", "sync config no longer exists", "ocsync unpause"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "level", "what", "fix"), DRIFT, ids=[d[2] for d in DRIFT])
def test_configs_that_others_changed(
    ocsync: Run, shop: Shop, change: Any, level: str, what: str, fix: str
) -> None:
    assert ocsync("pause", "inventory").code == 0
    change(shop)
    result = ocsync("doctor", "--json")
    assert result.code == (1 if level == "wrong" else 0)
    assert [c for c in said(result, "targets")
            if c["level"] == level and what in c["what"] and fix in c["fix"]]  # fmt: skip


def test_configs_of_what_is_staged(ocsync: Run, shop: Shop) -> None:
    ocsync("stage", "set", "inventory/P/R", "QuantityAvailable=1")
    somebody(shop, {"Paused": True})
    [found] = said(ocsync("doctor", "--json"), "targets")
    assert "inventory (staged) is paused by someone else" in found["what"]
    assert "--adopt" in found["fix"]
    name = shop.get(CONFIG)["DeliveryConfigID"]
    assert shop.call("PATCH", f"/integrations/deliveryconfig/{name}", {"Enabled": False}).is_success
    result = ocsync("doctor", "--json")
    assert result.code == 1
    assert (
        f"delivery configuration {name} of inventory is disabled"
        in said(result, "delivery")[0]["what"]
    )
    shop.call("DELETE", CONFIG)
    assert "has no sync config" in said(ocsync("doctor", "--json"), "targets")[0]["what"]


def test_another_marketplace_is_told(ocsync: Run) -> None:
    (FOLDER / "marketplace.toml").write_text('id = "other"\nname = "Other"\n')
    result = ocsync("doctor", "--json")
    assert result.code == 6
    assert "is for other, but this sign-in is for" in said(result, "marketplace")[0]["what"]


def test_a_wrong_secret_is_exit_4(ocsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "hunter2")
    result = ocsync("doctor", "--json")
    assert result.code == 4
    assert "sign-in failed" in said(result, "sign-in")[0]["what"]
    assert {row["needs"] for row in result.data["skipped"]} == {"a sign-in"}
    assert "hunter2" not in result.out + result.err


def test_without_a_network_it_says_so_and_soon(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocsync.cli.doctor._MAX_WAIT", 0.1)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = PROFILE.read_text().split('api_url = "')[1].split('"')[0]
        edit(PROFILE, url, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        result = ocsync("doctor", "--json")
    assert result.code == 75
    assert "(connection refused)" in said(result, "sign-in")[0]["what"]


@pytest.fixture
def liar() -> Iterator[Liar]:
    one = Liar()
    yield one
    one.server.shutdown()
    one.server.server_close()


def token(claims: dict[str, Any]) -> bytes:
    import base64

    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return json.dumps({"access_token": f"a.{middle}.c", "expires_in": 600}).encode()


def test_a_clock_that_is_wrong_and_a_token_for_elsewhere(
    run: Run, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init")
    run("profile", "add", "test", "--api-url", liar.url, "--client-id", "x", "--secret-env", SECRET)
    late = datetime.now(UTC) + timedelta(seconds=300)
    monkeypatch.setattr(
        "http.server.BaseHTTPRequestHandler.date_time_string",
        lambda *_: late.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    )
    aud = ["https://useast-staging.ordercloud.io"]
    monkeypatch.setattr("tests.cli.test_hostile.TOKEN", token({"aud": aud, "usrtype": "buyer"}))
    me = b'{"ID": "u", "Username": "u", "Seller": {"ID": "emulator"}}'
    liar.reply = lambda verb, path: (200, me) if path == "/v1/me" else (404, b"")
    result = run("doctor", "--json")
    assert result.code == 4, "an exit code of several: the first of the precedence"
    assert "s behind the server's" in said(result, "clock")[0]["what"]
    assert (
        "useast-staging.ordercloud.io, but goes to 127.0.0.1" in said(result, "audience")[0]["what"]
    )
    assert "a buyer user" in said(result, "sign-in")[0]["what"]


def test_the_output_fits_a_terminal_and_any_encoding(ocsync: Run) -> None:
    pexpect: Any = pytest.importorskip("pexpect")
    Path(".ocsync/.gitignore").unlink()
    child = pexpect.spawn(
        sys.executable, ["-m", "ocsync", "doctor", "--offline"], timeout=20, dimensions=(50, 80),
        encoding="utf-8", env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    lines = child.before.splitlines()
    assert child.exitstatus == 0
    assert max(len(line) for line in lines if str(Path.cwd()) not in line) <= 80
    assert any(line.startswith("  ok python") for line in lines)
    assert "the output encoding ascii" in child.before
    assert "next: ocsync doctor --fix" in child.before
