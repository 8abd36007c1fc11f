"""The `ocsync resync` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import (
    ALL_ANSWERS,
    DEFAULT_CONCURRENCY,
    Concurrency,
    MaxRate,
    command,
    parse_moment,
)
from ocsync.errors import ExitCode, Refused, UsageError
from ocsync.plurals import count

if TYPE_CHECKING:
    from ocsync.engine.resync.resync import ResyncReport
    from ocsync.engine.resync.selection import Selection, SelectionRequest
    from ocsync.engine.session import Session
    from ocsync.store import Run


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app, "resync", ExitCode.PARTLY, ExitCode.BAD_INPUT, ExitCode.NO_FILE, answers=ALL_ANSWERS
    )
    def resync(
        ctx: Context,
        words: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[TARGET] [ID...]",
                help=("A target and IDs (PARENT/ID), or refs; - reads them from standard input."),
            ),
        ] = None,
        catalog: Annotated[
            str,
            typer.Option(
                "--catalog", metavar="C", help="All entities of the target in this catalog."
            ),
        ] = "",
        run: Annotated[
            str, typer.Option("--run", metavar="RUN", help="All entities that this run changed.")
        ] = "",
        since: Annotated[
            str,
            typer.Option(
                "--since", metavar="TIME", help="Entities dated since: 2h ago, or 2027-01-31."
            ),
        ] = "",
        drop: Annotated[bool, typer.Option("--drop", help="Drop the unfinished resync.")] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", "-n", help="Show what would be sent; send nothing.")
        ] = False,
        concurrency: Concurrency = DEFAULT_CONCURRENCY,
        max_rate: MaxRate = 0.0,
    ) -> ExitCode:
        """Ask OrderCloud to send entities again, without changing them.

        Name a target and IDs, or refs; or take all of a catalog, or all of a run with the
        products that its changes of catalogs, prices and so on touch. If interrupted, run
        ocsync resync again; it continues.

        Examples:
          ocsync resync products P1 P2
          ocsync resync products --catalog SUMMER --dry-run
          ocsync resync --run 1123-1504
        """
        from ocsync.client import Limits
        from ocsync.engine.resync.selection import SelectionRequest
        from ocsync.render import resync as shown

        if drop:
            return _abandon(ctx)
        request = _selection_request(words or [], catalog, run, since)
        if dry_run and request == SelectionRequest():
            raise UsageError("give a target and IDs, or refs, for the dry run")
        text = _command_text(request, since)
        limits = Limits(concurrency, max_rate)
        if dry_run:
            selection = ctx.run_online(lambda session: _select(session, request), stream=True)
            ctx.console.event(shown.selection_document(selection))
            for sign, line in () if ctx.console.json else shown.selection_lines(selection):
                ctx.console.print(line, sign)
            ctx.console.info("dry run: nothing was sent", "=")
            return ExitCode.DONE
        report = ctx.run_online(
            lambda session: _resync(session, request, text, concurrency),
            limits=limits, locked=True, stream=True,
        )  # fmt: skip
        if report is None:
            ctx.console.event({"type": "summary", "exit_code": 0, "done": 0, "failed": []})
            ctx.console.info("nothing matches; nothing was sent", "=")
            return ExitCode.DONE
        ctx.console.event(shown.document(report))
        for sign, line in () if ctx.console.json else shown.lines(report):
            ctx.console.print(line, sign)
        if report.failed:
            ctx.console.suggest(f"ocsync history {report.run.id}")
        return report.exit_code


def _selection_request(words: list[str], catalog: str, run: str, since: str) -> SelectionRequest:
    """Return the request of the command line, empty to continue a resync.

    Raises UsageError, InputError.
    """
    from ocsync.engine.resync.selection import SelectionRequest, read_entities
    from ocsync.schema import read_ref, read_targets

    named = words[:1] if words and "/" not in words[0] and words[0] != "-" else []
    if [word.lower() for word in named] in (["orders"], ["order"]):
        raise UsageError("orders have no sync request", hint="resend orders by date in the Portal")
    targets, grouped = (tuple(found) for found in read_targets(named))
    given = words[len(named) :]
    sources = [bool(given), bool(catalog), bool(run), bool(since)]
    if sum(sources) > 1 and not (catalog and since and not given):
        raise UsageError("give only one of IDs, --catalog, --run and --since")
    if (named and not any(sources)) or (since and not named):
        raise UsageError("give a target and IDs, refs, --catalog, --run or --since")
    if given and grouped:
        raise UsageError(f"{named[0]} is a group of targets; with IDs, name one target")
    if catalog:
        read_ref(f"catalog/{catalog}")
    stdin = given == ["-"]
    source, where = (sys.stdin, "standard input") if stdin else (given, "argument")
    refs = read_entities(targets[0] if targets else None, source, where) if given else []
    if given and not refs:
        raise UsageError("the input has no ID")
    moment = parse_moment(since) if since else None
    return SelectionRequest(targets, grouped, tuple(refs), catalog, run, moment)


def _command_text(request: SelectionRequest, since: str) -> str:
    """Return the command as its run records it; the same command continues that run."""
    import hashlib

    named = [target.name for target in (*request.targets, *request.grouped)]
    parts = ["resync", *named]
    if len(request.refs) > 3:
        digest = hashlib.sha256("\n".join(request.refs).encode()).hexdigest()[:8]
        parts.append(f"({len(request.refs):,} refs, {digest})")
    else:
        parts += request.refs
    options = {"catalog": request.catalog, "run": request.run, "since": since}
    parts += [f"--{name} {value}" for name, value in options.items() if value]
    return " ".join(parts) if len(parts) > 1 else ""


async def _select(session: Session, request: SelectionRequest) -> Selection:
    from ocsync.engine.resync.selection import select
    from ocsync.engine.session import sign_in

    await sign_in(session)
    return await select(session, request)


async def _resync(
    session: Session, request: SelectionRequest, text: str, workers: int
) -> ResyncReport | None:
    """Continue the unfinished resync, or begin one; return None if nothing matches."""
    from ocsync.engine.resync.resync import begin_resync, remaining_steps, run_resync
    from ocsync.engine.session import confirm_production, sign_in
    from ocsync.events import NoticeLevel

    open_run = session.folder.runs.find_unfinished("resync")
    if open_run:
        rest = len(remaining_steps(open_run))
        what = f"run {open_run.id} is not finished: {count(rest, 'request')} left"
        if text not in ("", open_run.read_info().command):
            hint = "ocsync resync continues it; ocsync resync --drop abandons it"
            raise Refused(f"{what} ({open_run.read_info().command})", hint=hint)
        await sign_in(session)
        session.notify(NoticeLevel.RUNNING, f"{what}; continuing it")
        session.notify(NoticeLevel.DETAIL, f"({open_run.read_info().command})")
    elif not text:
        raise UsageError("no unfinished resync", hint="ocsync resync TARGET ID...")
    else:
        selection = await _select(session, request)
        if not selection.syncs:
            return None
        _confirm_number(session, len(selection.syncs))
    confirm_production(session)
    with open_run or begin_resync(session, selection.syncs, text) as run:
        return await run_resync(session, run, workers=workers)


def _confirm_number(session: Session, number: int) -> None:
    from ocsync.engine.resync.resync import ADVICE, QUESTION, advise_full_sync

    if number > ADVICE:
        advise_full_sync(session, number)
    if number > QUESTION and not session.ask("Send them one by one anyway?"):
        raise UsageError("nothing was sent")


def _abandon(ctx: Context) -> ExitCode:
    from ocsync.engine.resync.resync import abandon

    folder = ctx.folder()
    with folder.run_lock():
        run: Run | None = folder.runs.find_unfinished("resync")
        dropped = abandon(run) if run else 0
    ctx.console.document("resync", {"dropped": dropped, "run": run.id if run else ""})
    if run:
        unsent = count(dropped, "request was", "requests were")
        ctx.console.print(f"run {run.id} abandoned; {unsent} not sent", "-")
    else:
        ctx.console.info("no unfinished resync", "=")
    return ExitCode.DONE
