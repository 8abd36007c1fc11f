"""Workspaces and profiles: where they are found, what they refuse, whom they trust."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ocsync.errors import ConfigError, TrustRequired, UsageError
from ocsync.secrets import SecretSource
from ocsync.store import ENVIRONMENTS, Profile, Workspace
from ocsync.store.profiles import environment_of, parse_url, resolve_secret, same_place, trust_risk
from ocsync.store.workspace import check_trust, trust_profile


def profile(name: str = "p", url: str = "https://api.ordercloud.io", **more: object) -> Profile:
    given = {"secret": SecretSource(env="S"), "auth_url": url, **more}
    return Profile(name=name, api_url=url, client_id="c", **given)  # type: ignore[arg-type]


def test_the_order_in_which_a_workspace_is_found(tmp_path: Path) -> None:
    (tmp_path / "a/.ocsync").mkdir(parents=True)
    below = tmp_path / "a/b/c"
    below.mkdir(parents=True)
    data = {"OCSYNC_DATA_DIR": str(tmp_path / "data")}

    def find(explicit: Path | None = None, **environ: str) -> Path:
        return Workspace.find(explicit, environ={**data, **environ}, cwd=below).root

    assert find() == tmp_path / "a/.ocsync"
    assert find(OCSYNC_WORKSPACE=str(tmp_path / "x")) == tmp_path / "x"
    assert find(tmp_path / "y", OCSYNC_WORKSPACE=str(tmp_path / "x")) == tmp_path / "y"
    other = Workspace.find(None, environ=data, cwd=tmp_path)
    assert other.root == tmp_path / "data/workspace"


def test_somebody_elses_workspace_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ocsync").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    found = Workspace.find(None, environ={"OCSYNC_DATA_DIR": str(tmp_path / "d")}, cwd=tmp_path)
    assert found.root == tmp_path / "d/workspace"


def test_it_is_private_and_not_committed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / ".ocsync")
    workspace.add_profile(profile())
    folder = workspace.root / "profiles/p"

    assert (workspace.root / ".gitignore").read_text() == "*\n"
    assert workspace.root.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "profile.toml").stat().st_mode & 0o777 == 0o600


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / ".ocsync")
    workspace.create()
    (workspace.root / "workspace.toml").write_text("format = 2\n")
    with pytest.raises(ConfigError, match="format 2"):
        workspace.open_profile("", warn=pytest.fail)


def test_the_first_profile_becomes_current(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / ".ocsync")
    workspace.add_profile(profile("a"))
    workspace.add_profile(profile("b"))
    assert (workspace.current_profile, workspace.profile_names()) == ("a", ["a", "b"])
    workspace.use_profile("b")
    assert workspace.open_profile("", warn=pytest.fail).profile.name == "b"
    with pytest.raises(UsageError, match="already"):
        workspace.add_profile(profile("a"))
    with pytest.raises(UsageError, match="cannot be"):
        workspace.add_profile(profile("../a"))
    with pytest.raises(ConfigError, match="no profile c"):
        workspace.use_profile("c")


@pytest.mark.parametrize(("text", "url"), [
    ("https://api.ordercloud.io/v1/", "https://api.ordercloud.io"),
    ("https://api.ordercloud.io", "https://api.ordercloud.io"),
    ("http://127.0.0.1:80/v1", "http://127.0.0.1"),
    (" HTTPS://API.OrderCloud.io.:443/V1/ ", "https://api.ordercloud.io"),
    ("https://api.ordercloud.io:8443", "https://api.ordercloud.io:8443"),
    ("https://api.order\ncloud.io", "https://api.ordercloud.io"), ("http://[0:0::1]:80", "http://[::1]"),
])  # fmt: skip
def test_urls_have_one_spelling(text: str, url: str) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "api.ordercloud.io", "http://api.ordercloud.io", "ftp://x", "https://u:sesame@x", "https://@x",
        "https://x/v1/products", "https://x/v2", "https://x/?t=sesame", "https://x?", "https://x#sesame",
        "https://[::1", "https://[::g]", "https://x:port", "https://x:99999", "https://", "https://a..b",
        "https://evil\\@api.ordercloud.io", "https://api%2Eordercloud.io", "https://\uff41pi.ordercloud.io",
        "https://api\u3002ordercloud.io",
    ],
)  # fmt: skip
def test_urls_that_would_leak_or_mean_nothing(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    assert "sesame" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(("text", "production", "environment"), [
    *((url, name.endswith("-production"), name) for name, url in ENVIRONMENTS.items()),
    ("https://API.ordercloud.io:443/V1", True, "uswest-production"),
    ("https://api.ordercloud.io.", True, "uswest-production"),
    ("https://uswest-production.ordercloud.io", True, "uswest-production"),
    ("https://uswest-sandbox.ordercloud.io", False, "uswest-sandbox"),
    ("https://useast-production.ordercloud.io:8443", True, "useast-production"),
    ("https://ordercloud.io", True, ""), ("https://sandbox.api.ordercloud.io", True, ""),
    ("https://sandbox-production.ordercloud.io", True, ""), ("https://new.ordercloud.io", True, ""),
    ("https://notordercloud.io", False, ""), ("https://api.ordercloud.io.proxy.example", False, ""),
    ("https://europewest-sandbox.ordercloud.io", False, ""),
])  # fmt: skip
def test_every_host_of_ordercloud_counts_as_production_unless_it_is_clearly_none(
    text: str, production: bool, environment: str
) -> None:
    url = parse_url(text)
    assert environment_of(url) == environment
    assert profile(url=url).guarded is production


def test_one_api_under_two_names() -> None:
    assert same_place("https://api.ordercloud.io", "https://uswest-production.ordercloud.io")
    assert not same_place("https://api.ordercloud.io", "https://stagingapi.ordercloud.io")
    assert not same_place("https://one.example", "https://other.example")


def test_fifteen_environments() -> None:
    assert len(ENVIRONMENTS) == 15
    assert ENVIRONMENTS["westeurope-sandbox"] == "https://westeurope-sandbox.ordercloud.io"
    assert ENVIRONMENTS["uswest-production"] == "https://api.ordercloud.io"


def test_secrets_come_from_where_the_profile_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", "from env")
    assert resolve_secret(profile()) == "from env"
    monkeypatch.delenv("S")
    with pytest.raises(ConfigError, match="S is not set"):
        resolve_secret(profile())
    assert resolve_secret(profile(secret=SecretSource(command="printf 'a b\\nc'"))) == "a b"
    with pytest.raises(ConfigError, match="exit code 1"):
        resolve_secret(profile(secret=SecretSource(command="false")))
    with pytest.raises(ConfigError, match="cannot run"):
        resolve_secret(profile(secret=SecretSource(command="/no/such/thing")))
    with pytest.raises(ConfigError, match="printed nothing"):
        resolve_secret(profile(secret=SecretSource(command="true")))


def test_what_must_be_trusted(tmp_path: Path) -> None:
    """A folder from elsewhere must not run code nor send the secret to a host of its choice."""
    assert not trust_risk(profile())
    assert not trust_risk(profile(url="http://127.0.0.1:1"))
    assert "runs the command" in trust_risk(profile(secret=SecretSource(command="x")))
    assert "evil.example" in trust_risk(profile(url="https://evil.example"))
    assert "evil.example" in trust_risk(profile(auth_url="https://evil.example"))


def test_trust_is_for_one_folder_and_one_content(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / ".ocsync")
    mine = profile(url="https://proxy.example")
    workspace.add_profile(mine)
    folder = workspace.root / "profiles/p"
    check_trust(folder, mine, os.environ)
    (folder / "profile.toml").write_text((folder / "profile.toml").read_text() + "\n")
    with pytest.raises(TrustRequired, match="not trusted"):
        check_trust(folder, mine, os.environ)
    trust_profile(folder, os.environ)
    check_trust(folder, mine, os.environ)
