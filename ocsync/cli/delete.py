"""The `ocsync delete` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import (
    ALL_ANSWERS,
    DEFAULT_CONCURRENCY,
    Concurrency,
    MaxRate,
    command,
)
from ocsync.errors import ExitCode, FileMissing, InputError, Refused, UsageError
from ocsync.plurals import count

if TYPE_CHECKING:
    from ocsync.engine.delete.impact import DeleteImpact


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app, "delete", ExitCode.PARTLY, ExitCode.BAD_INPUT, ExitCode.NO_FILE, answers=ALL_ANSWERS
    )
    def delete(
        ctx: Context,
        refs: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="REF...", help="Refs of entities or assignments; - reads standard input."
            ),
        ] = None,
        file: Annotated[
            str,
            typer.Option(
                "--file", metavar="FILE", help="File with one ref a line, or CSV with a ref column."
            ),
        ] = "",
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", "-n", help="Show what would be deleted; delete nothing."),
        ] = False,
        max_delete: Annotated[
            int | None,
            typer.Option(
                "--max-delete",
                metavar="N",
                min=0,
                envvar="OCSYNC_MAX_DELETE",
                help="Refuse to delete more than N entities, including dependents.",
            ),
        ] = None,
        no_count: Annotated[
            bool,
            typer.Option(
                "--no-count", help="Do not count dependents first; for thousands of refs."
            ),
        ] = False,
        concurrency: Concurrency = DEFAULT_CONCURRENCY,
        max_rate: MaxRate = 0.0,
    ) -> ExitCode:
        """Delete entities immediately; OrderCloud cannot pause deletes.

        First shows what will be deleted with them, what will be refused, and what remains.
        Children are deleted first. Staged edits of deleted entities are dropped; staged puts
        are kept.

        Examples:
          ocsync delete product/P1 --dry-run
          ocsync delete --file gone.csv --max-delete 100
          ocsync delete catalog-assignment/SUMMER/BUYER1
        """
        from ocsync.client import Limits
        from ocsync.engine.delete.execute import DeleteReport, close_crashed_run
        from ocsync.engine.delete.execute import delete as carry_out
        from ocsync.engine.delete.impact import delete_impact
        from ocsync.engine.session import Session, confirm_production, sign_in
        from ocsync.render import delete as shown

        if max_delete is not None and no_count:
            raise UsageError("--max-delete counts dependents, so it cannot be used with --no-count")
        refs_read = _read_refs(refs or [], file)

        async def work_on(session: Session) -> tuple[DeleteImpact, DeleteReport | None]:
            identity = await sign_in(session)
            session.folder.runs.recover(session.folder.journal)
            await close_crashed_run(session)
            impact = await delete_impact(
                session, identity, refs_read, counting=not no_count, workers=concurrency
            )
            ctx.console.event(shown.impact_document(impact))
            for sign, line in () if ctx.console.json else shown.impact_lines(impact):
                ctx.console.info(line, sign)
            if dry_run or not (impact.existing or impact.affected.dropped):
                return impact, None
            _check_limit(impact.number, max_delete)
            confirm_production(session)
            if not ctx.ask(_question(impact)):
                raise UsageError("nothing was deleted")
            return impact, await carry_out(session, impact, workers=concurrency)

        limits = Limits(concurrency, max_rate)
        impact, result = ctx.run_online(work_on, limits=limits, locked=True, stream=True)
        ctx.console.event(shown.document(result, impact, dry_run=dry_run))
        if ctx.console.json:
            return result.exit_code if result else ExitCode.DONE
        if result is None:
            text = "dry run: nothing was deleted" if dry_run else "nothing to delete"
            ctx.console.print(text, "=")
            return ExitCode.DONE
        for sign, line in shown.lines(result):
            ctx.console.print(line, sign)
        ctx.console.suggest(*shown.next_commands(result))
        return result.exit_code


def _read_refs(words: list[str], file: str) -> list[str]:
    from ocsync.intake.ref_list import read_ref_lines, read_refs

    if bool(words) == bool(file):
        raise UsageError("give REFs, - for standard input, or --file FILE")
    name = file or words[0]
    if not file and name != "-":
        return read_refs(words)
    if len(words) > 1:
        raise UsageError("- cannot be combined with refs")
    if name == "-":
        if sys.stdin.isatty():
            raise UsageError("standard input is a terminal; pipe refs in, or give --file")
        return read_ref_lines(sys.stdin, "standard input")
    try:
        return read_ref_lines(Path(name).read_text(encoding="utf-8-sig").splitlines(), name)
    except OSError as error:
        raise FileMissing(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 text; nothing was deleted") from error


def _question(impact: DeleteImpact) -> str:
    refs, more = impact.existing, impact.number - len(impact.existing)
    if not refs:
        dropped = count(len(impact.affected.dropped), "staged entry")
        return f"Drop {dropped} of refs that do not exist?"
    what, its = (refs[0].ref, "its") if len(refs) == 1 else (count(len(refs), "ref"), "their")
    dependents = f" and {its} {count(more, 'dependent')}" if more else ""
    return f"Delete {what}{dependents}?"


def _check_limit(number: int, most: int | None) -> None:
    if most is not None and number > most:
        text = f"this would delete {number:,}, dependents included; --max-delete is {most:,}"
        raise Refused(text, hint=f"to delete them anyway: --max-delete {number}")
