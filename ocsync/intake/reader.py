"""Files -> entries: CSV, JSON lines, and spreadsheets, as a stream with every fault collected.

What is wrong is told at the end of the stream, so a reader must take nothing until then; a segment
of the journal does just that.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import PurePath
from typing import BinaryIO

from ocsync.errors import InputError, Problem, UsageError
from ocsync.intake import csv_rows, jsonl, table
from ocsync.intake.field_values import validate
from ocsync.intake.record import Line, Origin, See
from ocsync.models import Entry

KEPT = 1000
"""Problems that are told one by one; beyond them only their number."""
MAX_LINE = 1_000_000
"""Characters of one line."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FORMATS = ("csv", "jsonl", "xlsx")
_SUFFIXES = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "xlsx"),
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
}
_SHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How a zip archive begins, and a compound file: spreadsheets, whatever their name."""


def read_file(
    name: str,
    stream: BinaryIO,
    *,
    kind: str = "",
    form: str = "",
    sheet: str = "",
    note: Callable[[str], None] = lambda _: None,
    see: See = lambda _: None,
) -> Iterator[Entry]:
    """The entries in *stream*. *kind* is for tables without a `ref` column; *form* forces a format;
    *sheet* chooses one of a spreadsheet.

    *see* gets every line, *note* what is odd but not wrong. Raises InputError, with every problem,
    when the stream has been read to its end.
    """
    buffered = io.BufferedReader(stream) if not isinstance(stream, io.BufferedReader) else stream  # type: ignore[type-var]
    head = buffered.peek(4096)[:4096]
    form = form or form_of(name, head)
    label = PurePath(name).name if name != "-" else "stdin"
    if form == "xlsx":
        from ocsync.intake import sheets

        origin, found = sheets.rows(label, buffered.read(), sheet, note)
        yield from _collected(origin, table.lines(origin, found, kind), note, see)
        return
    if sheet:
        raise UsageError("--sheet is for spreadsheets", hint="or give --format xlsx")
    origin = Origin(label)
    with closing(_text(origin, buffered, head)) as text:
        if form == "jsonl":
            lines = jsonl.lines(origin, text)
        else:
            lines = table.lines(origin, csv_rows.rows(origin, text, head), kind)
        yield from _collected(origin, lines, note, see)


def _collected(
    origin: Origin, lines: Iterator[Line], note: Callable[[str], None], see: See
) -> Iterator[Entry]:
    kept: list[Problem] = []
    loose: dict[str, tuple[int, str]] = {}
    wrong = total = 0
    try:
        for line in lines:
            total += 1
            found = line.problems
            if line.entry is not None and not found:
                found += [
                    Problem(
                        origin.label, line.number, line.columns.get(f.field, 0), *f, origin.sheet
                    )
                    for f in validate(line.entry)
                ]
            see(line)
            for name, text in line.loose.items():
                loose[name] = (loose.get(name, (0, ""))[0] + 1, loose.get(name, (0, text))[1])
            if found:
                wrong += 1
                kept += found[: KEPT - len(kept)]
            elif line.entry is not None and not wrong:
                yield line.entry
    except InputError as error:
        if not kept:
            raise
        raise InputError(error.message, [*kept, *error.problems], hint=error.hint) from error
    finally:
        for name, (number, text) in loose.items():
            note(_not_text(origin, name, number, text))
    if wrong:
        are = "is" if wrong == 1 else "are"
        raise InputError(f"{wrong:,} of {total:,} lines {are} wrong; nothing was staged", kept)


def _not_text(origin: Origin, name: str, number: int, text: str) -> str:
    """What an operator has to know of cells that a spreadsheet holds as something else."""
    cells = "is no text" if number == 1 else "are no text"
    why = "zeros before it, and formats, are lost"
    if name.startswith(("xp.", "expect.xp.")):
        why = f"read as text; for numbers name it {name}:"
    return f"{origin.label} {origin.sheet}: {number:,} of {name} {cells} ({text}): {why}"


def form_of(name: str, head: bytes) -> str:
    """The format of a file that is called *name* and begins with *head*."""
    known = _SUFFIXES.get(PurePath(name).suffix.casefold())
    if head.startswith(_SHEETS):
        return "xlsx"
    if known:
        return known
    return "jsonl" if head.lstrip(codecs.BOM_UTF8 + b" \r\n\t").startswith(b"{") else "csv"


def _text(origin: Origin, stream: BinaryIO, head: bytes) -> Generator[str, None, None]:
    """The lines, decoded, each no longer than MAX_LINE. Raises InputError for what is no text."""
    encoding = next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8")
    strict = encoding == "utf-16"
    text = io.TextIOWrapper(
        stream, encoding=encoding, newline="", errors="strict" if strict else "surrogateescape"
    )
    number = 0
    try:
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise _unreadable(origin, number, f"is longer than {MAX_LINE:,} characters")
            if "\0" in line:
                raise _unreadable(origin, number, "holds a NUL: this is not a text file in UTF-8")
            if not line.isascii():
                line.encode()  # an undecodable byte does not pass a second time
            yield line
    except UnicodeError:
        number += strict
        why = f'is not {encoding} text; save the file as "CSV UTF-8"'
        raise _unreadable(origin, number, why) from None
    finally:
        with suppress(ValueError):  # it is closed already
            text.detach()  # whoever opened the stream closes it


def _unreadable(origin: Origin, number: int, why: str) -> InputError:
    return InputError("nothing was staged", [origin.problem(number, -1, "", "", why)])
