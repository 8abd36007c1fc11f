"""What a run wrote, by ref: read from its plan, intents and outcomes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ocsync.field_paths import flatten, nest
from ocsync.models import Fields, Intent, Op, Outcome, Ref, State, Step
from ocsync.plan import created
from ocsync.schema import Kind, field_at, kind_of

_WROTE = (State.DONE, State.UNKNOWN)


class Wrote(NamedTuple):
    """What a run did to *ref*: the values *before* and those it *left*, by path.

    *absent* says that it was not there, and *brought* what came into being with it; *whole* that a
    put replaced all of it. *added* are the sums of fields that were only ever adjusted. *unsure*:
    the outcome is unknown.
    """

    ref: Ref
    absent: bool
    whole: bool
    before: Fields
    left: Fields
    added: Fields
    brought: tuple[Ref, ...] = ()
    unsure: bool = False


def written(steps: Iterable[Step], records: Iterable[Intent | Outcome]) -> dict[Ref, Wrote]:
    """What a run wrote, by ref: its requests that took effect, or may have."""
    plan = {step.number: step for step in steps}
    intents: dict[int, Intent] = {}
    found: dict[Ref, Wrote] = {}
    for record in records:
        if isinstance(record, Intent):
            intents[record.number] = record
        elif record.state in _WROTE and record.number in intents:
            one = _wrote(plan[record.number], intents[record.number])
            one = one._replace(unsure=record.state is State.UNKNOWN)
            old = found.get(record.ref)
            found[record.ref] = _then(old, one) if old else one
    return found


def _wrote(step: Step, intent: Intent) -> Wrote:
    change, models = step.change, kind_of(step.ref).models
    return Wrote(
        step.ref,
        intent.absent,
        change.op is Op.PUT,
        flatten(nest(intent.before), models),
        flatten(nest(intent.sent), models),
        {path: amount for path, amount in change.adjust.items() if path not in change.fields},
        tuple(created(change)) if intent.absent else (),
    )


def _then(old: Wrote, new: Wrote) -> Wrote:
    """Two requests of one ref, as one: sums stay sums only while nothing else sets the field."""
    whole = old.whole or new.whole
    left = {path: default_of(old.ref, path) for path in old.left} if new.whole else old.left
    sums = {
        path: old.added.get(path, 0) + new.added.get(path, 0)
        for path in (old.added | new.added if not whole else ())
        if (path in old.added or path not in old.left)
        and (path in new.added or path not in new.left)
    }
    return old._replace(
        whole=whole,
        before={**{p: v for p, v in new.before.items() if p not in old.left}, **old.before},
        left={**left, **new.left},
        added=sums,
        unsure=old.unsure or new.unsure,
    )


def default_of(ref: Ref, path: str) -> Any:
    """What a put that leaves *path* out ends with there, as far as is known."""
    field = field_at(kind_of(ref), path)
    return field.default if field and not path.startswith("xp.") else None


def writable(kind: Kind, document: Mapping[str, Any], *, creating: bool = False) -> Fields:
    """*document* flat, as far as it can be staged; nothing of what the tables do not know."""
    found: Fields = {}
    for path, value in flatten(document, kind.models).items():
        field = field_at(kind, path)
        if field is None or field.read_only or field.write_only:
            continue
        if not creating and (field.create_only or path == "xp"):
            continue
        if path == "xp" and value != {}:
            continue
        found[path] = value
    return found
