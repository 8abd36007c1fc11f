"""What a run left in each ref, put together from its intents and outcomes."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ocsync.document import equal
from ocsync.models import Fields, Intent, Ref, State
from ocsync.store import Run


class Written(NamedTuple):
    """What a run left in one ref: its fields, those before, and whether the answer showed them.

    *at* is when it was last sent; None where nothing was, as it was like this already. *absent*: it
    was deleted.
    """

    fields: Fields
    before: Fields
    answered: bool
    at: datetime | None = None
    absent: bool = False

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
    absent = run.info.sort == "delete"
    for record in run.outcomes():
        if isinstance(record, Intent):
            intents[record.number] = record
        elif record.state.settled:
            old = written.get(record.ref, Written({}, {}, answered=True))
            intent = intents.pop(record.number, None)
            at = _sent_at(intent) if record.state is State.DONE else None
            written[record.ref] = Written(
                {**old.fields, **record.sent},
                {**(intent.before if intent else {}), **old.before},
                old.answered and record.answered,
                at or old.at,
                absent,
            )
    return written


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
