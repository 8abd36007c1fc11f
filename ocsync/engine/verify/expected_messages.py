"""The messages to be expected of a run: which, since when, and which not to wait for.

Times count from the moment a target ran again; where we had not paused it, from the write.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from ocsync.client import read_targets
from ocsync.delivery.matching import ExpectedMessage
from ocsync.delivery.messages import EntityKey, key_of, published_by
from ocsync.engine.run_log import RefWrite, in_sequence, read_writes
from ocsync.engine.session import Session
from ocsync.models import Ref
from ocsync.pause import PastPause, Pause
from ocsync.schema import TARGETS, kind_of, ref_key
from ocsync.store import Run


class ExpectedDelivery(NamedTuple):
    """The messages to wait for.

    *held* targets are paused still, so nothing of them can have come; those that are *off* publish
    no changes. *silent* counts the run's writes by kind that have no message of their own. *runs*
    are earlier ones whose writes the same pause had held. *start* is the first of the writes.
    """

    expected: list[ExpectedMessage]
    start: datetime
    held: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    silent: Mapping[str, int] = {}
    runs: tuple[str, ...] = ()


async def expected_delivery(session: Session, run: Run) -> ExpectedDelivery | None:
    """Return the messages to wait for after *run*; None when it changed nothing. Raises Damaged,
    TryLater.
    """
    own = read_writes(run)
    written, runs = _with_earlier(session, run, own)
    sends = {ref: one for ref, one in written.items() if one.sent_at}
    if not sends:
        return None
    start = min(one.sent_at for one in sends.values() if one.sent_at)
    silent = Counter(kind_of(ref).name for ref in own if own[ref].sent_at and not published_by(ref))
    found = await _expected(session, sends, start)
    return found._replace(silent=silent, runs=runs)


def _with_earlier(
    session: Session, run: Run, own: Mapping[Ref, RefWrite]
) -> tuple[dict[Ref, RefWrite], tuple[str, ...]]:
    """Return what *run* wrote, and what earlier runs had, whose messages the same pause still held.

    A run that ends partly done leaves its targets paused; the next one lifts them.
    """
    started = datetime.fromisoformat(run.read_info().started or session.timestamp())
    began = min((one.sent_at for one in own.values() if one.sent_at), default=started)
    spanning = [pause for pause in session.folder.pause_history.read() if pause.covers(began)]
    start = min((datetime.fromisoformat(p.since) for p in spanning), default=began)
    start = start.replace(microsecond=0)  # as runs are stamped
    written: dict[str, RefWrite] = {}
    runs: list[str] = []
    infos = session.folder.runs.read_all() if spanning else []  # newest first
    older = infos[[info.id for info in infos].index(run.id) + 1 :] if infos else []
    for info in reversed(older):
        over = info.ended or info.started
        if info.kind != "resume" or (over and datetime.fromisoformat(over) < start):
            continue
        with session.folder.runs.get(info.id) as earlier:
            held = {r: w for r, w in read_writes(earlier).items() if _is_held(r, w, spanning)}
        _add(written, held)
        runs += [info.id] if held else []
    _add(written, own)
    return {write.ref: write for write in written.values()}, tuple(runs)


def _add(written: dict[str, RefWrite], later: Mapping[Ref, RefWrite]) -> None:
    """Add the writes of a *later* run to those *written* so far, which are by key."""
    for ref, write in later.items():
        written[ref_key(ref)] = in_sequence(written.get(ref_key(ref)), write)


def _is_held(ref: Ref, written: RefWrite, pauses: Sequence[PastPause]) -> bool:
    names = {target.name for target, _ in published_by(ref)}
    at = written.sent_at
    return at is not None and any(p.target in names and p.covers(at) for p in pauses)


async def _expected(
    session: Session, sends: Mapping[Ref, RefWrite], start: datetime
) -> ExpectedDelivery:
    """Return the messages to wait for, of targets that can have sent them."""
    causes: dict[tuple[str, EntityKey], list[Ref]] = defaultdict(list)
    entities: dict[tuple[str, EntityKey], Ref] = {}
    for ref in sends:
        for target, entity in published_by(ref):
            place = (target.name, key_of(target, entity))
            causes[place].append(ref)
            entities.setdefault(place, entity)
    names = {name for name, _ in causes}
    own = {ref_key(ref): write for ref, write in sends.items()}
    states = await read_targets(session.api, [t for t in TARGETS.values() if t.name in names])
    past: dict[str, list[PastPause]] = defaultdict(list)
    for pause in session.folder.pause_history.read():
        past[pause.target].append(pause)
    pauses = session.folder.read_pauses()
    found: list[ExpectedMessage] = []
    held: dict[str, None] = {}
    for (name, key), refs in causes.items():
        state = states[name]
        if not (state.exists and state.sends_changes):
            continue
        one = _one(name, key, entities[name, key], refs, own, past[name])
        if state.paused and _is_held_now(one, pauses.get(name)):
            held[name] = None
        else:
            found.append(one)
    off = tuple(name for name, state in states.items() if state.exists and not state.sends_changes)
    return ExpectedDelivery(found, start, tuple(held), off)


def _is_held_now(one: ExpectedMessage, pause: Pause | None) -> bool:
    """Return whether a pause that is still on holds the message; not one that is over, or began
    later.
    """
    began_later = pause is not None and datetime.fromisoformat(pause.since) > one.written_at
    return one.since == one.written_at and not began_later


def _one(
    target: str, key: EntityKey, entity: Ref, refs: list[Ref], sends: Mapping[str, RefWrite],
    past: Sequence[PastPause],
) -> ExpectedMessage:  # fmt: skip
    mine = sends.get(ref_key(entity))
    times = [at for ref in refs if (at := sends[ref_key(ref)].sent_at)]
    return ExpectedMessage(
        target, entity, key, tuple(refs), mine.fields if mine else {}, mine.before if mine else {},
        written_at=min(times), since=max(_since(at, past) for at in times),
        due=any(sends[ref_key(ref)].changed for ref in refs),
    )  # fmt: skip


def _since(at: datetime, past: Sequence[PastPause]) -> datetime:
    """Return the time at which the target ran again after a write *at* some time; that time if it
    was running.
    """
    ends = [datetime.fromisoformat(pause.until) for pause in past if pause.covers(at)]
    return max(ends, default=at)
