"""Entries from JSON: objects with a ref, and entities as the API answers them.

An entry is `{"ref": ..., "op": "set", "fields": {...}, "expect": {...}, "replace": false}`; only
`ref` is required. `"exists": true` says that it was there when the file was written. Of an entity,
whose kind the caller names, the fields that can be written are set to its values; those that are
read-only or null are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ocsync.diff import writable_fields
from ocsync.errors import UsageError
from ocsync.field_paths import flatten
from ocsync.groups import in_groups
from ocsync.intake.field_values import expand_models
from ocsync.intake.json_documents import JsonItem, ListPage, read_items
from ocsync.intake.record import InputFile, ParsedLine, ParsedLines, known_ref
from ocsync.models import Entry, Fields, Op
from ocsync.plurals import count
from ocsync.schema import ID_PATTERN, ID_RULE, Kind, field_at, has_all_ids, kind_of, make_ref
from ocsync.suggestions import with_suggestion


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    ref: str
    op: Op | None = None
    fields: dict[str, Any] = {}
    expect: dict[str, Any] = {}
    replace: bool = False
    exists: bool = False


_decode = msgspec.json.Decoder(_Record).decode
_NO_REF = "has no ref; for OrderCloud's own JSON, give --kind"
_BYTES_PER_CHARACTER = 10
"""Bytes that a character of JSON takes, in the text and in small values that are made of it."""
_MOST_NAMES = 6
"""Most fields that a note names."""


def read_lines(
    origin: InputFile,
    text: Iterator[str],
    kind: Kind | None,
    note: Callable[[str], None],
    constants: Mapping[str, str],
) -> Iterator[ParsedLines]:
    """Yield a parsed line for each object in *text*, many at a time.

    Objects without `ref` are entities of *kind*, each with the *constants*. *note* receives what is
    left out of them, and that a page is not the whole list.
    """
    entities = _Entities(origin, kind, constants) if kind else None
    total = 0
    for group in in_groups(read_items(text), _bytes_of):
        items = [item for item in group if isinstance(item, JsonItem)]
        total = max([total, *(page.total for page in group if isinstance(page, ListPage))])
        yield ParsedLines(len(items), _parsed(origin, items, entities))
    if entities and entities.number < total:
        here = f"{entities.number:,} of the list's {count(total, 'entity')}"
        note(f"{origin.label} holds {here}; for all of them: ocsync export {entities.kind.name}")
    for left_out in entities.left_out() if entities else ():
        note(f"{origin.label}: {left_out}")


def _bytes_of(item: JsonItem | ListPage) -> int:
    """Return about how many bytes *item* takes, as a value and as text."""
    return _BYTES_PER_CHARACTER * len(item.text) if isinstance(item, JsonItem) else 0


def _parsed(
    origin: InputFile, items: Iterable[JsonItem], entities: _Entities | None
) -> Iterator[ParsedLine]:
    for item in items:
        is_object = isinstance(item.value, dict)
        if item.fault:
            yield _refused(origin, item, "", item.fault)
        elif is_object and "ref" not in item.value and entities:
            yield entities.parse(item)
        elif is_object and "ref" not in item.value:
            yield _refused(origin, item, "", _NO_REF)
        else:
            yield _parse_line(origin, item)


def _refused(
    origin: InputFile, item: JsonItem, field: str, reason: str, value: str = ""
) -> ParsedLine:
    value = value or item.text.strip()
    return ParsedLine(item.number, None, [origin.problem(item.number, -1, field, value, reason)])


class _Entities:
    """The entities of one kind in a file: their *number*, and what is left out of them."""

    def __init__(self, origin: InputFile, kind: Kind, constants: Mapping[str, str]) -> None:
        self._constants = constants
        self._origin, self.kind, self.number = origin, kind, 0
        self._read_only: Counter[str] = Counter()
        self._null: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()

    def parse(self, item: JsonItem) -> ParsedLine:
        """Return the entry that sets the fields of the entity in *item*."""
        kind, document = self.kind, {**item.value, **self._constants}
        self.number += 1
        ids = {name: document.pop(name, None) for name in kind.ids}
        if not kind.assignment:
            own = document.pop("ID", None)
            ids[kind.ids[-1]] = ids[kind.ids[-1]] or own
        needed = kind.needed_ids
        for name, value in ids.items():
            if value is None and name in needed:
                shown = "ID" if name == kind.ids[-1] and not kind.assignment else name
                remedy = f" (--const {name}=...)" if name != kind.ids[-1] else ""
                reason = f"is missing; it identifies {kind.noun_with_article}{remedy}"
                return _refused(self._origin, item, shown, reason)
            if value is not None and not (isinstance(value, str) and ID_PATTERN.fullmatch(value)):
                text = msgspec.json.encode(value).decode()
                return _refused(self._origin, item, name, ID_RULE, text)
        ref = make_ref(kind, ids)
        if not has_all_ids(ref):
            optional = ", ".join(name for name in kind.ids if name not in needed)
            reason = f"lacks the IDs of {kind.noun_with_article} ({optional})"
            return _refused(self._origin, item, "", reason)
        values = writable_fields(kind, document)
        fields = {path: value for path, value in values.items() if value is not None}
        self._count_left_out(document, fields)
        entry = Entry(
            op=Op.ASSIGN if kind.assignment else Op.SET,
            ref=ref,
            fields=fields,
            source=self._origin.source(item.number),
        )
        return ParsedLine(item.number, entry, [])

    def _count_left_out(self, document: Fields, kept: Fields) -> None:
        for path, value in flatten(document, self.kind.models).items():
            field = field_at(self.kind, path)
            if path in kept or value == {}:
                continue
            if value is None or path in self.kind.models:
                self._null[path] += 1
            elif field is None:
                self._unknown[path] += 1
            else:
                self._read_only[path] += 1

    def left_out(self) -> Iterator[str]:
        """Yield a note for each reason why fields were left out."""
        for reason, fields in (
            ("read-only", self._read_only),
            ("null", self._null),
            (f"not a field of {self.kind.name}", self._unknown),
        ):
            if fields:
                listed = ", ".join(list(fields)[:_MOST_NAMES])
                more = f" and {len(fields) - _MOST_NAMES:,} more" * (len(fields) > _MOST_NAMES)
                yield f"left out {listed}{more}: {reason}"


def _parse_line(origin: InputFile, item: JsonItem) -> ParsedLine:
    try:
        record = _decode(item.text)
        ref = known_ref(record.ref)
    except msgspec.ValidationError as error:
        return _refused(origin, item, "", f"is not an entry: {error}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return _refused(origin, item, "", "is not JSON")
    except UsageError as error:
        return _refused(origin, item, "ref", with_suggestion(error.message, error.hint), record.ref)
    kind = kind_of(ref)
    for name, fields in (("fields", record.fields), ("expect", record.expect)):
        if path := _duplicate_path(kind, fields):
            return _refused(origin, item, path, f"appears twice in {name}")
    entry = Entry(
        op=record.op or kind.ops[0],
        ref=ref,
        fields=expand_models(kind, record.fields),
        expect=expand_models(kind, record.expect),
        replace=record.replace,
        source=origin.source(item.number),
    )
    return ParsedLine(item.number, entry, [], compares=record.exists)


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
