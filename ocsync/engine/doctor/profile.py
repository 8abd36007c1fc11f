"""Checks of the profile: its settings, its hosts, its secret, its trust."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from ocsync.engine.doctor.check import CheckResult, Setup, of_error, passed, problem, warning
from ocsync.engine.session import check_pinned_url
from ocsync.errors import Conflict, ExitCode, OcsyncError
from ocsync.secrets import program_of
from ocsync.store.profiles import environment_of, is_loopback
from ocsync.store.workspace import ADD_PROFILE
from ocsync.suggestions import set_variable

_BAD = ExitCode.BAD_CONFIG


def settings(setup: Setup) -> Iterator[CheckResult]:
    """Check that the profile exists, can be read, and is complete."""
    name = setup.profile_name or setup.workspace.current_profile
    if not setup.workspace.profile_names():
        yield problem(
            "no profile",
            "commands do not know which marketplace to use, nor as whom",
            f"ocsync login, or {ADD_PROFILE}",
            code=_BAD,
        )
        return
    if not name:
        yield problem(
            "no profile is current",
            "commands do not know which one to use",
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
        yield of_error(error, "changes for one marketplace must not be sent to another")
    except OcsyncError as error:
        yield of_error(error, "its marketplace is unknown")
    path = setup.short(setup.folder.path / "profile.toml")
    if not profile.client_id.strip():
        yield problem(
            f"{name} has no client ID", "no command can sign in", f"edit {path}", code=_BAD
        )
    if profile.environment and environment_of(profile.api_url) != profile.environment:
        yield problem(
            f"{name} says {profile.environment}, but its URL is {profile.api_url}",
            "one of the two is wrong",
            f"edit {path}",
            code=_BAD,
        )
    if profile.name != setup.folder.path.name:
        yield warning(
            f"folder {setup.folder.path.name} holds a profile named {profile.name}",
            "commands use the name of the folder",
            f"edit {path}",
        )
    unknown = setup.folder.unknown_keys()
    if unknown:
        yield warning(
            f"{path} has unknown settings: {', '.join(unknown)}",
            "a misspelt setting has no effect",
            f"edit {path}",
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
            "requests go to an emulator or a tunnel, not directly to OrderCloud",
            "to use another profile: ocsync profile use NAME",
        )
    elif not environment:
        yield warning(
            f"{api_host} is not one of OrderCloud's hosts",
            "it receives the secret; that is right only for your own proxy",
            "ocsync profile show; compare it with the API URL in the Portal",
        )
    if auth_host != api_host and environment:
        yield warning(
            f"it signs in at {auth_host}, not at the host of the API",
            "OrderCloud expects sign-ins at the host of the API",
            f"if sign-in fails, edit auth_url in {setup.short(setup.folder.path / 'profile.toml')}",
        )
    unencrypted = [url for url in (profile.api_url, profile.auth_url) if url.startswith("http:")]
    if unencrypted and not is_loopback(urlsplit(unencrypted[0]).hostname or ""):
        yield warning(
            f"{unencrypted[0]} is plain HTTP",
            "anyone on the network path can read the secret and the token",
            "use https, or an ssh tunnel to 127.0.0.1",
        )
    if environment:
        yield passed(environment)


def secret(setup: Setup) -> Iterator[CheckResult]:
    """Check that the secret's source exists. The secret itself is read at the sign-in."""
    source = setup.profile.secret
    sources = [bool(source.env), bool(source.command), source.keyring].count(True)
    path = setup.short(setup.folder.path / "profile.toml")
    consequence = "no command can sign in without the secret"
    if sources != 1:
        text = "no source" if sources == 0 else "several sources"
        yield problem(f"{text} for the secret in {path}", consequence, f"edit {path}", code=_BAD)
    elif source.env and not setup.environ.get(source.env):
        text = f"environment variable {source.env} is not set"
        yield problem(text, consequence, set_variable(source.env), code=_BAD)
    elif source.command and not _runs(source.command):
        text = f"the program of `{source.command}` was not found"
        yield problem(
            text, consequence, "install it, or correct the command in the profile", code=_BAD
        )
    elif source.keyring and find_spec("keyring") is None:
        text = "the secret is in the system's keyring, but the package keyring is not installed"
        yield problem(text, consequence, "pip install 'ocsync[keyring]'", code=_BAD)
    else:
        yield passed(source.describe())


def _runs(command: str) -> bool:
    try:
        return shutil.which(program_of(command)) is not None
    except (ValueError, IndexError):
        return False


def trust(setup: Setup) -> Iterator[CheckResult]:
    """Check that the profile's commands and hosts are trusted."""
    try:
        setup.workspace.check_trust(setup.folder.path, setup.profile)
    except OcsyncError as error:
        yield of_error(error, "a folder from elsewhere must not run commands or send secrets")
    else:
        yield passed("trusted")


def extras(setup: Setup) -> Iterator[CheckResult]:
    """Check that the extras which this workspace has used before are installed."""
    sources = {entry.source.rpartition(":")[0] for entry in setup.entries}
    sheets = [s for s in sources if s.partition("!")[0].lower().endswith((".xlsx", ".xls", ".ods"))]
    if sheets and find_spec("python_calamine") is None:
        yield warning(
            f"{sheets[0]} was imported, but ocsync can no longer read spreadsheets",
            "importing it again would fail",
            "pip install 'ocsync[xlsx]'",
        )
    else:
        yield passed("none missing")
