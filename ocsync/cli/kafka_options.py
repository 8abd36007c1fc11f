"""Options for the servers of a Kafka topic or an Event Hub, and for signing in to them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ocsync.cli.options import check_choice
from ocsync.cli.secret_options import secret_of
from ocsync.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ocsync.delivery.kafka_config import Brokers


def _option(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel="Kafka or Event Hubs")


Servers = Annotated[str, _option("--servers", "HOST:PORT,...", "Bootstrap servers of Kafka.")]
Username = Annotated[str, _option("--username", "NAME", "SASL user name.")]
UsernameEnv = Annotated[
    str, _option("--username-env", "VAR", "Environment variable that holds the user name.")
]
PasswordEnv = Annotated[
    str, _option("--password-env", "VAR", "Environment variable that holds the SASL password.")
]
PasswordCommand = Annotated[str, _option("--password-command", "CMD", "Command that prints it.")]
Mechanism = Annotated[
    str, _option("--mechanism", "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512", "SASL mechanism.")
]
ConnectionEnv = Annotated[
    str,
    _option(
        "--connection-env",
        "VAR",
        "Environment variable that holds an Event Hubs connection string.",
    ),
]
ConnectionCommand = Annotated[
    str, _option("--connection-command", "CMD", "Command that prints it.")
]


class KafkaOptions(NamedTuple):
    """The values of the Kafka options."""

    servers: str = ""
    username: str = ""
    username_env: str = ""
    password_env: str = ""
    password_command: str = ""
    mechanism: str = "PLAIN"
    connection_env: str = ""
    connection_command: str = ""

    def resolve(self) -> tuple[Brokers, str]:
        """Return the brokers, and the topic of an Event Hubs connection string, empty if none.

        Raises UsageError, ConfigError.
        """
        from ocsync.delivery.kafka_config import (
            MECHANISMS,
            Brokers,
            parse_event_hubs,
            parse_servers,
        )

        by_string = bool(self.connection_env or self.connection_command)
        if bool(self.servers) == by_string:
            raise UsageError("give --servers HOST:PORT, or --connection-env VAR for Event Hubs")
        if by_string:
            if self.username or self.username_env or self.password_env or self.password_command:
                raise UsageError(
                    "an Event Hubs connection string already holds user name and password"
                )
            words = self.connection_env, self.connection_command
            return parse_event_hubs(secret_of(*words, "the connection string", "--connection"))
        check_choice("--mechanism", self.mechanism, MECHANISMS)
        servers, username = parse_servers(self.servers), self._user_name()
        if not username:
            if self.password_env or self.password_command:
                raise UsageError("a password also needs --username NAME or --username-env VAR")
            return Brokers(servers), ""
        words = self.password_env, self.password_command
        password = secret_of(*words, "the SASL password", "--password")
        return Brokers(servers, username, password, self.mechanism), ""

    def _user_name(self) -> str:
        if self.username and self.username_env:
            raise UsageError("give --username NAME or --username-env VAR, not both")
        if self.username_env and not os.environ.get(self.username_env):
            raise ConfigError(
                f"environment variable {self.username_env} is not set; "
                "it should hold the SASL user name"
            )
        return self.username or os.environ.get(self.username_env, "")
