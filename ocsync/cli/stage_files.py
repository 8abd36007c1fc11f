"""The `ocsync stage import`, `ocsync stage export` and `ocsync stage template` commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ocsync.cli.context import Context
from ocsync.cli.help_format import Command
from ocsync.cli.mapping_options import (
    Columns,
    Constants,
    DateForm,
    DecimalMark,
    Delimiter,
    Encoding,
    HeaderRow,
    Ignored,
    Map,
    MappingOptions,
    Thousands,
)
from ocsync.cli.options import LOCAL_EXITS, Yes, check_choice, command
from ocsync.errors import ExitCode, FileMissing, InputError, Refused, UsageError

if TYPE_CHECKING:
    from ocsync.engine.staging import ImportContent, RepeatedImport
    from ocsync.intake.against import EarlierFile
    from ocsync.intake.column_report import ColumnReport
    from ocsync.intake.mapping import FileMapping
    from ocsync.intake.record import SqlQuery
    from ocsync.models import Entry, Ref
    from ocsync.store import JournalSummary

_EXITS = (*LOCAL_EXITS, ExitCode.BAD_INPUT, ExitCode.NO_FILE)
QUERY_NAME = "query"
"""The name, in messages, of the rows of a query: `query:7` is its seventh."""
OutputFile = Annotated[
    str, typer.Argument(metavar="[FILE]", help="File to write; - is standard output.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")]

Recreated = Annotated[
    bool,
    typer.Option(
        "--recreated",
        help="Allow edits: it was deleted here but has since been recreated elsewhere.",
    ),
]


class _KindsInHelp(Command):
    """A command whose help lists the kinds; their table is not loaded before that."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with the kinds in the KIND argument's text."""
        [argument] = [parameter for parameter in self.params if parameter.name == "kind"]
        argument.help = f"One of {', '.join(_kinds())}."  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def _kinds() -> list[str]:
    """Return the names of the kinds, whose table is loaded only here."""
    from ocsync.schema import KINDS

    return list(KINDS)


class Source(NamedTuple):
    """The options that say how a file is read."""

    kind: str
    file_format: str
    sheet: str
    mapping: FileMapping | None


class _CountsTwice(Exception):
    """A refusal to stage adjustments again that are not sent yet."""

    def __init__(self, repeat: RepeatedImport) -> None:
        super().__init__()
        self.repeat = repeat


def register(group: typer.Typer) -> None:
    """Add the commands."""

    @command(group, "import", exits=_EXITS)
    def import_(
        ctx: Context,
        file: Annotated[
            str,
            typer.Argument(
                metavar="FILE",
                help="CSV, JSON, spreadsheet or Parquet; - reads standard input. With --sql, the "
                "DuckDB database of the query, if it has one.",
            ),
        ] = "",
        kind: Annotated[
            str,
            typer.Option(
                "--kind",
                metavar="KIND",
                help="Kind of the rows, for a table without a ref column.",
            ),
        ] = "",
        form: Annotated[
            str,
            typer.Option(
                "--format",
                metavar="csv|jsonl|xlsx|parquet",
                help="Format of the file. Default: by its name and content.",
            ),
        ] = "",
        sheet: Annotated[
            str,
            typer.Option("--sheet", metavar="NAME|NUMBER", help="Sheet of the spreadsheet."),
        ] = "",
        sql: Annotated[
            str,
            typer.Option(
                "--sql",
                metavar="QUERY",
                help="Read the rows of this SELECT, by DuckDB, from Parquet, CSV, JSON or FILE.",
            ),
        ] = "",
        against: Annotated[
            str,
            typer.Option(
                "--against", metavar="FILE", help="Stage only what differs from this earlier file."
            ),
        ] = "",
        new: Annotated[
            str,
            typer.Option(
                "--new",
                metavar="put|skip|refuse",
                help="What to do with rows that the earlier file does not have. Default: refuse.",
            ),
        ] = "",
        gone: Annotated[
            str,
            typer.Option(
                "--gone", metavar="FILE", help="Write the refs that only the earlier file has."
            ),
        ] = "",
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", "-n", help="Show what each column holds; stage nothing."),
        ] = False,
        recreated: Recreated = False,
        yes: Yes = False,
        map_: Map = "",
        column: Columns = None,
        const: Constants = None,
        ignore: Ignored = None,
        header_row: HeaderRow = 0,
        delimiter: Delimiter = "",
        encoding: Encoding = "",
        decimal: DecimalMark = "",
        thousands: Thousands = "",
        date: DateForm = "",
    ) -> None:
        """Stage every line of a file, or nothing if any line is wrong.

        Reads CSV, JSON, spreadsheets and Parquet, and with --sql what a query selects. With
        --dry-run it shows what each column holds and stages nothing. It asks before it stages
        adjustments of a file whose adjustments are still staged or in an unfinished run, because
        they would count twice.

        With --against it stages only the cells that differ from an earlier file, and expects
        that file's values. Nothing is deleted: --gone writes the refs for delete --file.

        Examples:
          ocsync stage import stocktake.csv --kind inventory
          ocsync stage import today.csv --against yesterday.csv --gone gone.txt
          ocsync stage import --kind catalog --sql "SELECT ID, Name FROM c" erp.duckdb
        """
        from ocsync.engine.staging import ImportContent, check_entries, clear_tombstones
        from ocsync.intake import read_file
        from ocsync.intake.column_report import ColumnReport
        from ocsync.intake.reader import FORMATS
        from ocsync.render.stage import contradiction_note, repeat_note, repeat_question
        from ocsync.store.timestamps import utc_now

        if form:
            check_choice("--format", form, FORMATS)
        if (new or gone) and not against:
            raise UsageError("--new and --gone compare with an earlier file: give --against FILE")
        options = MappingOptions(
            map_, tuple(column or ()), tuple(const or ()), tuple(ignore or ()), header_row,
            delimiter, encoding, decimal, thousands, date,
        )  # fmt: skip
        text_options = {"--format": form, "--sheet": sheet, "--delimiter": delimiter,
                        "--encoding": encoding, "--header-row": header_row}  # fmt: skip
        query = _query(sql, file, [name for name, value in text_options.items() if value])
        file = QUERY_NAME if query else file
        source = Source(kind, form, sheet, options.mapping(ctx))
        earlier = None
        if against:
            compared = "" if query or dry_run or file == "-" else file
            earlier = _read_earlier(ctx, against, compared, new, gone, source)
        ctx.yes = yes
        folder = ctx.folder()
        journal = folder.journal
        report = ColumnReport()

        def stage(on_repeat: Callable[[RepeatedImport], None]) -> ImportContent:
            content = ImportContent(folder, on_repeat)
            if earlier is not None:
                earlier.begin()
            with nullcontext(query) if query else _open_source(file) as opened:
                read = read_file(
                    file, opened, **source._asdict(), note=ctx.warn_once,
                    observe=report.add_lines if dry_run else None,
                    unchanged=content.count_unchanged, earlier=earlier,
                )  # fmt: skip
                good = check_entries(folder, read, recreated=recreated)
                collected = content.collect(good)
                with _foreign_header(ctx, file, source, query, dry_run=dry_run):
                    if dry_run:
                        _show_dry_run(ctx, file, collected, content, report)
                    else:
                        journal.add_segment(collected, content.digest, **new_stamp())
            if text := contradiction_note(_source_name(file), content.contradictions):
                ctx.warn_once(text)
            return content

        def note(repeat: RepeatedImport) -> None:
            ctx.warn_once(repeat_note(_source_name(file), repeat, utc_now()))

        def refuse(repeat: RepeatedImport) -> None:
            if repeat.adjusts:
                raise _CountsTwice(repeat)
            note(repeat)

        if dry_run:
            stage(note)
            if earlier is not None and not ctx.console.json:
                _show_comparison(ctx, earlier, "")
            return
        try:
            imported = stage(note if yes else refuse)
        except _CountsTwice as error:  # asked when the journal's lock is free again
            question = repeat_question(_source_name(file), error.repeat, utc_now())
            hint = "ocsync resume sends the staged edits; --yes stages the file again"
            if not ctx.ask(question, hint=hint):
                raise UsageError("nothing was staged") from None
            imported = stage(lambda _: None)
        if recreated and imported.entries:
            clear_tombstones(folder, journal.newest(imported.entries), recreated=True)
        written = write_gone(gone, earlier.gone()) if earlier is not None and gone else ""
        _show_imported(ctx, file, imported, journal.totals(), earlier, written)

    @command(group, "export", exits=_EXITS)
    def export(
        ctx: Context,
        file: OutputFile = "-",
        refs: Annotated[
            list[str] | None, typer.Argument(metavar="[REF...]", help="Export only these refs.")
        ] = None,
        kind: Annotated[
            str,
            typer.Option(
                "--kind",
                metavar="KIND",
                help="Export only this kind.",
            ),
        ] = "",
        form: Annotated[
            str,
            typer.Option(
                "--format",
                metavar="csv|jsonl",
                help="Format of the file. Default: by its name, else jsonl.",
            ),
        ] = "",
        force: Force = False,
    ) -> None:
        """Write the staged edits to a file that stage import reads.

        JSON lines hold every edit; CSV reports edits that it cannot hold.

        Examples:
          ocsync stage export backup.jsonl
          ocsync stage export stock.csv --kind inventory
        """
        from ocsync.intake import export as exports
        from ocsync.intake.reader import detect_format
        from ocsync.intake.table_header import kind_named

        if "/" in file and file.partition("/")[0] in _kinds():
            raise UsageError(f"{file} is a ref", hint=f"ocsync stage export - {file}")
        form = form or (detect_format(file, b"{") if file != "-" else "jsonl")
        check_choice("--format", form, exports.FORMATS)
        entries = _select_entries(
            ctx.folder().journal.entries(), refs or (), kind and kind_named(kind).name
        )
        lines = exports.csv_lines(entries) if form == "csv" else exports.json_lines(entries)
        _write_lines(ctx, file, lines, "the staged edits", force=force)
        _show_exported(ctx, file, form, entries)

    @command(group, "template", exits=_EXITS, cls=_KindsInHelp)
    def template(
        ctx: Context,
        kind: Annotated[
            str,
            typer.Argument(metavar="KIND", help="The kind."),
        ],
        file: OutputFile = "-",
        by_ref: Annotated[
            bool, typer.Option("--ref", help="Write one ref column instead of the ID columns.")
        ] = False,
        expect: Annotated[
            list[str] | None,
            typer.Option(
                "--expect", metavar="FIELD", help="Add a column for the expected value of FIELD."
            ),
        ] = None,
        force: Force = False,
    ) -> None:
        """Write an empty CSV with all writable fields of a kind.

        Examples:
          ocsync stage template inventory stock.csv
          ocsync stage template product --ref --expect Active
        """
        from ocsync.intake.table_header import kind_named
        from ocsync.intake.template import header_for, required_fields

        row = kind_named(kind)
        names = header_for(row, by_ref=by_ref, expect=expect or ())
        if not ctx.console.json or file != "-":
            header = (",".join(names) + "\n").encode()
            _write_lines(ctx, file, [header], "the template", force=force)
        facts = {"kind": kind, "file": file, "columns": names, "required": required_fields(row),
                 "ops": [op.value for op in row.ops]}  # fmt: skip
        ctx.console.document("stage template", facts)
        _explain_template(ctx, kind, file, facts, by_ref=by_ref)


def new_stamp() -> dict[str, str]:
    """Return the members of an entry that say when it was staged, and by whom: now, by the user."""
    from ocsync.store.identity import operator
    from ocsync.store.timestamps import utc_now

    return {"at": utc_now().isoformat(timespec="seconds"), "by": operator()}


def staged_totals(totals: JournalSummary) -> dict[str, int]:
    """Return the numbers of staged entries and refs as JSON data."""
    return {"staged_entries": totals.entries, "staged_refs": totals.refs}


def show_staged_totals(ctx: Context, totals: JournalSummary) -> None:
    """Print how much is staged, and the next command."""
    from ocsync.render.text import count

    text = f"{count(totals.entries, 'entry')}, {count(totals.refs, 'ref')}"
    ctx.console.info(f"  staged now: {text}")
    ctx.console.suggest("ocsync plan")


def _query(sql: str, file: str, text_options: Sequence[str]) -> SqlQuery | None:
    """Return the query of --sql; None without one. Raises UsageError for other input beside it."""
    from ocsync.intake.record import SqlQuery

    if not sql:
        if not file:
            raise UsageError("give the FILE to import, or --sql QUERY", hint="ocsync help files")
        return None
    if text_options:
        verb = "does" if len(text_options) == 1 else "do"
        raise UsageError(f"{' and '.join(text_options)} {verb} not work with --sql")
    if file == "-":
        raise UsageError("--sql needs a DuckDB database file, or none; it cannot read one from -")
    return SqlQuery(sql, file)


@contextmanager
def _foreign_header(
    ctx: Context, file: str, source: Source, query: SqlQuery | None, *, dry_run: bool
) -> Iterator[None]:
    """Offer a mapping for a foreign header or encoding; a dry run shows the file's columns."""
    from ocsync.intake.table_header import WRONG_HEADER

    try:
        yield
    except InputError as error:
        if query is not None:
            if error.message == WRONG_HEADER:
                error.hint = error.hint or "name the columns in the query: SELECT stock AS FIELD"
            raise
        undecoded = any("--encoding" in problem.why for problem in error.problems)
        if (error.message == WRONG_HEADER or undecoded) and file != "-":
            if dry_run and not ctx.console.json:
                _show_foreign_columns(ctx, file, source)
            if source.mapping is None:
                command = f"ocsync stage map {source.kind or '-'} {file}"
                error.hint = error.hint or f"{command} MAPPING.toml, for a file of another program"
        raise


def _show_foreign_columns(ctx: Context, file: str, source: Source) -> None:
    """Print the columns of a file as they are, with values, and what each seems to hold."""
    from ocsync.intake.mapping_draft import draft_mapping
    from ocsync.render.stage import foreign_column_lines

    try:
        kind = source.kind or (source.mapping.kind if source.mapping else "")
        draft = draft_mapping(_source_name(file), Path(file).read_bytes(), kind, source.sheet)
    except (InputError, OSError):
        return  # the error about the header says enough
    ctx.console.print_lines(foreign_column_lines(_source_name(file), draft))


def _read_earlier(
    ctx: Context, file: str, new_file: str, new: str, gone: str, source: Source
) -> EarlierFile:
    """Return the file to compare with. Raises UsageError, InputError.

    Of *new_file*, if it is not "", it may leave out lines that both files have alike.
    """
    from ocsync.intake.against import EarlierFile, NewRows
    from ocsync.intake.reader import differing_lines, read_values

    if new:
        check_choice("--new", new, tuple(NewRows))
    check_gone(gone)
    kept = differing_lines(file, new_file, **source._asdict()) if new_file else None
    earlier = EarlierFile(_source_name(file), NewRows(new or NewRows.REFUSE), kept)
    with _open_source(file) as stream:
        earlier.read(
            read_values(file, stream, **source._asdict(), note=ctx.warn_once,
                        kept=kept.earlier if kept else None)
        )  # fmt: skip
    return earlier


def check_gone(file: str) -> None:
    """Raise Refused when *file*, which --gone names, exists already."""
    if file and Path(file).exists():
        raise Refused(f"{file} exists already", hint="give another file for --gone")


def write_gone(file: str, refs: Iterable[Ref]) -> str:
    """Write *refs*, one a line, and return the file's name; without refs write nothing, and return
    "".
    """
    from ocsync.store.files import atomic_writer, real_path

    rest = iter(refs)
    first = next(rest, None)
    if first is None:
        return ""
    try:
        with atomic_writer(real_path(Path(file))) as opened:
            opened.writelines(f"{ref}\n".encode() for ref in chain([first], rest))
    except OSError as error:
        raise FileMissing(f"{file}: {error.strerror}") from error
    return file


def _show_comparison(ctx: Context, earlier: EarlierFile, written: str) -> None:
    from ocsync.render.stage import comparison_lines

    for line in comparison_lines(earlier, written=bool(written)):
        ctx.console.info(line)
    if written:
        ctx.console.suggest(f"ocsync delete --file {written} --dry-run")


def _show_imported(
    ctx: Context,
    file: str,
    imported: ImportContent,
    totals: JournalSummary,
    earlier: EarlierFile | None,
    written: str,
) -> None:
    from ocsync.render.text import count
    from ocsync.schema import KINDS

    number, refs, kinds = imported.entries, imported.refs, imported.kinds
    unchanged = imported.unchanged + (earlier.same if earlier else 0)
    facts = {"entries": number, "refs": refs, "unchanged": unchanged, **staged_totals(totals)}
    if earlier:
        facts |= {"new": earlier.new, "gone": earlier.gone_number}
    ctx.console.document("stage import", facts)
    source = _source_name(file)
    if not number:
        left_out = earlier is not None and earlier.new > 0
        reason = f"{source} has no lines{' to stage' * left_out}"
        if unchanged:
            reason = f"{count(unchanged, 'row')} of {source} changed no value"
        ctx.console.print(f"{reason}; nothing was staged", "=")
        if earlier:
            _show_comparison(ctx, earlier, written)
        return
    what = KINDS[next(iter(kinds))].noun if len(kinds) == 1 else "ref"
    ctx.console.print(f"{count(number, 'entry')} for {count(refs, what)} from {source}", "+")
    if unchanged:
        ctx.console.info(f"  {count(unchanged, 'row')} without a change")
    if earlier:
        _show_comparison(ctx, earlier, written)
    show_staged_totals(ctx, totals)


def _show_dry_run(
    ctx: Context, file: str, read: Iterable[Entry], content: ImportContent, report: ColumnReport
) -> None:
    """Read all lines, print the columns and the outcome, and raise InputError for problems."""
    from ocsync.engine.resume.drafting import draft_large
    from ocsync.engine.staging import EntrySpool
    from ocsync.render import stage as shown

    wrong: InputError | None = None
    folder = ctx.folder()
    journal = folder.journal
    try:
        new = EntrySpool(folder.path, read)
        both = alone = draft_large(shown.number_entries(new), content.kinds, folder.path)
        if journal.totals().entries:
            every = shown.number_entries(chain(journal.stream(), new))
            both = draft_large(every, {*content.kinds, *journal.kinds()}, folder.path)
    except InputError as error:
        wrong = error
    facts = shown.column_document(_source_name(file), report)
    if wrong is None:
        facts |= {"unchanged": content.unchanged, **shown.outcome_document(alone, both)}
    if report.lines or wrong is None:
        ctx.console.document("stage import", facts)
        if not ctx.console.json:
            ctx.console.print_lines(shown.column_lines(_source_name(file), report))
            for sign, line in (
                shown.outcome_lines(_source_name(file), facts) if wrong is None else ()
            ):
                ctx.console.print(line, sign)
    if wrong is not None:
        listed = ctx.console.json or not report.wrong
        raise InputError(wrong.message, wrong.problems if listed else (), hint=wrong.hint)


def _select_entries(entries: Sequence[Entry], refs: Sequence[str], kind: str) -> list[Entry]:
    from ocsync.schema import ref_key

    known, keys = {ref_key(entry.ref) for entry in entries}, {ref_key(ref) for ref in refs}
    missing = [ref for ref in refs if ref_key(ref) not in known]
    if missing:
        raise FileMissing(f"no staged entry {', '.join(missing)}", hint="ocsync stage list")
    return [
        entry
        for entry in entries
        if (not keys or ref_key(entry.ref) in keys)
        and (not kind or entry.ref.partition("/")[0] == kind)
    ]


def _show_exported(ctx: Context, file: str, form: str, entries: Sequence[Entry]) -> None:
    import msgspec

    from ocsync.render.text import count
    from ocsync.schema import distinct_refs

    refs = len(distinct_refs(entry.ref for entry in entries))
    facts: dict[str, Any] = {"file": file, "form": form, "entries": len(entries), "refs": refs}
    if file == "-":
        facts["exported"] = msgspec.to_builtins(entries)
    ctx.console.document("stage export", facts)
    text = f"{count(len(entries), 'entry')} for {count(refs, 'ref')}"
    if file == "-":
        ctx.console.info(text, "=")
    else:
        ctx.console.print(f"{text} to {_source_name(file)}", "+")
        if entries:
            verb = "is" if len(entries) == 1 else "are"
            advice = f"to import {_source_name(file)} here, run ocsync stage clear first"
            ctx.console.info(f"  {count(len(entries), 'entry')} {verb} still staged; {advice}")


def _explain_template(
    ctx: Context, kind: str, file: str, facts: dict[str, Any], *, by_ref: bool
) -> None:
    """Print the rules that a header alone does not show."""
    from ocsync.schema import KINDS

    row = KINDS[kind]
    if len(row.ops) > 1:
        ops = ", ".join(op.value for op in row.ops)
        ctx.console.info(f"  op is one of {ops}; empty is {row.ops[0].value}")
    if facts["required"]:
        verb = "an assign" if row.assignment else "a put"
        ctx.console.info(f"  {verb} must have {', '.join(facts['required'])}")
    if "xp" in row.fields:
        ctx.console.info("  xp: add columns such as xp.color (text) and xp.size: (JSON)")
    ctx.console.info("  an empty cell leaves the field unchanged; \\N sets it to null")
    name = file if file != "-" else f"{kind}.csv"
    ctx.console.suggest(f"ocsync stage import {name}" + (f" --kind {kind}" if not by_ref else ""))


def _source_name(file: str) -> str:
    return {"-": "standard input", QUERY_NAME: "the query"}.get(file, Path(file).name)


def _open_source(file: str) -> Any:
    if file == "-":
        if sys.stdin.isatty():
            raise UsageError("standard input is a terminal; pipe a file in, or give its name")
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise FileMissing(f"{file}: {error.strerror}") from error


def _write_lines(
    ctx: Context, file: str, lines: Iterable[bytes], name: str, *, force: bool
) -> None:
    """Write the *lines* of the document *name* to *file*, all or none, or to stdout.

    With --json nothing is written to stdout.
    """
    from ocsync.store.files import atomic_writer, real_path

    if file == "-":
        data = list(lines)
        if not ctx.console.json:
            with ctx.console.document_output(name) as output:
                output.writelines(data)
        return
    path = real_path(Path(file))
    if path.exists() and not force:
        raise Refused(f"{file} exists already", hint="give another name, or --force to replace it")
    try:
        with atomic_writer(path) as opened:
            opened.writelines(lines)
    except OSError as error:
        raise FileMissing(f"{file}: {error.strerror}") from error
