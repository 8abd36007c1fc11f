"""Logs: what was acknowledged is read back; what was torn is dropped; damage is told."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.errors import Damaged, Locked
from ocsync.store import lock, log
from ocsync.store.log import Log

PAYLOADS = [b'{"a":1}', '{"b":"ü\\n"}'.encode(), b'{"c":[1,{"crc":"x"}]}']


def written(path: Path) -> bytes:
    with Log(path) as opened:
        opened.append(PAYLOADS)
    return path.read_bytes()


def readable(path: Path) -> tuple[list[bytes], list[str]]:
    said: list[str] = []
    return [payload for _, payload in log.read_lines(path, said.append)], said


def test_each_line_is_json_with_a_checksum(tmp_path: Path) -> None:
    data = written(tmp_path / "log")
    lines = [json.loads(line) for line in data.splitlines()]

    assert [len(line.pop("crc")) for line in lines] == [8, 8, 8]
    assert lines == [json.loads(payload) for payload in PAYLOADS]


@given(st.lists(st.dictionaries(st.text('ab\r\n"\u2028\xfc'), st.text() | st.none(), min_size=1)))
def test_many_lines_are_those_of_each(records: list[dict[str, str | None]]) -> None:
    lines, lengths = log.encode_lines(msgspec.json.Encoder().encode_lines(records))
    expected = [log.encode_line(msgspec.json.encode(record)) for record in records]
    assert lines == b"".join(expected)
    assert lengths == [len(line) for line in expected]


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_checked_log_ends_where_it_did_whatever_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """Another process may append to it, or an editor may shorten it, while it is being read."""
    monkeypatch.setattr(log, "_BLOCK", 8)
    path = tmp_path / "log"
    lines = written(path).splitlines(keepends=True)
    decode = log.RecordDecoder[dict[str, object]](msgspec.json.Decoder(), lambda _: None)

    path.write_bytes(b"".join(lines[:cut]))
    size = sum(map(len, lines[:2]))
    found = list(chain.from_iterable(log.read_checked(path, decode, print, size)))
    assert found == [json.loads(line) for line in lines[: min(cut, 2)]]


def test_a_log_cut_at_any_byte_reads_as_a_prefix_and_takes_more(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = written(path)
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        found, said = readable(path)
        whole = data[:cut].count(b"\n")

        assert found == PAYLOADS[:whole]
        assert bool(said) is (cut > 0 and data[cut - 1 : cut] != b"\n")
        with Log(path) as opened:
            opened.append([b'{"new":1}'])
        assert readable(path) == ([*PAYLOADS[:whole], b'{"new":1}'], [])


def test_damage_before_the_last_line_stops_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = written(path)
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x01
        path.write_bytes(broken)
        if place == len(data) - 1:
            continue  # the last newline: the same as a torn line
        with pytest.raises(Damaged) as caught:
            readable(path)
        assert caught.value.path == str(path)
        assert caught.value.line in (data[:place].count(b"\n") + 1, data[:place].count(b"\n") + 2)


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert readable(tmp_path / "none") == ([], [])


def test_files_are_the_users_alone(tmp_path: Path) -> None:
    written(tmp_path / "log")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


HOLD = """
import sys, time
from pathlib import Path
from ocsync.store import lock
with lock.hold(Path(sys.argv[1]), what="ocsync resume"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_tells_who_holds_it_and_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(Locked, match="ocsync resume") as caught, lock.hold(path, what="x"):
            pass
        assert str(other.pid) in caught.value.message
        other.kill()
        other.wait()
    with lock.hold(path, what="x", timeout=5):
        assert "x" in path.with_name("run.lock.holder").read_text()
