"""Profiles: a marketplace, an API client, and the source of its secret.

    name = "acme-sandbox"
    api_url = "https://useast-sandbox.ordercloud.io"
    auth_url = "https://useast-sandbox.ordercloud.io"
    client_id = "..."
    secret = { env = "ACME_SECRET" }     or { command = "op read ..." }, or { keyring = true }
    marketplace = "acme"                 optional; otherwise pinned at the first sign-in
    production = true                    optional; ask for the marketplace's ID before writing
    plain_http = "proxy.internal"        optional; a host that http may be used to
    notify_env = "SLACK_WEBHOOK"         optional; the variable with the webhook of --notify

The file is the user's; only `profile` commands write it. Regions, environments and hosts are from
guide/ordercloud.md 1.1.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from ocsync.errors import ConfigError, UsageError
from ocsync.secrets import SecretSource, resolve

_REGIONS = ("useast", "australiaeast", "westeurope", "japaneast")
ENVIRONMENTS: dict[str, str] = {
    "uswest-production": "https://api.ordercloud.io",
    "uswest-staging": "https://stagingapi.ordercloud.io",
    "uswest-sandbox": "https://sandboxapi.ordercloud.io",
    **{
        f"{region}-{stage}": f"https://{region}-{stage}.ordercloud.io"
        for region in _REGIONS
        for stage in ("production", "staging", "sandbox")
    },
}
_BY_HOST = {
    **{str(urlsplit(url).hostname): name for name, url in ENVIRONMENTS.items()},
    **{f"uswest-{s}.ordercloud.io": f"uswest-{s}" for s in ("production", "staging", "sandbox")},
}
"""OrderCloud's hosts; US West has two names for each (guide/ordercloud.md 12.1)."""
_ORDERCLOUD = re.compile(r"(.+\.)?ordercloud\.io")
_REHEARSAL = re.compile(r"((staging|sandbox)api|[a-z]+-(staging|sandbox))\.ordercloud\.io")
"""The hosts that are clearly no production."""
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PORTS = {"http": 80, "https": 443}
_AUTH_HOSTS = ("auth.ordercloud.io", "stagingauth.ordercloud.io", "sandboxauth.ordercloud.io")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Profile; *api_url* and *auth_url* have neither `/v1` nor a trailing slash.

    *production* says that it is guarded as production, although its host is not OrderCloud's.
    *plain_http* names the one host beyond loopback that http may be used to; *notify_env* the
    environment variable that holds the address of a webhook.
    """

    name: str
    api_url: str
    auth_url: str
    client_id: str
    secret: SecretSource
    environment: str = ""
    marketplace: str = ""
    production: bool = False
    plain_http: str = ""
    notify_env: str = ""

    @property
    def guarded(self) -> bool:
        """True when a first write has to be confirmed by the marketplace's ID."""
        by_name = self.environment.endswith("-production")
        return self.production or by_name or is_production(self.api_url)


def parse_url(text: str, plain_http: str = "") -> str:
    """Return a platform URL, with or without `/v1`, as profiles hold it.

    Host and scheme are in lower case, without a final dot and the scheme's own port, so that one
    place has one spelling. Raises UsageError; what may be secret in *text* is not shown.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = _host_of(parts)
    except ValueError as error:
        raise UsageError(f"not a URL: {error}", hint=f"such as {_EXAMPLE}") from error
    if parts.scheme not in _PORTS or not host:
        raise UsageError("not a URL with http or https and a host", hint=f"such as {_EXAMPLE}")
    url = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}"
    url += f":{port}" if port not in (None, _PORTS[parts.scheme]) else ""
    beyond = {
        "a user name before its host": "@" in parts.netloc,
        "a path after its host": parts.path.strip("/").casefold() not in ("", "v1"),
        "a query": "?" in text,
        "a fragment": "#" in text,
    }
    if wrong := [what for what, there in beyond.items() if there]:
        raise UsageError(
            f"the URL has {' and '.join(wrong)}; it must end after the host",
            hint=f"use {url}",
        )
    if parts.scheme == "http" and host not in (*_LOOPBACK, plain_http):
        raise UsageError(
            f"{url}: over plain HTTP, anyone on the network can read the secret",
            hint=f"to allow it anyway: --allow-http {host}",
        )
    return url


_EXAMPLE = "https://useast-sandbox.ordercloud.io"


def _host_of(parts: SplitResult) -> str:
    """Return the host in lower case, without a final dot. Raises ValueError.

    Only ASCII is taken: other scripts have letters that a resolver reads as those of another host.
    """
    host = (parts.hostname or "").removesuffix(".")
    if ":" in host:
        try:
            return IPv6Address(host).compressed
        except AddressValueError as error:
            raise ValueError(f"{error}") from error
    if host and not _HOST.fullmatch(host):
        raise ValueError(f"{host!a} is not an ASCII host name")
    return host


def is_loopback(host: str) -> bool:
    """Return whether *host* is this machine."""
    return host in _LOOPBACK


def environment_of(api_url: str) -> str:
    """Return the name of OrderCloud's environment at *api_url*; empty for any other URL."""
    return _BY_HOST.get(urlsplit(api_url).hostname or "", "")


def is_production(api_url: str) -> bool:
    """Return whether *api_url* is a host of OrderCloud's that is not clearly staging or sandbox."""
    host = urlsplit(api_url).hostname or ""
    return bool(_ORDERCLOUD.fullmatch(host)) and not _REHEARSAL.fullmatch(host)


def same_place(one: str, other: str) -> bool:
    """Return whether two URLs that `parse_url` returned lead to one API."""
    environment = environment_of(one)
    return one == other or (bool(environment) and environment == environment_of(other))


def resolve_secret(profile: Profile) -> str:
    """Return the client secret from the profile's source. Raises ConfigError; never shows it."""
    source = profile.secret
    return _from_keyring(profile) if source.keyring else resolve(source, "the client secret")


def _from_keyring(profile: Profile) -> str:
    if secret := find_in_keyring(profile):
        return secret
    raise ConfigError(
        "the system's keyring has no secret for this profile",
        hint=f"ocsync profile edit {profile.name} --secret-keyring asks for it and stores it",
    )


def find_in_keyring(profile: Profile) -> str:
    """Return the secret that the system's keyring has for *profile*, or "". Raises ConfigError."""
    return str(_keyring().get_password(*_keyring_entry(profile)) or "").strip()


def store_in_keyring(profile: Profile, secret: str) -> None:
    """Store *secret* in the system's keyring. Raises ConfigError."""
    keyring = _keyring()
    from keyring.errors import KeyringError

    try:
        keyring.set_password(*_keyring_entry(profile), secret)
    except KeyringError as error:
        raise ConfigError(f"the keyring refused the secret: {error}", hint="unlock it") from error


def _keyring_entry(profile: Profile) -> tuple[str, str]:
    return "ocsync", f"{profile.api_url} {profile.client_id}"


def _keyring() -> Any:
    try:
        import keyring
    except ImportError as error:
        text = "the secret is in the system's keyring, but the package keyring is not installed"
        raise ConfigError(text, hint="pip install 'ocsync[keyring]'") from error
    return keyring


def trust_risk(profile: Profile) -> str:
    """Return why this profile must be trusted by hand when it is found in a folder; empty if not.

    A cloned repository must not run code, nor send a secret to a host of its choice.
    """
    if profile.secret.command:
        return f"it runs the command `{profile.secret.command}`"
    for url in (profile.api_url, profile.auth_url):
        host = urlsplit(url).hostname or ""
        if host not in (*_BY_HOST, *_AUTH_HOSTS, *_LOOPBACK):
            return f"it sends the secret to {host}, which is not one of OrderCloud's hosts"
        if urlsplit(url).scheme == "http" and not is_loopback(host):
            return f"it sends the secret to {host} over plain HTTP"
    return ""
