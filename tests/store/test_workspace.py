"""Workspaces and profiles: where they are found, what they refuse, whom they trust."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from platformdirs import user_data_path

from ocsync.errors import ConfigError, TrustRequired, UsageError
from ocsync.secrets import SecretSource
from ocsync.store import ENVIRONMENTS, Profile, Workspace
from ocsync.store.profiles import environment_of, parse_url, resolve_secret, same_place, trust_risk
from ocsync.store.workspace import user_data_folder


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


@pytest.mark.skipif(sys.platform != "linux", reason="platformdirs alone names the folder there")
@pytest.mark.parametrize("variables", [
    {}, {"XDG_DATA_HOME": "/x/y"}, {"XDG_DATA_HOME": "x"}, {"XDG_DATA_HOME": ""}, {"HOME": "/"},
    {"HOME": "/h/"}, {"HOME": "relative"}, {"HOME": ""},
])  # fmt: skip
def test_the_data_folder_is_the_one_of_platformdirs(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.delenv("OCSYNC_DATA_DIR")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_data_folder(os.environ) == user_data_path("ocsync", appauthor=False)


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
    with pytest.raises(UsageError, match="not a valid profile name"):
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
    workspace.check_trust(folder, mine)
    (folder / "profile.toml").write_text((folder / "profile.toml").read_text() + "\n")
    with pytest.raises(TrustRequired, match="not trusted"):
        workspace.check_trust(folder, mine)
    workspace.trust(folder)
    workspace.check_trust(folder, mine)


def test_a_profile_that_came_with_a_folder_is_trusted_by_hand_first(tmp_path: Path) -> None:
    """Nobody named the folder, and this user did not add the profile."""
    made = Workspace(tmp_path / "made/.ocsync")
    made.add_profile(profile())
    shutil.copytree(tmp_path / "made", tmp_path / "clone")

    def check(workspace: Workspace) -> None:
        folder = workspace.open_profile("p", warn=pytest.fail)
        workspace.check_trust(folder.path, folder.profile)

    def find(place: str, explicit: Path | None = None) -> Workspace:
        return Workspace.find(explicit, environ=os.environ, cwd=tmp_path / place)

    check(find("made"))
    check(find("clone", tmp_path / "clone/.ocsync"))
    clone = find("clone")
    with pytest.raises(TrustRequired, match="came with this folder") as caught:
        check(clone)
    assert "ocsync profile trust p" in caught.value.hint
    clone.trust(clone.root / "profiles/p")
    check(find("clone"))
    with (clone.root / "profiles/p/profile.toml").open("a") as file:
        file.write("# a remark\n")
    check(find("clone"))


@pytest.mark.skipif(os.name != "posix", reason="needs users of the system")
def test_a_workspace_of_unknown_origin_with_links_is_refused(tmp_path: Path) -> None:
    made = Workspace(tmp_path / "made/.ocsync")
    made.add_profile(profile())
    (made.root / "profiles/p/runs").mkdir()
    (made.root / "profiles/p/runs/deep").symlink_to(tmp_path)
    shutil.copytree(tmp_path / "made", tmp_path / "clone", symlinks=True)

    def open_in(place: str) -> None:
        found = Workspace.find(environ=os.environ, cwd=tmp_path / place)
        found.open_profile("p", warn=pytest.fail)

    open_in("made")  # what this user made is checked file by file, as each is opened
    with pytest.raises(
        ConfigError, match="deep is a symbolic link, and you did not create this workspace"
    ):
        open_in("clone")


def test_a_workspace_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    made = Workspace(tmp_path / "elsewhere")
    made.add_profile(profile())
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone/.ocsync").symlink_to(tmp_path / "elsewhere")
    found = Workspace.find(environ=os.environ, cwd=tmp_path / "clone")
    for use in (lambda: found.open_profile("p", warn=pytest.fail), found.create):
        with pytest.raises(ConfigError, match=r"\.ocsync is a symbolic link"):
            use()
    named = Workspace.find(tmp_path / "clone/.ocsync", environ=os.environ, cwd=tmp_path)
    assert named.open_profile("p", warn=pytest.fail).path == tmp_path / "elsewhere/profiles/p"


def test_a_removed_folder_finds_no_workspace_but_a_named_one(tmp_path: Path) -> None:
    assert Workspace.find(tmp_path / "x", environ={}, cwd=None).root == tmp_path / "x"
    with pytest.raises(ConfigError, match="the current folder was removed"):
        Workspace.find(environ={}, cwd=None)


def test_a_profile_is_added_where_trust_cannot_be_recorded(tmp_path: Path) -> None:
    """Not one that cannot be used without trust: then nothing is written."""
    (tmp_path / "file").touch()
    environ = {"OCSYNC_DATA_DIR": str(tmp_path / "file/data")}
    workspace = Workspace(tmp_path / ".ocsync", environ=environ)
    with pytest.raises(ConfigError) as caught:
        workspace.add_profile(profile("risky", url="https://proxy.example"))
    assert "OCSYNC_DATA_DIR" in caught.value.hint
    assert not workspace.root.exists()
    workspace.add_profile(profile())
    folder = workspace.open_profile("p", warn=pytest.fail)
    workspace.check_trust(folder.path, folder.profile)
    assert not workspace.is_recorded(folder.path)


@pytest.mark.parametrize(
    "name", ["con", "NUL", "com1", "Lpt9", "-x", "../x", "x/y", ".", "a b", "", "x\n", "①", "ﬁ", "a" * 101]
)  # fmt: skip
def test_names_that_are_no_folder_everywhere(tmp_path: Path, name: str) -> None:
    workspace = Workspace(tmp_path / ".ocsync")
    with pytest.raises(UsageError):
        workspace.add_profile(profile(name))
    assert not workspace.root.exists()


def test_an_odd_name_of_an_earlier_version_still_opens(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / ".ocsync")
    workspace.add_profile(profile("a"))
    (workspace.root / "profiles/a").rename(workspace.root / "profiles/con")
    assert workspace.open_profile("con", warn=pytest.fail).profile.name == "con"


def test_names_that_differ_by_case_are_one(tmp_path: Path) -> None:
    """They are one folder on Windows and macOS."""
    workspace = Workspace(tmp_path / ".ocsync")
    workspace.add_profile(profile("acme"))
    with pytest.raises(UsageError, match="profile acme exists already"):
        workspace.add_profile(profile("ACME"))
