"""`ocsync delivery apply`: delivery configurations as a file has them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, Yes, command, seconds_of
from ocsync.errors import ExitCode, FileMissing, UsageError

if TYPE_CHECKING:
    from ocsync.engine.delivery_config.diff import ConfigChange
    from ocsync.engine.session import Session


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "apply", ExitCode.BAD_INPUT, ExitCode.NO_FILE)
    def apply(
        ctx: Context,
        file: Annotated[
            str, typer.Argument(metavar="FILE", help="TOML or JSON; - is standard input.")
        ],
        secrets: Annotated[
            bool, typer.Option("--secrets", help="Send the secrets too where nothing else changes.")
        ] = False,
        run_commands: Annotated[
            bool, typer.Option("--run-commands", help="Let the file's secrets run their commands.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", "-n", help="Show the difference, send nothing.")
        ] = False,
        yes: Yes = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Make delivery configurations as a file has them.

        Shows the difference and asks; run again, it changes nothing. A new one
        is made with the file's ID; of one that is there only what differs is
        patched. What the file does not name stays; `Kafka = false` takes a
        target away. A secret is written { env = "NAME" } or { command = "..." },
        never itself. OrderCloud hides secrets, so they cannot be compared:
        those of a target that is new or differs are sent, the others with
        --secrets only, as after a rotation.
        """
        from ocsync.engine.delivery_config import apply
        from ocsync.engine.session import confirm_production, sign_in
        from ocsync.intake.delivery_file import read_deliveries
        from ocsync.render import delivery as shown

        label = "standard input" if file == "-" else file
        wanted = read_deliveries(label, _read(file))
        ctx.yes, ctx.lock_seconds, ctx.confirmed = yes, seconds_of(lock_timeout), confirm

        async def work_on(session: Session) -> list[ConfigChange]:
            await sign_in(session)
            found = await apply.plan_changes(session, label, wanted, secrets=secrets)
            for sign, line in shown.differences(found):
                ctx.console.data(line, sign)
            changing = [one for one in found if one.edits]
            if dry_run or not changing:
                return found
            known = apply.resolved(label, changing, run_commands=run_commands)
            confirm_production(session)
            if not ctx.ask(f"Send this to {shown.configurations(len(changing))}?"):
                raise UsageError("nothing was sent")
            await apply.apply(session, changing, known)
            return found

        found = ctx.online(work_on, locked=not dry_run)
        changed = [one for one in found if one.edits]
        ctx.console.document("delivery apply", {
            "sent": bool(changed) and not dry_run, "dry_run": dry_run,
            "deliveries": [shown.facts(one) for one in found],
        })  # fmt: skip
        if dry_run and changed:
            ctx.console.talk("this was a dry run: nothing was sent", "=")
        elif changed:
            ctx.console.data(f"{shown.configurations(len(changed))} now as in {label}", "✓")
            new = [one.wanted.id for one in found if one.found is None]
            ctx.console.next(*(f"ocsync delivery bind TARGET {name}" for name in new[:1]))


def _read(file: str) -> bytes:
    from pathlib import Path

    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise FileMissing(f"{file}: {error.strerror}") from error
