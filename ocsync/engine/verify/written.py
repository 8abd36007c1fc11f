"""What a run left in each ref, put together from its intents and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ocsync.consolidate import merge
from ocsync.field_paths import equal
from ocsync.models import Fields, Intent, Outcome, Ref, State
from ocsync.store import Run


class Written(NamedTuple):
    """What a run left in one ref: its fields, those before, and whether the answer showed them.

    *at* is when it was last sent; None where nothing was, as it was like this already. *earlier*
    has what was at each path before each write of it, *absent* says that the ref was not there at
    first, *deleted* that the run deleted it.
    """

    fields: Fields
    before: Fields
    answered: bool
    at: datetime | None = None
    earlier: Mapping[str, tuple[Any, ...]] = {}
    absent: bool = False
    deleted: bool = False

    @property
    def changed(self) -> bool:
        """Whether what was sent differs from what a read had shown before."""
        return (
            any(
                path not in self.before or not equal(value, self.before[path])
                for path, value in self.fields.items()
            )
            or not self.fields
        )


def read_written(run: Run) -> dict[Ref, Written]:
    """Every settled ref of *run*. Raises Damaged."""
    written: dict[Ref, Written] = {}
    intents: dict[int, Intent] = {}
    for record in run.outcomes():
        if isinstance(record, Intent):
            intents[record.number] = record
        elif record.state.succeeded:
            intent = intents.pop(record.number, None)
            written[record.ref] = _after(written.get(record.ref), intent, record)
    if run.read_info().kind == "delete":
        return {ref: one._replace(deleted=True) for ref, one in written.items()}
    return written


def _after(old: Written | None, intent: Intent | None, outcome: Outcome) -> Written:
    """What *outcome* leaves of a ref, on top of what *old* writes left."""
    old = old or Written({}, {}, answered=True, absent=bool(intent and intent.absent))
    fields, earlier = dict(old.fields), dict(old.earlier)
    for path, value in outcome.sent.items():
        merge(fields, path, value)
        was = intent.before.get(path) if intent else value
        earlier[path] = (*earlier.get(path, ()), was)
    return old._replace(
        fields=fields,
        before={**(intent.before if intent else {}), **old.before},
        answered=old.answered and outcome.answered,
        at=(_sent_at(intent) if outcome.state is State.DONE else None) or old.at,
        earlier=earlier,
    )


def _sent_at(intent: Intent | None) -> datetime | None:
    return datetime.fromisoformat(intent.at) if intent and intent.at else None


def merged(earlier: Written | None, later: Written) -> Written:
    """*later* on top of an *earlier* write of the same ref."""
    if earlier is None:
        return later
    return Written(
        {**earlier.fields, **later.fields},
        {**later.before, **earlier.before},
        later.answered,
        later.at or earlier.at,
    )
