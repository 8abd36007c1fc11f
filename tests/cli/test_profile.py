"""Profiles: added, listed, shown, used, checked, trusted, removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import Shop
from tests.conftest import SECRET, Run


def test_profiles_are_added_listed_shown_used_and_removed(run: Run) -> None:
    run("init")
    assert run("profile", "add", "a", "--environment", "useast-sandbox", "--client-id", "c",
               "--secret-env", "S").code == 0  # fmt: skip
    assert run("profile", "add", "b", "--api-url", "https://api.ordercloud.io/v1", "--client-id", "c",
               "--secret-command", "op read x").code == 0  # fmt: skip
    listed = run("profile", "list", "--json").data["profiles"]
    shown = run("profile", "show", "b", "--json").data

    assert [(p["name"], p["current"]) for p in listed] == [("a", True), ("b", False)]
    assert shown["api_url"] == "https://api.ordercloud.io"
    assert shown["environment"] == "uswest-production"
    assert run("profile", "use", "b").code == 0
    assert run("profile", "remove", "a").code == 64, "a question that cannot be asked"
    assert run("profile", "remove", "a", "--yes").code == 0
    assert run("profile", "use", "a").code == 78


@pytest.mark.parametrize("words", [
    ("--environment", "useast-sandbox", "--api-url", "https://x"), (), ("--environment", "mars-one"),
    ("--api-url", "http://api.ordercloud.io"), ("--environment", "useast-sandbox", "--secret-keyring"),
])  # fmt: skip
def test_half_a_profile_is_refused(run: Run, words: tuple[str, ...]) -> None:
    result = run("profile", "add", "a", "--client-id", "c", "--secret-env", "S", *words)
    assert result.code == 64
    assert result.err
    assert not [line for line in result.err.splitlines() if line.endswith("-")]


def test_check_names_user_marketplace_and_missing_roles(ocsync: Run, shop: Shop) -> None:
    assert ocsync("profile", "check", "--json").data["missing"] == []
    shop.seed(clients=[{"ID": "some", "Secret": "emulator", "Roles": ["CatalogAdmin"]}])
    ocsync(
        "profile",
        "add",
        "some",
        "--api-url",
        shop.url,
        "--client-id",
        "some",
        "--secret-env",
        SECRET,
    )
    result = ocsync("profile", "check", "some", "--json")
    assert result.code == 4
    assert "ProductSyncConfigAdmin" in result.data["missing"]
    assert "CatalogAdmin" not in result.data["missing"]


def test_a_wrong_secret_is_exit_4_and_shown_nowhere(
    ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "hunter2-hunter2")
    result = ocsync("profile", "check", "--verbose")
    assert result.code == 4
    written = "".join(p.read_text(errors="replace") for p in Path().rglob("*") if p.is_file())
    assert "hunter2" not in result.out + result.err + written


def test_a_profile_from_elsewhere_runs_nothing_before_it_is_trusted(
    ocsync: Run, shop: Shop
) -> None:
    file = Path(".ocsync/profiles/test/profile.toml")
    text = file.read_text()
    file.write_text(
        text.replace(f'env = "{SECRET}"', "command = \"sh -c 'touch ran; echo emulator'\"")
    )
    refused = ocsync("profile", "check")
    assert refused.code == 78
    assert "not trusted" in refused.err
    assert not Path("ran").exists()
    assert ocsync("profile", "trust").code == 64
    assert ocsync("profile", "trust", "--yes").code == 0
    assert ocsync("profile", "check").code == 0
    assert Path("ran").exists()


def test_pasted_client_ids_and_secrets_in_place_of_names(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "n0tAName")
    assert run("init").code == 0
    add = ("profile", "add", "p", "--api-url", shop.url, "--client-id")
    assert run(*add, " emulator\n", "--secret-env", SECRET).code == 0
    assert run("profile", "show", "p", "--json").data["client_id"] == "emulator"
    refused = run(*add, "emul ator", "--secret-env", SECRET)
    assert (refused.code, "--client-id" in refused.err) == (64, True)
    for wrong in ("n0tAName", "$SECRET", "a=b"):
        for words in ((*add, "x", "--secret-env"), ("profile", "edit", "p", "--secret-env"),
                      ("listen", "http", "--secret-env")):  # fmt: skip
            refused = run(*words, wrong)
            assert (refused.code, "takes the name of" in refused.err) == (64, True), refused
            assert wrong not in refused.err


def test_without_a_current_profile_one_of_them_is_suggested(run: Run) -> None:
    assert run("init").code == 0
    none = run("status", "--offline")
    assert (none.code, "next: ocsync login, ocsync profile add NAME" in none.err) == (78, True)
    for name in ("first", "second"):
        words = ("--environment", "useast-sandbox", "--client-id", "c", "--secret-env", "S")
        assert run("profile", "add", name, *words).code == 0
    assert run("profile", "remove", "first", "--yes").code == 0
    lost = run("plan")
    assert (lost.code, "is current" in lost.err) == (78, True), lost
    assert "next: ocsync profile use second" in lost.err
