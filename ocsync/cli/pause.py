"""`ocsync pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, command, seconds_of
from ocsync.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ocsync.resources import Target

Targets = Annotated[
    list[str], typer.Argument(metavar="TARGET...", help="Targets, or catalog-wide.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "pause", ExitCode.BAD_CONFIG, ExitCode.LOCKED)
    def pause(
        ctx: Context,
        targets: Targets,
        reason: Annotated[
            str, typer.Option("--reason", metavar="TEXT", help="Why; shown by status.")
        ] = "",
        lease: Annotated[
            str, typer.Option("--for", metavar="TIME", help="For how long, such as 2h.")
        ] = "",
        adopt: Annotated[
            bool, typer.Option("--adopt", help="Take over a pause that somebody else made.")
        ] = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Pause targets; their changes then come as one batch."""
        from ocsync.engine import pausing
        from ocsync.engine.work import Work, before_writing, sign_in, utc_now
        from ocsync.pause import Standing
        from ocsync.render.text import clock, duration
        from ocsync.resources import read_targets

        direct, grouped = read_targets(targets)
        ctx.lock_seconds, ctx.confirmed = seconds_of(lock_timeout), confirm
        seconds = seconds_of(lease) if lease else 0.0

        async def work_on(work: Work) -> list[pausing.Surveyed]:
            await sign_in(work)
            before_writing(work)
            until = pausing.lease_end(work.now(), seconds) if seconds else ""
            return await pausing.pause(
                work, direct, grouped, reason=reason, until=until, adopt=adopt
            )

        folder = ctx.folder()
        before = folder.raw_pauses()
        found = ctx.online(work_on, locked=True)
        pauses = folder.raw_pauses()
        facts = {seen.target.name: pauses.get(seen.target.name) for seen in found}
        ctx.console.document("pause", {"targets": facts})
        pin = folder.pin()
        place = f"{folder.profile.name} ({pin.name})" if pin else folder.profile.name
        now, width = utc_now(), max(len(seen.target.name) for seen in found)
        for seen in found:
            if seen.standing is Standing.NO_CONFIG:
                ctx.console.talk(
                    f"{seen.target.name:<{width}}  skipped: it has no sync config", "!"
                )
                continue
            until = (
                f" until {clock(seen.pause.until, now)}" if seen.pause and seen.pause.until else ""
            )
            since = before.get(seen.target.name, {}).get("since")
            if seen.pause and seen.pause.since == since:
                lasted = duration(seen.pause.seconds(now))
                text = f"already paused by us, for {lasted}{until and ','}{until}"
            else:
                text = f"paused{until} on {place}"
            ctx.console.data(f"{seen.target.name:<{width}}  {text}", "‖")
            if not seen.server.changed:
                flag = f"{seen.target.flags[0]}=false"
                ctx.console.talk(f"  {flag}: {seen.target.name} gets no changes, later either", "!")
        ctx.console.talk(
            "  A pause does not hold deletes, webhooks, integration events, order sync,"
        )
        ctx.console.talk("  the inventory integration or the search index.")
        ctx.console.next("ocsync stage import FILE", "ocsync plan", "ocsync resume --verify")


def read_all(names: list[str]) -> list[Target]:
    """The targets that *names* say, groups opened. Raises UsageError."""
    from ocsync.resources import read_targets

    direct, grouped = read_targets(names)
    if not (direct or grouped):
        raise UsageError("name a target")
    return [*direct, *grouped]
