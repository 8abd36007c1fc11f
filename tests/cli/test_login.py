"""`login`, `profile edit` and `profile rename`, with options and on a terminal."""

from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ocsync.cli.context import Context
from ocsync.errors import Interrupted
from ocsync.render.console import Console
from ocsync.store import Workspace
from tests.builders import Shop
from tests.conftest import SECRET, Run

KEYRING = """
import json, pathlib
FILE = pathlib.Path({file!r})
def get_password(service, name):
    return json.loads(FILE.read_text()).get(name) if FILE.exists() else None
def set_password(service, name, secret):
    FILE.write_text(json.dumps({{name: secret}}))
"""


@pytest.fixture
def options(shop: Shop) -> list[str]:
    return ["--api-url", shop.url, "--client-id", "emulator", "--secret-env", SECRET]


def test_login_by_options(run: Run, shop: Shop, options: list[str]) -> None:
    first = run("login", "acme", *options, "--json")
    assert first.code == 0, first
    assert (first.data["profile"], first.data["marketplace"]) == ("acme", "emulator")
    assert run("profile", "show", "--json").data["pinned"] == "emulator"
    again = run("login")
    assert (again.code, "signed in to" in again.out) == (0, True)
    taken = run("login", "acme", *options)
    assert (taken.code, "ocsync profile edit acme" in taken.err) == (64, True)


def test_without_a_terminal_what_is_missing_is_named(run: Run, options: list[str]) -> None:
    for number, option in enumerate(("--environment", "--client-id", "--secret-env")):
        shown = run("login", *options[: 2 * number])
        assert shown.code == 64, shown
        assert option in shown.err
    assert not run("profile", "list", "--json").data["profiles"]


def test_missing_roles_come_with_the_way_to_get_them(
    run: Run, shop: Shop, options: list[str]
) -> None:
    shop.seed(clients=[{"ID": "less", "Secret": "emulator", "Roles": ["CatalogAdmin"]}])
    options = [word.replace("emulator", "less") if word == "emulator" else word for word in options]
    shown = run("login", "few", *options, "--for", "inventory")
    assert shown.code == 4, shown
    assert "missing roles: EntitySyncConfigAdmin, ProductAdmin" in shown.out
    assert "In the Portal: open the API client" in shown.err
    enough = run("login", "--for", "catalog", "--json")
    assert (enough.code, enough.data["missing"]) == (4, ["EntitySyncConfigAdmin"])


def test_a_wrong_secret_is_4_and_the_profile_can_be_edited(
    run: Run, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "wrong")
    shown = run("login", "acme", *options[:-1], "WRONG")
    assert shown.code == 4, shown
    assert run("profile", "edit", "acme", "--secret-env", SECRET).code == 0
    assert run("login").code == 0


def test_edit_changes_what_is_named_and_nothing_else(ocsync: Run) -> None:
    before = ocsync("profile", "show", "--json").data
    assert ocsync("profile", "edit", "--client-id", "other", "--production").code == 0
    after = ocsync("profile", "show", "--json").data
    assert {**after, "client_id": before["client_id"]} == before
    text = Path(before["folder"], "profile.toml").read_text()
    assert ('client_id = "other"' in text, "production = true" in text) == (True, True)
    assert ocsync("profile", "edit", "--no-production").code == 0
    assert "production" not in Path(before["folder"], "profile.toml").read_text()
    assert ocsync("profile", "edit").code == 64


def test_edit_leaves_work_with_its_marketplace(ocsync: Run) -> None:
    assert ocsync("profile", "check").code == 0
    ocsync("stage", "set", "catalog/C", "Name=x")
    refused = ocsync("profile", "edit", "--environment", "useast-sandbox")
    assert (refused.code, "1 staged edit" in refused.err) == (6, True)
    ocsync("stage", "clear", "--yes")
    assert ocsync("profile", "edit", "--environment", "useast-sandbox").code == 0
    shown = ocsync("profile", "show", "--json").data
    assert (shown["api_url"], shown["pinned"]) == ("https://useast-sandbox.ordercloud.io", "")


def test_edit_trusts_nothing_that_was_not_trusted(ocsync: Run, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    folder = Path(ocsync("profile", "show", "--json").data["folder"])
    path = folder / "profile.toml"
    content = path.read_text().splitlines()
    secret = f'secret = {{ command = "touch {marker}" }}'
    kept = [line for line in content if not line.startswith(("secret", "[secret", "env"))]
    path.write_text("\n".join([*kept, secret]) + "\n")
    refused = ocsync("profile", "edit", "--marketplace", "m")
    assert (refused.code, "ocsync profile trust" in refused.err) == (78, True)
    assert ocsync("profile", "rename", "test", "new").code == 0
    assert ocsync("profile", "check").code == 78
    assert not marker.exists()


def test_a_renamed_profile_keeps_everything(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1, quantity=4)
    ocsync("stage", "adjust", ref, "QuantityAvailable+=1")
    assert ocsync("resume").code == 0
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    ocsync("pause", "inventory")
    runs = ocsync("history", "--json").data["runs"]

    assert ocsync("profile", "rename", "test", "acme").code == 0
    assert [p["name"] for p in ocsync("profile", "list", "--json").data["profiles"]] == ["acme"]
    assert ocsync("history", "--json").data["runs"] == runs
    records = Path(os.environ["OCSYNC_DATA_DIR"], "sent").glob("*.json")
    assert [path.stem.partition("-")[2] for path in records] == ["acme"]
    done = ocsync("resume", "--verify")
    assert (done.code, shop.all_paused()) == (0, [])
    assert ocsync("profile", "rename", "acme", "acme").code == 64
    assert ocsync("profile", "rename", "none", "other").code == 78


def test_a_profile_at_work_is_not_renamed(ocsync: Run, executable: Path) -> None:
    words = [str(executable), "profile", "rename", "test", "acme"]
    done = ocsync("window", "inventory", "--", *words)
    assert done.code == 7, done
    assert ocsync("profile", "show").code == 0


def test_login_on_a_terminal(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret is typed unseen, and goes to the keyring."""
    pexpect: Any = pytest.importorskip("pexpect", reason="there is no terminal on Windows")
    library = tmp_path / "library" / "keyring"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(KEYRING.format(file=str(tmp_path / "kept.json")))
    (library / "errors.py").write_text("class KeyringError(Exception): pass\n")
    child = pexpect.spawn(
        sys.executable, ["-m", "ocsync", "login"], timeout=30, dimensions=(40, 80),
        encoding="utf-8", env={**os.environ, "PYTHONPATH": str(library.parent), "TERM": "xterm"},
    )  # fmt: skip
    for question, answer in (
        (r"Environment .*: ", "useast"), ('--environment cannot be "useast"(?s:.*)Environment .*: ', shop.url),
        ("ID of the API client: ", "emulator"),
        (r"Where is the client secret\? \[1\]: ", "9"),
        (r"9 is not one of 1, 2, 3(?s:.*)Where is the client secret\? \[1\]: ", "3"), (r"Name of the profile \[main\]: ", ""),
        (r"Client secret of emulator \(not shown\): ", "emulator"),
    ):  # fmt: skip
        child.expect(question)
        child.sendline(answer)
    child.expect("signed in to Emulated marketplace")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert json.loads((tmp_path / "kept.json").read_text()) == {f"{shop.url} emulator": "emulator"}


def test_the_question_for_a_secret_can_be_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_of_input(*_: object, **__: object) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", end_of_input)
    context = Context("login", Console(), Workspace(tmp_path), "", no_input=False)
    with pytest.raises(Interrupted, match="cancelled; no secret was stored"):
        context.ask_secret("Client secret: ")


def test_the_current_profile_changes_only_with_a_sign_in(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--api-url", shop.url, "--client-id", "emulator", "--secret-env")
    failed = ocsync("login", "other", *where, "NO_SECRET")
    assert failed.code == 78
    assert ocsync("login", "third", *where, SECRET, "--marketplace", "not-this").code == 6
    assert "*  test" in ocsync("profile", "list").out
    monkeypatch.setenv("NO_SECRET", "emulator")
    done = ocsync("login", "other")
    assert (done.code, "profile other is now the current one" in done.err) == (0, True), done
    assert "*  other" in ocsync("profile", "list").out


def test_options_for_a_profile_that_exists_are_refused(ocsync: Run) -> None:
    for option in (("--marketplace", "x"), ("--production",), ("--allow-http", "h")):
        assert ocsync("login", "test", *option).code == 64
