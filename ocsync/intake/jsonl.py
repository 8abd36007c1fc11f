"""JSON lines: `{"ref": ..., "op": "set", "fields": {...}, "expect": {...}, "replace": false}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ocsync.errors import InputError, UsageError
from ocsync.intake.field_values import opened
from ocsync.intake.record import Line, Origin
from ocsync.models import Entry, Fields, Op
from ocsync.schema import Kind, kind_of, read_ref


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    ref: str
    op: Op | None = None
    fields: dict[str, Any] = {}
    expect: dict[str, Any] = {}
    replace: bool = False


_decode = msgspec.json.Decoder(_Record).decode


def lines(origin: Origin, text: Iterator[str]) -> Iterator[Line]:
    """A line a record; blank ones are left out. Raises InputError for one JSON document."""
    begun = False
    for number, line in enumerate(text, 1):
        if not begun and line.strip():
            begun = True
            _check_first(origin, number, line.strip())
        if line.strip():
            yield _line(origin, number, line)


def _check_first(origin: Origin, number: int, text: str) -> None:
    """Tell once, not line by line, that a file is one JSON document."""
    if text.startswith("[") or text == "{":
        tool = "jq -c '.[]'" if text.startswith("[") else "jq -c ."
        why = "begins a JSON document of many lines; JSON lines have one object a line"
        problem = origin.problem(number, -1, "", text, why)
        raise InputError("nothing was staged", [problem], hint=f"{tool} {origin.label} makes them")


def _line(origin: Origin, number: int, text: str) -> Line:
    def wrong(field: str, value: str, why: str) -> Line:
        return Line(number, None, [origin.problem(number, -1, field, value, why)])

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
    for name, fields in (("fields", record.fields), ("expect", record.expect)):
        if path := _given_twice(kind, fields):
            return wrong(path, text.strip(), f"is given twice in {name}")
    entry = Entry(
        op=record.op or (Op.ASSIGN if kind.assignment else Op.SET),
        ref=ref,
        fields=opened(kind, record.fields),
        expect=opened(kind, record.expect),
        replace=record.replace,
        source=origin.source(number),
    )
    return Line(number, entry, [])


def _given_twice(kind: Kind, fields: Fields) -> str:
    """A path that *fields* have both dotted and inside a nested model; empty without one."""
    if not any("." in name for name in fields):
        return ""
    seen: set[str] = set()
    for name, value in fields.items():
        for path in opened(kind, {name: value}):
            if path in seen:
                return path
            seen.add(path)
    return ""
