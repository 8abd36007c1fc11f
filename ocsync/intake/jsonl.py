"""Entries from JSON lines.

Each line is `{"ref": ..., "op": "set", "fields": {...}, "expect": {...}, "replace": false}`; only
`ref` is required.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ocsync.errors import InputError, UsageError
from ocsync.intake.field_values import expand_models
from ocsync.intake.record import InputFile, ParsedLine, known_ref
from ocsync.models import Entry, Fields, Op
from ocsync.schema import Kind, kind_of


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    ref: str
    op: Op | None = None
    fields: dict[str, Any] = {}
    expect: dict[str, Any] = {}
    replace: bool = False


_decode = msgspec.json.Decoder(_Record).decode


def read_lines(origin: InputFile, text: Iterator[str]) -> Iterator[ParsedLine]:
    """Yield a parsed line for each line that is not blank.

    Raises InputError when the text is one JSON document instead.
    """
    started = False
    for number, line in enumerate(text, 1):
        if not started and line.strip():
            started = True
            _refuse_document(origin, number, line.strip())
        if line.strip():
            yield _parse_line(origin, number, line)


def _refuse_document(origin: InputFile, number: int, text: str) -> None:
    """Raise InputError when the first line begins a JSON document, once for all its lines."""
    if text.startswith("[") or text == "{":
        command = "jq -c '.[]'" if text.startswith("[") else "jq -c ."
        reason = "begins a JSON document of many lines; JSON lines have one object a line"
        problem = origin.problem(number, -1, "", text, reason)
        raise InputError(
            "nothing was staged", [problem], hint=f"{command} {origin.label} makes them"
        )


def _parse_line(origin: InputFile, number: int, text: str) -> ParsedLine:
    def refused(field: str, value: str, reason: str) -> ParsedLine:
        return ParsedLine(number, None, [origin.problem(number, -1, field, value, reason)])

    try:
        record = _decode(text)
        ref = known_ref(record.ref)
    except msgspec.ValidationError as error:
        return refused("", text.strip(), f"is not an entry: {error}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return refused("", text.strip(), "is not JSON")
    except UsageError as error:
        return refused("ref", record.ref, error.message)
    kind = kind_of(ref)
    for name, fields in (("fields", record.fields), ("expect", record.expect)):
        if path := _duplicate_path(kind, fields):
            return refused(path, text.strip(), f"is given twice in {name}")
    entry = Entry(
        op=record.op or kind.ops[0],
        ref=ref,
        fields=expand_models(kind, record.fields),
        expect=expand_models(kind, record.expect),
        replace=record.replace,
        source=origin.source(number),
    )
    return ParsedLine(number, entry, [])


def _duplicate_path(kind: Kind, fields: Fields) -> str:
    """Return a path that *fields* have both dotted and in a nested model, or ""."""
    if not any("." in name for name in fields):
        return ""
    paths: set[str] = set()
    for name, value in fields.items():
        for path in expand_models(kind, {name: value}):
            if path in paths:
                return path
            paths.add(path)
    return ""
