"""The `ocsync unpause` command."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, command, parse_duration
from ocsync.cli.pause import Targets
from ocsync.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "unpause", ExitCode.LOCKED)
    def unpause(
        ctx: Context,
        targets: Targets,
        force: Annotated[
            bool, typer.Option("--force", help="Also lift pauses that are not ours.")
        ] = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Lift our pauses; what is staged stays staged."""
        from ocsync.engine.pause import pausing
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.render.text import duration
        from ocsync.schema import read_targets

        direct, grouped = read_targets(targets)
        ctx.lock_seconds, ctx.confirmed = parse_duration(lock_timeout), confirm

        async def work_on(session: Session) -> list[tuple[pausing.TargetStatus, float]]:
            await sign_in(session)
            if force:  # ours was confirmed when it was made
                confirm_production(session)
            return await pausing.unpause(session, [*direct, *grouped], force=force)

        lifted = ctx.run_online(work_on, locked=True)
        facts = [{"target": status.target.name, "seconds": seconds} for status, seconds in lifted]
        ctx.console.document("unpause", {"lifted": facts})
        for status, seconds in lifted:
            after = f"; paused for {duration(seconds)}" if seconds else ""
            ctx.console.print(f"{status.target.name}  running again{after}", "▶")
        if not lifted:
            ctx.console.print("none of them was paused", "=")
