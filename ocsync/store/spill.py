"""Temporary files for what is too large for memory. They have no name, so a crash leaves none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

_BLOCK = 65_536


class OpenFile:
    """An open *file* that is read at any place, and closed when nobody refers to this any more."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __del__(self) -> None:
        with suppress(OSError):  # of a full disk, which was raised before
            self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes from *offset* on."""
        self._file.seek(offset)
        return self._file.read(size)


class SpillFile(OpenFile):
    """A private file in *folder*, or where the system has temporary files if that is read-only."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        try:
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as this is
        except OSError:
            file = tempfile.TemporaryFile()  # noqa: SIM115
            self._folder = tempfile.gettempdir()
        super().__init__(file)
        self.size = 0

    def append(self, data: bytes | bytearray) -> int:
        """Append *data*; return the offset where it begins."""
        offset = self.size
        try:
            self._file.seek(offset)
            self._file.write(data)
        except OSError as error:
            raise self._named(error) from error
        self.size += len(data)
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes from *offset* on."""
        try:
            return super().read(offset, size)
        except OSError as error:  # data that is still in a buffer is written first
            raise self._named(error) from error

    def _named(self, error: OSError) -> OSError:
        """Return *error*, such as that of a full disk, with the folder."""
        return OSError(error.errno, f"{error.strerror} (for a temporary file)", self._folder)


class Partitions:
    """Records in *number* partitions of one file, of which each is read by itself."""

    def __init__(self, folder: Path, number: int) -> None:
        self._file = SpillFile(folder)
        self._buffers = [bytearray() for _ in range(number)]
        self._pieces: list[list[tuple[int, int]]] = [[] for _ in range(number)]

    def add(self, place: int, record: bytes) -> None:
        """Add *record* to the partition *place*."""
        buffer = self._buffers[place]
        buffer += record
        if len(buffer) > _BLOCK:
            self._pieces[place].append((self._file.append(buffer), len(buffer)))
            buffer.clear()

    def read(self, place: int) -> Iterator[bytes]:
        """Yield the records of a partition in order, many at a time."""
        for offset, size in self._pieces[place]:
            yield self._file.read(offset, size)
        yield bytes(self._buffers[place])
