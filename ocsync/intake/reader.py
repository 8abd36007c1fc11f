"""Entries from files and queries: CSV, JSON, spreadsheets, Parquet and SQL, as a stream.

Problems are collected and raised at the end of the stream. The caller must discard what it has read
when that happens; the journal does, because it writes a segment completely or not at all.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import chain
from pathlib import PurePath
from typing import Any, BinaryIO

import msgspec

from ocsync.characters import replace_undecodable
from ocsync.errors import InputError, Problem, UsageError
from ocsync.intake import csv_rows, jsonl, table
from ocsync.intake.against import EarlierFile
from ocsync.intake.field_values import FieldError, is_word_for_no_value, validate
from ocsync.intake.json_documents import read_items
from ocsync.intake.mapping import (
    FileMapping,
    constants_of,
    json_rows,
    kind_of_mapping,
    map_rows,
    named_columns,
)
from ocsync.intake.record import (
    DifferingLines,
    InputFile,
    KeptLines,
    LineObserver,
    OddCells,
    Oddity,
    ParsedLine,
    ParsedLines,
    Row,
    SqlQuery,
)
from ocsync.intake.table_header import kind_named
from ocsync.intake.unchanged import changed_part
from ocsync.models import Entry, Fields, Op
from ocsync.schema import field_at, kind_of

MAX_PROBLEMS = 1000
"""Most problems that are listed; the message gives the number of all."""
MAX_LINE = 1_000_000
"""Most characters of one line."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLANK_BYTES = codecs.BOM_UTF8 + codecs.BOM_UTF16_LE + b"\0 \r\n\t"
"""Bytes that may come before the first character, which tells the format: marks and blanks."""
_BUFFER = 65_536
"""Bytes that are read at a time."""
FORMATS = ("csv", "jsonl", "xlsx", "parquet")
_SUFFIXES = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "xlsx"),
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    ".parquet": "parquet",
}
_SPREADSHEET_STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of a zip archive and of a compound file: spreadsheets, whatever their name."""
_PARQUET_START = b"PAR1"
_LONGEST_MARK = 4
"""Bytes that tell the encoding, or a spreadsheet."""
_EXAMPLE = 30
"""Most characters of a value in a note."""
_CODE_LENGTH = 3
"""Most characters of a field that holds codes, of countries or currencies, such as NA."""


def read_file(
    name: str,
    source: BinaryIO | SqlQuery,
    *,
    kind: str = "",
    file_format: str = "",
    sheet: str = "",
    note: Callable[[str], None] = lambda _: None,
    observe: LineObserver | None = None,
    unchanged: Callable[[], None] = lambda: None,
    earlier: EarlierFile | None = None,
    mapping: FileMapping | None = None,
) -> Iterator[Entry]:
    """Yield the entries in *source*: a stream, or the result of a query.

    *kind* is for tables without a `ref` column; *file_format* overrides detection; *sheet* chooses
    one of a spreadsheet. *observe* receives every line; *note* receives what is odd but no fault.
    *unchanged* is called for each line that sets nothing to another value than it expects. With
    *earlier* the entries are what differs from that file. *mapping* tells what the columns of
    another program's table are. Raises InputError, with every problem, when the stream has been
    read to its end.
    """
    kept = earlier.kept.new if earlier and earlier.kept else None
    lines = _lines(name, source, kind, file_format, sheet, note, mapping, kept)
    return chain.from_iterable(_valid_entries(lines, note, observe, unchanged, earlier))


def read_values(
    name: str,
    source: BinaryIO | SqlQuery,
    *,
    kind: str = "",
    file_format: str = "",
    sheet: str = "",
    note: Callable[[str], None] = lambda _: None,
    mapping: FileMapping | None = None,
    kept: KeptLines | None = None,
) -> Iterator[Entry]:
    """Yield the entries in *source* without a check of what could be staged; of *kept* lines only.

    Lines that cannot be read are left out, and noted. Raises InputError where none can be.
    """
    problems: list[Problem] = []
    wrong = 0
    groups = _lines(name, source, kind, file_format, sheet, lambda _: None, mapping, kept)
    for line in chain.from_iterable(group.lines for _, group in groups):
        if line.problems:
            wrong += 1
            problems = problems or line.problems
        elif line.entry is not None:
            yield line.entry
    if wrong:
        lines_are = "line is" if wrong == 1 else "lines are"
        first = f"{problems[0].place()} {problems[0].why}"
        note(f"{problems[0].where}: {wrong:,} {lines_are} wrong and skipped: {first}")


def differing_lines(
    earlier: str,
    new: str,
    *,
    kind: str = "",
    file_format: str = "",
    sheet: str = "",
    mapping: FileMapping | None = None,
    least_size: int | None = None,
) -> DifferingLines | None:
    """Return the lines of two files that may differ in what they stage; None where all are read.

    Files smaller than *least_size* are read; so are all but CSV with the columns of OrderCloud.
    """
    from ocsync.intake import equal_lines

    forms = {file_format or detect_format(name, b"") for name in (earlier, new)}
    if forms != {"csv"} or sheet or mapping is not None:
        return None
    least = equal_lines.LEAST_SIZE if least_size is None else least_size
    return equal_lines.differing_lines(earlier, new, kind, least_size=least)


def _lines(
    name: str,
    source: BinaryIO | SqlQuery,
    kind: str,
    file_format: str,
    sheet: str,
    note: Callable[[str], None],
    mapping: FileMapping | None,
    kept: KeptLines | None,
) -> Iterator[tuple[InputFile, ParsedLines]]:
    """Yield the lines of *source* in groups, each with the file or sheet that it is in.

    *kept* chooses those of a CSV.
    """
    settings = mapping or FileMapping()
    kind, sheet = kind or settings.kind or kind_of_mapping(settings), sheet or settings.sheet
    row_kind = kind_named(kind) if kind else None

    def read_table(
        origin: InputFile, rows: Iterator[Row], *, has_types: bool = False
    ) -> Iterator[tuple[InputFile, ParsedLines]]:
        if mapping is not None:
            header_row = 0 if has_types else mapping.header_row
            layout = msgspec.structs.replace(mapping, header_row=header_row)
            origin, rows = map_rows(origin, rows, layout, row_kind)
        for group in table.read_lines(origin, rows, kind, note):
            if mapping is not None:
                group = ParsedLines(group.number, map(_compared, group.lines))
            yield origin, group

    named = (*named_columns(settings), *settings.ignore)
    if isinstance(source, SqlQuery):
        from ocsync.intake import sql_query

        queried = sql_query.read_rows(source, named)
        yield from read_table(InputFile(name), queried, has_types=True)
        return
    rejoined = _Rejoined(source)
    buffered, head = io.BufferedReader(rejoined, _BUFFER), rejoined.head
    file_format = file_format or detect_format(name, head)
    label = replace_undecodable(PurePath(name).name) if name != "-" else "stdin"
    if file_format == "xlsx":
        from ocsync.intake import sheets

        for origin, rows in sheets.read_sheets(label, buffered.read(), sheet, kind, note):
            yield from read_table(origin, rows)
        return
    if sheet:
        raise UsageError(
            "--sheet works only with spreadsheets", hint="give --format xlsx, if it is one"
        )
    origin = InputFile(label)
    if file_format == "parquet":
        from ocsync.intake import parquet

        stored = parquet.read_rows(label, buffered, named)
        yield from read_table(origin, stored, has_types=True)
        return
    constants = constants_of(settings)
    with closing(_decoded_lines(origin, buffered, head, settings.encoding)) as text:
        if file_format == "jsonl" and constants is not None:
            for group in jsonl.read_lines(origin, text, row_kind, note, constants):
                yield origin, group
        elif file_format == "jsonl":
            yield from read_table(origin, json_rows(origin, read_items(text), settings))
        else:
            origin, rows = csv_rows.read_rows(
                origin, text, delimiter=settings.delimiter, header_row=settings.header_row,
                kept=kept,
            )  # fmt: skip
            try:
                yield from read_table(origin, rows)
            except InputError as error:
                raise _with_unreadable_text(error, text) from error


def _compared(line: ParsedLine) -> ParsedLine:
    """Return *line* of a mapped table, whose empty cells do not make an edit of it."""
    if line.entry is None or line.entry.op is not Op.SET:
        return line
    return msgspec.structs.replace(line, compares=True)


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes, *head*, have been read already and are given once more.

    *head* is long enough to tell the encoding and the format, however slowly the bytes come: it
    ends after the first character that is not blank, or with the stream.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.head = b""
        while len(self.head) < _BUFFER and (piece := _read_some(stream)):
            self.head += piece
            if len(self.head) >= _LONGEST_MARK and self.head.strip(_BLANK_BYTES):
                break
        self._rest = self.head

    def readable(self) -> bool:
        """Return true: it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* as far as bytes are there, and return their number; 0 at the end."""
        piece = self._rest[: len(buffer)] or _read_some(self._stream, len(buffer))
        self._rest = self._rest[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _read_some(stream: BinaryIO, size: int = _BUFFER) -> bytes:
    """Return up to *size* bytes, as soon as there are any; none at the end of the stream."""
    read = getattr(stream, "read1", stream.read)
    return read(size) or b""


def _valid_entries(
    groups: Iterator[tuple[InputFile, ParsedLines]],
    note: Callable[[str], None],
    observe: LineObserver | None,
    unchanged: Callable[[], None],
    earlier: EarlierFile | None,
) -> Iterator[list[Entry]]:
    problems: list[Problem] = []
    odd: dict[tuple[str, Oddity, str], tuple[int, str]] = {}
    wrong = total = 0

    def count_odd(place: str, cells: OddCells) -> None:
        for (oddity, path), text in cells.items():
            key = place, oddity, path
            number, example = odd.get(key, (0, text))
            odd[key] = (number + 1, example)

    try:
        for origin, group in groups:
            total += group.number
            if group.entries is not None and observe is None and earlier is None:
                if not wrong:
                    yield group.entries
                continue
            entries: list[Entry] = []
            lines = list(group.lines)
            for line in lines:
                entry = line.entry
                if earlier is not None and entry is not None and not line.problems:
                    entry, reason = earlier.compare(entry, line.column_numbers)
                    if entry is not None and reason:
                        fault = FieldError("", entry.ref, reason)
                        line.problems.extend(_problems(origin, line, [fault]))
                elif entry is not None and (line.compares or entry.expect) and not line.problems:
                    entry = changed_part(entry, is_known=line.compares)
                    if entry is None:
                        unchanged()
                is_changed = entry is not line.entry  # it may be a put, or expect earlier values
                is_valid = line.is_valid and not is_changed
                if entry and not (is_valid or line.problems) and (faults := validate(entry)):
                    line.problems.extend(_problems(origin, line, faults))
                if line.odd_cells:
                    count_odd(origin.place, line.odd_cells)
                if line.problems:
                    wrong += 1
                    problems += line.problems[: MAX_PROBLEMS - len(problems)]
                elif entry is not None and not wrong:
                    own = line.entry or entry
                    if not line.is_valid and (cells := _words_for_no_value(entry, own.expect)):
                        count_odd(origin.place, cells)
                    entries.append(entry)
            if observe is not None:
                observe(lines)
            yield entries
    except InputError as error:
        if not problems:
            raise
        raise InputError(error.message, [*problems, *error.problems], hint=error.hint) from error
    else:
        if earlier is not None:
            total += earlier.add_left_out()
    finally:
        for (place, oddity, name), (number, text) in odd.items():
            note(_odd_note(place, oddity, name, number, text))
    if wrong:
        lines_are = f"line{'s' if total > 1 else ''} {'is' if wrong == 1 else 'are'}"
        raise InputError(f"{wrong:,} of {total:,} {lines_are} wrong; nothing was staged", problems)


def _problems(
    origin: InputFile, line: ParsedLine, faults: Iterable[FieldError]
) -> Iterator[Problem]:
    for fault in faults:
        column = line.column_numbers.get(fault.field, 0)
        yield Problem(origin.label, line.number, column, *fault, origin.sheet)


def _words_for_no_value(entry: Entry, own: Fields) -> OddCells:
    """Return the texts of *entry* that programs write where they have no value.

    Of the expected values those count that are among its line's *own*, not of an earlier file.
    """
    odd: dict[tuple[Oddity, str], str] = {}
    expect = {path: value for path, value in entry.expect.items() if path in own}
    for prefix, fields in (("", entry.fields), ("expect.", expect)):
        for path, value in fields.items():
            if is_word_for_no_value(value):
                field = field_at(kind_of(entry.ref), path)
                if not field or not field.max or field.max > _CODE_LENGTH:
                    odd[Oddity.NO_VALUE, prefix + path] = value
    return odd


def _odd_note(place: str, oddity: Oddity, name: str, number: int, text: str) -> str:
    """Return the note on *number* odd cells of the column *name*, of which one holds *text*."""
    verb = "is" if number == 1 else "are"
    if oddity is Oddity.THOUSANDS:
        verb = "has" if number == 1 else "have"
        tail = f"{verb} three digits after the point ({text}): read as {text}, not as "
        tail += text.replace(".", "")
    elif oddity is Oddity.NO_VALUE:
        tail = f"{verb} a word that may mean no value ({text}): read as text; an empty cell "
        tail += r"leaves the field unchanged, \N sets it to null"
    elif oddity is Oddity.EMPTIED:
        example = text if len(text) <= _EXAMPLE else text[: _EXAMPLE - 1] + "\u2026"
        tail = f"{verb} empty beside an expected value ({example}): this leaves the field "
        tail += r"unchanged; \N clears it"
    elif name.startswith(("xp.", "expect.xp.")):
        tail = f"{verb} not text ({text}): read as text; for numbers, name the column {name}:"
    else:
        tail = f"{verb} not text ({text}): leading zeros and formats are lost"
    return f"{place}: {number:,} of {name} {tail}"


def detect_format(name: str, head: bytes) -> str:
    """Return the format of a file that is called *name* and begins with *head*."""
    by_suffix = _SUFFIXES.get(PurePath(name).suffix.casefold())
    if head.startswith(_SPREADSHEET_STARTS):
        return "xlsx"
    if head.startswith(_PARQUET_START):
        return "parquet"
    if by_suffix:
        return by_suffix
    return "jsonl" if head.lstrip(_BLANK_BYTES).startswith((b"{", b"[")) else "csv"


def _with_unreadable_text(error: InputError, text: Iterator[str]) -> InputError:
    """Return *error*, and what keeps the rest of *text* from being read: both in one round."""
    try:
        for _ in text:
            pass
    except InputError as other:
        problems = [*error.problems, *other.problems]
        return InputError(error.message, problems, hint=error.hint or other.hint)
    return error


def _decoded_lines(
    origin: InputFile, stream: BinaryIO, head: bytes, named: str
) -> Generator[str, None, None]:
    """Yield the decoded lines, in the encoding *named* if it is.

    Raises InputError for bytes that are no text, and for long lines.
    """
    encoding = named or next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8")
    strict = encoding == "utf-16" or bool(named)
    text = io.TextIOWrapper(
        stream, encoding=encoding, newline="", errors="strict" if strict else "surrogateescape"
    )
    read = partial(text.readline, MAX_LINE + 1) if strict else partial(text.read, _BUFFER)
    number, rest = 0, ""
    try:
        while chunk := read():
            chunk = rest + chunk
            is_plain = chunk.isascii() and "\0" not in chunk and len(chunk) <= MAX_LINE
            lines = io.StringIO(chunk, newline="").readlines()
            rest = "" if strict else lines.pop()  # the next chunk may continue it
            if is_plain:
                number += len(lines)
                yield from lines
                continue
            for line in lines:
                number += 1
                yield _checked(origin, number, line)
            if len(rest) > MAX_LINE:
                break
        if rest:
            number += 1
            yield _checked(origin, number, rest)
    except UnicodeError:
        number += strict
        remedy = "name another --encoding" if named else 'save the file as "CSV UTF-8"'
        remedy += "" if named else ", or name its --encoding, such as cp1252"
        reason = f"is not {encoding} text; {remedy}"
        raise _unreadable(origin, number, reason) from None
    finally:
        with suppress(ValueError):  # already closed
            text.detach()  # the caller opened the stream and closes it


def _checked(origin: InputFile, number: int, line: str) -> str:
    """Return *line* if it is text. Raises InputError for a long one, UnicodeError for others."""
    if len(line) > MAX_LINE:
        raise _unreadable(origin, number, f"is longer than {MAX_LINE:,} characters")
    if "\0" in line:
        raise _unreadable(origin, number, "contains a NUL: this is not a UTF-8 text file")
    if not line.isascii():
        line.encode()  # raises for a byte that was kept as a surrogate
    return line


def _unreadable(origin: InputFile, number: int, reason: str) -> InputError:
    return InputError("nothing was staged", [origin.problem(number, -1, "", "", reason)])
