"""A delete: what it would do, and what it came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.models import Entry, State
from ocsync.render.resume import problem
from ocsync.render.text import Line, count, plural_of, shortened
from ocsync.schema import KINDS, kind_of

if TYPE_CHECKING:
    from ocsync.engine.delete.execute import DeleteReport
    from ocsync.engine.delete.impact import DeleteImpact, DeleteRow

_SHOWN = 10
_HEARS = {
    "deleted": "seen at once",
    "unsure": "no message of a delete is documented for",
    "changed": "may hear of removed assignments at once",
    "off": "hear nothing, as their config says so",
    "no config": "hear nothing, having no sync config",
    "unread": "may see it at once (their config could not be read)",
}
_WIDTH = 78


def survey(found: DeleteImpact) -> Iterator[Line]:
    """What goes, what goes along, what will be refused, what stays, what is staged for it."""
    yield from _going(found)
    absent = [row for row in found.rows if row.document is None]
    for row in absent[:_SHOWN]:
        why = f"is gone already, by run {row.gone_by}" if row.gone_by else "is not there"
        yield "=", f"{row.ref}  {why}"
    if len(absent) > _SHOWN:
        yield "", f"  ... and {count(len(absent) - _SHOWN, 'ref')} more that are not there"
    yield from _shortened(list(_remarks(found.there)))
    yield from _staged(found)
    yield from _unread(found)
    for hearing, text in _HEARS.items():
        names = [one.target for one in found.notified if one.hearing == hearing]
        paused = any(one.paused for one in found.notified if one.hearing == hearing)
        if names:
            yield from _wrapped(
                f"{text}{', although paused' if paused else ''}: {', '.join(names)}"
            )


def _going(found: DeleteImpact) -> Iterator[Line]:
    if len(found.there) <= _SHOWN:
        for row in found.there:
            yield from _with_along(row.ref, row.dependents.counts)
        return
    groups: dict[str, list[DeleteRow]] = {}
    for row in found.there:
        groups.setdefault(kind_of(row.ref).name, []).append(row)
    for name, rows in groups.items():
        refs = shortened([row.ref for row in rows])
        along = sum((Counter(row.dependents.counts) for row in rows), Counter[str]())
        yield from _with_along(f"{count(len(rows), KINDS[name].noun)}: {refs}", along)


def _with_along(what: str, counts: Mapping[str, int]) -> Iterator[Line]:
    parts = [count(counts[name], KINDS[name].noun) for name in KINDS if counts.get(name)]
    yield "-", what
    if parts:
        text = ", ".join(part.replace(" ", "\u00a0") for part in parts)
        for line in wrap(f"takes along {text}", _WIDTH - 4, break_on_hyphens=False):
            yield "", "    " + line.replace("\u00a0", " ")


def _remarks(rows: Sequence[DeleteRow]) -> Iterator[Line]:
    for row in rows:
        for held in row.referrers:
            noun = KINDS[held.kind].noun if held.kind in KINDS else held.kind
            if held.refuses:
                refs = f" ({shortened(held.refs)})" if held.refs else ""
                yield "!", f"{row.ref}  will be refused: {held.refuses}{refs}"
            else:
                by = count(held.number, noun)
                yield "!", f"{row.ref}  is named by {by}; what becomes of that is not documented"
        for ref in row.remaining:
            yield "!", f"{row.ref}  leaves {ref} behind (ocsync delete {ref})"


def _shortened(lines: list[Line]) -> Iterator[Line]:
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield "", f"  ... and {len(lines) - _SHOWN:,} more remarks (all with --json)"


def _staged(found: DeleteImpact) -> Iterator[Line]:
    yield from staged(found.affected.dropped, found.affected.kept)
    if found.naming:
        names = shortened(_refs(found.naming))
        yield from _wrapped(f"is still named by what is staged for {names}")


def staged(dropped: Sequence[Entry], kept: Sequence[Entry]) -> Iterator[Line]:
    """What becomes of staged entries."""
    if dropped:
        text = f"drops {count(len(dropped), 'staged entry')}: {shortened(_refs(dropped))}"
        yield from _wrapped(text)
    if kept:
        text = f"keeps {count(len(kept), 'staged entry')}, which would make it again"
        yield from _wrapped(f"{text}: {shortened(_refs(kept))}")


def _wrapped(text: str) -> Iterator[Line]:
    first, *more = wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    yield "!", first
    for line in more:
        yield "", f"    {line}"


def _refs(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.ref for entry in entries))


def _unread(found: DeleteImpact) -> Iterator[Line]:
    if not found.counted:
        yield "!", "what goes along was not read (--no-count)"
    names = sorted({name for row in found.there for name in row.dependents.unread})
    if names:
        yield from _wrapped(
            f"not everything could be read: {', '.join(names)} (is a role missing?)"
        )
    for name in dict.fromkeys(kind_of(row.ref).name for row in found.there):
        kind = KINDS[name]
        if kind.unreadable_blockers:
            text = f"{plural_of(kind.noun)}: may be refused for {kind.unreadable_blockers}"
            yield "!", f"{text} (cannot be read)"


def survey_data(found: DeleteImpact) -> dict[str, Any]:
    """The survey as data."""
    return {
        "type": "survey",
        "refs": [
            {
                "ref": row.ref,
                "there": row.document is not None,
                "gone_by": row.gone_by,
                "along": row.dependents.counts,
                "refused": [held._asdict() for held in row.referrers if held.refuses],
                "named_by": [held._asdict() for held in row.referrers if not held.refuses],
                "stays": list(row.remaining),
                "unread": row.dependents.unread,
            }
            for row in found.rows
        ],
        "number": found.number,
        "counted": found.counted,
        "targets": [one._asdict() for one in found.notified],
        "dropped": msgspec.to_builtins(found.affected.dropped),
        "kept": msgspec.to_builtins(found.affected.kept),
        "naming": _refs(found.naming),
    }


def report(result: DeleteReport) -> Iterator[Line]:
    """What a run of deletes came to."""
    for outcome in result.problems[:_SHOWN]:
        yield "!", problem(outcome)
    if len(result.problems) > _SHOWN:
        yield "", f"  ... and {len(result.problems) - _SHOWN:,} more"
    for sign, line in staged(result.affected.dropped, result.affected.kept):
        yield sign, line.replace("drops", "dropped").replace("keeps", "kept")
    counts = result.run.counts
    done, absent = counts.get(State.DONE.value, 0), counts.get(State.UNCHANGED.value, 0)
    were = f", {absent:,} {'was' if absent == 1 else 'were'} not there" if absent else ""
    if result.problems:
        text = f"partly done: {done:,} of {result.run.steps:,} deleted{were}"
        yield "✗", f"{text}, {len(result.problems):,} not"
    elif done:
        yield "✓", f"{count(done, 'ref')} deleted{were}"
    else:
        yield "=", "nothing was there to delete"


def next_commands(result: DeleteReport) -> list[str]:
    """What to type next."""
    done = result.run.counts.get(State.DONE.value, 0)
    return [f"ocsync history {result.run.id}", *([f"ocsync rollback {result.run.id}"] * bool(done))]


def report_data(
    result: DeleteReport | None, found: DeleteImpact, *, dry_run: bool
) -> dict[str, Any]:
    """The last event of a delete."""
    counts = result.run.counts if result else {}
    return {
        "type": "summary",
        "exit_code": int(result.exit_code) if result else 0,
        "dry_run": dry_run,
        "run": msgspec.to_builtins(result.run) if result else None,
        "deleted": counts.get(State.DONE.value, 0),
        "not_there": len(found.rows) - len(found.there),
        "failed": [
            {"ref": o.ref, "state": o.state.value, "message": o.message, "because": o.blocked_by}
            for o in (result.problems if result else ())
        ],
        "dropped": len(result.affected.dropped) if result else 0,
        "kept": len(result.affected.kept) if result else 0,
    }
