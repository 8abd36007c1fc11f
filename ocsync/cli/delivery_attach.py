"""The `ocsync delivery attach` and `ocsync delivery detach` commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ocsync.cli import kafka_options
from ocsync.cli.context import Context
from ocsync.cli.options import ALL_ANSWERS, SecretCommand, command
from ocsync.cli.pause import Targets, expand_targets
from ocsync.cli.secret_options import secret_of
from ocsync.errors import UsageError

if TYPE_CHECKING:
    from ocsync.engine.delivery_config.attach import Detached, Listener
    from ocsync.listener_attachment import Attachment

Endpoint = Annotated[
    str,
    typer.Option("--endpoint", metavar="URL", help="URL at which OrderCloud reaches the listener."),
]
OptionalTargets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET...]", help="Targets whose listeners are removed. Default: all."
    ),
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_attach(group)
    _register_detach(group)


def _register_attach(group: typer.Typer) -> None:
    @command(group, "attach", answers=("confirm", "lock_timeout"))
    def attach(
        ctx: Context,
        targets: Targets,
        endpoint: Endpoint = "",
        secret_env: Annotated[
            str,
            typer.Option(
                "--secret-env",
                metavar="VAR",
                help="Environment variable that holds the listener's secret.",
            ),
        ] = "",
        secret_command: SecretCommand = "",
        topic: Annotated[
            str,
            typer.Option(
                "--topic", metavar="TOPIC", help="Kafka topic or Event Hub, instead of --endpoint."
            ),
        ] = "",
        servers: kafka_options.Servers = "",
        username: kafka_options.Username = "",
        username_env: kafka_options.UsernameEnv = "",
        password_env: kafka_options.PasswordEnv = "",
        password_command: kafka_options.PasswordCommand = "",
        connection_env: kafka_options.ConnectionEnv = "",
        connection_command: kafka_options.ConnectionCommand = "",
    ) -> None:
        r"""Add a listener beside the real delivery target.

        Sends one PATCH that adds an HTTP target (--endpoint) or a Kafka target (--servers,
        --topic). Before that, a configuration made for the purpose shows whether such a PATCH
        leaves other targets alone. Never replaces an existing target. Attachments are
        recorded before they are sent, so they survive a crash; status lists them, and
        delivery detach removes all of them.

        Examples:
          ocsync delivery attach products --endpoint https://hook.example/oc \
              --secret-env HOOK_SECRET
          ocsync delivery attach inventory --servers broker:9092 --topic oc.inventory
        """
        from ocsync.engine.delivery_config import attach
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.listener_attachment import destination_of

        options = kafka_options.KafkaOptions(
            servers=servers,
            username=username,
            username_env=username_env,
            password_env=password_env,
            password_command=password_command,
            connection_env=connection_env,
            connection_command=connection_command,
        )
        expanded = expand_targets(targets)
        if bool(endpoint) == (options != kafka_options.KafkaOptions()):
            raise UsageError("give --endpoint URL, or --servers HOST:PORT and --topic TOPIC")
        if endpoint:
            listener = _http_listener(endpoint, secret_of(secret_env, secret_command, "its secret"))
        else:
            listener = _kafka_listener(options, topic)
        _check_fields(listener)
        _check_reachable(ctx, listener)

        async def write(session: Session) -> list[Attachment]:
            await sign_in(session)
            confirm_production(session)
            return await attach.attach(session, expanded, listener)

        attachments = ctx.run_online(write, locked=True)
        facts = [_attachment_document(attachment) for attachment in attachments]
        ctx.console.document("delivery attach", {"attached": facts})
        for attachment in attachments:
            where, names = destination_of(attachment.shown), ", ".join(attachment.targets)
            ctx.console.print(f"{attachment.config}  also delivers to {where} ({names})", "+")
        ctx.console.suggest("ocsync resume --verify", "ocsync delivery detach")


def _register_detach(group: typer.Typer) -> None:
    @command(group, "detach", answers=ALL_ANSWERS)
    def detach(
        ctx: Context,
        targets: OptionalTargets = None,
        endpoint: Endpoint = "",
    ) -> None:
        """Remove listeners; the real targets stay.

        Removes everything that this workspace attached, or only the listeners of TARGET or at
        --endpoint. With both it also removes one that another workspace left, after a
        question.

        Examples:
          ocsync delivery detach
          ocsync delivery detach products --endpoint https://hook.example/oc
        """
        from ocsync.engine.delivery_config import attach
        from ocsync.engine.session import Session, confirm_production, sign_in

        expanded = expand_targets(targets) if targets else []

        async def write(session: Session) -> tuple[list[Detached], list[str]]:
            await sign_in(session)
            confirm_production(session)
            detached = await attach.detach(session, expanded, endpoint)
            left = []
            if expanded and endpoint:
                left = await attach.unknown_listeners(session, expanded, endpoint)
            if left:
                names = ", ".join(left)
                if not ctx.ask(
                    f"{names}: remove Http target {endpoint}, not attached by this workspace?"
                ):
                    raise UsageError(f"{names}: left unchanged")
                await attach.remove(session, left, "Http")
            return detached, left

        detached, left = ctx.run_online(write, locked=True)
        facts = [_detached_document(one) for one in detached]
        ctx.console.document("delivery detach", {"detached": facts, "removed": left})
        for one in detached:
            _show_detached(ctx, one)
        for name in left:
            ctx.console.print(f"{name}  no longer delivers to {endpoint}", "-")
        if not (detached or left):
            ctx.console.info("this workspace has attached no listener", "=")


def _attachment_document(attachment: Attachment) -> dict[str, Any]:
    return {
        "config": attachment.config,
        "type": attachment.target_type,
        **attachment.shown,
        "targets": attachment.targets,
    }


def _detached_document(detached: Detached) -> dict[str, Any]:
    facts = {"was": detached.state.value, "changed": list(detached.changed)}
    return {**_attachment_document(detached.attachment), **facts}


def _show_detached(ctx: Context, detached: Detached) -> None:
    from ocsync.listener_attachment import AttachmentState, destination_of

    attachment = detached.attachment
    where = destination_of(attachment.shown)
    if detached.state is AttachmentState.OURS:
        ctx.console.print(f"{attachment.config}  no longer delivers to {where}", "-")
    elif detached.state is AttachmentState.FREE:
        ctx.console.print(f"{attachment.config}  had already stopped delivering to {where}", "=")
    else:
        text = f"its {attachment.target_type} target is no longer this listener; left unchanged"
        ctx.console.print(f"{attachment.config}  {text}", "!")
    if detached.changed:
        names = ", ".join(detached.changed)
        ctx.console.info(
            f"  someone else changed these in the meantime; left unchanged: {names}", "!"
        )


def _http_listener(endpoint: str, secret: str) -> Listener:
    from ocsync.engine.delivery_config.attach import Listener

    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f'"{endpoint}" is not a URL such as https://tunnel.example/')
    return Listener("Http", {"Endpoint": endpoint}, {"Secret": secret})


def _kafka_listener(options: kafka_options.KafkaOptions, topic: str) -> Listener:
    from ocsync.engine.delivery_config.attach import Listener

    brokers, hub = options.resolve()
    if not (topic or hub):
        raise UsageError("give --topic TOPIC")
    if not brokers.username:
        raise UsageError("OrderCloud must sign in to Kafka: give --username and --password-env VAR")
    shown = {"BootstrapServers": brokers.servers, "SaslUsername": brokers.username,
             "Topic": topic or hub}  # fmt: skip
    return Listener("Kafka", shown, {"SaslPassword": brokers.password})


def _check_fields(listener: Listener) -> None:
    """Raise UsageError for a value that OrderCloud refuses, without showing a secret."""
    from ocsync.intake.field_values import value_fault
    from ocsync.schema import DELIVERY_TARGETS

    fields = DELIVERY_TARGETS[listener.target_type]
    for name, value in {**listener.shown, **listener.secrets}.items():
        if reason := value_fault(fields[name], name, value):
            raise UsageError(f"{listener.target_type}.{name} {reason}")


def _check_reachable(ctx: Context, listener: Listener) -> None:
    """Raise UsageError for a loopback address, unless OrderCloud is the local emulator."""
    from ocsync.delivery.kafka_config import is_loopback

    servers = listener.shown.get("BootstrapServers", "")
    hosts = [one.rpartition(":")[0].strip("[]") for one in servers.split(",") if one]
    hosts = hosts or [urlsplit(listener.shown["Endpoint"]).hostname or ""]
    if all(map(is_loopback, hosts)):
        here = urlsplit(ctx.folder().profile.api_url).hostname or ""
        if not is_loopback(here):
            raise UsageError(
                f"OrderCloud cannot reach {hosts[0]}, which means this machine",
                hint="put a tunnel or a proxy in front of the listener, and give its URL",
            )
