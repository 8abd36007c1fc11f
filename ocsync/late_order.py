"""The order of steps that only the values there can tell, once they have been read. Pure.

A plan is made offline. Which user name an entity gives up, or which price schedule a product no
longer refers to, shows when `resume` has read what is there: the step that gives something up is
then sent before the one that takes it, as it was when they were staged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from ocsync.errors import PlanCycle
from ocsync.models import CREATING_OPS, Fields, Op, Step
from ocsync.ordering import JUDGED_BY_REFERENCES, UNIQUE
from ocsync.plan import assign_waves
from ocsync.schema import KINDS, Kind, kind_of, ref_key, references_of


class _Move(NamedTuple):
    """A step that changes the value at *path*; *there* says that *old* was read."""

    step: Step
    path: str
    old: str
    new: str
    there: bool


def order_by_values(steps: Sequence[Step], before: Mapping[int, Fields]) -> Sequence[Step]:
    """Return *steps* with those that give something up before those that take it.

    *before* has the values of `watched_fields`, by the number of a ref's first step. The waves are
    counted anew; what a step needs or follows stays before it.
    """
    first: dict[int, set[int]] = defaultdict(set)
    moves = list(_moves(steps, before))
    for step, other in [*_unique_values(moves), *_references(steps, moves)]:
        first[step].add(other)
    return _moved(steps, first) if first else steps


def watched_fields(kind: Kind) -> frozenset[str]:
    """Return the fields of *kind* whose values decide how steps of other refs are judged."""
    return _WATCHED[kind.name]


def _judged_fields(kind: Kind) -> tuple[str, ...]:
    """Return the fields of *kind* that the platform judges by what refers to the entity.

    So is a parent: it must not be below the entity itself.
    """
    return (*JUDGED_BY_REFERENCES[kind.name], *filter(None, [kind.parent_field]))


_WATCHED = {
    name: frozenset(
        {*UNIQUE[name]}
        | {r.ids[-1] for r in kind.references if _judged_fields(KINDS[r.kind])} - {*kind.ids}
    )
    for name, kind in KINDS.items()
}
"""The fields of each kind that `watched_fields` returns."""


def _moves(steps: Sequence[Step], before: Mapping[int, Fields]) -> Iterator[_Move]:
    """Yield what *steps*, in plan order, do to unique values and to fields that name entities."""
    held = {
        (path, ref_key(step.ref)): _value(before[step.number], path)
        for step in (steps if before else ())
        for path in before.get(step.number, ())
    }
    moved: set[tuple[str, str]] = set()
    for step in steps:
        fields = step.change.fields
        for path in watched_fields(kind_of(step.ref)):
            if path not in fields and step.change.op is Op.SET:
                continue
            own = (path, ref_key(step.ref))
            old = held.get(own, "")
            held[own] = _value(fields, path)
            if old != held[own]:
                yield _Move(step, path, old, held[own], there=own not in moved)
                moved.add(own)


def _value(fields: Fields, path: str) -> str:
    """Return the value at *path* as a key, empty where there is none."""
    return str(fields.get(path) or "").casefold()


def _unique_values(moves: Iterable[_Move]) -> Iterator[tuple[int, int]]:
    """Yield the steps that take a unique value, each with the step that gives it up.

    A value may pass through several hands, and edits of one that others depend on are not folded.
    So who takes it later has the later last entry, and who gives it up later the later first one.
    """
    given_up: dict[tuple[str, str], list[_Move]] = defaultdict(list)
    taken: dict[tuple[str, str], list[_Move]] = defaultdict(list)
    for move in moves:
        if move.path in UNIQUE[kind_of(move.step.ref).name]:
            given_up[move.path, move.old].append(move)
            taken[move.path, move.new].append(move)
    for value, takers in taken.items():
        givers = sorted(given_up.get(value, ()), key=lambda move: move.step.change.entries[:1])
        takers.sort(key=lambda move: move.step.change.entries[-1:])
        first = 0 if any(move.there for move in givers) else 1  # the first takes what nobody has
        for taker, giver in zip(takers[first:], givers, strict=False):
            yield taker.step.number, giver.step.number


def _references(steps: Iterable[Step], moves: Iterable[_Move]) -> Iterator[tuple[int, int]]:
    """Yield the steps that are judged by what refers to their entity, each with one that refers to
    it no longer.
    """
    released: dict[str, list[Step]] = defaultdict(list)
    for move in moves:
        if move.old and move.path not in UNIQUE[kind_of(move.step.ref).name]:
            for ref in references_of(move.step.ref, {move.path: move.old}):
                released[ref_key(ref)].append(move.step)
    for step in steps if released else ():
        paths = _judged_fields(kind_of(step.ref))
        if paths and (step.change.op is Op.PUT or any(p in step.change.fields for p in paths)):
            for other in released.get(ref_key(step.ref), ()):
                later = step.number in other.follows or step.number == other.number
                if not later and other.change.entries[:1] < step.change.entries[-1:]:
                    yield step.number, other.number


def _moved(steps: Sequence[Step], first: Mapping[int, set[int]]) -> list[Step]:
    """Return *steps* in new waves: each as late as before, and after those that come *first*.

    A ref exists before another one names it. Where that makes a cycle, fewer needs are kept, as
    most refs exist already; nothing is moved if none of that helps.
    """
    place = {step.number: i for i, step in enumerate(steps)}
    apart = len(first) + 1
    start = [step.wave * apart for step in steps]
    for keeps in (lambda *_: True, _creates, _must_follow):
        edges = [
            {place[n] for n in {*step.follows, *first.get(step.number, ())} if n in place}
            | {place[n] for n in step.needs if keeps(steps[place[n]], step)}
            for step in steps
        ]
        try:
            waves = assign_waves([step.ref for step in steps], dict(enumerate(edges)), start)
        except PlanCycle:
            continue
        number = {wave: n for n, wave in enumerate(sorted(set(waves)), 1)}
        moved = [
            msgspec.structs.replace(step, wave=number[wave])
            for step, wave in zip(steps, waves, strict=True)
        ]
        return sorted(moved, key=lambda step: step.wave)
    return list(steps)


def _creates(needed: Step, step: Step) -> bool:
    """Return whether *step* needs *needed* because that may create a ref."""
    earlier = needed.change.entries[:1] <= step.change.entries[-1:]
    return _must_follow(needed, step) or (needed.change.op in CREATING_OPS and earlier)


def _must_follow(needed: Step, step: Step) -> bool:
    """Return whether *step* is of the same ref as *needed*, or follows one of its entries."""
    same = ref_key(needed.ref) == ref_key(step.ref)
    return same or not set(needed.change.entries).isdisjoint(step.change.follows)
