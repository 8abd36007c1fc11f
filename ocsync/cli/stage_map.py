"""The `ocsync stage map` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.mapping_options import mapping_path
from ocsync.cli.options import LOCAL_EXITS, command
from ocsync.errors import ExitCode, FileMissing, Refused, UsageError

if TYPE_CHECKING:
    from ocsync.intake.mapping_draft import Draft


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "map", exits=(*LOCAL_EXITS, ExitCode.BAD_INPUT, ExitCode.NO_FILE))
    def map_(
        ctx: Context,
        kind: Annotated[
            str, typer.Argument(metavar="KIND", help="Kind of the rows; - guesses it.")
        ],
        file: Annotated[
            str, typer.Argument(metavar="FILE", help="CSV or spreadsheet of another program.")
        ],
        out: Annotated[
            str,
            typer.Argument(
                metavar="[MAPPING]", help="A .toml file, or a name in the workspace; - prints it."
            ),
        ] = "-",
        sheet: Annotated[
            str,
            typer.Option("--sheet", metavar="NAME|NUMBER", help="Sheet of the spreadsheet."),
        ] = "",
        force: Annotated[
            bool, typer.Option("--force", help="Replace the mapping if it exists.")
        ] = False,
    ) -> None:
        """Write a first mapping for another program's file.

        It guesses the encoding, the header, the marks in numbers, the format of dates, and what
        each column holds, and marks what it is not sure of. Correct it, then import with --map.

        Examples:
          ocsync stage map inventory stock.csv stock.toml
          ocsync stage map - users.xlsx
        """
        from ocsync.intake.mapping_draft import draft_mapping
        from ocsync.intake.table_header import kind_named

        name = "" if kind == "-" else kind_named(kind).name
        path = None if out == "-" else mapping_path(ctx, out)
        if path is not None and path.exists() and not force:
            raise Refused(
                f"{path} exists already", hint="give another name, or --force to replace it"
            )
        try:
            data = Path(file).read_bytes() if file != "-" else _read_stdin()
        except OSError as error:
            raise FileMissing(f"{file}: {error.strerror}") from error
        draft = draft_mapping(Path(file).name, data, name, sheet)
        if path is not None:
            _write(ctx, path, draft.text)
        _show(ctx, file, out, path, draft)


def _read_stdin() -> bytes:
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe a file in, or give its name")
    return sys.stdin.buffer.read()


def _write(ctx: Context, path: Path, text: str) -> None:
    from ocsync.store.files import make_folder, real_path, write_atomically

    try:
        is_in_workspace = path.parent.parent == ctx.workspace.root
        if is_in_workspace:
            make_folder(path.parent)
        write_atomically(path if is_in_workspace else real_path(path), text.encode())
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error


def _show(ctx: Context, file: str, out: str, path: Path | None, draft: Draft) -> None:
    from ocsync.render.text import count, first_few

    ctx.console.document(
        "stage map",
        {
            "kind": draft.kind,
            "file": file,
            "mapping": draft.text,
            "written": str(path) if path else "",
            "encoding": draft.encoding,
            "missing": list(draft.missing),
            "columns": [
                {"header": c.header, "field": c.field, "sure": c.is_sure, "examples": [*c.examples]}
                for c in draft.columns
            ],
        },
    )
    if path is None and not ctx.console.json:
        ctx.console.print(draft.text.rstrip("\n"))
    if path is not None:
        mapped = sum(bool(column.field) for column in draft.columns)
        columns = count(len(draft.columns), "column")
        ctx.console.print(f"{mapped} of {columns} mapped to {draft.kind} in {path}", "+")
    if draft.encoding:
        ctx.console.info(
            f"  read as {draft.encoding}, as it is not UTF-8; if names look wrong, correct the "
            "encoding in the mapping",
            "!",
        )
    if draft.missing:
        ctx.console.info(f"  no column seems to hold {first_few(draft.missing)}", "!")
    if draft.sets_nothing:
        ctx.console.info("  no column seems to hold a value to set", "!")
    if draft.doubtful:
        ctx.console.info(f"  not sure: {first_few(draft.doubtful)}", "!")
    if out != "-":
        ctx.console.suggest(f"ocsync stage import {file} --map {out} --dry-run")
