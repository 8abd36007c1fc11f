"""The messages that a run's writes should cause, and the targets that cannot send any.

Delivery times count from the moment a target was unpaused; where this workspace had not paused it,
from the write.
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

    *held* targets are still paused, so none of their messages can have arrived; those that are
    *off* publish no changes. *silent* counts, by kind, the run's writes that have no message of
    their own. *runs* are earlier runs whose messages the same pause held. *start* is the time of
    the first write.
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
    run_writes = read_writes(run)
    written, runs = _with_earlier(session, run, run_writes)
    sent_writes = {ref: one for ref, one in written.items() if one.sent_at}
    if not sent_writes:
        return None
    start = min(one.sent_at for one in sent_writes.values() if one.sent_at)
    silent = Counter(
        kind_of(ref).name for ref in run_writes if run_writes[ref].sent_at and not published_by(ref)
    )
    delivery = await _expected(session, sent_writes, start)
    return delivery._replace(silent=silent, runs=runs)


def _with_earlier(
    session: Session, run: Run, run_writes: Mapping[Ref, RefWrite]
) -> tuple[dict[Ref, RefWrite], tuple[str, ...]]:
    """Return the writes of *run* and those of earlier runs whose messages the same pause held, with
    the IDs of these runs.

    A run that ends partly done leaves its targets paused; the next one unpauses them.
    """
    run_started = datetime.fromisoformat(run.read_info().started or session.timestamp())
    began = min((one.sent_at for one in run_writes.values() if one.sent_at), default=run_started)
    spanning = [pause for pause in session.folder.pause_history.read() if pause.covers(began)]
    start = min((datetime.fromisoformat(p.since) for p in spanning), default=began)
    start = start.replace(microsecond=0)  # runs record whole seconds
    written: dict[str, RefWrite] = {}
    runs: list[str] = []
    infos = session.folder.runs.read_all() if spanning else []  # newest first
    older = infos[[info.id for info in infos].index(run.id) + 1 :] if infos else []
    for info in reversed(older):
        ended = info.ended or info.started
        if info.kind != "resume" or (ended and datetime.fromisoformat(ended) < start):
            continue
        with session.folder.runs.get(info.id) as earlier:
            held_writes = {
                r: w for r, w in read_writes(earlier).items() if _is_held(r, w, spanning)
            }
        _add(written, held_writes)
        runs += [info.id] if held_writes else []
    _add(written, run_writes)
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
    session: Session, sent_writes: Mapping[Ref, RefWrite], start: datetime
) -> ExpectedDelivery:
    """Return the messages to wait for, from targets that can have sent them."""
    causes: dict[tuple[str, EntityKey], list[Ref]] = defaultdict(list)
    entities: dict[tuple[str, EntityKey], Ref] = {}
    for ref in sent_writes:
        for target, entity in published_by(ref):
            message_key = (target.name, key_of(target, entity))
            causes[message_key].append(ref)
            entities.setdefault(message_key, entity)
    names = {name for name, _ in causes}
    writes_by_key = {ref_key(ref): write for ref, write in sent_writes.items()}
    states = await read_targets(session.api, [t for t in TARGETS.values() if t.name in names])
    past_pauses: dict[str, list[PastPause]] = defaultdict(list)
    for pause in session.folder.pause_history.read():
        past_pauses[pause.target].append(pause)
    pauses = session.folder.read_pauses()
    expected: list[ExpectedMessage] = []
    held_targets: dict[str, None] = {}
    for (name, key), refs in causes.items():
        state = states[name]
        if not (state.exists and state.sends_changes):
            continue
        message = _expected_message(
            name, key, entities[name, key], refs, writes_by_key, past_pauses[name]
        )
        if state.paused and _is_held_now(message, pauses.get(name)):
            held_targets[name] = None
        else:
            expected.append(message)
    off = tuple(name for name, state in states.items() if state.exists and not state.sends_changes)
    return ExpectedDelivery(expected, start, tuple(held_targets), off)


def _is_held_now(message: ExpectedMessage, pause: Pause | None) -> bool:
    """Return whether a pause that is still active holds the message; not one that has ended, or
    that began after the write.
    """
    began_later = pause is not None and datetime.fromisoformat(pause.since) > message.written_at
    return message.since == message.written_at and not began_later


def _expected_message(
    target: str, key: EntityKey, entity: Ref, refs: list[Ref], writes: Mapping[str, RefWrite],
    past_pauses: Sequence[PastPause],
) -> ExpectedMessage:  # fmt: skip
    own_write = writes.get(ref_key(entity))
    times = [at for ref in refs if (at := writes[ref_key(ref)].sent_at)]
    return ExpectedMessage(
        target,
        entity,
        key,
        tuple(refs),
        own_write.fields if own_write else {},
        own_write.before if own_write else {},
        written_at=min(times),
        since=max(_running_again(at, past_pauses) for at in times),
        unread=bool(own_write and own_write.unread),
        due=any(writes[ref_key(ref)].changed for ref in refs),
    )


def _running_again(at: datetime, past_pauses: Sequence[PastPause]) -> datetime:
    """Return the time at which the target was unpaused after a write *at* some time, or the time of
    the write if it was not paused.
    """
    ends = [datetime.fromisoformat(pause.until) for pause in past_pauses if pause.covers(at)]
    return max(ends, default=at)
