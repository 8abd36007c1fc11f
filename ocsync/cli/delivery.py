"""`ocsync delivery ...`: where OrderCloud delivers, and a listener beside it."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli import delivery_apply, delivery_attach
from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, Yes, command, seconds_of
from ocsync.cli.pause import Targets, read_all
from ocsync.errors import ExitCode, UsageError

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="The delivery configuration's ID.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="delivery", help="Where OrderCloud delivers to.", no_args_is_help=True)
    app.add_typer(group, name="delivery")
    _register_looking(group)
    delivery_apply.register(group)
    _register_binding(group)
    delivery_attach.register(group)


def _register_looking(group: typer.Typer) -> None:
    @command(group, "list")
    def list_(ctx: Context) -> None:
        """List the delivery configurations, and what each delivers."""
        from ocsync.engine.delivery_config.bindings import DeliveryConfig, list_configured
        from ocsync.engine.session import Session, sign_in
        from ocsync.render import delivery as shown
        from ocsync.schema import TARGETS

        async def read(session: Session) -> list[DeliveryConfig]:
            await sign_in(session)
            return await list_configured(session, list(TARGETS.values()))

        found = ctx.online(read)
        ours = ctx.folder().raw_attachments()
        rows = [{**one.document, "targets": list(one.targets)} for one in found]
        ctx.console.document("delivery list", {"deliveries": rows, "attached": ours})
        ctx.console.lines(shown.configured(found, ours))
        if not found:
            ctx.console.talk("there is no delivery configuration", "=")
            ctx.console.next("ocsync delivery apply FILE")

    @command(group, "show")
    def show(ctx: Context, name: Config) -> None:
        """Show a delivery configuration, without its secrets.

        OrderCloud keeps those to itself. What is shown, `delivery apply` reads.
        """
        import json

        from ocsync.engine.delivery_config import bindings
        from ocsync.engine.session import Session, sign_in

        async def read(session: Session) -> dict[str, object]:
            await sign_in(session)
            return await bindings.read_config(session, name)

        found = ctx.online(read)
        ctx.console.document("delivery show", found)
        if not ctx.console.json:
            ctx.console.lines(json.dumps(found, indent=2, ensure_ascii=False).splitlines())


def _register_binding(group: typer.Typer) -> None:
    @command(group, "bind")
    def bind(
        ctx: Context,
        targets: Targets,
        name: Config,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Let targets deliver by a configuration.

        One that has no sync config gets one, which sends changes and deletes.
        Of one that is there only its delivery configuration is changed.
        """
        from ocsync.engine.delivery_config import bindings
        from ocsync.engine.session import Session, confirm_production, sign_in

        wanted = read_all(targets)
        ctx.lock_seconds, ctx.confirmed = seconds_of(lock_timeout), confirm

        async def write(session: Session) -> list[bindings.BindResult]:
            await sign_in(session)
            confirm_production(session)
            return await bindings.bind(session, wanted, name)

        done = ctx.online(write, locked=True)
        facts = [{"target": one.target.name, "was": one.was or None} for one in done]
        ctx.console.document("delivery bind", {"delivery": name, "targets": facts})
        for one in done:
            same = one.was.casefold() == name.casefold()
            was = f" (by {one.was} before)" if one.was and not same else ""
            text = "delivers by" if not same else "delivers already by"
            sign = "=" if same else "‖" if one.paused else "▶"
            ctx.console.data(f"{one.target.name}  {text} {name}{was}", sign)

    @command(group, "unbind", ExitCode.CONFLICT, ExitCode.LOCKED)
    def unbind(
        ctx: Context,
        targets: Targets,
        yes: Yes = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Remove targets' sync configs: they get nothing any more.

        What changes meanwhile is not held and does not come later, so this is
        no substitute for a pause. Refused while a target is paused. The
        delivery configuration stays; `delivery bind` makes a sync config again.
        """
        from ocsync.engine.delivery_config import bindings
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.render.delivery import sync_config
        from ocsync.schema import TARGETS

        wanted = read_all(targets)
        ctx.yes, ctx.lock_seconds, ctx.confirmed = yes, seconds_of(lock_timeout), confirm

        async def write(session: Session) -> list[dict[str, object]]:
            await sign_in(session)
            there = await bindings.targets_bound_to(session, wanted)
            names = ", ".join(state.name for state in there)
            for state in there:
                ctx.console.talk(f"{state.name}  {sync_config(state.config)}", "-")
            if not there:
                return []
            confirm_production(session)
            ctx.console.talk("  Nothing is delivered for it then, and what changes meanwhile", "!")
            ctx.console.talk("    does not come later: this is no pause (ocsync pause holds it)")
            if not ctx.ask(f"Remove the sync config of {names}?"):
                raise UsageError("nothing was removed")
            await bindings.unbind(session, [TARGETS[state.name] for state in there])
            return [{"target": state.name, "found": state.config} for state in there]

        done = ctx.online(write, locked=True)
        ctx.console.document("delivery unbind", {"removed": done})
        for one in done:
            ctx.console.data(f"{one['target']}  gets nothing any more", "-")
        if done:
            names = " ".join(str(one["target"]) for one in done)
            ctx.console.next(f"ocsync delivery bind {names} CONFIG")
        else:
            ctx.console.data("none of them has a sync config", "=")
