"""Reports: an option that names a format and a file, `-` for standard output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ocsync.cli.context import Context
from ocsync.cli.options import check_choice
from ocsync.errors import UsageError


def check_report(ctx: Context, form: str, file: str, formats: Sequence[str]) -> None:
    """Raise UsageError for a format that is none of *formats*, or two uses of standard output."""
    if form:
        check_choice("--report", form, formats)
    if file == "-" and ctx.console.json:
        raise UsageError("a report and --json cannot both use standard output")


def write_report(ctx: Context, file: str, text: str) -> None:
    """Write *text* to *file*. Raises FileMissing."""
    from ocsync.store.files import write_output

    if file == "-":
        with ctx.console.document_output("the report") as output:
            output.write(text.encode())
        return
    write_output(Path(file), text.encode())
