"""Entries of different refs whose order counts: what one needs, and another takes away. Pure.

Edits of different refs may be sent in any order, and each folded with later edits of its ref,
except where the platform judges one by the state of another entity (the tables say where):

- a state that an entity must have for an edit to be accepted (an inventory record needs a product
  with inventory settings; an assignment may need the group that a buyer is in): what takes it away
  is sent after that edit;
- a field by whose references the platform judges it (a currency is fixed once the price schedule is
  referred to): a reference is made after it;
- a unique value (a user name): what one entity gives up, another may take;
- a sum, or a path inside an xp key, of a child product: it builds on what the parent shows then.

Only what the entries show is known here. What the marketplace has (who holds which user name, which
product has which parent) is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from ocsync.field_paths import is_inside_xp_key, join_path, split_path
from ocsync.models import CREATING_OPS, Entry, Op
from ocsync.schema import KINDS, Kind, NeededState, ids_of, kind_of, ref_key, references_of

JUDGED_BY_REFERENCES = {
    name: tuple(path for path, field in kind.fields.items() if field.judged_by_references)
    for name, kind in KINDS.items()
}
"""The fields of each kind that the platform judges by what refers to the entity."""
UNIQUE = {
    name: tuple(path for path, field in kind.fields.items() if field.unique)
    for name, kind in KINDS.items()
}
"""The fields of each kind whose values are unique among all entities that have them."""
_JUDGED_BY: dict[str, set[str]] = defaultdict(set)
"""The fields of each kind by which edits of other refs are judged."""
for _kind in KINDS.values():
    for _need in _kind.needs_state:
        _JUDGED_BY[_need.kind].add(_need.field)
_NAMED = {
    name: frozenset(reference.ids[-1] for reference in kind.references) - {*kind.ids}
    for name, kind in KINDS.items()
}
"""The fields of each kind that name other entities."""
BARRIER_PATHS = {name: _NAMED[name].union(UNIQUE[name]) for name in KINDS}
"""The fields of each kind that a `Barrier` may name."""
INDEPENDENT = frozenset(
    name
    for name, kind in KINDS.items()
    if not (UNIQUE[name] or JUDGED_BY_REFERENCES[name] or _JUDGED_BY[name] or kind.inherits_from)
    and all(need.ids[-1] in kind.ids for need in kind.needs_state)
)
"""The kinds whose edits matter to others only where they create an entity, or refer to one."""


def are_unrelated(kinds: Collection[str]) -> bool:
    """Return whether edits of *kinds*, if there are no others, never depend on another ref's.

    Nor does their place in the plan.
    """
    rows = [KINDS[name] for name in kinds]
    named = {reference.kind for row in rows for reference in row.references}
    named |= {rule.kind for row in rows for rule in row.after}
    named |= {made.kind for row in rows for made in row.creates}
    return INDEPENDENT.issuperset(kinds) and named.isdisjoint(kinds)


class Barrier(NamedTuple):
    """The limit of a fold: an entry must not be folded with earlier ones of its ref.

    It holds where these write *path*; an empty path stands for all of them. *entries* are the
    numbers of other refs' entries that are sent before it.
    """

    path: str
    entries: tuple[int, ...] = ()


class Ordering:
    """The entries so far, as far as later entries of other refs depend on them.

    *needed* maps a state of an entity (key, field, set, not set or as it is) to the entries that
    needed it, *judged* an entity to the last entry that wrote a field which is judged by
    references, *writers* a unique field to the ref that wrote it last, *parents* a child to its
    parent, *inherited* a parent to the entries that built on its values, and *later* a ref to those
    with edits that come after its own so far. While it *is_idle* no entry depends on a later one of
    another ref: a set or adjust of an independent kind need not be taken then.
    """

    def __init__(self) -> None:
        self._needed: dict[tuple[str, str, bool | None], dict[int, str]] = {}
        self._judged: dict[str, int] = {}
        self._writers: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._inherited: dict[str, dict[str, dict[int, str]]] = {}
        self._later: dict[str, set[str]] = defaultdict(set)
        self.is_idle = True

    def take(self, entry: Entry) -> list[Barrier]:
        """Take the next entry; return what it must not be folded over."""
        kind = kind_of(entry.ref)
        key = ref_key(entry.ref)
        if entry.op is Op.PUT or kind.inherits_from in entry.fields:
            self._parents[key] = str(entry.fields.get(kind.inherits_from) or "").casefold()
        needs = {(self._entity(need, key, entry), need) for need in kind.needs_state}
        barriers = [
            *self._returns(key, {other for other, _ in needs}, judged=_is_judged(kind, entry)),
            *self._broken_states(kind, key, entry),
            *self._references(kind, key, entry),
            *self._unique_values(kind, key, entry),
            *self._inherited_values(key, entry),
        ]
        self._note(kind, key, entry)
        for other, need in needs:
            if other:
                self._needed.setdefault((other, need.field, need.is_set), {})[entry.seq] = key
        self.is_idle = not (self._later or self._judged or self._inherited)
        return barriers

    def _entity(self, need: NeededState, key: str, entry: Entry) -> str:
        """Return the key of the entity whose state *entry* needs; empty when it needs none."""
        if need.ids[-1] in kind_of(entry.ref).ids:
            if entry.op not in CREATING_OPS:
                return ""
            ids = ids_of(entry.ref)
            return ref_key("/".join([need.kind, *(ids[name] for name in need.ids)]))
        if need.ids[-1] == kind_of(entry.ref).inherits_from:
            parent = self._parents.get(key)
        else:
            named = entry.op is Op.PUT and entry.fields.get(need.ids[-1])
            parent = str(named).casefold() if named else ""
        return f"{need.kind}/{parent}" if parent else ""

    def _returns(self, key: str, others: Collection[str], *, judged: bool) -> Iterator[Barrier]:
        """Yield a barrier where an entry needs a ref with edits that follow its own so far.

        One that is *judged* by what refers to its entity may need any of them.
        """
        later = self._later.get(key) if self._later else None
        if later and (judged or not later.isdisjoint(others)):
            del self._later[key]
            yield Barrier("")

    def _broken_states(self, kind: Kind, key: str, entry: Entry) -> Iterator[Barrier]:
        """Yield what needed a state that *entry* takes away."""
        for field in _JUDGED_BY.get(kind.name, ()) if self._needed else ():
            state = _state_after(entry, field)
            creates = entry.op is Op.PUT and not entry.replace  # no entry before it needed a value
            for wanted in () if state is None else (not state, *([] if creates else [None])):
                if needing := self._needed.pop((key, field, wanted), None):
                    yield self._after(key, needing)

    def _after(self, key: str, entries: Mapping[int, str]) -> Barrier:
        """Return the barrier of an entry of *key* that is sent after *entries* of other refs."""
        for other in entries.values():
            self._later[other].add(key)
        return Barrier("", tuple(entries))

    def _references(self, kind: Kind, key: str, entry: Entry) -> Iterator[Barrier]:
        """Yield the edits that might be refused once *entry* refers to their entity."""
        if not self._judged:
            return
        for path in _NAMED[kind.name] & entry.fields.keys():
            for other in references_of(entry.ref, {path: entry.fields[path]}):
                seq = self._judged.get(ref_key(other))
                if seq is not None:
                    self._later[ref_key(other)].add(key)
                    yield Barrier(path, (seq,))

    def _unique_values(self, kind: Kind, key: str, entry: Entry) -> Iterator[Barrier]:
        """Yield a barrier where another ref took a unique value since the last edit of this one.

        Which of them goes first is known once the values there have been read: see `plan`.
        """
        for path in UNIQUE[kind.name]:
            if path in entry.fields and self._writers.get(path, key) != key:
                yield Barrier(path)

    def _inherited_values(self, key: str, entry: Entry) -> Iterator[Barrier]:
        """Yield the edits of children that built on a value which *entry* changes."""
        reads = self._inherited.get(key)
        if reads:
            tops = reads.keys() if entry.op is Op.PUT else {_top(path) for path in entry.fields}
            for path in tops & reads.keys():
                yield self._after(key, reads.pop(path))

    def _note(self, kind: Kind, key: str, entry: Entry) -> None:
        if _is_judged(kind, entry):
            self._judged[key] = entry.seq
        for path in UNIQUE[kind.name]:
            if path in entry.fields:
                self._writers[path] = key
        parent = self._parents.get(key)
        if parent and entry.op is not Op.PUT:
            reads = self._inherited.setdefault(f"{kind.name}/{parent}", {})
            for path in entry.fields:
                if entry.op is Op.ADJUST or is_inside_xp_key(path):
                    reads.setdefault(_top(path), {})[entry.seq] = key


def _is_judged(kind: Kind, entry: Entry) -> bool:
    """Return whether *entry*, if its entity exists, is judged by what refers to that."""
    paths = JUDGED_BY_REFERENCES[kind.name]
    given = entry.op is Op.SET and any(path in entry.fields for path in paths)
    return bool(paths) and (given or entry.replace)


def _state_after(entry: Entry, field: str) -> bool | None:
    """Return whether *field* is set after *entry*; None when *entry* leaves it as it is.

    A field that is a model is set when one of its members is given.
    """
    if field in entry.fields:
        return bool(entry.fields[field])
    if any(path.startswith(field + ".") for path in entry.fields):
        return True
    return False if entry.op is Op.PUT else None


def _top(path: str) -> str:
    """Return *path* down to the key of xp."""
    return join_path(split_path(path)[:2]) if path.startswith("xp.") else path
