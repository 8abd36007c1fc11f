"""`ocsync delivery attach` and `detach`: a listener beside the real delivery target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ocsync.cli import kafka_options as of
from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, SecretCommand, Yes, command, seconds_of
from ocsync.cli.pause import Targets, read_all
from ocsync.cli.secret_options import secret_of
from ocsync.errors import UsageError

if TYPE_CHECKING:
    from ocsync.engine.delivery_config.attach import Detached, Listener
    from ocsync.listener_attachment import Attachment

Endpoint = Annotated[
    str, typer.Option("--endpoint", metavar="URL", help="Where OrderCloud reaches the listener.")
]
MaybeTargets = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TARGET...]", help="Only what was attached for these; else all."),
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_attach(group)
    _register_detach(group)


def _register_attach(group: typer.Typer) -> None:
    @command(group, "attach")
    def attach(
        ctx: Context,
        targets: Targets,
        endpoint: Endpoint = "",
        secret_env: Annotated[
            str, typer.Option("--secret-env", metavar="VAR", help="Holds the listener's secret.")
        ] = "",
        secret_command: SecretCommand = "",
        topic: Annotated[
            str, typer.Option("--topic", metavar="TOPIC", help="Instead: a Kafka topic, or a hub.")
        ] = "",
        servers: of.Servers = "",
        username: of.Username = "",
        username_env: of.UsernameEnv = "",
        password_env: of.PasswordEnv = "",
        password_command: of.PasswordCommand = "",
        connection_env: of.ConnectionEnv = "",
        connection_command: of.ConnectionCommand = "",
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Add a listener beside the real delivery target.

        By one PATCH, as an HTTP target (--endpoint) or a Kafka one (--servers,
        --topic). First it is tried on a configuration of its own whether such
        a PATCH leaves the other targets alone. A target that is there already
        is never written over. What is attached is remembered here, also over a
        crash: status tells it, and `delivery detach` takes all of it away.
        """
        from ocsync.engine.delivery_config import attach
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.listener_attachment import place_of

        given = of.Given(servers, username, username_env, password_env, password_command,
                         "PLAIN", connection_env, connection_command)  # fmt: skip
        wanted = read_all(targets)
        if bool(endpoint) == (given != of.Given()):
            raise UsageError("give --endpoint URL, or --servers HOST:PORT and --topic TOPIC")
        if endpoint:
            listener = _http(endpoint, secret_of(secret_env, secret_command, "its secret"))
        else:
            listener = _kafka(given, topic)
        _check_fields(listener)
        _check_reach(ctx, listener)
        ctx.lock_seconds, ctx.confirmed = seconds_of(lock_timeout), confirm

        async def write(session: Session) -> list[Attachment]:
            await sign_in(session)
            confirm_production(session)
            return await attach.attach(session, wanted, listener)

        done = ctx.online(write, locked=True)
        facts = [
            {"config": a.config, "type": a.slot, **a.shown, "targets": a.targets} for a in done
        ]
        ctx.console.document("delivery attach", {"attached": facts})
        for one in done:
            ctx.console.data(
                f"{one.config}  delivers to {place_of(one.shown)} too ({', '.join(one.targets)})",
                "+",
            )
        ctx.console.next("ocsync resume --verify", "ocsync delivery detach")


def _register_detach(group: typer.Typer) -> None:
    @command(group, "detach")
    def detach(
        ctx: Context,
        targets: MaybeTargets = None,
        endpoint: Endpoint = "",
        yes: Yes = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Take listeners away again; the real targets stay.

        All that this workspace has attached, or only those for TARGET or at
        --endpoint. With both it also asks for one that another workspace left.
        """
        from ocsync.engine.delivery_config import attach
        from ocsync.engine.session import Session, confirm_production, sign_in

        wanted = read_all(targets) if targets else []
        ctx.yes, ctx.lock_seconds, ctx.confirmed = yes, seconds_of(lock_timeout), confirm

        async def write(session: Session) -> tuple[list[Detached], list[str]]:
            await sign_in(session)
            confirm_production(session)
            done = await attach.detach(session, wanted, endpoint)
            left = await attach.strangers(session, wanted, endpoint) if wanted and endpoint else []
            if left:
                names = ", ".join(left)
                if not ctx.ask(f"{names}: remove the Http target {endpoint}, not from here?"):
                    raise UsageError(f"{names}: left as it is")
                await attach.remove(session, left, "Http")
            return done, left

        done, left = ctx.online(write, locked=True)
        facts = [
            {**_facts(one.attachment), "was": one.was.value, "changed": list(one.changed)}
            for one in done
        ]
        ctx.console.document("delivery detach", {"detached": facts, "removed": left})
        for one in done:
            _tell(ctx, one)
        for name in left:
            ctx.console.data(f"{name}  does not deliver to {endpoint} any more", "-")
        if not (done or left):
            ctx.console.talk("no listener is attached from here", "=")


def _facts(mine: Attachment) -> dict[str, Any]:
    return {"config": mine.config, "type": mine.slot, **mine.shown, "targets": mine.targets}


def _tell(ctx: Context, one: Detached) -> None:
    from ocsync.listener_attachment import AttachmentState, place_of

    mine = one.attachment
    place = place_of(mine.shown)
    if one.was is AttachmentState.OURS:
        ctx.console.data(f"{mine.config}  does not deliver to {place} any more", "-")
    elif one.was is AttachmentState.FREE:
        ctx.console.data(f"{mine.config}  delivered to {place} no more already", "=")
    else:
        text = f"its {mine.slot} target is not our listener any more; left as it is"
        ctx.console.data(f"{mine.config}  {text}", "!")
    if one.changed:
        names = ", ".join(one.changed)
        ctx.console.talk(f"  somebody changed it meanwhile, and that stays: {names}", "!")


def _http(endpoint: str, secret: str) -> Listener:
    from ocsync.engine.delivery_config.attach import Listener

    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f'"{endpoint}" is not a URL such as https://tunnel.example/')
    return Listener("Http", {"Endpoint": endpoint}, {"Secret": secret})


def _kafka(given: of.Given, topic: str) -> Listener:
    from ocsync.engine.delivery_config.attach import Listener

    brokers, hub = given.read()
    if not (topic or hub):
        raise UsageError("give --topic TOPIC")
    if not brokers.username:
        raise UsageError("OrderCloud signs in to Kafka: give --username and --password-env VAR")
    shown = {"BootstrapServers": brokers.servers, "SaslUsername": brokers.username,
             "Topic": topic or hub}  # fmt: skip
    return Listener("Kafka", shown, {"SaslPassword": brokers.password})


def _check_fields(listener: Listener) -> None:
    """Refuse what OrderCloud's fields do not take, without showing a secret."""
    from ocsync.intake.field_values import value_fault
    from ocsync.schema import DELIVERY_TARGETS

    fields = DELIVERY_TARGETS[listener.slot]
    for name, value in {**listener.shown, **listener.secrets}.items():
        if why := value_fault(fields[name], name, value):
            raise UsageError(f"{listener.slot}.{name} {why}")


def _check_reach(ctx: Context, listener: Listener) -> None:
    """OrderCloud is not on this machine, unless it is the emulator."""
    from ocsync.delivery.kafka_config import is_loopback

    servers = listener.shown.get("BootstrapServers", "")
    hosts = [one.rpartition(":")[0].strip("[]") for one in servers.split(",") if one]
    hosts = hosts or [urlsplit(listener.shown["Endpoint"]).hostname or ""]
    if all(map(is_loopback, hosts)):
        here = urlsplit(ctx.folder().profile.api_url).hostname or ""
        if not is_loopback(here):
            raise UsageError(
                f"OrderCloud cannot reach {hosts[0]}: that is this machine to everybody",
                hint="put a tunnel or a proxy in front of the listener, and give its address",
            )
