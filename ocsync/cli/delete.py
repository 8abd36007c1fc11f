"""`ocsync delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import Confirm, LockTimeout, Yes, command, seconds_of
from ocsync.errors import ExitCode, InputError, OcsyncError, Problem, Refused, UsageError

if TYPE_CHECKING:
    from ocsync.engine.delete import Doomed


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "delete", ExitCode.PARTLY, ExitCode.BAD_INPUT)
    def delete(
        ctx: Context,
        refs: Annotated[list[str], typer.Argument(metavar="REF...", help="Entities, assignments.")],
        max_delete: Annotated[
            int | None,
            typer.Option(
                "--max-delete",
                metavar="N",
                min=0,
                envvar="OCSYNC_MAX_DELETE",
                help="Refuse to delete more, what goes along counted.",
            ),
        ] = None,
        yes: Yes = False,
        confirm: Confirm = "",
        lock_timeout: LockTimeout = "0",
    ) -> ExitCode:
        """Delete at once; OrderCloud cannot pause deletes.

        Targets see it immediately. What is staged for it, and below it, is dropped.
        """
        from ocsync.engine.delete import delete as carry_out
        from ocsync.engine.delete import survey_deletes
        from ocsync.engine.work import Work, before_writing, sign_in
        from ocsync.render.text import count

        checked = _checked(refs)
        ctx.yes, ctx.confirmed, ctx.lock_seconds = yes, confirm, seconds_of(lock_timeout)

        async def work_on(work: Work) -> tuple[list[Doomed], list[tuple[str, OcsyncError]]]:
            await sign_in(work)
            rows = await survey_deletes(work, checked)
            for row in rows:
                _tell(ctx, row)
            there = [row for row in rows if row.exists or row.staged]
            if not there:
                return [], []
            _check_number(there, max_delete)
            before_writing(work)
            if not ctx.ask(f"Delete {count(len(there), 'ref')} now?"):
                raise UsageError("nothing was deleted")
            return there, await carry_out(work, there)

        rows, failed = ctx.online(work_on, locked=True, stream=True)
        ctx.console.event(
            {
                "type": "summary",
                "deleted": len(rows) - len(failed),
                "failed": [{"ref": ref, "message": error.message} for ref, error in failed],
            }
        )
        if not ctx.console.json:
            ctx.console.data(f"{count(len(rows) - len(failed), 'ref')} deleted", "-")
        return ExitCode.PARTLY if failed else ExitCode.DONE


def _check_number(rows: list[Doomed], most: int | None) -> None:
    number = sum(row.exists + sum(row.children.values()) for row in rows)
    if most is not None and number > most:
        text = f"this would delete {number:,}, what goes along counted; --max-delete is {most:,}"
        raise Refused(text, hint=f"--max-delete {number} if you mean it")


def _checked(refs: list[str]) -> list[str]:
    from ocsync.resources import kind_of, read_ref

    found, problems = [], []
    for text in refs:
        try:
            ref = read_ref(text)
            if not kind_of(ref).deletable:
                raise UsageError("cannot be deleted: variants come and go with generate")
            found.append(ref)
        except UsageError as error:
            problems.append(Problem("argument", 0, 0, "REF", text, error.message))
    if problems:
        raise InputError("nothing was deleted", problems)
    return list(dict.fromkeys(found))


def _tell(ctx: Context, row: Doomed) -> None:
    from ocsync.render.text import count, shortened
    from ocsync.resources import KINDS

    there = "" if row.exists else "  is not there"
    ctx.console.talk(f"{row.ref}{there}", "-" if row.exists else "=")
    for kind, number in row.children.items():
        ctx.console.talk(f"  takes along {count(number, KINDS[kind].noun)} below it", "!")
    if row.targets and row.exists:
        ctx.console.talk(f"  {', '.join(row.targets)} see it at once, paused or not", "!")
    if row.staged:
        ctx.console.talk(f"  drops {count(len(row.staged), 'staged entry')}", "!")
    if row.naming:
        names = shortened(sorted({entry.ref for entry in row.naming}))
        ctx.console.talk(f"  is still named by what is staged for {names}", "!")
