"""The `ocsync pause` command."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Adopt, Reason, command, parse_duration
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

    @command(
        app, "pause", ExitCode.BAD_CONFIG, ExitCode.LOCKED, answers=("confirm", "lock_timeout")
    )
    def pause(
        ctx: Context,
        targets: Targets,
        reason: Reason = "",
        lease: Annotated[
            str,
            typer.Option(
                "--for",
                metavar="TIME",
                help="How long the pause may last, such as 2h; expire ends it then.",
            ),
        ] = "",
        adopt: Adopt = False,
    ) -> None:
        """Pause targets, so that their changes arrive as one batch.

        The pause is recorded here before it is sent. resume and unpause end it; with --for,
        expire ends it too. OrderCloud never pauses deletes.

        Examples:
          ocsync pause inventory --reason stocktake --for 2h
          ocsync pause catalog-wide
        """
        from ocsync.engine.pause import pausing
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.pause import PauseState
        from ocsync.schema import read_targets
        from ocsync.store.timestamps import utc_now

        direct, grouped = read_targets(targets)
        seconds = parse_duration(lease, unit_needed=True) if lease else 0.0
        if lease and not seconds:
            raise UsageError("the time of --for must be longer than zero", hint="--for 2h")

        async def work_on(session: Session) -> list[pausing.TargetStatus]:
            await sign_in(session)
            confirm_production(session)
            until = pausing.lease_end(session.now(), seconds) if seconds else ""
            return await pausing.pause(
                session, direct, grouped, reason=reason, until=until, adopt=adopt
            )

        folder = ctx.folder()
        before = folder.read_raw_pauses()
        statuses = ctx.run_online(work_on, locked=True)
        pauses = folder.read_raw_pauses()
        facts = {status.target.name: pauses.get(status.target.name) for status in statuses}
        ctx.console.document("pause", {"targets": facts})
        profile, now = profile_label(folder), utc_now()
        width = max(len(status.target.name) for status in statuses)
        for status in statuses:
            name = status.target.name
            if status.state is PauseState.NO_CONFIG:
                ctx.console.info(f"{name:<{width}}  skipped: no sync config", "!")
                continue
            text = _pause_text(status, before, profile, now)
            ctx.console.print(f"{name:<{width}}  {text}", "‖")
            if not status.server.sends_changes:
                flag = f"{status.target.flags[0]}=false"
                ctx.console.info(
                    f"  {flag}: {name} receives no changes, even after the unpause", "!"
                )
        if adopted := [s.target.name for s in statuses if s.pause and s.pause.adopted]:
            ctx.console.info(
                "  Whoever paused it can still unpause it, as does ocsync expire there.", "!"
            )
            ctx.console.info(
                f"  To prevent that, run there: ocsync unpause {' '.join(adopted)} --leave-paused"
            )
        ctx.console.info(
            "  A pause does not hold deletes, webhooks, integration events, order sync, "
            "the inventory integration or the search index."
        )
        ctx.console.suggest("ocsync stage import FILE", "ocsync plan", "ocsync resume --verify")


def _pause_text(
    status: TargetStatus, before: Mapping[str, Any], profile: str, now: datetime
) -> str:
    """Return the state of a target after the command; *before* holds the pauses before it."""
    from ocsync.render.pause import pause_text
    from ocsync.render.text import local_time

    pause = status.pause
    until = f" until {local_time(pause.until, now)}" if pause and pause.until else ""
    if pause and pause.since == before.get(status.target.name, {}).get("since"):
        text = pause_text(pause.by, pause.since, now)
        return f"already {text}{until and '; now'}{until}"
    if pause and pause.adopted:
        return f"taken over{until} on {profile}; resume will unpause it"
    return f"paused{until} on {profile}"


def profile_label(folder: ProfileDir) -> str:
    """Return the profile with its marketplace, as in `acme-sandbox (Acme Outdoors)`."""
    pin = folder.read_pin()
    return f"{folder.path.name} ({pin.name})" if pin else folder.path.name


def expand_targets(names: list[str]) -> list[Target]:
    """Return the targets of *names*, those of a group one by one. Raises UsageError."""
    from ocsync.schema import read_targets

    direct, grouped = read_targets(names)
    if not (direct or grouped):
        raise UsageError("give a target")
    return [*direct, *grouped]
