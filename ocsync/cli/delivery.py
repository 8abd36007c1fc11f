"""The `ocsync delivery` commands: list, show, bind and unbind."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli import delivery_apply, delivery_attach
from ocsync.cli.context import Context
from ocsync.cli.options import ALL_ANSWERS, command
from ocsync.cli.pause import Targets, expand_targets
from ocsync.errors import ExitCode, UsageError

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="ID of the delivery configuration.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="delivery", help="Show and change where OrderCloud delivers.", no_args_is_help=True
    )
    app.add_typer(group, name="delivery")
    _register_reading(group)
    delivery_apply.register(group)
    _register_binding(group)
    delivery_attach.register(group)


def _register_reading(group: typer.Typer) -> None:
    @command(group, "list")
    def list_(ctx: Context) -> None:
        """List the delivery configurations and their targets.

        Examples:
          ocsync delivery list
        """
        from ocsync.engine.delivery_config.bindings import DeliveryConfig, list_configured
        from ocsync.engine.session import Session, sign_in
        from ocsync.render import delivery as shown
        from ocsync.schema import TARGETS

        async def read(session: Session) -> list[DeliveryConfig]:
            await sign_in(session)
            return await list_configured(session, list(TARGETS.values()))

        configs = ctx.run_online(read)
        ours = ctx.folder().read_raw_attachments()
        rows = [{**config.document, "targets": list(config.targets)} for config in configs]
        ctx.console.document("delivery list", {"deliveries": rows, "attached": ours})
        ctx.console.print_lines(shown.config_lines(configs, ours))
        if not configs:
            ctx.console.info("no delivery configuration", "=")
            ctx.console.suggest("ocsync delivery apply FILE")

    @command(group, "show")
    def show(ctx: Context, name: Config) -> None:
        """Show a delivery configuration without its secrets.

        OrderCloud does not return secrets. delivery apply reads this output.

        Examples:
          ocsync delivery show search-prod
        """
        import json

        from ocsync.engine.delivery_config import bindings
        from ocsync.engine.session import Session, sign_in

        async def read(session: Session) -> dict[str, object]:
            await sign_in(session)
            return await bindings.read_config(session, name)

        configs = ctx.run_online(read)
        ctx.console.document("delivery show", configs)
        if not ctx.console.json:
            ctx.console.print_lines(json.dumps(configs, indent=2, ensure_ascii=False).splitlines())


def _register_binding(group: typer.Typer) -> None:
    @command(group, "bind", answers=("confirm", "lock_timeout"))
    def bind(
        ctx: Context,
        targets: Targets,
        name: Config,
    ) -> None:
        """Let targets deliver by a delivery configuration.

        A target without a sync config gets one that sends changes and deletes. For others
        only the delivery configuration is changed.

        Examples:
          ocsync delivery bind products catalogs search-prod
        """
        from ocsync.engine.delivery_config import bindings
        from ocsync.engine.session import Session, confirm_production, sign_in

        expanded = expand_targets(targets)

        async def write(session: Session) -> list[bindings.BindResult]:
            await sign_in(session)
            confirm_production(session)
            return await bindings.bind(session, expanded, name)

        results = ctx.run_online(write, locked=True)
        facts = [
            {"target": result.target.name, "was": result.previous or None} for result in results
        ]
        ctx.console.document("delivery bind", {"delivery": name, "targets": facts})
        for result in results:
            same = result.previous.casefold() == name.casefold()
            was = f" (before: {result.previous})" if result.previous and not same else ""
            text = "delivers by" if not same else "already delivers by"
            sign = "=" if same else "‖" if result.paused else "▶"
            ctx.console.print(f"{result.target.name}  {text} {name}{was}", sign)

    @command(group, "unbind", ExitCode.CONFLICT, ExitCode.LOCKED, answers=ALL_ANSWERS)
    def unbind(
        ctx: Context,
        targets: Targets,
    ) -> None:
        """Remove the sync configs of targets; they receive nothing more.

        Changes made after that are not held and do not arrive later, so this does not replace
        a pause. Refused while a target is paused. The delivery configuration stays; delivery
        bind creates a sync config again.

        Examples:
          ocsync delivery unbind suppliers
        """
        from ocsync.engine.delivery_config import bindings
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.render.delivery import sync_config_json
        from ocsync.schema import TARGETS

        expanded = expand_targets(targets)

        async def write(session: Session) -> list[dict[str, object]]:
            await sign_in(session)
            bound = await bindings.targets_bound_to(session, expanded)
            names = ", ".join(state.name for state in bound)
            for state in bound:
                ctx.console.info(f"{state.name}  {sync_config_json(state.config)}", "-")
            if not bound:
                return []
            confirm_production(session)
            ctx.console.info(
                "  Without a sync config, changes are not delivered, not even later.", "!"
            )
            ctx.console.info("    To hold them instead: ocsync pause")
            if not ctx.ask(f"Remove the sync config of {names}?"):
                raise UsageError("nothing was removed")
            await bindings.unbind(session, [TARGETS[state.name] for state in bound])
            return [{"target": state.name, "found": state.config} for state in bound]

        removed = ctx.run_online(write, locked=True)
        ctx.console.document("delivery unbind", {"removed": removed})
        for row in removed:
            ctx.console.print(f"{row['target']}  is no longer delivered", "-")
        if removed:
            names = " ".join(str(row["target"]) for row in removed)
            ctx.console.suggest(f"ocsync delivery bind {names} CONFIG")
        else:
            ctx.console.print("none of these targets has a sync config", "=")
