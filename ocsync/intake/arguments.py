"""`stage set REF FIELD=TEXT FIELD:=JSON`: arguments -> one entry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ocsync.errors import InputError, Problem, UsageError
from ocsync.intake.field_values import opened, read_json, read_text, validate
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import Kind, field_at, kind_of, read_ref

_SHAPE = re.compile(r"([^=:+\-][^=]*?)(:=|\+=|-=|=)(.*)", re.DOTALL)


def entry_from_arguments(
    op: Op,
    ref: str,
    assignments: Sequence[str],
    *,
    expect: Sequence[str] = (),
    replace: bool = False,
) -> Entry:
    """The entry that the arguments say. Raises InputError with all that is wrong with them."""
    checked = _ref(ref)
    kind = kind_of(checked)
    problems: list[Problem] = []
    fields = _read(kind, assignments, problems, adjusts=op is Op.ADJUST)
    expected = _read(kind, expect, problems, adjusts=False)
    entry = Entry(op=op, ref=checked, fields=fields, expect=expected, replace=replace)
    if not problems:
        problems = [Problem(checked, 0, 0, *fault) for fault in validate(entry)]
    if problems:
        raise InputError("nothing was staged", problems)
    return entry


def _ref(text: str) -> Ref:
    try:
        return read_ref(text)
    except UsageError as error:
        problem = Problem("argument", 0, 0, "REF", text, error.message)
        raise InputError("nothing was staged", [problem], hint=error.hint) from error


def _read(kind: Kind, words: Sequence[str], problems: list[Problem], *, adjusts: bool) -> Fields:
    fields: Fields = {}
    for word in words:
        clean = word.encode("utf-8", "replace").decode()
        if clean != word:
            problems.append(Problem("argument", 0, 0, "", clean, "is not text in UTF-8"))
            continue
        match = _SHAPE.fullmatch(word)
        if match is None or (match[2] in ("+=", "-=") and not adjusts):
            why = "is not FIELD=VALUE or FIELD:=JSON"
            problems.append(Problem("argument", 0, 0, "", word, why))
            continue
        path, sign, text = match.groups()
        try:
            value = _value(kind, path, sign, text)
        except ValueError as error:
            problems.append(Problem("argument", 0, 0, path, text, str(error)))
            continue
        for name, one in opened(kind, {path: value}).items():
            if name in fields:
                problems.append(Problem("argument", 0, 0, name, text, "is given twice"))
            fields[name] = one
    return fields


def _value(kind: Kind, path: str, sign: str, text: str) -> Any:
    if sign == ":=":
        return read_json(text)
    field = field_at(kind, path)
    if field is None:
        return text  # told with the other faults of the entry
    value = read_text(field, text)
    return -value if sign == "-=" and isinstance(value, int | float) else value
