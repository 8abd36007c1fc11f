"""The `ocsync delivery apply` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import ALL_ANSWERS, command
from ocsync.errors import ExitCode, FileMissing, UsageError

if TYPE_CHECKING:
    from ocsync.engine.delivery_config.diff import ConfigChange
    from ocsync.engine.session import Session


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "apply", ExitCode.BAD_INPUT, ExitCode.NO_FILE, answers=ALL_ANSWERS)
    def apply(
        ctx: Context,
        file: Annotated[
            str, typer.Argument(metavar="FILE", help="TOML or JSON file; - reads standard input.")
        ],
        secrets: Annotated[
            bool, typer.Option("--secrets", help="Send secrets too where nothing else changes.")
        ] = False,
        run_commands: Annotated[
            bool, typer.Option("--run-commands", help="Allow the file's secret commands to run.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", "-n", help="Show the difference; send nothing.")
        ] = False,
    ) -> None:
        """Create or update delivery configurations to match a file.

        Shows the difference and asks; a second time it changes nothing. A new configuration
        gets the ID in the file; of an existing one only differences are patched. What the
        file does not name stays; `Kafka = false` removes a target. A secret is written { env
        = "NAME" } or { command = "..." }, never itself. OrderCloud does not return secrets,
        so they cannot be compared: those of a new or different target are sent, the others
        only with --secrets, for example after a rotation.

        Examples:
          ocsync delivery apply delivery.toml --dry-run
          ocsync delivery apply delivery.toml --secrets --yes
        """
        from ocsync.engine.delivery_config import apply
        from ocsync.engine.session import confirm_production, sign_in
        from ocsync.intake.delivery_file import read_deliveries
        from ocsync.render import delivery as shown

        label = "standard input" if file == "-" else file
        configs = read_deliveries(label, _read_source(file))

        async def work_on(session: Session) -> list[ConfigChange]:
            await sign_in(session)
            changes = await apply.plan_changes(session, label, configs, secrets=secrets)
            for sign, line in shown.change_lines(changes):
                ctx.console.print(line, sign)
            changing = [one for one in changes if one.edits]
            if dry_run or not changing:
                return changes
            secret_values = apply.resolve_secrets(label, changing, run_commands=run_commands)
            confirm_production(session)
            if not ctx.ask(f"Send this to {shown.count_configs(len(changing))}?"):
                raise UsageError("nothing was sent")
            await apply.apply(session, changing, secret_values)
            return changes

        changes = ctx.run_online(work_on, locked=not dry_run)
        changed = [one for one in changes if one.edits]
        ctx.console.document("delivery apply", {
            "sent": bool(changed) and not dry_run, "dry_run": dry_run,
            "deliveries": [shown.change_document(one) for one in changes],
        })  # fmt: skip
        if dry_run and changed:
            ctx.console.info("dry run: nothing was sent", "=")
        elif changed:
            ctx.console.print(f"changed {shown.count_configs(len(changed))} to match {label}", "✓")
            new = [one.desired.id for one in changes if one.current is None]
            ctx.console.suggest(*(f"ocsync delivery bind TARGET {name}" for name in new[:1]))


def _read_source(file: str) -> bytes:
    from pathlib import Path

    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise FileMissing(f"{file}: {error.strerror}") from error
