"""`ocsync listen http`: receive a delivery target's messages."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.emulator import needs_extra
from ocsync.cli.options import LOCAL, command
from ocsync.errors import ConfigError, ExitCode, UsageError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Receive a delivery target's messages.", no_args_is_help=True)
    app.add_typer(group, name="listen")

    @command(group, "http", ExitCode.LOCKED, exits=LOCAL)
    def http(
        ctx: Context,
        port: Annotated[
            int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")
        ] = 8766,
        bind: Annotated[
            str,
            typer.Option("--bind", metavar="ADDRESS", help="Beyond loopback with a secret only."),
        ] = "127.0.0.1",
        secret_env: Annotated[
            str, typer.Option("--secret-env", metavar="VAR", help="Holds the target's secret.")
        ] = "",
        unsigned: Annotated[
            bool,
            typer.Option("--unsigned", help="Take messages without a signature; loopback only."),
        ] = False,
    ) -> None:
        """Receive messages over HTTP, and keep them for resume --verify.

        Each is checked against X-oc-hash and on disk before it is answered.
        OrderCloud has to reach it: put a tunnel or a proxy with TLS in front.
        """
        try:
            from ocsync.delivery.receiver import Receiver, listen, serve
        except ImportError as error:
            raise needs_extra() from error

        if bool(secret_env) == unsigned:
            raise UsageError("give --secret-env VAR, or --unsigned to check nothing")
        secret = os.environ.get(secret_env, "") if secret_env else ""
        if secret_env and not secret:
            raise ConfigError(f"environment variable {secret_env} is not set")
        folder = ctx.folder()
        counts = {"taken": 0, "refused": 0}

        def heard(status: int, namespace: str) -> None:
            counts["taken" if status == 200 else "refused"] += 1
            if status == 401:
                ctx.warn("a request without the right X-oc-hash was refused (401)")
            elif status != 200:
                ctx.warn(f"a request that is no message was refused ({status})")
            elif ctx.console.verbose:
                ctx.console.talk(namespace, "+")

        with folder.listen_lock(), listen(bind, port, secret) as listener:
            url = f"http://{bind}:{listener.getsockname()[1]}/"
            ctx.console.document("listen http", {"url": url, "log": str(folder.deliveries.path)})
            ctx.console.data(
                f"listening at {url} for profile {folder.profile.name} (Ctrl-C ends it)", "▶"
            )
            ctx.console.next(
                "ocsync delivery attach TARGET --endpoint URL --secret-env VAR",
                "ocsync resume --verify",
            )
            serve(Receiver(secret, folder.deliveries.append, heard), listener)
        ctx.console.talk(f"{counts['taken']:,} messages taken, {counts['refused']:,} refused", "=")
