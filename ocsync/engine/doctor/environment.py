"""Checks of the environment: the packages, the variables, the terminal, the user."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from urllib.parse import urlsplit

from ocsync import __version__
from ocsync.client.proxy import Proxy, proxy_for
from ocsync.engine.doctor.check import CheckResult, Setup, of_error, passed, problem, warning
from ocsync.errors import ConfigError, ExitCode
from ocsync.suggestions import set_variable

OLDEST = (3, 11)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?")
_LIMIT = re.compile(r"(>=|<|==)\s*([\d.]+)")
_EFFECTS = {
    "OCSYNC_YES": "every prompt is answered with yes",
    "OCSYNC_CONFIRM": "writes to production need no confirmation",
    "OCSYNC_PROFILE": "commands use this profile, not the current one",
    "OCSYNC_WORKSPACE": "commands use this workspace, not the nearest one",
    "OCSYNC_QUIET": "progress and hints are not printed",
}


def python(_: Setup) -> Iterator[CheckResult]:
    """Check that this Python is new enough."""
    versions = f"Python {platform.python_version()}, ocsync {__version__}"
    if sys.version_info < OLDEST:
        yield problem(
            versions,
            "ocsync needs Python 3.11 or newer",
            "install a newer Python, then reinstall ocsync",
            code=ExitCode.BAD_CONFIG,
        )
    else:
        yield passed(versions)


def packages(_: Setup) -> Iterator[CheckResult]:
    """Check that the required packages have versions that ocsync was made for."""
    try:
        needed = metadata.requires("ocsync") or []
    except metadata.PackageNotFoundError:
        yield warning(
            "ocsync is not installed as a package", "its requirements cannot be checked", ""
        )
        return
    bad = [text for line in needed if (text := _mismatch(line))]
    if bad:
        yield problem(
            "; ".join(bad),
            "ocsync does not support these versions",
            "pip install --upgrade --force-reinstall ocsync, in its own environment",
            code=ExitCode.BAD_CONFIG,
        )
    else:
        yield passed("versions OK")


@functools.cache  # the checks run again after a repair, and packages are slow to read
def _mismatch(requirement: str) -> str:
    """Return the fault of a required package, or an empty text when its version fits."""
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if match is None or "extra" in (match[3] or "") or "sys_platform" in (match[3] or ""):
        return ""
    name, limits = match[1], match[2].strip()
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    fits = all(_satisfies(version, sign, limit) for sign, limit in _LIMIT.findall(limits))
    return "" if fits else f"{name} is {version}, not {limits}"


def _satisfies(version: str, sign: str, limit: str) -> bool:
    numbers, bound = _numbers(version), _numbers(limit)
    size = max(len(numbers), len(bound))
    padded, padded_bound = (n + (0,) * (size - len(n)) for n in (numbers, bound))
    return {">=": padded >= padded_bound, "<": padded < padded_bound, "==": padded == padded_bound}[
        sign
    ]


def _numbers(version: str) -> tuple[int, ...]:
    plain = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in plain[0].split(".")) if plain else (0,)


def terminal(setup: Setup) -> Iterator[CheckResult]:
    """Check that the encoding of the output has the signs."""
    try:
        "‖▶✓✗".encode(setup.encoding)
    except (UnicodeEncodeError, LookupError):
        yield warning(
            f"the output encoding {setup.encoding} lacks signs such as ‖ and ✓",
            "ASCII signs are printed instead, and question marks for other letters",
            f"{set_variable('PYTHONUTF8', '1')}, or a UTF-8 locale",
        )
    else:
        yield passed(setup.encoding)


def environment(setup: Setup) -> Iterator[CheckResult]:
    """Check for environment variables that change commands without being seen."""
    in_force = {name: effect for name, effect in _EFFECTS.items() if setup.environ.get(name)}
    for name, effect in in_force.items():
        yield warning(f"{name} is set", effect, f"if that is not intended: unset {name}")
    if not in_force:
        yield passed("no overrides")


def proxy(setup: Setup) -> Iterator[CheckResult]:
    """Check whether requests go through a proxy that can be used."""
    profile = setup.profile
    hosts: dict[Proxy, list[str]] = {}
    for url in dict.fromkeys((profile.api_url, profile.auth_url)):
        try:
            route = proxy_for(url)
        except ConfigError as error:
            yield of_error(error, "every command that contacts the server fails")
            return
        if route:
            hosts.setdefault(route, []).append(urlsplit(url).hostname or "")
    for route, names in hosts.items():
        yield warning(
            f"{route.setting} sends requests to {', '.join(names)} through proxy {route.address}",
            "a network failure may come from the proxy",
            f"to connect directly: {set_variable('NO_PROXY', ','.join(names))}",
        )
    if not hosts:
        yield passed("no proxy")


def user(_: Setup) -> Iterator[CheckResult]:
    """Check that ocsync does not run by sudo: others could not use its files afterwards."""
    if hasattr(os, "geteuid") and os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        yield warning(
            "ocsync is running under sudo",
            "files that it writes will belong to root",
            f"sudo -u {os.environ['SUDO_USER']} ocsync ..., or without sudo",
        )
    else:
        yield passed("not running under sudo")
