"""JSON lines: `{"ref": ..., "op": "set", "fields": {...}, "expect": {...}, "replace": false}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ocsync.errors import Problem, UsageError
from ocsync.intake.fields import opened
from ocsync.intake.line import Line
from ocsync.models import Entry, Op
from ocsync.resources import kind_of, read_ref


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    ref: str
    op: Op | None = None
    fields: dict[str, Any] = {}
    expect: dict[str, Any] = {}
    replace: bool = False


_decode = msgspec.json.Decoder(_Record).decode


def lines(label: str, text: Iterator[str]) -> Iterator[Line]:
    """A line a record; blank ones are left out."""
    for number, line in enumerate(text, 1):
        if line.strip():
            yield _line(label, number, line)


def _line(label: str, number: int, text: str) -> Line:
    def wrong(field: str, value: str, why: str) -> Line:
        return Line(number, None, [Problem(label, number, 0, field, value[:60], why)], {})

    try:
        record = _decode(text)
        ref = read_ref(record.ref)
    except msgspec.ValidationError as error:
        return wrong("", text.strip(), f"is not an entry: {error}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return wrong("", text.strip(), "is not JSON")
    except UsageError as error:
        return wrong("ref", record.ref, error.message)
    kind = kind_of(ref)
    entry = Entry(
        op=record.op or (Op.ASSIGN if kind.assignment else Op.SET),
        ref=ref,
        fields=opened(kind, record.fields),
        expect=opened(kind, record.expect),
        replace=record.replace,
        source=f"{label}:{number}",
    )
    return Line(number, entry, [], {})
