"""Edits without what they do not change: cells whose value is the one that is expected there."""

from __future__ import annotations

from typing import Any

import msgspec

from ocsync.diff import same_value
from ocsync.models import Entry, Op, Ref


def changed_part(entry: Entry, *, is_known: bool) -> Entry | None:
    """Return *entry* without fields that it sets to the value it expects, and these expectations.

    None stands for an edit that changes nothing: one that sets no other value, of an entity that
    *is_known* to be there or of which something is expected. An assignment is sent whole, so as
    soon as one field changes it has all of them, the others as they are expected. A put and an
    adjustment are kept as they are.
    """
    if entry.op not in (Op.SET, Op.ASSIGN):
        return entry
    fields, expect = entry.fields, entry.expect
    same = {
        path
        for path, value in expect.items()
        if path in fields and _is_same(entry.ref, path, fields[path], value)
    }
    if len(same) == len(fields) and (is_known or same):
        return None
    if not same:
        return entry
    if entry.op is Op.SET:
        fields = {path: value for path, value in fields.items() if path not in same}
    else:
        fields = {path: expect[path] if path in same else fields[path] for path in fields}
    expect = {path: value for path, value in expect.items() if path not in same}
    return msgspec.structs.replace(entry, fields=fields, expect=expect)


def _is_same(ref: Ref, path: str, value: Any, expected: Any) -> bool:
    """Return whether *value* is *expected*; how the lines of a text end does not matter."""
    if isinstance(value, str) and isinstance(expected, str) and "\r" in expected:
        value, expected = _with_plain_ends(value), _with_plain_ends(expected)
    return same_value(ref, path, value, expected)


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
