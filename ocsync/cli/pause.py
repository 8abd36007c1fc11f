"""`ocsync pause`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Adopt, Confirm, LockTimeout, Reason, command, seconds_of
from ocsync.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ocsync.engine.pause.pausing import TargetStatus
    from ocsync.schema import Target
    from ocsync.store import ProfileDir

Targets = Annotated[
    list[str], typer.Argument(metavar="TARGET...", help="Targets, or catalog-wide.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "pause", ExitCode.BAD_CONFIG, ExitCode.LOCKED)
    def pause(
        ctx: Context,
        targets: Targets,
        reason: Reason = "",
        lease: Annotated[
            str, typer.Option("--for", metavar="TIME", help="For how long, such as 2h.")
        ] = "",
        adopt: Adopt = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> None:
        """Pause targets; their changes then come as one batch."""
        from ocsync.engine.pause import pausing
        from ocsync.engine.session import Session, confirm_production, sign_in, utc_now
        from ocsync.pause import PauseState
        from ocsync.schema import read_targets

        direct, grouped = read_targets(targets)
        ctx.lock_seconds, ctx.confirmed = seconds_of(lock_timeout), confirm
        seconds = seconds_of(lease) if lease else 0.0
        if lease and not seconds:
            raise UsageError("a lease has to last longer than nothing", hint="--for 2h")

        async def work_on(session: Session) -> list[pausing.TargetStatus]:
            await sign_in(session)
            confirm_production(session)
            until = pausing.lease_end(session.now(), seconds) if seconds else ""
            return await pausing.pause(
                session, direct, grouped, reason=reason, until=until, adopt=adopt
            )

        folder = ctx.folder()
        before = folder.raw_pauses()
        found = ctx.online(work_on, locked=True)
        pauses = folder.raw_pauses()
        facts = {seen.target.name: pauses.get(seen.target.name) for seen in found}
        ctx.console.document("pause", {"targets": facts})
        place, now = place_of(folder), utc_now()
        width = max(len(seen.target.name) for seen in found)
        for seen in found:
            if seen.state is PauseState.NO_CONFIG:
                ctx.console.talk(
                    f"{seen.target.name:<{width}}  skipped: it has no sync config", "!"
                )
                continue
            text = _told(seen, before, place, now)
            ctx.console.data(f"{seen.target.name:<{width}}  {text}", "‖")
            if not seen.server.changed:
                flag = f"{seen.target.flags[0]}=false"
                ctx.console.talk(f"  {flag}: {seen.target.name} gets no changes, later either", "!")
        ctx.console.talk(
            "  A pause does not hold deletes, webhooks, integration events, order sync,"
        )
        ctx.console.talk("  the inventory integration or the search index.")
        ctx.console.next("ocsync stage import FILE", "ocsync plan", "ocsync resume --verify")


def _told(seen: TargetStatus, before: Mapping[str, Any], place: str, now: datetime) -> str:
    """How a target stands after the command; *before* are the pauses as they were."""
    from ocsync.render.text import clock, duration

    pause = seen.pause
    until = f" until {clock(pause.until, now)}" if pause and pause.until else ""
    if pause and pause.since == before.get(seen.target.name, {}).get("since"):
        return f"already paused by us, for {duration(pause.seconds(now))}{until and ','}{until}"
    if pause and pause.adopted:
        return f"adopted{until} on {place}: ours to lift"
    return f"paused{until} on {place}"


def place_of(folder: ProfileDir) -> str:
    """`acme-sandbox (Acme Outdoors)`."""
    pin = folder.pin()
    return f"{folder.path.name} ({pin.name})" if pin else folder.path.name


def read_all(names: list[str]) -> list[Target]:
    """The targets that *names* say, groups opened. Raises UsageError."""
    from ocsync.schema import read_targets

    direct, grouped = read_targets(names)
    if not (direct or grouped):
        raise UsageError("name a target")
    return [*direct, *grouped]
