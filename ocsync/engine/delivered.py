"""Proof of delivery: what a run wrote, held against what arrived at the profile's listener.

Every entity that was changed is expected once at least (delivery may be doubled and unordered;
api-facts 3.3). Times count from the moment its target ran again; where we had not paused it, from
the write. What does not arrive, or only with older content, can be sent again with OrderCloud's
sync requests, where its kind has one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from ocsync.client import read_current, read_targets
from ocsync.delivery.matching import Arrival, Delivered, Expected, Matched, Matcher
from ocsync.delivery.messages import Key, has_sync_request, key_of, published_by
from ocsync.engine.resync import ADVICE, Sync, advise, send
from ocsync.engine.work import Work
from ocsync.engine.written import Written, merged, read_written
from ocsync.errors import ExitCode, Interrupted, Locked
from ocsync.events import Arriving, Sent
from ocsync.models import Finding, Outcome, Ref, Sign, State
from ocsync.pause import PastPause
from ocsync.resources import TARGETS, ids_of, kind_of
from ocsync.store import Run

FIRST_POLL, POLL_SECONDS = 0.05, 1.0
_WORKERS = 8
"""Sync requests are for quick repair of single entities (api-facts 3.1): few at a time."""


class Proof(NamedTuple):
    """What came of waiting.

    *drain* are the times before anything was sent again, of which *redelivered* were. *refused*
    maps what could not be sent again to why. *held* targets are paused still, so nothing of them
    can have come. *silent* counts writes by kind that have no message of their own. *runs* are the
    earlier ones whose writes the same pause had held. *listens* says whether a listener runs.
    """

    delivered: Delivered
    drain: Mapping[str, float] = {}
    redelivered: int = 0
    refused: Mapping[Ref, str] = {}
    held: tuple[str, ...] = ()
    silent: Mapping[str, int] = {}
    runs: tuple[str, ...] = ()
    listens: bool = True

    @property
    def lacking(self) -> list[Matched]:
        """What did not arrive as it was written."""
        return self.delivered.of(Arrival.MISSING, Arrival.STALE)

    @property
    def was_held(self) -> bool:
        """Whether a pause of ours had held any of it, so that times count from its end."""
        return any(one.expected.since > one.expected.wrote for one in self.delivered.matched)

    @property
    def unheard(self) -> list[str]:
        """The targets of which nothing was ever heard, though something was to come."""
        return sorted({one.expected.target for one in self.lacking} - self.delivered.heard)

    @property
    def exit_code(self) -> ExitCode:
        """DIFFERS unless everything arrived as it was written."""
        return ExitCode.DIFFERS if self.lacking else ExitCode.DONE

    def facts(self) -> dict[str, float]:
        """The numbers, for the run's record; times in seconds."""
        found = self.delivered
        counts = {arrival.name.lower(): len(found.of(arrival)) for arrival in Arrival}
        more = {"duplicates": found.duplicates, "strangers": found.strangers, "early": found.early}
        return {**counts, **more, "redelivered": self.redelivered, **self.drain}

    def findings(self) -> list[Finding]:
        """What did not arrive as written, by name."""
        return sorted(map(self._finding, self.lacking), key=lambda finding: finding.ref)

    def _finding(self, one: Matched) -> Finding:
        ref = one.expected.ref
        missing = one.arrival is Arrival.MISSING
        text = "did not arrive" if missing else "arrived with older content"
        why = self.refused.get(ref, "")
        return Finding(
            ref=ref,
            sign=Sign.MISSING if missing else Sign.DIFFERS,
            fields=dict(one.fields),
            message=f"{text}; {why}" if why else text,
            place="delivery",
        )


async def prove(work: Work, run: Run, *, patience: float, redeliver: bool) -> Proof | None:
    """Wait for every message of *run* until none has come for *patience* seconds.

    None where nothing is to be had: nobody listens and nothing has arrived since, or nothing was
    changed. Raises Interrupted.
    """
    own = read_written(run)
    written, runs = _with_earlier(work, run, own)
    sends = {ref: one for ref, one in written.items() if one.at}
    listens = _listens(work)
    if not sends or not (listens or _has_heard(work, sends)):
        if redeliver and sends:
            work.say("!", "nobody listens, so what is to be sent again is not known")
            work.say(" ", f"ocsync resync --run {run.id} sends all of it again")
        return None
    expected, held = await _expected(work, sends)
    silent = Counter(kind_of(ref).name for ref in own if own[ref].at and not published_by(ref))
    proof = Proof(Delivered([]), held=held, silent=silent, runs=runs, listens=listens)
    if not expected:
        return proof if held or silent else None
    matcher, patience = Matcher(expected), patience if listens else 0.0
    heard = await _wait(work, matcher, 0, patience)
    proof = proof._replace(delivered=await _judged(work, matcher))
    proof = proof._replace(drain=proof.delivered.drain())
    if redeliver and proof.lacking:
        sent, refused = await _send_again(work, proof.lacking)
        if sent:
            await _wait(work, matcher, heard, patience)
        found = await _judged(work, matcher)
        proof = proof._replace(delivered=found, redelivered=sent, refused=refused)
    return proof


def _with_earlier(
    work: Work, run: Run, own: Mapping[Ref, Written]
) -> tuple[dict[Ref, Written], tuple[str, ...]]:
    """What *run* wrote, and what earlier runs had, whose messages the same pause still held.

    A run that ends partly done leaves its targets paused; the next one lifts them.
    """
    began = min((one.at for one in own.values() if one.at), default=None)
    if began is None:
        return dict(own), ()
    spanning = [pause for pause in work.folder.past_pauses.read() if pause.holds(began)]
    start = min((pause.since for pause in spanning), default="")
    written: dict[Ref, Written] = {}
    runs: list[str] = []
    infos = work.folder.runs.list() if spanning else []  # newest first
    older = infos[[info.id for info in infos].index(run.id) + 1 :] if infos else []
    for info in reversed(older):
        if info.sort != "resume" or (info.ended or info.started) < start:
            continue
        with work.folder.runs.get(info.id) as earlier:
            held = {r: w for r, w in read_written(earlier).items() if _is_held(r, w, spanning)}
        written.update({ref: merged(written.get(ref), one) for ref, one in held.items()})
        runs += [info.id] if held else []
    return {**written, **{r: merged(written.get(r), w) for r, w in own.items()}}, tuple(runs)


def _is_held(ref: Ref, written: Written, pauses: Sequence[PastPause]) -> bool:
    names = {target.name for target, _ in published_by(ref)}
    at = written.at
    return at is not None and any(p.target in names and p.holds(at) for p in pauses)


async def _expected(
    work: Work, sends: Mapping[Ref, Written]
) -> tuple[list[Expected], tuple[str, ...]]:
    """The messages to come, of targets that send any; and the targets that are still paused."""
    causes: dict[tuple[str, Key], list[Ref]] = defaultdict(list)
    entities: dict[tuple[str, Key], Ref] = {}
    for ref in sends:
        for target, entity in published_by(ref):
            place = (target.name, key_of(target, entity))
            causes[place].append(ref)
            entities.setdefault(place, entity)
    names = {name for name, _ in causes}
    states = await read_targets(work.api, [t for t in TARGETS.values() if t.name in names])
    running = {n for n, state in states.items() if state.exists and not state.paused}
    past: dict[str, list[PastPause]] = defaultdict(list)
    for pause in work.folder.past_pauses.read():
        past[pause.target].append(pause)
    found = [
        _one(name, key, entities[name, key], refs, sends, past[name])
        for (name, key), refs in causes.items()
        if name in running and states[name].changed
    ]
    return found, tuple(n for n, state in states.items() if state.exists and state.paused)


def _one(
    target: str, key: Key, entity: Ref, refs: list[Ref], sends: Mapping[Ref, Written],
    past: Sequence[PastPause],
) -> Expected:  # fmt: skip
    mine = sends.get(entity)
    times = [at for ref in refs if (at := sends[ref].at)]
    return Expected(
        target, entity, key, tuple(refs), mine.fields if mine else {}, mine.before if mine else {},
        wrote=min(times), since=max(_since(at, past) for at in times),
        due=any(sends[ref].changed for ref in refs),
    )  # fmt: skip


def _since(at: datetime, past: Sequence[PastPause]) -> datetime:
    """When the target ran again after a write *at* some time; that time where it was running."""
    ends = [datetime.fromisoformat(pause.until) for pause in past if pause.holds(at)]
    return max(ends, default=at)


def _listens(work: Work) -> bool:
    try:
        with work.folder.listen_lock():
            return False
    except Locked:
        return True


def _has_heard(work: Work, sends: Mapping[Ref, Written]) -> bool:
    start = min(one.at for one in sends.values() if one.at)
    return any(datetime.fromisoformat(m.at) >= start for m in work.folder.deliveries.read())


async def _wait(work: Work, matcher: Matcher, heard: int, patience: float) -> int:
    """Take messages but for the first *heard*, until all is well or none was news for *patience*
    seconds; how many there are then."""
    quiet, best, step = 0.0, -1, FIRST_POLL
    while True:
        for message in work.folder.deliveries.read_from(heard):
            matcher.take(message)
            heard += 1
        found = matcher.result()
        arrived, due = len(found.of(Arrival.ARRIVED)), found.due
        if arrived > best:
            best, quiet, step = arrived, 0.0, FIRST_POLL
        stale = len(found.of(Arrival.STALE))
        work.emit(Arriving(arrived, due, found.duplicates, stale, max(0.0, patience - quiet)))
        if arrived >= due or quiet >= patience:
            return heard
        if work.stop.is_set():
            raise Interrupted("stopped waiting for the delivery; the run itself is complete",
                              hint="ocsync verify waits for it again")  # fmt: skip
        await work.sleep(step)
        quiet, step = quiet + step, min(2 * step, POLL_SECONDS)


async def _judged(work: Work, matcher: Matcher) -> Delivered:
    """What arrived; what looks stale is held against what the marketplace has now, too."""
    stale = [one.expected.ref for one in matcher.result().of(Arrival.STALE)]
    current = {
        ref: doc async for ref, doc in read_current(work.api, stale) if isinstance(doc, dict)
    }
    return matcher.result(current)


async def _send_again(work: Work, lacking: Sequence[Matched]) -> tuple[int, dict[Ref, str]]:
    """Sync requests for what did not arrive: how many were taken, and why others were not."""
    refused: dict[Ref, str] = {}
    syncs: list[Sync] = []
    for one in lacking:
        ref = one.expected.ref
        if has_sync_request(ref):
            syncs.append(Sync(len(syncs) + 1, TARGETS[one.expected.target], ref))
        else:
            product = ids_of(ref)["ProductID"]
            refused[ref] = f"no sync request for it: ocsync resync products {product}"
    if len(syncs) > ADVICE:
        advise(work, len(syncs))
    sent = 0

    async def keep(outcome: Outcome) -> None:
        nonlocal sent
        if outcome.state is State.DONE:
            sent += 1
        else:
            refused[outcome.ref] = outcome.message
        work.emit(Sent(outcome.ref, sent + len(refused), len(syncs), failed=len(refused)))

    for error in await send(work, syncs, workers=_WORKERS, keep=keep):
        work.say("!", error.message)
        work.say(" ", error.hint)
    return sent, refused
