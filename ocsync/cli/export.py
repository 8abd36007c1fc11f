"""The `ocsync export` command."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from ocsync.errors import (
    ApiError,
    ExitCode,
    FileMissing,
    Interrupted,
    Refused,
    TryLater,
    UsageError,
)
from ocsync.plurals import count

if TYPE_CHECKING:
    from ocsync.engine.export.export import ExportedKind
    from ocsync.engine.export.selection import ExportRequest
    from ocsync.engine.export.spool import Spool
    from ocsync.engine.export.writing import Presentation


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "export", ExitCode.BAD_INPUT, ExitCode.NO_FILE)
    def export(
        ctx: Context,
        words: Annotated[
            list[str],
            typer.Argument(
                metavar="KIND... [FILE]",
                help="Kinds or refs; then a .csv, .xlsx, .jsonl or .parquet file, or - for stdout.",
            ),
        ],
        catalog: Catalog = "",
        category: Category = "",
        buyer: Buyer = "",
        supplier: Supplier = "",
        since: Annotated[
            str,
            typer.Option("--since", metavar="TIME", help="Export only since then: 2d, 2027-01-31."),
        ] = "",
        filters: Filters = None,
        ids: Annotated[
            str,
            typer.Option(
                "--ids", metavar="FILE", help="Read the refs (or IDs) of a file one by one."
            ),
        ] = "",
        limit: Limit = 0,
        fields: Annotated[
            list[str] | None,
            typer.Option("--fields", metavar="FIELD,...", help="Export only these fields."),
        ] = None,
        read_only: Annotated[
            bool, typer.Option("--read-only", help="Add the read-only fields.")
        ] = False,
        no_expect: Annotated[
            bool, typer.Option("--no-expect", help="Leave out the expected values.")
        ] = False,
        form: Annotated[
            str,
            typer.Option(
                "--format",
                metavar="csv|xlsx|jsonl|parquet",
                help="Format of the file. Default: by its name, else csv.",
            ),
        ] = "",
        go_on: Annotated[
            bool, typer.Option("--continue", help="Continue an export that was interrupted.")
        ] = False,
        force: Annotated[
            bool, typer.Option("--force", help="Replace FILE, or an unfinished export of it.")
        ] = False,
        concurrency: Concurrency = DEFAULT_CONCURRENCY,
        max_rate: MaxRate = 0.0,
    ) -> None:
        """Write the marketplace's present state to a file.

        Edit it, then stage import it: cells that you leave as they are stage
        nothing, and resume sends no change where others have changed the
        value since, as each field has its expected value beside it.
        The file is written when everything has been read.

        Examples:
          ocsync export product products.xlsx --catalog SUMMER
          ocsync export inventory stock.csv --fields QuantityAvailable
          ocsync export product price-schedule shop.xlsx --read-only
        """
        from ocsync.client import Limits
        from ocsync.engine.export.export import read_all
        from ocsync.engine.export.writing import FORMATS, Presentation
        from ocsync.render import export as shown

        kinds, refs, file = _read_words(words)
        form = form or _format_of(file)
        if form not in FORMATS:
            raise UsageError(f'"{form}" is not a format', hint=f"one of {', '.join(FORMATS)}")
        selection = Selection(
            catalog, category, buyer, supplier, filters or (), since=since, ids=ids, limit=limit
        )
        requests = make_requests(kinds, refs, selection)
        paths = _read_fields(fields or [], requests)
        presentation = Presentation(form, paths, expect=not no_expect, read_only=read_only)
        _check_output(ctx, file, form, requests)
        description = _description(ctx, requests, since)
        with _spool(file, description, continues=go_on, force=force) as spool:
            limits = Limits(concurrency, max_rate)
            with _continuable(file, spool):
                exported = ctx.run_online(
                    lambda session: read_all(session, requests, spool), limits=limits
                )
            _write(ctx, file, spool, exported, presentation, force=force)
        ctx.console.document("export", shown.document(file, form, exported))
        for sign, line in () if ctx.console.json else shown.lines(file, exported):
            (ctx.console.info if file == "-" else ctx.console.print)(line, sign)
        if file != "-":
            ctx.console.suggest(*shown.next_commands(file, exported))


def _read_words(words: Sequence[str]) -> tuple[list[str], list[str], str]:
    """Return the kinds, the refs and the file that *words* name. Raises UsageError."""
    from ocsync.intake.table_header import kind_named

    kinds, refs, files = read_kinds_and_refs(words)
    if len(files) > 1:
        for word in files[:-1]:
            kind_named(word)
    if files and words[-1] != files[-1]:
        kind_named(files[-1])
    if not kinds and not refs:
        kind_named(files[0])
    return kinds, refs, files[0] if files else "-"


def _format_of(file: str) -> str:
    from ocsync.engine.export.writing import FORMATS
    from ocsync.schema import KINDS
    from ocsync.suggestions import listed, suggestion

    if file == "-":
        return "csv"
    suffix = Path(file).suffix.casefold().removeprefix(".")
    if suffix not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        text = f"{file} is not a kind, and its name does not end in {known}"
        raise UsageError(text, hint=suggestion(file, KINDS, f"kinds: {listed(KINDS)}"))
    return suffix


def _read_fields(given: Sequence[str], requests: Sequence[ExportRequest]) -> list[str]:
    """Return the paths in *given*, each a field of one of the kinds. Raises UsageError."""
    from ocsync.engine.export.export import columns_of
    from ocsync.suggestions import suggestion

    paths = [path.strip() for text in given for path in text.split(",") if path.strip()]
    known = {path for request in requests for path in columns_of(request.kind)}
    has_xp = any("xp" in request.kind.fields for request in requests)
    for path in paths:
        if path not in known and not (has_xp and path.startswith("xp.")):
            kinds = " or ".join(request.kind.name for request in requests)
            raise UsageError(
                f"{path} is not a field of {kinds} that can be edited",
                hint=suggestion(path, sorted(known), "to export read-only fields: --read-only"),
            )
    return paths


def _check_output(ctx: Context, file: str, form: str, requests: Sequence[ExportRequest]) -> None:
    """Raise UsageError for a file that cannot take the rows, before any of them is read."""
    if file == "-" and ctx.console.json:
        raise UsageError("with --json, standard output holds the report: give a FILE")
    if file == "-" and form in ("xlsx", "parquet") and sys.stdout.isatty():
        raise UsageError(f"{form} cannot be shown on a terminal: give a FILE")
    if len(requests) > 1 and form in ("csv", "parquet"):
        raise UsageError(
            f"{form} can hold only one kind",
            hint="give an .xlsx file (a sheet for each kind) or a .jsonl file",
        )


def _description(ctx: Context, requests: Sequence[ExportRequest], since: str) -> dict[str, object]:
    """Return what an export that is continued must have in common with the interrupted one."""
    import hashlib

    profile = ctx.folder().profile
    first = requests[0]
    refs = [ref for request in requests for ref in request.refs]
    return {
        "profile": profile.name,
        "url": profile.api_url,
        "kinds": [request.kind.name for request in requests],
        "selection": [first.catalog, first.category, first.buyer, first.supplier],
        "since": since,
        "filters": dict(first.filters),
        "refs": hashlib.sha256("\n".join(refs).encode()).hexdigest()[:16] if refs else "",
        "limit": first.limit,
    }


@contextmanager
def _spool(
    file: str, description: dict[str, object], *, continues: bool, force: bool
) -> Iterator[Spool]:
    """Yield the spool beside *file*, or for standard output a temporary one."""
    from tempfile import TemporaryDirectory

    from ocsync.engine.export.spool import Spool
    from ocsync.store.files import real_path

    if file == "-":
        if continues:
            raise UsageError("an export to standard output cannot be continued: give a FILE")
        with (
            TemporaryDirectory() as folder,
            Spool(Path(folder) / "rows", description, continues=False) as spool,
        ):
            yield spool
        return
    path = real_path(Path(file))
    if path.exists() and not force:
        raise Refused(f"{file} exists already", hint="give another name, or --force to replace it")
    beside = path.with_name(f".{path.name}.export")
    if beside.exists() and not continues and not force:
        hint = "--continue continues it, --force starts again"
        raise Refused(f"an export to {file} is not finished", hint=hint)
    try:
        spool = Spool(beside, description, continues=continues)
    except OSError as error:
        raise FileMissing(f"{beside}: {error.strerror}") from error
    with spool:
        try:
            yield spool
        except BaseException:
            if not any(one.rows for one in spool.progress.values()):
                spool.remove()
            raise
        spool.remove()


@contextmanager
def _continuable(file: str, spool: Spool) -> Iterator[None]:
    """Tell, in an error that will pass, how to go on."""
    try:
        yield
    except (TryLater, ApiError, Interrupted) as error:
        rows = sum(one.rows for one in spool.progress.values())
        if rows and file != "-":
            error.message += f"; {count(rows, 'row is', 'rows are')} kept"
            error.hint = "run the same command with --continue to continue"
        raise


def _write(
    ctx: Context,
    file: str,
    spool: Spool,
    exported: Sequence[ExportedKind],
    presentation: Presentation,
    *,
    force: bool,
) -> None:
    from ocsync.engine.export.writing import write_to
    from ocsync.store.files import atomic_writer, real_path

    if file == "-":
        with ctx.console.document_output("the export") as output:
            write_to(output, spool, exported, presentation)
        return
    path = real_path(Path(file))
    if path.exists() and not force:
        raise Refused(f"{file} was created in the meantime", hint="--continue --force replaces it")
    try:
        with atomic_writer(path) as opened:
            write_to(opened, spool, exported, presentation)
    except OSError as error:
        raise FileMissing(f"{file}: {error.strerror}") from error
