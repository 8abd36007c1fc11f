"""The `ocsync compare` command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import (
    DEFAULT_CONCURRENCY,
    Concurrency,
    MaxRate,
    command,
)
from ocsync.cli.selection_options import (
    Buyer,
    Catalog,
    Category,
    Filters,
    Limit,
    Selection,
    Supplier,
    make_requests,
    read_kinds_and_refs,
)
from ocsync.cli.stage_files import (
    Recreated,
    check_gone,
    new_stamp,
    staged_totals,
    write_gone,
)
from ocsync.errors import ExitCode, Interrupted, OcsyncError, UsageError, first_of
from ocsync.plurals import count

if TYPE_CHECKING:
    from ocsync.client import Limits
    from ocsync.engine.compare.comparison import Comparison
    from ocsync.engine.export.selection import ExportRequest
    from ocsync.engine.session import Session
    from ocsync.engine.staging import ImportContent, RepeatedImport


class _StagedAlready(Exception):
    """The comparison's edits are all staged already, or in an unfinished run."""

    def __init__(self, repeat: RepeatedImport) -> None:
        super().__init__()
        self.repeat = repeat


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(
        app, "compare", ExitCode.SOMETHING, ExitCode.PARTLY, ExitCode.BAD_INPUT, ExitCode.NO_FILE
    )
    def compare(
        ctx: Context,
        words: Annotated[
            list[str], typer.Argument(metavar="KIND...", help="Kinds or refs to compare.")
        ],
        source: Annotated[
            str,
            typer.Option("--from", metavar="PROFILE", help="Profile with the wanted values."),
        ],
        target: Annotated[
            str,
            typer.Option(
                "--to",
                metavar="PROFILE",
                help="Profile to compare it with. Default: the current profile.",
            ),
        ] = "",
        catalog: Catalog = "",
        category: Category = "",
        buyer: Buyer = "",
        supplier: Supplier = "",
        filters: Filters = None,
        limit: Limit = 0,
        ignore: Annotated[
            list[str] | None,
            typer.Option("--ignore", metavar="FIELD", help="Leave this field, or xp.key, out."),
        ] = None,
        every: Annotated[
            bool, typer.Option("--list", help="Show every difference, not only the first.")
        ] = False,
        stage: Annotated[
            bool,
            typer.Option("--stage", help="Stage what differs into the journal of --to."),
        ] = False,
        recreated: Recreated = False,
        gone: Annotated[
            str,
            typer.Option("--gone", metavar="FILE", help="Write the refs that only --to has."),
        ] = "",
        exit_code: Annotated[
            bool, typer.Option("--exit-code", help="Return 2 if the marketplaces differ.")
        ] = False,
        concurrency: Concurrency = DEFAULT_CONCURRENCY,
        max_rate: MaxRate = 0.0,
    ) -> ExitCode:
        """Compare two marketplaces, field by field.

        Reads both and changes neither. With --stage, what differs is staged for the --to
        profile with its present values as expected values, and what is missing there as new;
        plan and resume then send it. Nothing is deleted: --gone writes the refs for
        delete --file.

        Examples:
          ocsync compare catalog category --from sandbox --to production
          ocsync compare product --catalog SUMMER --from sandbox --to production --stage
          ocsync compare price-schedule --from sandbox --ignore xp.erp --exit-code
        """
        from ocsync.client import Limits
        from ocsync.engine.compare.comparison import by_dependency
        from ocsync.render import compare as shown

        if recreated and not stage:
            raise UsageError("--recreated works only with --stage")
        requests = by_dependency(
            _requests(
                words,
                Selection(catalog, category, buyer, supplier, filters or (), limit=limit),
            )
        )
        ignored = _read_ignored(ignore or (), requests)
        check_gone(gone)
        sides = _open_sides(ctx, source, target)
        comparison = _compare(sides, requests, ignored, Limits(concurrency, max_rate), stage=stage)
        left_out = shown.left_out_by_kind([request.kind for request in requests])
        facts = shown.document(comparison, left_out, ignored, every=every)
        if not ctx.console.json:
            for sign, line in shown.lines(comparison, every=every):
                ctx.console.print(line, sign)
            names = dict.fromkeys(path for paths in left_out.values() for path in paths)
            for line in shown.left_out_lines(list(names), ignored):
                ctx.console.info(line)
        for text in shown.warnings(comparison, requests):
            ctx.warn(text)
        if not ctx.console.json:
            sign, line = shown.closing_line(comparison)
            ctx.console.print(line, sign)
        left = list(comparison.not_creatable()) if stage else []
        written = write_gone(gone, comparison.only_target()) if gone else ""
        facts["gone_file"] = written
        if stage:
            facts["staged"] = _stage(sides[1], comparison, recreated=recreated)
            facts["not_staged"] = [{"ref": one.ref, "why": one.reason} for one in left]
            for sign, line in shown.not_creatable_lines(left):
                ctx.console.alert(line, sign)
        ctx.console.document("compare", facts)
        ctx.console.suggest(*_next_commands(sides[1], written, stage=stage))
        differs = exit_code and comparison.differing
        return first_of([ExitCode.PARTLY] * bool(left) + [ExitCode.SOMETHING] * bool(differs))


def _requests(words: Sequence[str], selection: Selection) -> list[ExportRequest]:
    from ocsync.intake.table_header import kind_named

    kinds, refs, others = read_kinds_and_refs(words)
    for word in others:
        kind_named(word)
    return make_requests(kinds, refs, selection)


def _read_ignored(given: Sequence[str], requests: Sequence[ExportRequest]) -> list[str]:
    """Return the fields in *given*, each of one of the kinds. Raises UsageError."""
    from ocsync.field_paths import is_below
    from ocsync.suggestions import suggestion

    kinds = [request.kind for request in requests]
    known = dict.fromkeys(path for kind in kinds for path in kind.fields)
    for path in given:
        in_xp = "xp" in known and is_below(path, "xp")
        if not (in_xp or any(path == one or is_below(one, path) for one in known)):
            names = " or ".join(kind.name for kind in kinds)
            raise UsageError(f"{path} is not a field of {names}", hint=suggestion(path, known, ""))
    return list(dict.fromkeys(given))


def _open_sides(ctx: Context, source: str, target: str) -> tuple[Context, Context]:
    """Return a context for each profile. Raises ConfigError, UsageError for one with itself."""
    first = ctx.for_profile(source)
    second = ctx.for_profile(target or ctx.profile_name)
    if first.folder().path == second.folder().path:
        name = first.folder().profile.name
        hint = "ocsync profile list shows the others"
        raise UsageError(f"--from and --to are both profile {name}", hint=hint)
    return first, second


def _compare(
    sides: tuple[Context, Context],
    requests: Sequence[ExportRequest],
    ignored: Sequence[str],
    limits: Limits,
    *,
    stage: bool,
) -> Comparison:
    """Read both marketplaces and compare them."""
    from tempfile import TemporaryDirectory

    from ocsync.engine.compare.comparison import compare
    from ocsync.engine.compare.marketplace import Marketplace

    def on(ctx: Context, task: Callable[[Session], Awaitable[None]]) -> None:
        with _naming_profile(ctx.folder().profile.name, stage=stage):
            ctx.run_online(task, limits=limits)

    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        source, target = (
            stack.enter_context(Marketplace(ctx.folder().profile.name, folder)) for ctx in sides
        )

        async def read_target(session: Session) -> None:
            await target.read(session, requests)
            await target.read_omitted(session, requests, source)

        on(sides[0], lambda session: source.read(session, requests))
        on(sides[1], read_target)
        for place in source.absent_places:
            if place in target.absent_places:
                raise UsageError(f"{place} exists in neither marketplace")
            sides[0].warn(f"{place} does not exist in {source.profile}")
        if source.omitted(requests, target):
            on(sides[0], lambda session: source.read_omitted(session, requests, target))
        if _are_one(sides, source.owner, target.owner):
            sides[1].warn(f"both profiles are for marketplace {target.owner} at the same address")
        return compare(requests, source, target, ignored, sides[1].folder().path)


def _are_one(sides: tuple[Context, Context], *owners: str) -> bool:
    """Return whether both sides are one marketplace."""
    from ocsync.store.profiles import same_place

    first, second = (ctx.folder().profile.api_url for ctx in sides)
    return owners[0].casefold() == owners[1].casefold() and same_place(first, second)


@contextmanager
def _naming_profile(name: str, *, stage: bool) -> Iterator[None]:
    """Name the profile in an error, as there are two."""
    try:
        yield
    except Interrupted:
        raise
    except OcsyncError as error:
        nothing = "; nothing was staged" if stage else ""
        error.message = f"profile {name}: {error.message}{nothing}"
        raise


def _stage(ctx: Context, comparison: Comparison, *, recreated: bool) -> dict[str, Any]:
    """Stage the entries of *comparison*, all or none, and return their numbers as JSON data."""
    from ocsync.engine.staging import ImportContent, check_entries, clear_tombstones
    from ocsync.render.status import unfinished_lines
    from ocsync.store.summary import unfinished_runs

    folder = ctx.folder()
    journal = folder.journal
    for sign, line in unfinished_lines(unfinished_runs(folder.path, ctx.warn_once)):
        ctx.console.info(line, sign)

    def refuse(repeat: RepeatedImport) -> None:
        raise _StagedAlready(repeat)

    content = ImportContent(folder, refuse)
    entries = check_entries(folder, comparison.entries(), recreated=recreated)
    try:
        journal.add_segment(content.collect(entries), content.digest, **new_stamp())
    except _StagedAlready as error:
        text = f"the same {count(error.repeat.entries, 'entry')}"
        where = f"in the unfinished run {error.repeat.run}" if error.repeat.run else "staged"
        ctx.console.print(f"{text} are {where} already; nothing was staged", "=")
        return {"entries": 0, "refs": 0, **staged_totals(journal.totals())}
    if recreated and content.entries:
        clear_tombstones(folder, journal.newest(content.entries), recreated=True)
    _show_staged(ctx, content)
    return {"entries": content.entries, "refs": content.refs, **staged_totals(journal.totals())}


def _show_staged(ctx: Context, content: ImportContent) -> None:
    if not content.entries:
        ctx.console.print("nothing was staged", "=")
        return
    text = f"{count(content.entries, 'entry')} for {count(content.refs, 'ref')}"
    ctx.console.print(f"{text} staged for {ctx.folder().profile.name}", "+")


def _next_commands(ctx: Context, file: str, *, stage: bool) -> list[str]:
    """Return the commands to type next; *file* has the refs that only this side has, if any."""
    profile = ctx.folder().profile.name
    commands = []
    if stage and ctx.folder().journal.totals().entries:
        commands.append(f"ocsync plan --diff --profile {profile}")
    if file:
        commands.append(f"ocsync delete --file {file} --dry-run --profile {profile}")
    return commands
