"""Temporary files for what is too large for memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocsync.store.spill import SpillFile


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_full_disk_is_named(tmp_path: Path, size: int) -> None:
    """Also when the data stays in a buffer until it is read."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on the size of files")
    file = SpillFile(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
    try:
        with pytest.raises(OSError, match=r"\(for a temporary file\)") as raised:
            file.read(file.append(b"a" * size), size)
        assert raised.value.filename == str(tmp_path)
        del file, raised
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [*tmp_path.iterdir()]
