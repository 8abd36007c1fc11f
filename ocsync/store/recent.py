"""Refs and runs of a profile as far as a quick look finds them, for shell completion.

A look is bounded and never fails on a damaged record: it offers what it could read.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

from ocsync.store import files, log
from ocsync.store.number_ranges import remove_ranges

_READ_BYTES = 500_000
"""Most bytes of the journal that a look reads."""
_RUN_LIMIT = 200
_LINE_START = rb'^\{"crc":"[0-9a-f]{8}","type":"'
_NUMBER = b'"seq":'


def staged_refs(journal: Path, start: str, limit: int) -> list[str]:
    """Return at most *limit* staged refs that begin with *start*, in alphabetical order.

    Of a journal of many megabytes only the newest edits are looked at. Raises ConfigError, OSError.
    """
    ref = re.escape(start.encode("utf-8", "replace"))
    lines = re.compile(
        _LINE_START + rb'(?:entry","op":"\w+","ref":"(%b[^"\\]*)".*|(?:drop|sealed)".*)\n' % ref,
        re.MULTILINE,
    )
    found: set[str] = set()
    unstaged: list[tuple[int, int]] = []
    rest = _READ_BYTES
    for path in reversed(log.list_segments(journal)):
        with files.open_for_reading(path) as file:
            data = file.read(rest)
        rest -= len(data)
        live, ranges = _read_segment(lines, data)
        remove_ranges(live, unstaged)
        unstaged += ranges
        found.update(live.values())
        if rest <= 0:
            break
    return sorted(found)[:limit]


def _read_segment(
    lines: re.Pattern[bytes], data: bytes
) -> tuple[dict[int, str], list[tuple[int, int]]]:
    """Return the refs of a segment's live entries by number, and the numbers that it unstages."""
    live: dict[int, str] = {}
    unstaged: list[tuple[int, int]] = []
    for match in lines.finditer(data):
        line, ref = match[0], match[1]
        if ref is None:
            ranges = [(int(first), int(last)) for first, last in json.loads(line)["seqs"]]
            remove_ranges(live, ranges)
            unstaged += ranges
        else:
            digits = re.match(rb"\d+", line[line.rindex(_NUMBER) + len(_NUMBER) :])
            live[int(digits[0]) if digits else 0] = ref.decode("utf-8", "replace")
    return live, unstaged


def recent_runs(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the runs in *folder*, newest first. Raises ConfigError."""
    records = []
    for run in islice(reversed(files.list_folder(folder)), _RUN_LIMIT):
        try:
            record = json.loads(files.read_bytes(run / "run.json"))
            if record["id"] == run.name:
                records.append((str(record["started"]), record))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return [record for _, record in sorted(records, key=lambda row: row[0], reverse=True)]
