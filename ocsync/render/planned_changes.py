"""Changes of a plan: what each step writes, beside what is there where the server was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ocsync.diff import default_of
from ocsync.engine.history import FieldChange
from ocsync.field_paths import json_equal
from ocsync.models import CREATING_OPS, Ref, Step
from ocsync.plan import linked_refs
from ocsync.render.text import assignment_text, count, field_value_text, truncate
from ocsync.schema import kind_of

if TYPE_CHECKING:
    from ocsync.engine.resume.preflight import Preflight
    from ocsync.engine.resume.prepared import PreparedRequest

LIST_LIMIT = 20
"""Most steps that a plan lists by itself."""
_SENT_ANYWAY = "already has these values; sent anyway, as this read may be out of date"


class PlannedChange(NamedTuple):
    """Change of one ref by *step*, which is *prepared* where the server was read.

    *conflict* is the reason why the change cannot be sent as it is.
    """

    step: Step
    prepared: PreparedRequest | None = None
    conflict: str = ""

    @property
    def ref(self) -> Ref:
        """Ref that is changed."""
        return self.step.ref

    @property
    def is_same(self) -> bool:
        """True when the server has these values already."""
        return self.prepared is not None and self.prepared.same

    @property
    def creates(self) -> bool:
        """True when the entity is made, as far as that is known."""
        if self.prepared is not None:
            return self.prepared.absent
        return self.step.change.op in CREATING_OPS

    @property
    def sign(self) -> str:
        """Sign of the line that shows it."""
        return "!" if self.conflict else "+" if self.creates else "~"

    @property
    def fields(self) -> list[FieldChange]:
        """Fields that change, without a before where nothing was there, or was read."""
        prepared, change = self.prepared, self.step.change
        if prepared is None:
            added = change.adjust.items()
            return [
                *(FieldChange(p, after=v, has_before=False) for p, v in change.fields.items()),
                *(FieldChange(p, after=v, has_before=False, relative=True) for p, v in added),
            ]
        before = prepared.before
        written = [
            FieldChange(path, before.get(path), new, has_before=not prepared.absent)
            for path, new in prepared.sent.items()
            if path not in before or not json_equal(before[path], new)
        ]
        emptied = prepared.emptied.items()
        return [*written, *(FieldChange(p, v, default_of(self.ref, p)) for p, v in emptied)]

    @property
    def note(self) -> str:
        """Conflict, or the reason why a step without a changed field is sent."""
        if self.conflict or self.prepared is None or self.fields:
            return self.conflict
        recreated = [f"recreates {ref}" for ref in linked_refs(self.ref)]
        lags = kind_of(self.ref).eventually_consistent
        return ", ".join(recreated) or (_SENT_ANYWAY if lags else "")

    def text(self) -> str:
        """Return its ref and what happens to it, as a line."""
        if self.prepared is None and not self.conflict:
            return f"{self.ref}  {assignments_text(self.step, limit=_VALUE_LENGTH)}".rstrip()
        gap = "  " if self.creates else ", "
        return f"{self.ref}  {self.note or gap.join(map(_field_text, self.fields))}".rstrip()

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        prepared = self.prepared
        defaults = {p: default_of(self.ref, p) for p in prepared.emptied} if prepared else {}
        return {
            "ref": self.ref,
            "same": self.is_same,
            "absent": bool(prepared and prepared.absent),
            "before": {**prepared.before, **prepared.emptied} if prepared else None,
            "after": {**prepared.sent, **defaults} if prepared else None,
            "conflict": self.conflict,
        }


_VALUE_LENGTH = 60
"""Characters of a value that a list shows; --explain and --json have all of them."""


def assignments_text(step: Step, *, limit: int = 0) -> str:
    """Return the values that a step sets and adds, as in `Active=true  Quantity+=2`.

    With *limit* each takes that many characters at most.
    """
    change = step.change
    parts = [assignment_text(p, v) for p, v in change.fields.items()]
    parts += [assignment_text(p, v, "+=") for p, v in change.adjust.items()]
    return "  ".join(truncate(part, limit) for part in parts) if limit else "  ".join(parts)


def _field_text(change: FieldChange) -> str:
    """Return what becomes of a value."""
    if not change.has_before:
        return assignment_text(change.path, change.after)
    before, after = (field_value_text(change.path, v) for v in (change.before, change.after))
    return f"{change.path} {before} -> {after}"


def planned_changes(
    steps: Iterable[Step], preflight: Preflight | None = None
) -> Iterator[PlannedChange]:
    """Yield the change of each step; with *preflight* compared with what was read."""
    problems = (*preflight.conflicts, *preflight.missing) if preflight else ()
    conflicts = {conflict.number: conflict.text() for conflict in problems}
    if preflight:
        conflicts |= {n: f"cannot be read: {why}" for n, why in preflight.refused.items()}
    for step in steps:
        prepared = preflight.prepared.get(step.number) if preflight else None
        yield PlannedChange(step, prepared, conflicts.get(step.number, ""))


class ChangeList(NamedTuple):
    """The first changes of a plan, conflicts before others, and the numbers of all.

    *is_compared* says that the server was read.
    """

    rows: Sequence[PlannedChange]
    changed: int
    unchanged: int
    is_compared: bool

    @property
    def omitted(self) -> int:
        """Number of changes that are not among the rows."""
        return self.changed - len(self.rows)

    def summary(self) -> str:
        """Return the number of changes, as in `3 changes; 1 ref needs no change`."""
        needs = count(self.unchanged, "ref needs", "refs need")
        rest = f"; {needs} no change" if self.unchanged else ""
        return f"{count(self.changed, 'change')}{rest}"


def list_changes(
    steps: Iterable[Step], preflight: Preflight | None = None, limit: int = LIST_LIMIT
) -> ChangeList:
    """Return the first *limit* changes of *steps*."""
    conflicts, others = list[PlannedChange](), list[PlannedChange]()
    changed = unchanged = 0
    for change in planned_changes(steps, preflight):
        if change.is_same:
            unchanged += 1
            continue
        changed += 1
        rows = conflicts if change.conflict else others
        if len(rows) < limit:
            rows.append(change)
    rows = list(islice([*conflicts, *others], limit))
    return ChangeList(rows, changed, unchanged, preflight is not None)
