"""HTTP proxies: the environment's settings for a URL, read as curl reads them.

`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` name a proxy, `NO_PROXY` the hosts that are reached
without one; the lower-case names come first. On macOS and Windows the system's settings count where
no variable is set.
"""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

from ocsync.errors import ConfigError

_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "http://proxy.example:3128"


class Proxy(NamedTuple):
    """An HTTP proxy; *setting* is the variable that names it."""

    setting: str
    scheme: str
    host: str
    port: int
    username: str = ""
    password: str = ""

    @property
    def address(self) -> str:
        """`host:port`, without the password."""
        return address(self.host, self.port)


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy for requests to *url*, or None. Raises ConfigError for an unusable one."""
    parts = _split(url)
    if parts is None or parts.scheme not in _PORTS:
        return None
    proxies, host, port = getproxies(), parts.hostname or "", _port_of(parts)
    name = next((key for key in (parts.scheme, "all") if proxies.get(key)), "")
    if not name or port is None or _bypassed(host, port):
        return None
    return parse_proxy(proxies[name], _setting(f"{name}_proxy"))


def parse_proxy(value: str, setting: str) -> Proxy:
    """Return the proxy that *setting* names by *value*; a value without a scheme means http.

    Raises ConfigError, which does not show a user name or password.
    """
    hint = f"set it to a URL such as {_EXAMPLE}, or unset it"
    parts = _split(value)
    if parts is None:
        raise ConfigError(f"{setting} is not a valid proxy: it is not a URL", hint=hint)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme.startswith("socks"):
        text = f"{setting} is a SOCKS proxy, {scheme}://{parts.netloc.rpartition('@')[2]}"
        raise ConfigError(f"{text}; ocsync supports HTTP proxies only", hint=hint)
    if scheme not in _PORTS:
        raise ConfigError(f"{setting} is a proxy of an unknown kind, {scheme}://", hint=hint)
    port = _port_of(parts)
    if port is None:
        text = f"{setting} is not a valid proxy: its port is not a number from 1 to 65535"
        raise ConfigError(text, hint=hint)
    if not is_host(host):
        raise ConfigError(f"{setting} is not a valid proxy: it has no valid host", hint=hint)
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in username:
        text = f"{setting} has a user name with a colon, which a proxy cannot receive"
        raise ConfigError(text, hint="use another user of the proxy")
    return Proxy(setting, scheme, host, port, username, password)


def _split(value: str) -> SplitResult | None:
    text = value.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text.removeprefix('//')}")
    except ValueError:  # its text may hold the password
        return None
    return parts


def _port_of(parts: SplitResult) -> int | None:
    """Return the port, that of the scheme without one, or None for a bad one."""
    try:
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else port or _PORTS[parts.scheme.lower()]


def address(host: str, port: int | None) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def _setting(variable: str) -> str:
    """Return the name of *variable* as it is set, or of the system's settings."""
    names = (variable, variable.upper())
    return next((name for name in names if os.environ.get(name)), "the system proxy setting")


def _bypassed(host: str, port: int) -> bool:
    environment = getproxies_environment()
    if environment:
        return is_bypassed(host, port, environment.get("no", ""))
    return bool(proxy_bypass(host))


def is_bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Return whether *no_proxy* (`NO_PROXY`) holds for *host* and *port*.

    Its entries are names (with their subdomains), names with `*`, addresses, networks such as
    10.0.0.0/8, each with or without a port, or `*` for all hosts. Names are not resolved.
    """
    host = host.rstrip(".").lower()
    entries = no_proxy.replace(",", " ").lower().split()
    return any(_entry_holds(entry, host, port) for entry in entries)


def _entry_holds(entry: str, host: str, port: int) -> bool:
    pattern, wanted_port = _split_port(entry)
    if wanted_port not in ("", str(port)):
        return False
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    if "*" in pattern:
        return fnmatchcase(host, pattern)
    name = pattern.strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, str]:
    """Return an entry's host (without brackets) and port, empty without one."""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = entry.partition(":")
    return (host, port) if entry.count(":") == 1 else (entry, "")


def is_host(host: str) -> bool:
    """Return whether *host* can be a host name or an address."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return bool(host) and not set(host) & set(" \t\\<>\"'`{}|^")
