"""Profiles: which marketplace, as which API client, with a secret from where.

    name = "acme-sandbox"
    api_url = "https://useast-sandbox.ordercloud.io"
    auth_url = "https://useast-sandbox.ordercloud.io"
    client_id = "..."
    secret = { env = "ACME_SECRET" }     or { command = "op read ..." }, or { keyring = true }
    marketplace = "acme"                 optional; otherwise pinned at the first sign-in
    production = true                    optional; ask for the marketplace's ID before writing
    plain_http = "proxy.internal"        optional; a host that http may be used to

The file is the user's; only `profile` commands write it. Regions, environments and hosts are from
api-facts 1.1.
"""

from __future__ import annotations

from urllib.parse import urlsplit

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
_AUTH_HOSTS = ("auth.ordercloud.io", "stagingauth.ordercloud.io", "sandboxauth.ordercloud.io")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A profile; *api_url* and *auth_url* have neither `/v1` nor a trailing slash.

    *production* marks one that is guarded as production is, though its host is not OrderCloud's.
    *plain_http* names the one host beyond loopback that http may be used to.
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

    @property
    def guarded(self) -> bool:
        """Whether a first write has to be confirmed by the marketplace's ID."""
        return self.production or environment_of(self.api_url).endswith("-production")


def read_url(text: str, plain_http: str = "") -> str:
    """A platform URL, with or without `/v1`, as profiles hold it. Raises UsageError."""
    url = text.strip().rstrip("/").removesuffix("/v1").rstrip("/")
    parts = urlsplit(url)
    try:
        parts.port  # noqa: B018 - reading it is the check
    except ValueError as error:
        raise UsageError(f'"{text}" is not a URL: {error}') from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise UsageError(f'"{text}" is not a URL such as https://useast-sandbox.ordercloud.io')
    if parts.scheme == "http" and parts.hostname not in (*_LOOPBACK, plain_http):
        raise UsageError(
            f"{url}: plain http would show the secret to everybody on the way",
            hint=f"if that must be: profile add --allow-http {parts.hostname}",
        )
    return url


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine."""
    return host in _LOOPBACK


def environment_of(api_url: str) -> str:
    """The name of OrderCloud's environment at *api_url*; empty for any other place."""
    return next((name for name, url in ENVIRONMENTS.items() if url == api_url), "")


def resolve_secret(profile: Profile) -> str:
    """The client secret, from where the profile says. Raises ConfigError; never shows it."""
    source = profile.secret
    return _from_keyring(profile) if source.keyring else resolve(source, "the client secret")


def _from_keyring(profile: Profile) -> str:
    try:
        import keyring
    except ImportError as error:
        text = "the secret is in the keyring, but keyring is not installed"
        raise ConfigError(text, hint="pip install 'ocsync[keyring]'") from error
    secret = keyring.get_password("ocsync", f"{profile.api_url} {profile.client_id}")
    if not secret:
        raise ConfigError(
            "the keyring has no secret for this profile",
            hint=f"keyring set ocsync '{profile.api_url} {profile.client_id}'",
        )
    return str(secret)


def needs_trust(profile: Profile) -> str:
    """Why this profile must be trusted by hand when it is found in a folder; empty if it need not.

    A cloned repository must not run code, nor send a secret to a host of its choice.
    """
    if profile.secret.command:
        return f"it runs the command `{profile.secret.command}`"
    known = {urlsplit(url).hostname for url in ENVIRONMENTS.values()} | {*_AUTH_HOSTS, *_LOOPBACK}
    for url in (profile.api_url, profile.auth_url):
        host = urlsplit(url).hostname
        if host not in known:
            return f"it sends the secret to {host}, which is not one of OrderCloud's hosts"
    return ""
