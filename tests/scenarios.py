"""Scenarios for the model: a small marketplace each, what happens to it, and what comes of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.model import (
    Document,
    Entry,
    Key,
    Model,
    Op,
    Refused,
    Unclear,
    ids_of,
    key_of,
    kind_of,
    named_in,
    parents_of,
)

OWNER = "emulator"
"""The ID of the marketplace that every scenario is a part of."""


class Mode(NamedTuple):
    """The circumstances: product reads lag, requests fail, xp merges inside its keys, and whether
    the last run is undone at the end.
    """

    lag: bool = False
    faults: bool = False
    merge: bool = False
    undo: bool = False


class Meddling(NamedTuple):
    """A write by another writer during the run, or exactly between inspection and first write."""

    ref: str
    path: str
    value: Any
    inspected: bool = False


Write = Entry | str
"""What another writer does: an edit, or the delete of a ref."""


@dataclass
class Round:
    """What happens up to one resume.

    The edits are staged; then another writer writes and the deletes are made; the meddling happens
    during the run.
    """

    edits: list[Entry] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    meddling: list[Meddling] = field(default_factory=list)


@dataclass
class Scenario:
    """A marketplace, the rounds, and what another writer does before the last run is undone."""

    name: str
    prefix: str
    start: Model
    rounds: list[Round]
    after: list[Write] = field(default_factory=list)


class Settled(NamedTuple):
    """What comes of a round: the marketplace before its run, what is staged then, and of that, by
    place, what the platform refuses when each is sent on its own.

    *hopeless* would be refused at any other time too.
    """

    before: Model
    edits: list[Entry]
    staged: list[int]
    refused: list[int]
    hopeless: list[int]

    @property
    def accepted(self) -> list[Entry]:
        """The edits that are accepted, in order."""
        return [self.edits[n] for n in self.staged if n not in self.refused]

    def records(self, places: Iterable[int]) -> list[Document]:
        """Return the edits at these places as lines of a file to stage."""
        return [record_of(self.edits[n]) for n in sorted(places)]


def record_of(entry: Entry) -> Document:
    """Return *entry* as a line of a file to stage."""
    record = {"ref": entry.ref, "op": entry.op.value, "fields": entry.fields}
    return {**record, "expect": entry.expect, "replace": entry.replace}


def attempt(model: Model, entry: Entry) -> bool:
    """Return whether *model* takes *entry*."""
    try:
        model.apply(entry)
    except Refused:
        return False
    return True


def is_there(model: Model, entry: Entry) -> bool:
    """Return whether *model* has what *entry* assigns: nothing needs to be sent, or can be refused."""
    row = model.rows.get(key_of(entry.ref))
    assigned = {**dict.fromkeys(kind_of(entry.ref).fields), **entry.fields}
    return entry.op is Op.ASSIGN and row is not None and row.document == assigned


def write_to(model: Model, write: Write) -> None:
    """Let another writer write to *model*. Raises Refused."""
    if isinstance(write, str):
        model.delete(write)
    else:
        model.apply(write)


def in_some_order(model: Model, writes: Iterable[Write]) -> list[Write]:
    """Write to *model*, what is refused again after the others; return what stays refused.

    A delete of what is gone already is done.
    """
    left = [*writes]
    while left:
        again = []
        for write in left:
            try:
                if not isinstance(write, str) or model.has(write):
                    write_to(model, write)
            except Refused:
                again.append(write)
        if len(again) == len(left):
            return again
        left = again
    return []


def settle(model: Model, turn: Round) -> Settled:
    """Return what comes of *turn*. Raises Refused when another writer's write is."""
    before = model.copy()
    for write in turn.writes:
        write_to(before, write)
    there = {*before.rows}
    in_some_order(before, turn.deletes)
    staged = _surviving(turn.edits, there - before.rows.keys())
    for one in turn.meddling:
        _meddle(before, one)
    now = before.copy()
    refused = [
        n for n in staged if not attempt(now, turn.edits[n]) and not is_there(now, turn.edits[n])
    ]
    refs = [key_of(turn.edits[n].ref) for n in staged]
    hopeless = [
        n
        for n in refused
        if refs.count(key_of(turn.edits[n].ref)) == 1
        and all(refuses(one, turn.edits[n]) for one in (before, now))
    ]
    return Settled(before, turn.edits, staged, refused, hopeless)


def refuses(model: Model, entry: Entry) -> bool:
    """Return whether *model*, which stays as it is, refuses *entry* by a documented rule."""
    try:
        model.copy().apply(entry)
    except Unclear:
        return False
    except Refused:
        return True
    return False


def _surviving(edits: list[Entry], gone: set[Key]) -> list[int]:
    """Return the places of the edits that a delete leaves staged.

    Of what is gone that is only what makes it again, from the first put or assign on, where
    everything that it hangs on is made again too.
    """
    first: dict[Key, int] = {}
    for n, entry in enumerate(edits):
        if entry.op in (Op.PUT, Op.ASSIGN):
            first.setdefault(key_of(entry.ref), n)

    def lost(ref: str) -> bool:
        return key_of(ref) in gone or any(map(lost, parents_of(ref)))

    def returns(ref: str) -> bool:
        return key_of(ref) in first and all(returns(p) for p in parents_of(ref) if lost(p))

    return [
        n
        for n, entry in enumerate(edits)
        if not lost(entry.ref) or (returns(entry.ref) and n >= first[key_of(entry.ref)])
    ]


def _meddle(model: Model, one: Meddling) -> None:
    """Let another writer change one field in *model*."""
    row = model.rows[key_of(one.ref)]
    model.rows[key_of(one.ref)] = row._replace(document=meddled(row.document, one))


def meddled(document: Mapping[str, Any], one: Meddling) -> Document:
    """Return *document* with the field changed."""
    return _with(document, one.path.split("."), one.value)


def _with(document: Mapping[str, Any] | None, names: list[str], value: Any) -> Document:
    name, *more = names
    start = document if isinstance(document, dict) else {}
    return {**start, name: _with(start.get(name), more, value) if more else value}


def brought_by(ref: str) -> list[str]:
    """Return the refs that may come into being with *ref*."""
    ids = ids_of(ref)
    return ["/".join([m.kind, *(ids[name] for name in m.ids)]) for m in kind_of(ref).creates]


def named_by(entry: Entry) -> set[Key]:
    """Return the keys of what *entry* names or may bring into being."""
    refs = [*named_in(entry.ref, entry.fields), *brought_by(entry.ref)]
    return set(map(key_of, refs))


def after(model: Model, turn: Round) -> Model:
    """Return the marketplace after *turn*."""
    found = settle(model, turn)
    now = found.before.copy()
    in_some_order(now, found.accepted)
    return now
