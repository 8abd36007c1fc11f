"""Addresses and credentials of Kafka brokers. Pure.

Azure Event Hubs speaks Kafka's protocol at port 9093 of its namespace: the user name is the word
`$ConnectionString`, the password is the connection string itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ocsync.errors import UsageError

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
EVENT_HUBS_USER = "$ConnectionString"
_EVENT_HUBS_PORT = 9093


class Brokers(NamedTuple):
    """Brokers: *servers* are `host:port`, with commas; without a *username* there is no sign-in."""

    servers: str
    username: str = ""
    password: str = ""
    mechanism: str = "PLAIN"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach *host*."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def parse_servers(text: str) -> str:
    """Return *text* as `host:port`, with commas. Raises UsageError."""
    servers = [server.strip() for server in text.split(",")]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise UsageError(f'"{server}" is not a broker such as kafka.example:9093')
    return ",".join(servers)


def parse_event_hubs(connection_string: str) -> tuple[Brokers, str]:
    """Return the brokers of an Event Hubs *connection_string*, and the hub it names, if any.

    Raises UsageError, which does not show the string, as it holds a key.
    """
    parts = dict(part.partition("=")[::2] for part in connection_string.strip().split(";") if part)
    low = {name.strip().casefold(): value.strip() for name, value in parts.items()}
    host = low.get("endpoint", "").partition("://")[2].partition("/")[0].partition(":")[0]
    if not host or not low.get("sharedaccesskey"):
        raise UsageError(
            "this is not an Event Hubs connection string",
            hint="Endpoint=sb://NAMESPACE.servicebus.windows.net/;SharedAccessKeyName=...;...",
        )
    servers = f"{host}:{_EVENT_HUBS_PORT}"
    return Brokers(servers, EVENT_HUBS_USER, connection_string.strip()), low.get("entitypath", "")


def librdkafka_settings(brokers: Brokers, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return librdkafka's settings for reading without committing offsets.

    TLS is used unless every server is on loopback, SASL where there is a user. `SSL_CERT_FILE`
    applies.
    """
    hosts = [one.rpartition(":")[0].strip("[]") for one in brokers.servers.split(",")]
    secure = not all(map(is_loopback, hosts))
    settings: dict[str, Any] = {
        "bootstrap.servers": brokers.servers,
        "security.protocol": ("SASL_" if brokers.username else "")
        + ("SSL" if secure else "PLAINTEXT"),
        "client.id": "ocsync",
        "group.id": "ocsync-listen",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "socket.keepalive.enable": True,
        "metadata.max.age.ms": 180_000,
        "log_level": 0,
    }
    if brokers.username:
        settings["sasl.mechanism"] = brokers.mechanism
        settings["sasl.username"] = brokers.username
        settings["sasl.password"] = brokers.password
    if secure and environ.get("SSL_CERT_FILE"):
        settings["ssl.ca.location"] = environ["SSL_CERT_FILE"]
    return settings
