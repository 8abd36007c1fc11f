"""Append-only logs: one record a line, each with a CRC32, synced before it is acknowledged.

A line is one JSON object whose first member is the checksum of the others, so that any JSON tool
can read it: `{"crc":"1a2b3c4d","ref":"catalog/C",...}`. The checksum covers the bytes that follow
it up to the end of the line.

What a crash may lose is what was never acknowledged: a torn last line is dropped with a warning,
and cut off before the next append. Damage anywhere else is not patched over: it stops the reader;
so does a torn line in a file that was written whole, as a crash leaves none there.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from struct import pack
from typing import Any, Generic, NamedTuple, TypeVar
from zlib import crc32

from ocsync.store import files
from ocsync.store.damage import damaged

Warn = Callable[[str], None]
T = TypeVar("T")

_HEAD = len(b'{"crc":"xxxxxxxx",')
_BLOCK = 65_536
"""Bytes that are read and decoded together."""
_DECODE_ERRORS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""Errors of a decoder for a record that is not one of its log."""


def encode_line(payload: bytes) -> bytes:
    """Return the log line of *payload*, the JSON text of an object that is not empty."""
    rest = payload[1:]
    return b'{"crc":"%08x",%b\n' % (crc32(rest), rest)


def encode_lines(payloads: bytes) -> tuple[bytes, list[int]]:
    """Return the log lines of *payloads*, JSON objects on a line each, and their lengths.

    They are those of `encode_line`.
    """
    rests = [payload[1:] for payload in payloads.splitlines()]
    checksums = pack(f">{len(rests)}I", *map(crc32, rests)).hex("\n", 4).encode().splitlines()
    parts = [b'{"crc":"', b"", b'",', b"", b"\n"] * len(rests)
    parts[1::5], parts[3::5] = checksums, rests
    return b"".join(parts), [_HEAD + len(rest) + 1 for rest in rests]


def line_length(payload: bytes) -> int:
    """Return the length of the log line of *payload*, with its end."""
    return _HEAD + len(payload)


def decode_line(line: bytes) -> bytes | None:
    """Return the JSON text in *line* (without its newline), or None if its checksum fails."""
    rest = line[_HEAD:]
    if rest and line[:_HEAD] == b'{"crc":"%08x",' % crc32(rest):
        return b"{" + rest
    return None


CONVERTED = "the line endings were changed (CRLF); every record is undamaged"


def restore_line(line: bytes) -> bytes:
    """Return *line* as it was written, without what an editor adds: a CR, a byte order mark."""
    if line.endswith(b"\r\n") and decode_line(line.removeprefix(BOM_UTF8)[:-2]) is not None:
        line = line[:-2] + b"\n"
    return line.removeprefix(BOM_UTF8)


class Cursor(NamedTuple):
    """Position of a reader in a growing log: lines and bytes read, and the file's inode."""

    line: int = 0
    offset: int = 0
    inode: int = 0


def read_lines(
    path: Path, warn: Warn, *, whole: bool = False, after: Cursor | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield the payloads of *path*, oldest first, each with the offset where its line ends; none if
    the file does not exist. Only lines *after* a position are read, if that is given.

    Raises Damaged, with file and line, for any line but a torn last one; for that too, when the
    file was written *whole*.
    """
    try:
        file = files.open_for_reading(path)
    except FileNotFoundError:
        return
    converted, (start, end, _) = False, after or Cursor()
    with file:
        file.seek(end)
        for number, line in enumerate(file, start + 1):
            payload = decode_line(line[:-1]) if line.endswith(b"\n") else None
            if payload is None and (original := restore_line(line)) != line:
                converted = True
                payload = decode_line(original[:-1]) if line.endswith(b"\n") else None
            if payload is None:
                if line.endswith(b"\n") or whole or file.read(1):
                    raise damaged(path, number, "the line is damaged")
                warn(f"{path}:{number}: ignored the incomplete last line (never confirmed)")
                break
            end += len(line)
            yield end, payload
    if converted:
        warn(f"{path}: {CONVERTED}; ocsync doctor --fix restores them")


def list_segments(folder: Path) -> list[Path]:
    """Return the segments of the log in *folder*, in order; other files, such as copies, are not.

    Raises ConfigError if a link leads to *folder*.
    """
    paths = files.list_folder(folder, "[0-9]*.jsonl")
    return [path for path in paths if path.stem.isascii() and path.stem.isdigit()]


def read_after(path: Path, cursor: Cursor) -> Iterator[tuple[Cursor, bytes]]:
    """Yield the payloads of *path* after *cursor*, each with the cursor after it.

    The log may be growing: an incomplete last line is left for the next time. A log that was
    removed, cut or replaced is read from its beginning. Raises Damaged.
    """
    try:
        file = files.open_for_reading(path)
    except FileNotFoundError:
        return
    with file:
        status = os.fstat(file.fileno())
        if status.st_ino != cursor.inode or status.st_size < cursor.offset:
            cursor = Cursor(inode=status.st_ino)
        file.seek(cursor.offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            cursor = Cursor(cursor.line + 1, cursor.offset + len(line), cursor.inode)
            payload = decode_line(restore_line(line)[:-1])
            if payload is None:
                raise damaged(path, cursor.line, "the line is damaged")
            yield cursor, payload


def read_records(
    path: Path, decode: Callable[[bytes], T], warn: Warn, *, whole: bool = False
) -> Iterator[T]:
    """Yield the decoded records of *path*. Raises Damaged also for one that *decode* refuses."""
    payloads = read_lines(path, warn, whole=whole)
    return (_decoded(path, n, decode, payload) for n, (_, payload) in enumerate(payloads, 1))


def _decoded(path: Path, number: int, decode: Callable[[bytes], T], payload: bytes) -> T:
    try:
        return decode(payload)
    except _DECODE_ERRORS as error:
        is_plain = isinstance(error, ValueError)
        text = str(error) if is_plain else "a key is missing or has a wrong value"
        raise damaged(path, number, f"not a record of this log: {text}") from error


class RecordDecoder(Generic[T]):
    """A msgspec *decoder*, and a *check* of its records, which raises ValueError."""

    def __init__(self, decoder: Any, check: Callable[[Sequence[T]], None]) -> None:
        self._decoder = decoder
        self._check = check

    def __call__(self, payload: bytes) -> T:
        """Return the record in *payload*. Raises ValueError."""
        record: T = self._decoder.decode(payload)
        self._check((record,))
        return record

    def decode_lines(self, lines: bytes, *, checked: bool = False) -> list[T]:
        """Return the records in *lines* of a log: the checksum is a member that is ignored.

        *checked* says that the records in these lines were checked before. Raises ValueError.
        """
        records: list[T] = self._decoder.decode_lines(lines)
        if not checked:
            self._check(records)
        return records


class Group(NamedTuple, Generic[T]):
    """Records that follow each other in a log, and the sizes of their lines."""

    records: list[T]
    sizes: list[int]


def read_groups(
    path: Path,
    decode: RecordDecoder[T],
    warn: Warn,
    *,
    whole: bool = False,
    after: Cursor | None = None,
) -> Iterator[Group[T]]:
    """Yield records as `read_records` does, many at a time; only those *after* a position."""
    number, end, _ = after or Cursor()
    try:
        file = files.open_for_reading(path)
    except FileNotFoundError:
        return
    with file:
        file.seek(end)
        while block := file.read(_BLOCK):
            block += file.readline()
            lines = block.split(b"\n")
            if lines.pop() or not are_whole(lines):
                break
            try:
                records = decode.decode_lines(block)
            except _DECODE_ERRORS:
                break
            yield Group(records, [len(line) + 1 for line in lines])
            number, end = number + len(lines), end + len(block)
        else:
            return
    # what is odd is read line by line: it may be damage, or what an editor left
    for line_end, payload in read_lines(path, warn, whole=whole, after=Cursor(number, end)):
        number += 1
        yield Group([_decoded(path, number, decode, payload)], [line_end - end])
        end = line_end


def read_checked(path: Path, decode: RecordDecoder[T], warn: Warn, size: int) -> Iterator[list[T]]:
    """Yield the records in the first *size* bytes of *path*, many at a time.

    Neither their checksums nor the records are checked: a checksum of all these bytes tells that
    they are what was read before. A file that has become shorter since yields what it has.
    """
    number = end = 0
    try:
        file = files.open_for_reading(path)
    except FileNotFoundError:
        return
    with file:
        while end < size and (block := file.read(min(_BLOCK, size - end))):
            if end + len(block) < size:
                block += file.readline()
            try:
                records = decode.decode_lines(block, checked=True)
            except _DECODE_ERRORS:
                break
            yield records
            number, end = number + len(records), end + len(block)
        else:
            return
    rest = read_groups(path, decode, warn, after=Cursor(number, end))
    yield from (group.records for group in rest)


def are_whole(lines: Sequence[bytes]) -> bool:
    """Return whether all *lines* (without their newlines) have the checksum that they name."""
    heads = [b'{"crc":"%08x",' % crc32(line[_HEAD:]) for line in lines]
    return heads == [line[:_HEAD] for line in lines]


class Log:
    """Log open for appending; the file is made if it does not exist. Use it under a lock."""

    def __init__(self, path: Path) -> None:
        is_new = files.signature(path) is None
        self._path = path
        self._handle = files.open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._cut_torn_line()
        if is_new:
            files.sync(self._handle, path)
            files.sync_folder(path.parent)

    def append(self, payloads: Iterable[bytes]) -> None:
        """Append all *payloads* as one group; they are durable when this returns."""
        self.write(payloads)
        files.sync(self._handle, self._path)

    def write(self, payloads: Iterable[bytes]) -> None:
        """Append without making it durable: for records that nothing depends on."""
        files.write_all(self._handle, self._path, map(encode_line, payloads))

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _cut_torn_line(self) -> None:
        end = size = os.lseek(self._handle, 0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            os.lseek(self._handle, start, os.SEEK_SET)
            newline = os.read(self._handle, end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._handle, end)
