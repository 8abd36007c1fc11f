"""Risks of a plan that the operator should know before resuming. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ocsync.models import Change, Fields, Op, Ref, Step
from ocsync.schema import KINDS, kind_of

ZERO_STOCK, OWN_USER = "zero-stock", "own-user"
"""Risks that a resume refuses unless they are allowed by name."""
_VOLATILE = {
    name: frozenset(path for path, field in kind.fields.items() if field.volatile)
    for name, kind in KINDS.items()
}
"""The fields of each kind that the platform changes by itself."""


MAX_REFS = 100
"""Most refs that a risk names; it counts them all."""


class Risk(NamedTuple):
    """Reason to think twice before resuming: *code* for programs, and the first refs concerned.

    *total* is the number of them all.
    """

    code: str
    text: str
    refs: tuple[Ref, ...] = ()
    advice: str = ""
    total: int = 0


class _Refs:
    """Refs of the steps with one risk: how many there are, and the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[Ref] = []

    def add(self, ref: Ref) -> None:
        self.count += 1
        if self.count <= MAX_REFS:
            self._first.append(ref)

    def risk(self, code: str, text: str, advice: str = "") -> Risk:
        return Risk(code, text, tuple(self._first), advice, self.count)


def find_risks(steps: Iterable[Step]) -> list[Risk]:
    """Return the risks of *steps*, a pause that is not worth it among them.

    Quantities without an expected value are one: orders go on decrementing stock while sync is
    paused, so that a blind value would oversell. When more than half of the plan's quantities
    become zero, the file is often a wrong one.
    """
    contradicted, zero, blind, objects, urgent = (_Refs() for _ in range(5))
    touched = number = 0
    for number, step in enumerate(steps, 1):  # noqa: B007
        change = step.change
        ref, fields = change.ref, change.fields
        volatile = _VOLATILE[ref[: ref.find("/")]]
        if change.contradicted:
            contradicted.add(ref)
        if volatile:
            quantities = _quantities(change, volatile)
            touched += len(quantities)
            for value in quantities:
                if value is None or (value is not ... and value <= 0):
                    zero.add(ref)
                    break
            if _is_blind(change, volatile):
                blind.add(ref)
        if dict in map(type, fields.values()) and _sets_objects(change):
            objects.add(ref)
        if not _TIMED_FIELDS.isdisjoint(fields) and _is_urgent(fields):
            urgent.add(ref)
    found = [
        contradicted.risk(
            "broken-expectation",
            f"refs with an expectation that staged entries contradict: {contradicted.count:,}",
            "ocsync plan --explain REF",
        ),
        zero.risk(
            ZERO_STOCK,
            f"quantities set to zero: {zero.count:,} of the {touched:,} that are touched",
            f"resume needs --allow-risky {ZERO_STOCK}",
        ),
        blind.risk(
            "blind-quantity",
            f"quantities without an expectation: {blind.count:,}; what was sold is overwritten",
            "stage with --expect-current, or stage adjust",
        ),
        objects.risk(
            "xp-members",
            f"xp values that are objects: {objects.count:,}; members left out may stay there",
        ),
        urgent.risk(
            "time-critical",
            f"time-critical changes (switched off, or dated): {urgent.count:,}; they arrive late",
            "resume soon, or send them with --no-pause",
        ),
    ]
    if touched < 2 or zero.count * 2 <= touched:
        found = [risk for risk in found if risk.code != ZERO_STOCK]
    if number == 1:
        text = "a single change: pausing is not worth it"
        advice = "ocsync resume --no-pause sends it at once"
        found.append(Risk("single-change", text, (ref,), advice, 1))
    return [risk for risk in found if risk.total]


def _sets_objects(change: Change) -> bool:
    """Return whether *change* sets values of xp that are objects."""
    return change.op is Op.SET and any(
        path.startswith("xp.") and isinstance(value, dict) for path, value in change.fields.items()
    )


def _is_blind(change: Change, volatile: frozenset[str]) -> bool:
    """Return whether *change* writes a quantity over one that it does not expect."""
    replaces = change.op is Op.SET or change.replace
    return replaces and any(p in volatile and p not in change.expect for p in change.fields)


def _quantities(change: Change, volatile: frozenset[str]) -> list[Any]:
    """Return the quantities that *change* writes; an ellipsis for one that it adjusts."""
    fields, adjust = change.fields, change.adjust
    given = [fields.get(p, ...) for p in volatile if p in fields or p in adjust]
    if change.op is Op.PUT and change.replace:  # what such a put leaves out is emptied
        given += [None for p in volatile - {*fields, *adjust} if "." not in p]
    return given


def own_user_risk(steps: Iterable[Step], kind: str, name: str) -> Risk | None:
    """Return the risk that *steps* deactivate the signed-in user, *name* of *kind*."""
    user = name.casefold()
    refs = tuple(
        step.ref
        for step in steps
        if kind_of(step.ref).name == kind
        and step.ref.rpartition("/")[2].casefold() == user
        and step.change.fields.get("Active") is False
    )
    text = "this deactivates the user that you are signed in as"
    advice = f"resume needs --allow-risky {OWN_USER}"
    return Risk(OWN_USER, text, refs[:1], advice, 1) if refs else None


_URGENT_VALUES = {"Active": (False,), "IsOnSale": (True,)}
_DATE_FIELDS = ("SaleStart", "SaleEnd")
_TIMED_FIELDS = {*_URGENT_VALUES, *_DATE_FIELDS}


def _is_urgent(fields: Fields) -> bool:
    return any(fields.get(name, ...) in values for name, values in _URGENT_VALUES.items()) or any(
        name in fields for name in _DATE_FIELDS
    )
