"""Checks of the profile: its settings, its hosts, its secret, its trust."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from ocsync.engine.doctor.check import CheckResult, Setup, of_error, passed, problem, warning
from ocsync.engine.session import check_pinned_url
from ocsync.errors import Conflict, ExitCode, OcsyncError
from ocsync.store.profiles import environment_of, is_loopback

_BAD = ExitCode.BAD_CONFIG


def settings(setup: Setup) -> Iterator[CheckResult]:
    """Check that the profile exists, can be read, and is complete."""
    name = setup.profile_name or setup.workspace.current_profile
    if not setup.workspace.profile_names():
        yield problem(
            "there is no profile",
            "nothing says which marketplace is meant, and as whom",
            "ocsync profile add NAME --environment useast-sandbox --client-id ID --secret-env VAR",
            code=_BAD,
        )
        return
    if not name:
        yield problem(
            "no profile is current",
            "commands do not know which one is meant",
            f"ocsync profile use {setup.workspace.profile_names()[0]}",
            code=_BAD,
        )
        return
    try:
        profile = setup.profile
    except OcsyncError as error:
        yield of_error(error, "no command can use it")
        return
    try:
        check_pinned_url(setup.folder)
    except Conflict as error:
        yield of_error(error, "the work of one marketplace must not be sent to another")
    except OcsyncError as error:
        yield of_error(error, "which marketplace it belongs to is not known")
    path = setup.short(setup.folder.path / "profile.toml")
    if not profile.client_id.strip():
        yield problem(f"{name} has no client ID", "nothing can sign in", f"mend {path}", code=_BAD)
    if profile.environment and environment_of(profile.api_url) != profile.environment:
        yield problem(
            f"{name} says {profile.environment}, but its URL is {profile.api_url}",
            "one of them is not what was meant",
            f"mend {path}",
            code=_BAD,
        )
    if profile.name != setup.folder.path.name:
        yield warning(
            f"the folder {setup.folder.path.name} holds a profile named {profile.name}",
            "commands know it by the folder's name",
            f"mend {path}",
        )
    unknown = setup.folder.unknown_keys()
    if unknown:
        yield warning(
            f"{path} has {', '.join(unknown)}, which mean nothing",
            "a misspelt setting is not in force",
            f"mend {path}",
        )
    yield passed(f"{name}, client ID {profile.client_id}")


def host(setup: Setup) -> Iterator[CheckResult]:
    """Check that the profile's URLs are OrderCloud's."""
    profile = setup.profile
    api_host, auth_host = (
        urlsplit(url).hostname or "" for url in (profile.api_url, profile.auth_url)
    )
    environment = environment_of(profile.api_url)
    if is_loopback(api_host):
        yield warning(
            f"{profile.api_url} is this machine",
            "an emulator or a tunnel: nothing here reaches a marketplace by itself",
            "ocsync profile use NAME, if another is meant",
        )
    elif not environment:
        yield warning(
            f"{api_host} is not one of OrderCloud's hosts",
            "it gets the secret; a proxy of your own may be meant",
            "ocsync profile show, then compare with the Portal's API URL",
        )
    if auth_host != api_host and environment:
        yield warning(
            f"it signs in at {auth_host}, not at its API's host",
            "OrderCloud takes sign-ins at the API's host",
            f"mend auth_url in {setup.short(setup.folder.path / 'profile.toml')} if sign-in fails",
        )
    unencrypted = [url for url in (profile.api_url, profile.auth_url) if url.startswith("http:")]
    if unencrypted and not is_loopback(urlsplit(unencrypted[0]).hostname or ""):
        yield warning(
            f"{unencrypted[0]} is plain http",
            "everybody on the way can read the secret and the token",
            "https, or an ssh tunnel to 127.0.0.1",
        )
    if environment:
        yield passed(environment)


def secret(setup: Setup) -> Iterator[CheckResult]:
    """Check that the secret's source exists. The secret itself is read at the sign-in."""
    source = setup.profile.secret
    sources = [bool(source.env), bool(source.command), source.keyring].count(True)
    path = setup.short(setup.folder.path / "profile.toml")
    consequence = "nothing can sign in without the secret"
    if sources != 1:
        text = "no source" if sources == 0 else "several sources"
        yield problem(f"{text} of the secret in {path}", consequence, f"mend {path}", code=_BAD)
    elif source.env and not setup.environ.get(source.env):
        text = f"environment variable {source.env} is not set"
        yield problem(text, consequence, f"export {source.env}=...", code=_BAD)
    elif source.env and setup.environ[source.env] != setup.environ[source.env].strip():
        yield warning(
            f"environment variable {source.env} begins or ends with white space",
            "it is sent as it is, and may be refused for it",
            f"set {source.env} again without it",
        )
    elif source.command and not _runs(source.command):
        text = f"`{source.command}` names no program that is there"
        yield problem(
            text, consequence, "install it, or mend the command in the profile", code=_BAD
        )
    elif source.keyring and find_spec("keyring") is None:
        text = "the secret is in the keyring, but keyring is not installed"
        yield problem(text, consequence, "pip install 'ocsync[keyring]'", code=_BAD)
    else:
        yield passed(source.describe())


def _runs(command: str) -> bool:
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return bool(words) and shutil.which(words[0]) is not None


def trust(setup: Setup) -> Iterator[CheckResult]:
    """Check that the profile's commands and hosts are trusted."""
    try:
        setup.workspace.check_trust(setup.folder.path, setup.profile)
    except OcsyncError as error:
        yield of_error(error, "a folder that came from elsewhere must not run or send anything")
    else:
        yield passed("as it is now")


def extras(setup: Setup) -> Iterator[CheckResult]:
    """Check that the extras which this workspace has used before are installed."""
    sources = {entry.source.rpartition(":")[0] for entry in setup.entries}
    sheets = [s for s in sources if s.partition("!")[0].lower().endswith((".xlsx", ".xls", ".ods"))]
    if sheets and find_spec("python_calamine") is None:
        yield warning(
            f"{sheets[0]} was staged, but spreadsheets can no longer be read",
            "importing it again would be refused",
            "pip install 'ocsync[xlsx]'",
        )
    else:
        yield passed("none is missing")
