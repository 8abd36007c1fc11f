"""Entries -> changes: the net effect of what is staged, one ref at a time. Pure.

The law: for a sequence of entries that the server accepts, and nobody else writing, sending the
changes leaves the marketplace exactly as sending every entry, one by one, would have.

- set after set: later fields win; `xp.a.b` stays a path, or goes into an `xp.a` staged before.
- put: replaces what came before. set after put: folded into it.
- adjust: sums up; set then adjust is a set of the sum, adjust then set is the set; after a put that
  leaves the field to the server it is a second change, to be sent after the first.
- assign: replaces an earlier assign whole.
- an expectation on what earlier entries set is checked here; on anything else it is carried.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ocsync.document import MISSING, equal, inside, nest, replaced, split, value_at
from ocsync.models import Broken, Change, Entry, Fields, Op, Ref
from ocsync.resources import field_at, kind_of


def consolidate(entries: Iterable[Entry]) -> list[Change]:
    """The changes, in the order in which their refs first appear; those of one ref are adjacent."""
    nets: dict[Ref, _Net] = {}
    for entry in entries:
        net = nets.get(entry.ref)
        if net is None:
            net = nets[entry.ref] = _Net(entry.ref)
        net.fold(entry)
    return [change for net in nets.values() for change in net.changes()]


def merge(fields: Fields, path: str, value: Any) -> None:
    """Write *value* at *path*, inside a path that *fields* has, or in place of deeper ones."""
    if "." not in path:
        fields[path] = value
        return
    for deeper in [p for p in fields if inside(p, path)]:
        del fields[deeper]
    for outer in fields:
        if inside(path, outer):
            below = split(path)[len(split(outer)) :]
            fields[outer] = replaced(fields[outer], below, value)
            return
    fields[path] = value


class _Net:
    """The entries of one ref, folded as they come: a base request, and sums to add after it."""

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        self.op = Op.SET
        self.fields: Fields = {}
        self.sums: Fields = {}
        self.expect: Fields = {}
        self.replace = False
        self.entries: list[int] = []
        self.late_entries: list[int] = []
        self.broken: list[Broken] = []

    def fold(self, entry: Entry) -> None:
        for path, expected in entry.expect.items():
            self._expect(entry.seq, path, expected)
        match entry.op:
            case Op.SET:
                for path, value in entry.fields.items():
                    self.sums.pop(path, None)
                    merge(self.fields, path, value)
            case Op.ADJUST:
                for path, amount in entry.fields.items():
                    self._add(path, amount)
            case Op.PUT | Op.ASSIGN:
                created = self.op is Op.PUT and not self.replace
                self.replace = entry.replace and not created
                self.op, self.fields, self.sums = entry.op, dict(entry.fields), {}
                self.entries += self.late_entries
                self.late_entries = []
        late = entry.op is Op.ADJUST and bool(self.sums) and self.op is Op.PUT
        (self.late_entries if late else self.entries).append(entry.seq)

    def changes(self) -> list[Change]:
        late = bool(self.sums) and self.op is Op.PUT
        base = Change(
            op=self.op,
            ref=self.ref,
            fields=self.fields,
            adjust={} if late else self.sums,
            expect=self.expect,
            replace=self.replace,
            entries=tuple(self.entries if late else sorted(self.entries + self.late_entries)),
            broken=tuple(self.broken),
        )
        if not late:
            return [base]
        after = Change(op=Op.SET, ref=self.ref, adjust=self.sums, entries=tuple(self.late_entries))
        return [base, after]

    def _add(self, path: str, amount: Any) -> None:
        if path in self.fields:
            self.fields[path] = (self.fields[path] or 0) + amount
        else:
            self.sums[path] = self.sums.get(path, 0) + amount

    def _expect(self, seq: int, path: str, expected: Any) -> None:
        staged = self._staged(path)
        if staged is MISSING:
            amount = self.sums.get(path, 0)
            before = expected - amount if amount and isinstance(expected, int | float) else expected
            staged = self.expect.setdefault(path, before)
            expected = before
        if not equal(staged, expected):
            self.broken.append(Broken(seq, path, expected, staged))

    def _staged(self, path: str) -> Any:
        """The value that the entries so far leave at *path*, or MISSING when the server has it.

        After a put the fields it left out are at the server's defaults, as far as the table knows
        them.
        """
        if path in self.fields:
            return self.fields[path]
        known = value_at(nest(self.fields), path) if self.fields else MISSING
        if known is not MISSING:
            return known
        if self.op is Op.SET:
            return MISSING
        field = field_at(kind_of(self.ref), path)
        default = field.default if field else None
        return (default or 0) + self.sums[path] if path in self.sums else default
