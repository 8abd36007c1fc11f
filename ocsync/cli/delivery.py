"""`ocsync delivery ...`: where OrderCloud delivers, and a listener beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, command, seconds_of
from ocsync.cli.pause import Targets
from ocsync.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ocsync.engine.deliveries import Bound
    from ocsync.resources import Target

Endpoint = Annotated[
    str, typer.Option("--endpoint", metavar="URL", help="Where OrderCloud reaches the listener.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="delivery", help="Where OrderCloud delivers to.", no_args_is_help=True)
    app.add_typer(group, name="delivery")

    @command(group, "list")
    def list_(ctx: Context) -> None:
        """List the delivery configurations, and what each delivers."""
        from ocsync.engine.deliveries import list_bound
        from ocsync.engine.work import Work, sign_in
        from ocsync.render.text import columns
        from ocsync.resources import TARGETS

        async def read(work: Work) -> list[Bound]:
            await sign_in(work)
            return await list_bound(work, list(TARGETS.values()))

        found = ctx.online(read)
        ctx.console.document("delivery list", {
            "deliveries": [{**one.document, "targets": list(one.targets)} for one in found]
        })  # fmt: skip
        rows = [
            (
                "▶" if one.document.get("Enabled") else "✗",
                str(one.document["ID"]),
                ", ".join(one.kinds),
                ", ".join(one.targets) or "nothing",
            )
            for one in found
        ]
        ctx.console.lines(columns(rows, "<<<<"))
        if not found:
            ctx.console.talk("there is no delivery configuration", "=")

    @command(group, "show")
    def show(
        ctx: Context, name: Annotated[str, typer.Argument(metavar="ID", help="The configuration.")]
    ) -> None:
        """Show a delivery configuration; OrderCloud keeps its secrets to itself."""
        from ocsync.engine import deliveries
        from ocsync.engine.work import Work, sign_in

        async def read(work: Work) -> dict[str, object]:
            await sign_in(work)
            return await deliveries.show(work, name)

        import json

        found = ctx.online(read)
        ctx.console.document("delivery show", found)
        if not ctx.console.json:
            ctx.console.lines(json.dumps(found, indent=2, ensure_ascii=False).splitlines())

    @command(group, "bind")
    def bind(
        ctx: Context,
        target: Annotated[str, typer.Argument(metavar="TARGET", help="The sync target.")],
        name: Annotated[str, typer.Argument(metavar="ID", help="The configuration.")],
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Let a target deliver by a configuration; one without a sync config gets one."""
        from ocsync.engine import deliveries
        from ocsync.engine.work import Work, before_writing, sign_in

        [one] = _targets([target])
        ctx.lock_seconds, ctx.confirmed = seconds_of(lock_timeout), confirm

        async def write(work: Work) -> None:
            await sign_in(work)
            before_writing(work)
            await deliveries.bind(work, one, name)

        ctx.online(write, locked=True)
        ctx.console.document("delivery bind", {"target": one.name, "delivery": name})
        ctx.console.data(f"{one.name}  delivers by {name}", "▶")

    @command(group, "attach")
    def attach(
        ctx: Context,
        targets: Targets,
        endpoint: Endpoint,
        secret_env: Annotated[
            str, typer.Option("--secret-env", metavar="VAR", help="Holds the listener's secret.")
        ],
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Add a listener beside the real delivery target; detach takes it away."""
        from ocsync.engine import deliveries
        from ocsync.engine.work import Work, before_writing, sign_in

        found, secret = _targets(targets), os.environ.get(secret_env, "")
        if not secret:
            raise ConfigError(f"environment variable {secret_env} is not set")
        ctx.lock_seconds, ctx.confirmed = seconds_of(lock_timeout), confirm

        async def write(work: Work) -> list[str]:
            await sign_in(work)
            before_writing(work)
            return await deliveries.attach(work, found, endpoint, secret)

        names = ctx.online(write, locked=True)
        ctx.console.document("delivery attach", {"deliveries": names, "endpoint": endpoint})
        for name in names:
            ctx.console.data(f"{name}  delivers to {endpoint} too", "+")
        ctx.console.next(
            "ocsync resume --verify",
            f"ocsync delivery detach {' '.join(targets)} --endpoint {endpoint}",
        )

    @command(group, "detach")
    def detach(
        ctx: Context,
        targets: Targets,
        endpoint: Endpoint,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Take a listener away again; the real target stays."""
        from ocsync.engine import deliveries
        from ocsync.engine.work import Work, before_writing, sign_in

        found = _targets(targets)
        ctx.lock_seconds, ctx.confirmed = seconds_of(lock_timeout), confirm

        async def write(work: Work) -> list[str]:
            await sign_in(work)
            before_writing(work)
            return await deliveries.detach(work, found, endpoint)

        names = ctx.online(write, locked=True)
        ctx.console.document("delivery detach", {"deliveries": names, "endpoint": endpoint})
        for name in names:
            ctx.console.data(f"{name}  does not deliver to {endpoint} any more", "-")
        if not names:
            ctx.console.talk(f"nothing delivers to {endpoint}", "=")


def _targets(names: list[str]) -> list[Target]:
    from ocsync.resources import read_targets

    direct, grouped = read_targets(names)
    if not (direct or grouped):
        raise UsageError("name a target")
    return [*direct, *grouped]
