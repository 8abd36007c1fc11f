"""A spool: what an export has read so far, on disk, so that it can be continued.

It is beside the file to write, as `.NAME.export`. Its first line describes the export, each other
line is a batch of one kind with the position after it, or the end of a kind. A last line that is
not whole is dropped: its rows are read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ocsync.engine.export.listing import Batch, Row
from ocsync.errors import InputError, Refused

FORMAT = 1
_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct, omit_defaults=True):
    """A line of a spool: a batch of rows, or the end of a kind."""

    kind: str
    position: str = ""
    rows: list[tuple[str, dict[str, Any]]] = []
    total: int = 0
    missing: list[str] = []
    end: bool = False


_decode = msgspec.json.Decoder(_Line).decode


class KindProgress(msgspec.Struct):
    """The part of a spool that is of one kind: its rows, the position after them, and whether that
    is all.

    *missing* were asked for by ID and do not exist. *total* is the total that its list stated.
    """

    rows: int = 0
    position: str = ""
    total: int = 0
    missing: list[str] = []
    ended: bool = False


class Spool:
    """The spool of one export, open for writing; use it with `with`."""

    def __init__(self, path: Path, description: dict[str, Any], *, continues: bool) -> None:
        self.path = path
        self.progress: dict[str, KindProgress] = {}
        self._file = self._continue(description) if continues else self._create(description)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def of(self, kind: str) -> KindProgress:
        """Return what is there of *kind*."""
        return self.progress.setdefault(kind, KindProgress())

    def add(self, kind: str, batch: Batch) -> None:
        """Append a batch."""
        self._write(_Line(kind, batch.position, batch.rows, batch.total, list(batch.missing)))

    def end(self, kind: str) -> None:
        """Note that *kind* is complete."""
        self._write(_Line(kind, end=True))
        self._file.flush()

    def rows(self, kind: str) -> Iterator[Row]:
        """Yield the rows of *kind*, in the order in which they were added."""
        self._file.flush()
        with self.path.open("rb") as file:
            next(file)
            prefix = b'{"kind":"' + kind.encode() + b'"'
            for line in file:
                if line.startswith(prefix):
                    yield from _decode(line).rows

    def remove(self) -> None:
        """Remove the spool, as the export is written."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, line: _Line) -> None:
        self._file.write(_encode(line) + b"\n")
        self._file.flush()
        self._count(line)

    def _count(self, line: _Line) -> None:
        progress = self.of(line.kind)
        progress.rows += len(line.rows)
        progress.position = line.position or progress.position
        progress.total = max(progress.total, line.total)
        progress.missing += line.missing
        progress.ended = progress.ended or line.end

    def _create(self, description: dict[str, Any]) -> BinaryIO:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self.path.unlink(missing_ok=True)
        file = os.fdopen(os.open(self.path, flags, 0o600), "w+b")
        file.write(_encode({"format": FORMAT, **description}) + b"\n")
        return file

    def _continue(self, description: dict[str, Any]) -> BinaryIO:
        """Open the spool behind its last whole line. Raises Refused for one of another export."""
        try:
            file = self.path.open("r+b")
        except FileNotFoundError as error:
            text = f"no unfinished export at {self.path}"
            raise Refused(text, hint="leave out --continue") from error
        first = file.readline()
        expected = {"format": FORMAT, **description}
        if _json(first) != expected:
            file.close()
            differing = _differing(_json(first), expected)
            text = f"the unfinished export at {self.path} differs in {differing}"
            raise Refused(text, hint="give the same options, or leave out --continue")
        end = file.tell()
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                self._count(_decode(line))
            except msgspec.MsgspecError as error:
                file.close()
                text = f"{self.path} is damaged at byte {end:,}"
                raise InputError(text, hint="leave out --continue to start again") from error
            end += len(line)
        file.seek(end)
        file.truncate()
        return file


def _json(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}


def _differing(found: Any, expected: dict[str, Any]) -> str:
    names: Sequence[str] = [
        name
        for name, value in expected.items()
        if not isinstance(found, dict) or found.get(name) != value
    ]
    return ", ".join(names) or "its settings"
