"""Consolidation of entries into changes: the net effect on each ref. Pure.

The law: for a sequence of entries that the server accepts, and nobody else writing, sending the
changes leaves the marketplace exactly as sending every entry, one by one, would have.

- set after set: later fields win; `xp.a.b` stays a path, or goes into an `xp.a` staged before. What
  builds on a value that the entity inherits is not folded over a change of its parent.
- put: replaces what came before, but for fields that only a creation can set. set after put: folded
  into it. A put that creates something else too (a buyer its catalog) is kept apart from later
  edits of the fields that decide it or that it copies; so is a value with an effect that a later
  one does not undo (a product stays linked to each default supplier it had).
- adjust: sums up; set then adjust is a set of the sum, adjust then set is the set; after a put that
  leaves the field to the server it is a second change, to be sent after the first; so is one of
  stock after a change of what that is the sum of.
- assign: replaces an earlier assign whole.
- generate: one for all, which overwrites if one of them does.
- across refs: an entry is not folded over one of another ref that depends on the state between (see
  `ordering`); it begins another change, which names the entries that are sent before it.
- an expectation on what earlier entries set is checked here; on anything else it is carried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec

from ocsync.errors import InputError, Problem
from ocsync.field_paths import (
    MISSING,
    Absent,
    is_below,
    is_inside_xp_key,
    join_path,
    json_equal,
    nest,
    split_path,
    value_at,
    with_value,
)
from ocsync.models import Change, ContradictedExpectation, Entry, Fields, Op, Ref
from ocsync.ordering import BARRIER_PATHS, INDEPENDENT, Barrier, Ordering
from ocsync.schema import (
    KINDS,
    SUMMED_QUANTITY,
    VARIANT_TRACKING,
    Kind,
    field_at,
    given_after_creation,
    ids_of,
    kind_of,
    ref_key,
)

Spill = Callable[[str, Entry], None]
"""Function that receives an entry and the key of its ref."""


def consolidate(
    entries: Iterable[Entry], limit: int | None = None, spill: Spill = lambda *_: None
) -> list[Change]:
    """Return the changes, in the order in which their refs first appear; those of one are adjacent.

    A ref keeps the spelling that it has first. With a *limit* entries of more refs than that go to
    *spill*: only where no edit depends on one of another ref (see `ordering.are_unrelated`).
    """
    nets: dict[str, Entry | _PlainSets | _RefAccumulator] = {}
    ordering = Ordering()
    before: dict[int, set[int]] = defaultdict(set)
    for entry in entries:
        key = ref_key(entry.ref)
        net = nets.get(key)
        if net is None:
            if len(nets) == limit:
                spill(key, entry)
                continue
            if ordering.is_idle and _is_plain(entry):
                nets[key] = entry  # many refs have no other one
                continue
            net = nets[key] = _RefAccumulator(entry.ref)
        elif not isinstance(net, _RefAccumulator):
            if isinstance(net, Entry):
                net = nets[key] = _PlainSets(net)
            if ordering.is_idle and net.take(entry):
                continue
            net = nets[key] = net.accumulator()
        if not (ordering.is_idle and net.is_independent and entry.op in _UNNOTED_OPS):
            for barrier in ordering.take(entry):
                before[entry.seq].update(barrier.entries)
                if earlier := net.divide(barrier):
                    for seq in barrier.entries:
                        before[seq].update({earlier} if seq > earlier else ())
        net.fold(entry)
    changes: list[Change] = []
    while nets:  # from the last one on, so that each is freed as its changes are made
        _, net = nets.popitem()
        changes += [_plain(net)] if isinstance(net, Entry) else reversed(net.changes())
    changes.reverse()
    return [_following(change, before) for change in changes] if before else changes


def _following(change: Change, before: dict[int, set[int]]) -> Change:
    """Return *change* with the entries of other refs that are sent before one of its own."""
    own = set(change.entries)
    found = {seq for entry in own if entry in before for seq in before[entry]} - own
    return msgspec.structs.replace(change, follows=tuple(sorted(found))) if found else change


def expect_current(earlier: Iterable[Entry], entry: Entry, current: Fields) -> Fields:
    """Return *current*, the server's values, as the values just before *entry* is applied.

    *earlier* are the staged entries; those of the same ref change a value that they set or adjust,
    and a run then checks the result. Raises InputError for a value that would contradict them.
    """
    net = _RefAccumulator(entry.ref)
    for other in earlier:
        if ref_key(other.ref) == ref_key(entry.ref):
            net.fold(other)
    expected, problems = Fields(), []
    for path, value in current.items():
        expected[path], reason = net.expect_current(path, value)
        if reason:
            text = msgspec.json.encode(value).decode()
            problems.append(Problem(entry.ref, 0, 0, path, text, reason))
    if problems:
        raise InputError("nothing was staged", problems, hint=f"ocsync stage show {entry.ref}")
    return expected


_UNNOTED_OPS = (Op.SET, Op.ADJUST)
"""The operations that matter to no other ref, in kinds whose edits are independent."""
_WITH_SIDE_EFFECT = frozenset(
    name for name, kind in KINDS.items() if any(f.has_side_effect for f in kind.fields.values())
)
"""The kinds with a field whose values have an effect that setting another does not undo."""
_NOTHING: Fields = {}
"""The fields of a change that has none; shared, and never changed."""
_EMPTY: tuple[Any, ...] = (None, False, 0, {})
"""The values of a field that a put did not name, where the table knows no default."""


def _is_plain(entry: Entry) -> bool:
    """Return whether *entry* by itself is the change that it makes, and matters to no other ref."""
    is_set = entry.op is Op.SET and not entry.expect
    independent = is_set and entry.ref[: entry.ref.find("/")] in INDEPENDENT
    return independent and _are_flat(*entry.fields)


def _plain(entry: Entry) -> Change:
    """Return the change that a plain *entry* makes."""
    return Change(op=Op.SET, ref=entry.ref, fields=entry.fields, entries=(entry.seq,))


@lru_cache(1024)
def _are_flat(*paths: str) -> bool:
    """Return whether none of *paths* may lie inside another one, or have others inside it that do.

    Nearly all entries of a plan have the same paths.
    """
    return not any(path.count(".") > 1 or path == "xp" for path in paths)


def merge(fields: Fields, path: str, value: Any) -> None:
    """Write *value* at *path* of *fields*, in place of deeper paths.

    If *fields* has a path above *path*, *value* goes into that one's value.
    """
    if "." not in path:
        fields[path] = value
        return
    below_path = path + "."
    for deeper in [p for p in fields if p.startswith(below_path)]:
        del fields[deeper]
    for outer in fields:
        if path.startswith(outer) and is_below(path, outer):
            below = split_path(path)[len(split_path(outer)) :]
            fields[outer] = with_value(fields[outer], below, value)
            return
    fields[path] = value


class _PlainSets:
    """Plain entries of one ref that all set the same fields: the last values count.

    *fields* are those of the last one, and never changed.
    """

    __slots__ = ("entries", "fields", "ref")

    def __init__(self, entry: Entry) -> None:
        self.ref = entry.ref
        self.fields = entry.fields
        self.entries = [entry.seq]

    def take(self, entry: Entry) -> bool:
        """Take *entry* and return true, or return false when it is not such a one.

        An object may have to be cleared first (see `_RefAccumulator`).
        """
        fields = entry.fields
        if (
            entry.op is not Op.SET
            or entry.expect
            or [*fields] != [*self.fields]
            or dict in map(type, fields.values())
        ):
            return False
        self.fields = fields
        self.entries.append(entry.seq)
        return True

    def changes(self) -> list[Change]:
        """Return the change that they make, as a list."""
        entries = tuple(self.entries)
        return [Change(op=Op.SET, ref=self.ref, fields=self.fields, entries=entries)]

    def accumulator(self) -> _RefAccumulator:
        """Return an accumulator of the same entries, for those that are not plain."""
        net = _RefAccumulator(self.ref)
        net.fold(Entry(op=Op.SET, ref=self.ref, fields=self.fields, seq=self.entries[0]))
        net.request.entries = self.entries
        return net


class _Request:
    """A request in the making for one ref: what its entries come to together.

    It is *simple* when later values of the same fields just replace its own. *first* is the number
    of its first entry, *replaced* that of the first which replaces all that may have been there;
    *written* maps a path to the number of the first entry that wrote it.
    """

    __slots__ = (
        "entries", "fields", "first", "kind", "op", "ref", "replace", "replaced", "simple", "sums",
        "written",
    )  # fmt: skip

    def __init__(self, ref: Ref, kind: Kind, op: Op = Op.SET, *, replace: bool = False) -> None:
        self.ref = ref
        self.kind = kind
        self.op = op
        self.replace = replace
        self.simple = False
        self.fields: Fields = {}
        self.sums = _NOTHING
        self.entries: list[int] = []
        self.first = self.replaced = 0
        self.written = _NOTHING

    def change(self) -> Change:
        """Return the request as a change."""
        return Change(
            op=self.op,
            ref=self.ref,
            fields=self.fields,
            adjust=self.sums,
            replace=self.replace,
            entries=tuple(self.entries),
        )

    def take_again(self, entry: Entry) -> bool:
        """Take *entry* if its values just replace those of the same fields; return whether so."""
        fields = entry.fields
        if not (
            self.simple
            and entry.op is Op.SET
            and fields.keys() == self.fields.keys()
            and not (entry.expect or dict in map(type, fields.values()))
        ):
            return False
        self.fields.update(fields)
        self.entries.append(entry.seq)
        return True

    def note(self, entry: Entry) -> None:
        """Note that *entry* was folded into this request."""
        self.entries.append(entry.seq)
        self.first = self.first or entry.seq
        for path in BARRIER_PATHS[self.kind.name].intersection(entry.fields):
            self.written = self.written or {}
            self.written.setdefault(path, entry.seq)

    def set(self, new: Fields) -> None:
        """Fold a set of the fields *new* into it."""
        fields, sums = self.fields, self.sums
        is_flat = _are_flat(*new)
        if is_flat and (self.simple or not (fields or sums)):
            fields.update(new)
        else:
            for path, value in new.items():
                if sums:
                    sums.pop(path, None)
                merge(fields, path, value)
            is_flat = _are_flat(*fields)
        effects = self.kind.name in _WITH_SIDE_EFFECT
        self.simple = is_flat and self.op is Op.SET and not (sums or effects)

    def adjust(self, amounts: Fields) -> None:
        """Fold an adjustment by *amounts* into it."""
        for path, amount in amounts.items():
            if path in self.fields:
                self.fields[path] = (self.fields[path] or 0) + amount
            else:
                self.sums = self.sums or {}
                self.sums[path] = self.sums.get(path, 0) + amount
                self.simple = False

    def generate(self, fields: Fields) -> None:
        """Fold an action into one: it does what any of them asks for."""
        self.op = Op.GENERATE
        for path, value in fields.items():
            self.fields[path] = self.fields.get(path) or value

    def stands_before_set(self, new: Fields) -> bool:
        """Return whether a set of the fields *new* is not folded into it."""
        if not self.fields and self.op is Op.SET:
            return False
        drops = self.kind.name in _WITH_SIDE_EFFECT and self.drops_side_effect(
            {**self.fields, **new}
        )
        inherits = self._changes_parent() and any(map(is_inside_xp_key, new))
        waits = self.op is Op.PUT and bool(given_after_creation(self.kind, new))
        return waits or self._decides(new) or drops or inherits or self._clears(new)

    def stands_before_adjust(self, amounts: Fields) -> bool:
        """Return whether an adjustment by *amounts* is not folded into it.

        It builds on a value that is the server's own, and that this request changes.
        """
        builds = amounts.keys() - self.fields.keys()
        tracks = SUMMED_QUANTITY in builds and VARIANT_TRACKING in self.fields
        return bool(builds) and (self.op is Op.PUT or self._changes_parent() or tracks)

    def drops_side_effect(self, fields: Fields) -> bool:
        """Return whether *fields*, in place of these, drop a value with a side effect."""
        known = self.kind.fields
        return any(
            known[path].has_side_effect and value is not None and value != fields.get(path)
            for path, value in self.fields.items()
            if path in known
        )

    def _changes_parent(self) -> bool:
        """Return whether it decides whose values the entity inherits."""
        return self.kind.inherits_from in self.fields

    def _decides(self, fields: Fields) -> bool:
        """Return whether *fields*, folded into a creating put, would change what else it creates.

        A put decides that by one field, and copies the values of others.
        """
        if self.op is not Op.PUT:
            return False
        return any(
            made.unless_field in fields
            or made.depends_on in fields
            or (
                not self.fields.get(made.unless_field)
                and any(p in fields and fields[p] != self.fields.get(p) for p in made.copied)
            )
            for made in self.kind.creates
            if made.unless_field
        )

    def _clears(self, fields: Fields) -> bool:
        """Return whether it clears an object that *fields* make again.

        If a PATCH merges objects below the top level of xp, which is unknown, only a request of its
        own takes their old members away (guide/ordercloud.md 7).
        """
        if self.op is not Op.SET or not self.fields:
            return False
        outer = [
            join_path(parts[:size])
            for path, value in fields.items()
            if is_below(path, "xp") and ("." in path[3:] or isinstance(value, dict))
            for parts in [split_path(path)]
            for size in range(2, len(parts) + isinstance(value, dict))
        ]
        staged = nest(self.fields) if outer else {}
        return any(not isinstance(value_at(staged, path), dict | Absent) for path in outer)


class _RefAccumulator:
    """The entries of one ref, folded in order into requests.

    *request* is the one in the making. Requests that have to go before it are *finished*;
    *finished_fields* are the values that these leave in the entity, and *finished_sums* what they
    add to values of the server's own. *has_put* says that one of all is a put, so that fields
    nobody named are at the server's defaults; *has_side_effect* says that one of *finished* has an
    effect that nothing later undoes. The first *divided* ones of *finished* are sent whatever comes
    later, because edits of other refs depend on them. *expect* is what the server must have before
    the first request; at *null_is_empty* it may have null for 0 or false.
    """

    __slots__ = (
        "contradicted", "divided", "expect", "finished", "finished_fields", "finished_sums",
        "has_put", "has_side_effect", "is_independent", "kind", "null_is_empty", "ref", "request",
    )  # fmt: skip

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        self.kind = kind_of(ref)
        self.is_independent = self.kind.name in INDEPENDENT
        self.request = _Request(ref, self.kind)
        self.finished: list[Change] = []
        self.finished_fields = self.finished_sums = _NOTHING
        self.divided = 0
        self.has_put = False
        self.has_side_effect = False
        self.expect = _NOTHING
        self.null_is_empty: frozenset[str] = frozenset()
        self.contradicted: tuple[ContradictedExpectation, ...] = ()

    def divide(self, barrier: Barrier) -> int:
        """Finish the request in the making if *barrier* separates it from the next entry.

        Return the number of an entry before the barrier; 0 when there is none.
        """
        making = self.request
        wrote = (
            (making.written.get(barrier.path), making.replaced) if barrier.path else (making.first,)
        )
        earlier = min(filter(None, wrote), default=0)
        last = max(barrier.entries, default=0)
        if earlier and (earlier < last or not last):
            self._finish()
            self.divided = len(self.finished)
            return earlier
        kept = sum(1 for change in self.finished if change.entries[0] < last)
        if kept > self.divided:
            self.divided = kept
            return self.finished[kept - 1].entries[0]
        return 0

    def fold(self, entry: Entry) -> None:
        """Fold *entry* into the request in the making, or into another one after it."""
        if self.request.take_again(entry):
            return
        for path, expected in entry.expect.items():
            self._expect(entry.seq, path, expected)
        match entry.op:
            case Op.SET:
                if self.request.stands_before_set(entry.fields):
                    self._finish()
                self.request.set(entry.fields)
            case Op.ADJUST:
                if self.request.stands_before_adjust(entry.fields):
                    self._finish()
                self.request.adjust(entry.fields)
            case Op.GENERATE:
                self.request.generate(entry.fields)
            case _:
                self._replace(entry)
        self.request.note(entry)

    def changes(self) -> list[Change]:
        """Return the requests, in order.

        Expectations and contradictions belong to the first one.
        """
        if self.request.entries or not self.finished:
            self.finished.append(self.request.change())
        if not self.expect and not self.contradicted:
            return self.finished
        first = msgspec.structs.replace(
            self.finished[0],
            expect=self.expect,
            null_is_empty=tuple(sorted(self.null_is_empty)),
            contradicted=self.contradicted,
        )
        return [first, *self.finished[1:]]

    def _replace(self, entry: Entry) -> None:
        """Start over from a put or an assign.

        It makes earlier entries needless, except for what an earlier put created (which one that
        replaces nothing is to create itself), and for what edits of other refs depend on.
        """
        creates = any(made.unless_field for made in self.kind.creates)
        decided = self.has_put and creates and entry.replace
        puts_now = self.request.op is Op.PUT
        if self.request.drops_side_effect(entry.fields) or (decided and puts_now):
            self._finish()
        old = self.request
        kept = len(self.finished) if decided or self.has_side_effect else self.divided
        needless = self.finished[kept:]
        puts = [change.replace for change in needless if change.op is Op.PUT]
        puts += [old.replace] if old.op is Op.PUT and old.entries else []
        exists = any(change.op is Op.PUT for change in self.finished[:kept])
        replace = exists or (puts[0] if puts else entry.replace)
        new = _Request(self.ref, self.kind, entry.op, replace=replace)
        new.fields = self._as_created(entry) if self.has_put else dict(entry.fields)
        new.entries = [n for change in needless for n in change.entries] + old.entries
        new.first, new.written, new.replaced = old.first, old.written, old.replaced
        if not old.replaced and (replace or entry.op is Op.ASSIGN):
            new.replaced = entry.seq
        del self.finished[kept:]
        self.finished_fields = self.finished_sums = _NOTHING
        self.has_put = entry.op is Op.PUT
        self.request = new

    def _as_created(self, entry: Entry) -> Fields:
        """Return the fields of a later put; create-only ones as the first gave them."""
        known = {**self.finished_fields, **self.request.fields}
        fixed = {path for path, field in self.kind.fields.items() if field.create_only}
        given = {path: value for path, value in entry.fields.items() if path not in fixed}
        return {**given, **{path: known[path] for path in fixed & known.keys()}}

    def _finish(self) -> None:
        made = self.request
        if not made.entries and self.finished:
            return
        self.finished.append(made.change())
        self.has_side_effect |= made.drops_side_effect({})
        summed = {path: self._staged_value(path) for path in made.sums}
        self.finished_fields = self.finished_fields or {}
        for path, value in {**made.fields, **summed}.items():
            if value is not MISSING:
                merge(self.finished_fields, path, value)
            else:
                amount = self._amount(path)
                self.finished_sums = {**self.finished_sums, path: amount}
        self.request = _Request(self.ref, self.kind)

    def expect_current(self, path: str, current: Any) -> tuple[Any, str]:
        """Return the value at *path* after the entries so far, where the server has *current*.

        With it, the reason why it cannot be expected, or "".
        """
        staged = self._staged_value(path)
        if staged is not MISSING:
            return staged, ""
        expected = self.expect.get(path, current)
        filled_in = current is None and path in self.null_is_empty
        if not filled_in and not json_equal(expected, current):
            value = msgspec.json.encode(expected).decode()
            return current, f"is on the server, but a staged edit expects {value}"
        amount = self._amount(path)
        return current if amount is None else (current or 0) + amount, ""

    def _expect(self, seq: int, path: str, expected: Any) -> None:
        staged = self._staged_value(path)
        if staged is MISSING:
            staged = self._expect_of_server(path, expected)
        filled_in = staged is None and self._may_be_filled_in(path, expected)
        if not filled_in and not json_equal(staged, expected):
            self.contradicted += (ContradictedExpectation(seq, path, expected, staged),)

    def _expect_of_server(self, path: str, expected: Any) -> Any:
        """Return the value at *path* as expected so far, with *expected* carried if nothing was.

        Before a sum the server has the difference; where that is 0 it may have null as well. So it
        may where the entries name another member of a model: they fill in the rest of it.
        """
        self.expect = self.expect or {}
        amount = self._amount(path)
        if amount is None:
            if path not in self.expect and self._names_beside(path):
                self.null_is_empty |= {path}
            return self.expect.setdefault(path, expected)
        if isinstance(expected, int | float):
            before = expected - amount
            if path not in self.expect:
                self.expect[path] = before
                self.null_is_empty |= set() if before else {path}
            if json_equal(self.expect[path] or 0, before):
                return expected
        return (self.expect.get(path) or 0) + amount

    def _names_beside(self, path: str) -> bool:
        """Return whether the entries name a member of the model that has the field at *path*."""
        model, _, member = path.partition(".")
        named = (
            self.finished_fields,
            self.finished_sums,
            self.request.fields,
            self.request.sums,
        )
        return (
            bool(member) and model != "xp" and any(is_below(p, model) for one in named for p in one)
        )

    def _amount(self, path: str) -> Any:
        """Return the sum of the adjustments of the server's value at *path*; None for none."""
        sums = [some[path] for some in (self.finished_sums, self.request.sums) if path in some]
        return sum(sums) if sums else None

    def _staged_value(self, path: str) -> Any:
        """Return the value that the entries leave at *path*; MISSING if the server has it."""
        found = self._named_value(path)
        if found is MISSING and self._is_omitted(path):
            field = field_at(self.kind, path)
            found = field.default if field else None
        if found is MISSING or path not in self.request.sums:
            return found
        return (found or 0) + self.request.sums[path]

    def _named_value(self, path: str) -> Any:
        """Return the value that the entries name for *path*, without its sum, or MISSING."""
        known = dict(self.finished_fields)
        for name, value in self.request.fields.items():
            merge(known, name, value)
        return known[path] if path in known else value_at(nest(known), path)

    def _may_be_filled_in(self, path: str, expected: Any) -> bool:
        """Return whether the server may have *expected* where the entries leave nothing.

        A put that creates a buyer leaves it with its own catalog as the default.
        """
        ids = ids_of(self.ref)
        own = {ids[m.ids[-1]].casefold() for m in self.kind.creates if m.unless_field == path}
        if self.has_put and isinstance(expected, str) and expected.casefold() in own:
            return True
        if expected not in _EMPTY or self._named_value(path) is not MISSING:
            return False
        return self._is_omitted(path) or self._names_beside(path)

    def _is_omitted(self, path: str) -> bool:
        """Return whether a put or an assign replaces the value at *path* without naming one.

        A put keeps the fields that only a creation can set.
        """
        field = field_at(self.kind, path)
        keeps = field is not None and field.create_only
        replaces = self.request.op is Op.ASSIGN or (self.has_put and not keeps)
        return replaces and self._named_value(path) is MISSING
