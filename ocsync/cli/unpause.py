"""The `ocsync unpause` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import ALL_ANSWERS, command
from ocsync.cli.pause import Targets
from ocsync.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ocsync.engine.session import Session


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "unpause", ExitCode.LOCKED, answers=ALL_ANSWERS)
    def unpause(
        ctx: Context,
        targets: Targets,
        force: Annotated[
            bool, typer.Option("--force", help="Also end pauses made elsewhere.")
        ] = False,
        leave_paused: Annotated[
            bool,
            typer.Option(
                "--leave-paused",
                help=(
                    "Forget the pause and leave the target paused: someone else has taken it over."
                ),
            ),
        ] = False,
    ) -> None:
        """End pauses of this workspace; staged edits stay staged.

        Examples:
          ocsync unpause inventory
          ocsync unpause catalogs --force
        """
        from ocsync.engine.pause import pausing
        from ocsync.engine.session import confirm_production, sign_in
        from ocsync.render.text import duration
        from ocsync.schema import read_targets

        direct, grouped = read_targets(targets)
        if leave_paused:
            return _leave_paused(ctx, [target.name for target in (*direct, *grouped)])

        async def work_on(session: Session) -> list[tuple[pausing.TargetStatus, float]]:
            await sign_in(session)
            if force:  # ours was confirmed when it was made
                confirm_production(session)
            _ask_if_unfinished(session, [target.name for target in (*direct, *grouped)])
            return await pausing.unpause(session, [*direct, *grouped], force=force)

        lifted = ctx.run_online(work_on, locked=True)
        facts = [{"target": status.target.name, "seconds": seconds} for status, seconds in lifted]
        ctx.console.document("unpause", {"unpaused": facts})
        for status, seconds in lifted:
            after = f"; paused for {duration(seconds)}" if seconds else ""
            ctx.console.print(f"{status.target.name}  running again{after}", "▶")
        if not lifted:
            ctx.console.print("none of these targets was paused", "=")
        return None


def _ask_if_unfinished(session: Session, names: list[str]) -> None:
    """Ask before a target runs again that an unfinished run needs paused.

    Raises UsageError for a no, and where nobody can be asked.
    """
    from ocsync.store.summary import unfinished_runs

    folder = session.folder
    held = {name for name in names if name in folder.claims()}
    for run in unfinished_runs(folder.path, lambda _: None):
        if run.kind == "resume" and (held or set(run.held) & set(names)):
            question = f"{run.text()}, and ocsync resume continues it. Unpause anyway?"
            if not session.ask(question):
                raise UsageError("nothing was unpaused", hint="ocsync resume")


def _leave_paused(ctx: Context, names: list[str]) -> None:
    """Forget this workspace's pauses of the targets *names*; the server is not asked."""
    folder = ctx.folder()
    with folder.run_lock():
        pauses = folder.read_pauses()
        forgotten = [name for name in names if name in pauses]
        folder.write_pauses({n: pause for n, pause in pauses.items() if n not in forgotten})
    ctx.console.document("unpause", {"unpaused": [], "left_paused": forgotten})
    for name in forgotten:
        ctx.console.print(f"{name}  stays paused; this workspace will no longer unpause it", "‖")
    if not forgotten:
        ctx.console.print("this workspace has paused none of these targets", "=")
