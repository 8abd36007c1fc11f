"""Entries from command line arguments: `stage set REF FIELD=TEXT FIELD:=JSON`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ocsync.errors import InputError, Problem, UsageError
from ocsync.intake.field_values import expand_models, read_json, read_text, validate
from ocsync.models import Entry, Fields, Op, Ref
from ocsync.schema import Kind, field_at, kind_of, read_ref

_ASSIGNMENT = re.compile(r"([^=:+\-][^=]*?)(:=|\+=|-=|=)(.*)", re.DOTALL)


def entry_from_arguments(
    op: Op,
    ref: str,
    assignments: Sequence[str],
    *,
    expect: Sequence[str] = (),
    replace: bool = False,
) -> Entry:
    """Return the entry that the arguments describe. Raises InputError with every fault in them."""
    checked_ref = _checked_ref(ref)
    kind = kind_of(checked_ref)
    problems: list[Problem] = []
    fields = _parse_assignments(kind, assignments, problems, adjusts=op is Op.ADJUST)
    expected = _parse_assignments(kind, expect, problems, adjusts=False)
    entry = Entry(op=op, ref=checked_ref, fields=fields, expect=expected, replace=replace)
    if not problems:
        problems = [Problem(checked_ref, 0, 0, *fault) for fault in validate(entry)]
    if problems:
        raise InputError("nothing was staged", problems)
    return entry


def _checked_ref(text: str) -> Ref:
    try:
        return read_ref(text)
    except UsageError as error:
        problem = Problem("argument", 0, 0, "REF", text, error.message)
        raise InputError("nothing was staged", [problem], hint=error.hint) from error


def _parse_assignments(
    kind: Kind, arguments: Sequence[str], problems: list[Problem], *, adjusts: bool
) -> Fields:
    fields: Fields = {}
    for argument in arguments:
        printable = argument.encode("utf-8", "replace").decode()
        if printable != argument:
            problems.append(Problem("argument", 0, 0, "", printable, "is not UTF-8 text"))
            continue
        match = _ASSIGNMENT.fullmatch(argument)
        if match is None or (match[2] in ("+=", "-=") and not adjusts):
            reason = "is not FIELD=VALUE or FIELD:=JSON"
            problems.append(Problem("argument", 0, 0, "", argument, reason))
            continue
        path, operator, text = match.groups()
        try:
            value = _parse_value(kind, path, operator, text)
        except ValueError as error:
            problems.append(Problem("argument", 0, 0, path, text, str(error)))
            continue
        for name, member in expand_models(kind, {path: value}).items():
            if name in fields:
                problems.append(Problem("argument", 0, 0, name, text, "is given twice"))
            fields[name] = member
    return fields


def _parse_value(kind: Kind, path: str, operator: str, text: str) -> Any:
    if operator == ":=":
        return read_json(text)
    field = field_at(kind, path)
    if field is None:
        return text  # `validate` reports the unknown field together with the entry's other faults
    value = read_text(field, text)
    return -value if operator == "-=" and isinstance(value, int | float) else value
