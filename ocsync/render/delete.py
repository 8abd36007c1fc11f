"""A delete: its impact before it is sent, and the report after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ocsync.models import Entry, State
from ocsync.render.json_data import json_data, run_data
from ocsync.render.problems import problem_lines, problem_of
from ocsync.render.text import LINE_LIMIT, Line, count, first_few, limited, plural_of
from ocsync.schema import KINDS, kind_of

if TYPE_CHECKING:
    from ocsync.engine.delete.execute import DeleteReport
    from ocsync.engine.delete.impact import DeleteImpact, DeleteRow

_NOTIFICATION_TEXTS = {
    "deleted": "delivered immediately: {names}; a pause does not hold deletes",
    "unsure": "{names}: OrderCloud does not document a delete message",
    "changed": "may be delivered immediately, as removed assignments: {names}",
    "off": "no delete message, because the sync config excludes deletes: {names}",
    "no_config": "no delete message, because there is no sync config: {names}",
    "unread": "may be delivered immediately: {names} (could not read the sync config)",
}


def impact_lines(impact: DeleteImpact) -> Iterator[Line]:
    """Yield what will be deleted, refused, left over and unstaged, and the targets notified."""
    yield from _deleted_lines(impact)
    absent = [row for row in impact.rows if row.document is None]
    for row in absent[:LINE_LIMIT]:
        reason = f"was already deleted by run {row.gone_by}" if row.gone_by else "does not exist"
        yield "=", f"{row.ref}  {reason}"
    if len(absent) > LINE_LIMIT:
        yield "", f"  ... and {count(len(absent) - LINE_LIMIT, 'more ref')} without an entity"
    remarks = list(_remark_lines(impact.existing))
    yield from limited(remarks, len(remarks), " remarks (all with --json)")
    yield from _staged_impact_lines(impact)
    yield from _unread_lines(impact)
    for hearing, text in _NOTIFICATION_TEXTS.items():
        names = [one.target for one in impact.notified if one.hearing == hearing]
        paused = any(one.paused for one in impact.notified if one.hearing == hearing)
        if names:
            joined = ", ".join(names) + (" (paused)" if paused else "")
            yield "!", text.format(names=joined)


def _deleted_lines(impact: DeleteImpact) -> Iterator[Line]:
    if len(impact.existing) <= LINE_LIMIT:
        for row in impact.existing:
            yield from _with_dependents(row.ref, row.dependents.counts)
        return
    groups: dict[str, list[DeleteRow]] = {}
    for row in impact.existing:
        groups.setdefault(kind_of(row.ref).name, []).append(row)
    for name, rows in groups.items():
        refs = first_few([row.ref for row in rows])
        counts = sum((Counter(row.dependents.counts) for row in rows), Counter[str]())
        yield from _with_dependents(f"{count(len(rows), KINDS[name].noun)}: {refs}", counts)


def _with_dependents(refs: str, counts: Mapping[str, int]) -> Iterator[Line]:
    """Yield *refs* and the number of their dependents of each kind."""
    parts = [count(counts[name], KINDS[name].noun) for name in KINDS if counts.get(name)]
    yield "-", refs
    if parts:
        text = ", ".join(parts)
        yield "", f"    with its dependents: {text}"


def _remark_lines(rows: Sequence[DeleteRow]) -> Iterator[Line]:
    for row in rows:
        for referrer in row.referrers:
            noun = KINDS[referrer.kind].noun if referrer.kind in KINDS else referrer.kind
            if referrer.refuses:
                refs = f" ({first_few(referrer.refs)})" if referrer.refs else ""
                yield "!", f"{row.ref}  will be refused: {referrer.refuses}{refs}"
            else:
                by = count(referrer.number, noun)
                them = "it" if referrer.number == 1 else "them"
                yield (
                    "!",
                    f"{row.ref}  is referenced by {by}; the effect on {them} is not documented",
                )
        for ref in row.remaining:
            yield "!", f"{row.ref}  leaves {ref}; to delete it too: ocsync delete {ref}"


def _staged_impact_lines(impact: DeleteImpact) -> Iterator[Line]:
    yield from staged_lines(impact.affected.dropped, impact.affected.kept)
    if impact.referring:
        names = first_few(_distinct_refs(impact.referring))
        yield "!", f"staged edits still reference it: {names}"


def staged_lines(dropped: Sequence[Entry], kept: Sequence[Entry]) -> Iterator[Line]:
    """Yield the staged entries that are dropped, and those that are kept."""
    if dropped:
        text = f"drops {count(len(dropped), 'staged entry')}: {first_few(_distinct_refs(dropped))}"
        yield "!", text
    if kept:
        text = f"keeps {count(len(kept), 'staged entry')} that would create it again"
        yield "!", f"{text}: {first_few(_distinct_refs(kept))}"


def _distinct_refs(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.ref for entry in entries))


def _unread_lines(impact: DeleteImpact) -> Iterator[Line]:
    if not impact.counted:
        yield "!", "dependents were not counted (--no-count)"
    else:
        unread = {
            n: reason for row in impact.existing for n, reason in row.dependents.unread.items()
        }
        if refused := sorted(name for name, reason in unread.items() if reason):
            reasons = "; ".join(dict.fromkeys(unread[name] for name in refused))
            yield "!", f"not counted: {', '.join(refused)} ({reasons})"
        if unlisted := sorted(name for name, reason in unread.items() if not reason):
            text = "OrderCloud has no list of those that depend on a deleted entity"
            yield "!", f"not counted: {', '.join(unlisted)} ({text})"
    for name in dict.fromkeys(kind_of(row.ref).name for row in impact.existing):
        kind = KINDS[name]
        if kind.unreadable_blockers:
            text = f"{plural_of(kind.noun)}: {kind.unreadable_blockers} may block the delete"
            yield "!", f"{text} (cannot be read)"


def impact_document(impact: DeleteImpact) -> dict[str, Any]:
    """Return the impact of a delete as JSON data."""
    return {
        "type": "survey",
        "refs": [
            {
                "ref": row.ref,
                "exists": row.document is not None,
                "deleted_by": row.gone_by,
                "dependents": row.dependents.counts,
                "refused": [one._asdict() for one in row.referrers if one.refuses],
                "referenced_by": [one._asdict() for one in row.referrers if not one.refuses],
                "remaining": list(row.remaining),
                "unread": [*row.dependents.unread],
            }
            for row in impact.rows
        ],
        "number": impact.number,
        "counted": impact.counted,
        "targets": [
            {"target": one.target, "message": one.hearing.value, "paused": one.paused}
            for one in impact.notified
        ],
        "dropped": json_data(impact.affected.dropped),
        "kept": json_data(impact.affected.kept),
        "referring": _distinct_refs(impact.referring),
    }


def lines(result: DeleteReport) -> Iterator[Line]:
    """Yield the report of a run of deletes."""
    yield from problem_lines(map(problem_of, result.problems))
    for sign, line in staged_lines(result.affected.dropped, result.affected.kept):
        yield sign, line.replace("drops", "dropped").replace("keeps", "kept")
    counts = result.run.counts
    done, absent = counts.get(State.DONE.value, 0), counts.get(State.UNCHANGED.value, 0)
    were = f", {absent:,} did not exist" if absent else ""
    if result.problems:
        text = f"partly done: {done:,} of {result.run.steps:,} deleted{were}"
        yield "✗", f"{text}, {len(result.problems):,} failed"
    elif done:
        yield "✓", f"{count(done, 'ref')} deleted{were}"
    else:
        yield "=", "nothing to delete: no ref exists"


def next_commands(result: DeleteReport) -> list[str]:
    """Return the commands to type next."""
    done = result.run.counts.get(State.DONE.value, 0)
    return [f"ocsync history {result.run.id}", *([f"ocsync rollback {result.run.id}"] * bool(done))]


def document(result: DeleteReport | None, impact: DeleteImpact, *, dry_run: bool) -> dict[str, Any]:
    """Return the last event of a delete; without *result* nothing was sent."""
    counts = result.run.counts if result else {}
    return {
        "type": "summary",
        "exit_code": int(result.exit_code) if result else 0,
        "dry_run": dry_run,
        "run": run_data(result.run) if result else None,
        "deleted": counts.get(State.DONE.value, 0),
        "missing": len(impact.rows) - len(impact.existing),
        "failed": [
            {"ref": o.ref, "state": o.state.value, "message": o.message, "blocked_by": o.blocked_by}
            for o in (result.problems if result else ())
        ],
        "dropped": len(result.affected.dropped) if result else 0,
        "kept": len(result.affected.kept) if result else 0,
    }
