"""The `ocsync listen` commands: http, kafka and log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli import kafka_options
from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, SecretCommand, command, parse_moment
from ocsync.cli.secret_options import secret_of
from ocsync.errors import ConfigError, Damaged, ExitCode, UsageError

if TYPE_CHECKING:
    from ocsync.delivery.decoding import ReportMessage, ShowMessages
    from ocsync.models import Delivery

Since = Annotated[
    str,
    typer.Option(
        "--since",
        "--from",
        metavar="TIME",
        help="Start at a time, such as 1h (ago) or 2026-11-24T08:00Z.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="listen", help="Receive the messages of a delivery target.", no_args_is_help=True
    )
    app.add_typer(group, name="listen")
    _register_http(group)
    _register_kafka(group)
    _register_log(group)


def _register_http(group: typer.Typer) -> None:
    @command(group, "http", exits=LOCAL_EXITS)
    def http(
        ctx: Context,
        port: Annotated[
            int,
            typer.Option(
                "--port",
                metavar="N",
                min=0,
                max=65535,
                help="Port to listen on (0 = any free port).",
            ),
        ] = 8766,
        bind: Annotated[
            str,
            typer.Option(
                "--bind",
                metavar="ADDRESS",
                help="Address to listen on; beyond loopback only with a secret.",
            ),
        ] = "127.0.0.1",
        secret_env: Annotated[
            str,
            typer.Option(
                "--secret-env",
                metavar="VAR",
                help="Environment variable that holds the target's secret.",
            ),
        ] = "",
        secret_command: SecretCommand = "",
        unsigned: Annotated[
            bool,
            typer.Option("--unsigned", help="Accept unsigned messages; loopback only."),
        ] = False,
        auth_header: Annotated[
            str,
            typer.Option("--auth-header", metavar="NAME", help="Require this custom header too."),
        ] = "",
        auth_value_env: Annotated[
            str,
            typer.Option(
                "--auth-value-env",
                metavar="VAR",
                help="Environment variable that holds the header's value.",
            ),
        ] = "",
    ) -> None:
        """Receive messages over HTTP and keep them for resume --verify.

        Each message is checked against X-oc-hash and is on disk before the answer 200; an
        unsigned message gets 401, one that cannot be kept 503. OrderCloud has to reach the
        listener: leave it on loopback and put a tunnel or a TLS proxy in front. It can run
        beside listen kafka. Each message is shown as it comes: its time, target and entity,
        and whether it is new or a duplicate.

        Examples:
          ocsync listen http --secret-env HOOK_SECRET
          ocsync listen http --port 0 --unsigned
        """
        try:
            from ocsync.delivery.http_listener import (
                HttpListener,
                RequestCheck,
                open_socket,
                serve,
                url_of,
            )
        except ImportError as error:
            text = "listen http needs starlette and uvicorn, which are not installed"
            raise ConfigError(text, hint="pip install 'ocsync[emulator]'") from error

        if bool(secret_env or secret_command) == unsigned:
            raise UsageError("give --secret-env VAR, or --unsigned to accept unsigned messages")
        if bool(auth_header) != bool(auth_value_env):
            raise UsageError("--auth-header and --auth-value-env must be given together")
        secret = "" if unsigned else secret_of(secret_env, secret_command, "the target's secret")
        value = secret_of(auth_value_env, "", "the header's value") if auth_header else ""
        folder = ctx.folder()
        counts, heard = _counters(ctx, "refused with 503, so that OrderCloud resends it")
        locked = folder.listen_lock("http")
        with _ended_by_signals(), locked, open_socket(bind, port, secret) as listener:
            url = url_of(listener)
            ctx.console.document("listen http", {"url": url, "log": str(folder.delivery_log.path)})
            _show_start(ctx, f"at {url}")
            _show_how_to_reach(ctx, url, bind)
            _suggest_next(ctx, f"--endpoint URL --secret-env {secret_env or 'VAR'}")
            check = RequestCheck(secret, auth_header, value)
            show = _message_printer(ctx)
            serve(HttpListener(check, folder.delivery_log.append, heard, show), listener)
        _show_end(ctx, counts)


def _register_kafka(group: typer.Typer) -> None:
    @command(group, "kafka", ExitCode.SIGN_IN, ExitCode.TRY_LATER, exits=LOCAL_EXITS)
    def kafka(
        ctx: Context,
        topics: Annotated[
            list[str] | None,
            typer.Option("--topic", metavar="TOPIC", help="Topic or Event Hub; can be repeated."),
        ] = None,
        servers: kafka_options.Servers = "",
        username: kafka_options.Username = "",
        username_env: kafka_options.UsernameEnv = "",
        password_env: kafka_options.PasswordEnv = "",
        password_command: kafka_options.PasswordCommand = "",
        mechanism: kafka_options.Mechanism = "PLAIN",
        connection_env: kafka_options.ConnectionEnv = "",
        connection_command: kafka_options.ConnectionCommand = "",
        since: Since = "",
    ) -> None:
        """Receive messages from a Kafka topic or an Azure Event Hub.

        Messages are kept for resume --verify. Reading starts now, or at --since; no offset is
        committed. TLS is used except on loopback. With --connection-env it reads an Event
        Hub. It waits for a broker that is gone. It can run beside listen http.

        Examples:
          ocsync listen kafka --servers broker:9092 --topic oc.inventory
          ocsync listen kafka --connection-env EVENT_HUB --topic products --since 1h
        """
        options = kafka_options.KafkaOptions(
            servers=servers,
            username=username,
            username_env=username_env,
            password_env=password_env,
            password_command=password_command,
            mechanism=mechanism,
            connection_env=connection_env,
            connection_command=connection_command,
        )
        start = parse_moment(since) if since else None
        try:
            from ocsync.delivery.kafka_listener import KafkaListener
            from ocsync.engine.signals import handled
        except ImportError as error:
            text = "listen kafka needs confluent-kafka, which is not installed"
            raise ConfigError(text, hint="pip install 'ocsync[kafka]'") from error

        brokers, hub = options.resolve()
        names = list(dict.fromkeys(topics or filter(None, [hub])))
        if not names:
            raise UsageError("give --topic TOPIC")
        folder = ctx.folder()
        counts, heard = _counters(ctx, "waiting for disk space; the topic keeps the messages")
        append = folder.delivery_log.append
        signals: list[int] = []
        with folder.listen_lock("kafka"), handled(signals.append):
            show = _message_printer(ctx)
            reader = KafkaListener(brokers, names, append, heard, ctx.warn, show=show)
            with closing(reader):
                ctx.console.info(f"connecting to {brokers.servers} ...")
                partitions = reader.open(start)
                facts = {"servers": brokers.servers, "topics": names, "partitions": partitions}
                log = str(folder.delivery_log.path)
                ctx.console.document("listen kafka", {**facts, "log": log})
                _show_start(ctx, f"to {', '.join(names)} at {brokers.servers}")
                _suggest_next(ctx, f"--servers {brokers.servers} --topic {names[0]} ...")
                reader.run(lambda: bool(signals))
        _show_end(ctx, counts)


def _register_log(group: typer.Typer) -> None:
    @command(group, "log", ExitCode.BAD_CONFIG, exits=LOCAL_EXITS)
    def log(
        ctx: Context,
        since: Since = "",
        every: Annotated[
            bool, typer.Option("--all", help="Show repetitions too, one line a message.")
        ] = False,
    ) -> None:
        """Show what the listeners received, each message once.

        Repetitions are counted, because OrderCloud may send a message more than once.

        Examples:
          ocsync listen log --since 1h
          ocsync listen log --all
        """
        import msgspec

        from ocsync.delivery.decoding import distinct_messages
        from ocsync.render import listen as shown
        from ocsync.store.timestamps import utc_now

        start = parse_moment(since) if since else None
        received = ctx.folder().delivery_log.read()
        selected = [one for one in received if not start or datetime.fromisoformat(one.at) >= start]
        unique = distinct_messages(selected)
        facts = {"messages": len(selected), "distinct": len(unique)}
        if ctx.console.json:
            rows = selected if every else [one.facts() for one in unique]
            ctx.console.document("listen log", {**facts, "log": msgspec.to_builtins(rows)})
            return
        now = utc_now()
        ctx.console.print_lines(
            shown.message_table(selected, now) if every else shown.distinct_table(unique, now)
        )
        text = shown.received_text(len(selected), len(selected) - len(unique))
        ctx.console.info(text if selected else "no message received", "=")


def _counters(ctx: Context, when_full: str) -> tuple[Counter[str], ReportMessage]:
    """Return the counts of messages by result, and the callback that counts and warns."""
    counts: Counter[str] = Counter()

    def heard(status: int, about: str) -> None:
        counts["taken" if status == 200 else "kept back" if status == 503 else "refused"] += 1
        with suppress(OSError):  # a terminal or a file that is full ends no listener
            tell(status, about)

    def tell(status: int, about: str) -> None:
        if status == 503:
            ctx.warn_once(f"cannot write the log ({about}): {when_full}")
        elif status == 401:
            ctx.warn_once("refused a request with a wrong or missing signature or header (401)")
        elif status != 200:
            ctx.warn_once(f"refused: {about}")

    return counts, heard


def _message_printer(ctx: Context) -> ShowMessages:
    """Return the function that writes a line, or with --json an event, for each message."""
    from ocsync.delivery.received import MessageEvents
    from ocsync.render.json_data import json_data
    from ocsync.render.listen import message_line
    from ocsync.store.timestamps import utc_now

    events = MessageEvents(())
    with suppress(Damaged):  # a damaged log is still written; doctor reports it
        events = MessageEvents(ctx.folder().delivery_log.read())

    def show(messages: Sequence[Delivery]) -> None:
        now = utc_now()
        with suppress(OSError):  # a terminal or a file that is full ends no listener
            for event in events.of(messages):
                ctx.console.event(json_data(event))
                if not ctx.console.json:
                    ctx.console.print(message_line(event, now), "=" if event.duplicate else "+")
            ctx.console.flush()

    return show


def _show_start(ctx: Context, where: str) -> None:
    name = ctx.folder().profile.name
    ctx.console.print(f"listening {where} for profile {name} (press Ctrl-C to stop)", "▶")


def _show_how_to_reach(ctx: Context, url: str, bind: str) -> None:
    from ocsync.delivery.kafka_config import is_loopback

    if is_loopback(bind):
        ctx.console.info(
            "  Only this machine can reach it. For OrderCloud, put a tunnel or a TLS proxy in "
            f"front, such as: cloudflared tunnel --url {url}"
        )
        ctx.console.info("  The URL of the delivery target is then the address of the tunnel.")
        return
    ctx.console.info(
        "  Anyone whom the firewall lets through can reach it, and anyone on the network path can "
        "read the messages (plain HTTP). Safer: loopback behind a TLS proxy.",
        "!",
    )


def _suggest_next(ctx: Context, options: str) -> None:
    ctx.console.suggest(f"ocsync delivery attach TARGET {options}")
    ctx.console.suggest("ocsync resume --verify")


def _show_end(ctx: Context, counts: Counter[str]) -> None:
    from ocsync.render.text import count

    back = f", {counts['kept back']:,} not accepted" if counts["kept back"] else ""
    taken = count(counts["taken"], "message")
    ctx.console.info(f"{taken} received, {counts['refused']:,} refused{back}", "=")
    if left := ctx.folder().read_raw_attachments():
        names = ", ".join(key.partition("/")[0] for key in left)
        ctx.console.info(f"{names}: OrderCloud still delivers to this workspace's listener", "!")
        ctx.console.suggest("ocsync delivery detach")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End the block, without an error, at SIGINT or SIGTERM."""
    from ocsync.engine.signals import handled

    def end(number: int) -> None:
        raise KeyboardInterrupt(number)

    with suppress(KeyboardInterrupt), handled(end):
        yield
