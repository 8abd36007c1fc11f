"""The replay: a run's steps, wave by wave, while the targets are paused.

    seal -> preflight -> pause -> REPLAY -> close -> unpause -> verify        (resume conducts)

For each step: read again, where the value there counts until the last moment (an adjustment, an
expected stock, a deep xp path, a second step of one ref) - unchanged? - intent on disk - request -
outcome. Such a step takes its turn first and reads, so that nothing queues between its reading and
its request; steps that one list shows may share both (see `late_reads`). A request that the server
refused for the rate is made anew from a fresh read.

A lost answer is settled by reading. The entity shows what was sent: done. It shows what was there
before, with the same stamp: made anew, as it is where both look the same. Stock below what was
sent, and above what was there: done, and sold since. Where a read that lags may show either of them
by its age alone, it is repeated for as long as it may lag. Anything else is unknown, and reported
with all three values. A step with an intent and no outcome, left by a crash, is settled in the same
way. Only a server that cannot be reached stops a replay; whatever is wrong with one step is the
outcome of that step.
"""

from __future__ import annotations

import math
import random
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ocsync.client import GATEWAY_HINT, Reply, read_current
from ocsync.diff import (
    Document,
    defaults_of,
    diff,
    diff_as_written,
    is_volatile,
    lacks_base,
    request_body,
    values_before,
    with_own_write,
)
from ocsync.diff import stock_stamp as stamp_of
from ocsync.engine.polling import poll
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.late_reads import LateReads
from ocsync.engine.resume.preflight import (
    builds_on_current,
    conflict_of,
    prepare_request,
)
from ocsync.engine.resume.prepared import PreparedRequest, PreparedRequests
from ocsync.engine.run_log import RunProgress, outcome_now
from ocsync.engine.session import Session
from ocsync.engine.step_runner import StepRunner
from ocsync.errors import (
    ApiError,
    LostAnswer,
    NotApplied,
    OcsyncError,
    SignInError,
    TryLater,
)
from ocsync.events import NoticeLevel
from ocsync.field_paths import json_equal, value_at
from ocsync.models import Fields, Intent, Outcome, Ref, State, Step
from ocsync.plan import Predecessors, created_refs
from ocsync.plurals import count
from ocsync.schema import kind_of, ref_key

_TRIES = 6
"""Requests for one step whose answers were lost and which left no trace."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 8.0
_REFERENCE_TRIES, _REFERENCE_PAUSE, _REFERENCE_SECONDS = 6, 0.3, 10.0
"""Requests for a step that is refused soon after what it refers to was written, the seconds of the
first pause between them, which doubles, and the seconds after that write in which they are made:
how long the platform needs to see a new object is unknown (guide/ordercloud.md 12.6).
"""


class BuildingSteps(NamedTuple):
    """The steps of a plan that build on what is there when their turn comes.

    *later* are the numbers of those whose ref has an earlier step, which they need. *lagging* are
    the refs of kinds whose reads may lag with such a step, or one that builds on the value there.
    """

    later: set[int]
    lagging: set[Ref]

    @classmethod
    def of(cls, steps: Sequence[Step]) -> BuildingSteps:
        """Return those of *steps*, which are in plan order."""
        several: set[str] = set()
        later: set[int] = set()
        lagging: set[Ref] = set()
        for step in steps:
            if step.needs:
                several.add(ref_key(step.ref))
            if kind_of(step.ref).eventually_consistent and builds_on_current(step):
                lagging.add(step.ref)
        begun: set[str] = set()
        for step in steps if several else ():
            key = ref_key(step.ref)
            if key in begun:
                later.add(step.number)
                if kind_of(step.ref).eventually_consistent:
                    lagging.add(step.ref)
            elif key in several:
                begun.add(key)
        return cls(later, lagging)


class _Lost(NamedTuple):
    """A request whose answer never arrived."""

    intent: Intent
    error: LostAnswer


class Replay:
    """The replay of one run: *steps* in plan order, of which *progress* tells what has ended.

    *building* are those that build on what is there.
    *prepared* has what was read before the first write, by step number, and *conflicts* the steps
    to leave out: step number -> the reason. *settle* is how many seconds a lagging read may take,
    *reference_lag* how many a new entity may be unknown to other writes where that was measured.
    After *max_failures* failed steps no further one is sent.
    """

    def __init__(
        self,
        session: Session,
        recorder: Recorder,
        steps: Sequence[Step],
        progress: RunProgress,
        *,
        building: BuildingSteps,
        prepared: PreparedRequests,
        conflicts: Mapping[int, str],
        workers: int,
        settle: float,
        reference_lag: float = 0.0,
        overwrite: bool = False,
        recent: Iterable[Intent] = (),
        max_failures: int | None = None,
    ) -> None:
        self._session = session
        self._recorder = recorder
        self._steps = steps
        self._progress = progress
        self._prepared = prepared
        self._conflicts = conflicts
        self._workers = workers
        self._settle_seconds = settle
        self._reference_seconds = max(_REFERENCE_SECONDS, reference_lag)
        self._reference_lag = reference_lag
        self._overwrite = overwrite
        self._max_failures = max_failures
        self._later = building.later
        self._late_reads: LateReads[Outcome | _Lost] = LateReads(session.api)
        self._lagging = {ref_key(ref) for ref in building.lagging}
        self._written: dict[str, list[Intent]] = {}
        self._began_at = time.monotonic()
        self._done_at: OrderedDict[int, float] = OrderedDict()
        self._predecessors: Predecessors | None = None
        self._waited = 0
        for intent in (*recent, *progress.lagging):
            self._remember(intent)

    async def run(self) -> None:
        """Replay the steps that have no outcome yet.

        Raises TryLater or SignInError when the server cannot be reached, Interrupted when the
        operator stops it; the steps that ended are on disk, and the run can be continued.
        """
        runner = StepRunner(
            self._session,
            self._execute,
            self._recorder.end,
            workers=self._workers,
            progress=self._progress,
            max_failures=self._max_failures,
        )
        await runner.run(self._steps)

    async def _execute(self, step: Step) -> Outcome:
        """Carry out *step*, again where its request is refused only because it came too early."""
        tries = 0
        while True:
            outcome = await self._try(step)
            tries += 1
            pause = min(_REFERENCE_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)
            refused = (
                outcome.state is State.FAILED and outcome.status in (400, 404) and outcome.code
            )
            if not refused or tries == self._reference_tries() or not self._is_early(step):
                break
            self._tell_of_wait(step, outcome)
            await self._session.sleep(pause)
        if outcome.state is State.DONE:
            self._note_done(step)
            if tries > 1:
                text = "refused at first because something it depends on was new"
                outcome = msgspec.structs.replace(outcome, message=f"{text}; sent {tries} times")
        return outcome

    def _reference_tries(self) -> int:
        """Return how often a step is sent while what it refers to may be too new."""
        more = (self._reference_seconds - _REFERENCE_SECONDS) / _LONGEST_PAUSE
        return _REFERENCE_TRIES + math.ceil(more)

    def _is_early(self, step: Step) -> bool:
        """Return whether this run wrote what *step* refers to, or comes after, moments ago."""
        if self._predecessors is None:
            self._predecessors = Predecessors(self._steps)
        before = self._predecessors.of(step)
        times = [self._done_at[number] for number in before & self._done_at.keys()]
        if any(number in self._progress.done for number in before):
            times.append(self._began_at)
        return time.monotonic() - max(times, default=-math.inf) < self._reference_seconds

    def _note_done(self, step: Step) -> None:
        """Note that *step* is done now; what was done too long ago to matter is forgotten."""
        now = time.monotonic()
        self._done_at[step.number] = now
        while now - self._done_at[oldest := next(iter(self._done_at))] > self._reference_seconds:
            del self._done_at[oldest]

    def _tell_of_wait(self, step: Step, outcome: Outcome) -> None:
        self._waited += 1
        if self._waited == 1:
            text = f"{step.ref} was refused ({outcome.status} {outcome.code}) and will be resent"
            self._session.notify(NoticeLevel.WARNING, text)
            text = "OrderCloud may not see new entities immediately, so a step that depends on one"
            text += f" is repeated for up to {self._reference_seconds:g} s"
            if self._reference_lag:
                text += " (ocsync probe --show)"
            self._session.notify(NoticeLevel.DETAIL, text)

    async def _try(self, step: Step) -> Outcome:
        if step.number in self._conflicts:
            return self._end(step, State.CONFLICT, message=self._conflicts[step.number])
        prepared = self._prepared.pop(step.number)
        intent = self._progress.dangling.get(step.number)
        try:
            if intent:
                settled = await self._settle(step, intent)
                if settled:
                    return settled
                prepared = _again(intent)
            return await self._write(step, prepared)
        except (TryLater, SignInError):
            raise
        except ApiError as error:
            return self._failed(step, error)

    async def _write(self, step: Step, prepared: PreparedRequest | None) -> Outcome:
        """Send the request of *step*, again where that is safe, until its outcome is known.

        Only a read decides whether a put that creates something else too is sent again: a second
        one would replace what the first one filled in (a buyer's own catalog as its default).
        """
        late = self._is_late(step)
        once = late or _writes_stock(step) or bool(created_refs(step.change))
        lost = refused = 0
        asked = 0.0
        while True:
            try:
                attempt = await self._attempt(step, prepared, late=late, once=once)
            except NotApplied as refusal:
                refused, asked = refused + 1, asked + refusal.seconds
                if asked > self._session.api.max_wait:
                    hint = "run the same command again later; it continues where it stopped"
                    text = f"{refusal.message}; gave up after {count(refused, 'attempt')}"
                    raise TryLater(text, hint=hint) from refusal
                await self._session.sleep(refusal.seconds)
                continue
            if isinstance(attempt, Outcome):
                return attempt
            settled = await self._settle(step, attempt.intent)
            lost += 1
            if settled:
                return settled
            if lost == _TRIES or not once:
                error = attempt.error
                return self._end(step, State.FAILED, message=error.message, log_id=error.log_id)
            longest = min(_FIRST_PAUSE * 2**lost, _LONGEST_PAUSE)
            await self._session.sleep(random.uniform(0, longest))

    async def _attempt(
        self, step: Step, prepared: PreparedRequest | None, *, late: bool, once: bool
    ) -> Outcome | _Lost:
        """Make one attempt at *step*, read again right before if it is *late*."""
        if late:

            async def act(shown: Document | None) -> Outcome | _Lost:
                prepared = self._prepare(step, shown)
                return await self._send(step, prepared, once=once, has_slot=True)

            return await self._late_reads.read_and_act(step.ref, act)
        ready = prepared or self._prepare(step, await self._read_shown(step.ref))
        return await self._send(step, ready, once=once)

    def _prepare(self, step: Step, shown: Document | None) -> PreparedRequest | Outcome:
        """Hold *step* against the document *shown* by a read; an outcome ends the step."""
        current = self._with_own_writes(step.ref, shown)
        if lacks_base(step.change, current):
            text = f"{step.ref} does not exist, so it cannot be changed"
            return self._end(step, State.FAILED, status=404, message=text)
        prepared = prepare_request(step, current)
        if current is not shown:  # the stamp is that of before this workspace's own write
            prepared = prepared._replace(updated=None)
        conflict = conflict_of(step, prepared, current)
        if conflict and not self._overwrite:
            return self._end(step, State.CONFLICT, message=conflict.text())
        return prepared

    async def _send(
        self,
        step: Step,
        prepared: PreparedRequest | Outcome,
        *,
        once: bool,
        has_slot: bool = False,
    ) -> Outcome | _Lost:
        """Send one request, its intent on disk before; *once* leaves repeating to the caller."""
        if isinstance(prepared, Outcome):
            return prepared
        if prepared.same:
            return self._end(step, State.UNCHANGED, sent=prepared.sent)
        intent = prepared.intent(step, self._session.precise_timestamp())
        await self._recorder.intend(intent, at_once=has_slot)
        try:
            request = request_body(step.change, prepared.sent)
            reply = await self._session.api.write(
                step.method, step.path, request, repeatable=not once
            )
        except LostAnswer as lost:
            return _Lost(intent, lost)
        if not _is_answer_for(step.ref, reply):
            text = f"the response to {step.method} {step.path} does not show {step.ref}"
            foreign = LostAnswer(text, hint=GATEWAY_HINT)
            foreign.log_id = reply.log_id
            return _Lost(intent, foreign)
        return self._done(step, intent, reply)

    def _is_late(self, step: Step) -> bool:
        """Return whether the value there counts until the last moment, so that *step* reads last.

        An early read would be too old: others may have written into the same xp key since, and
        orders go on selling.
        """
        expects = any(is_volatile(step.ref, path) for path in step.change.expect)
        return builds_on_current(step) or expects or step.number in self._later

    async def _read_shown(self, ref: Ref) -> Document | None:
        """Return what a read shows now, which may lag."""
        document: Document | None = None
        async for _, current in read_current(self._session.api, [ref]):
            if isinstance(current, OcsyncError):
                raise current
            document = current
        return document

    def _with_own_writes(self, ref: Ref, document: Document | None) -> Document | None:
        """Return *document* with this workspace's own writes that it does not show yet."""
        for intent in _not_shown(self._written.get(ref_key(ref), ()), document):
            is_hidden = document is None and intent.absent
            document = with_own_write(document, intent)
            if is_hidden and document is not None:
                document = {**defaults_of(ref), **document}
        return document

    def _remember(self, intent: Intent) -> None:
        key = ref_key(intent.ref)
        if key in self._lagging:
            self._written.setdefault(key, []).append(intent)

    async def _settle(self, step: Step, intent: Intent) -> Outcome | None:
        """Return the outcome of a request without an answer, or None when it left no trace."""
        try:
            found, proves = await self._read_after(step, intent)
        except ApiError as error:
            text = f"sent, but its effect cannot be read: {error.message}"
            facts = {"status": error.status, "code": error.code, "log_id": error.log_id}
            return self._unknown(step, intent, text, None, **facts)
        traceless = _left_no_trace(intent, found)  # a put may empty what a read shows as empty
        if _took_effect(intent, found) and proves and not traceless:
            self._remember(intent)
            return self._end(step, State.DONE, sent=intent.sent, answered=True)
        if not proves:
            text = "sent; reads, which may be outdated, still show the earlier values"
            if _took_effect(intent, found):
                text = "sent; reads show its values, but perhaps those from before an earlier run"
            return self._unknown(step, intent, text, found)
        if traceless:
            return None
        text = "sent, but the current values are neither the sent nor the earlier ones"
        if intent.unread:
            text = "sent, but the current values differ, and the earlier ones were not read"
        return self._unknown(step, intent, text, found)

    async def _read_after(self, step: Step, intent: Intent) -> tuple[Document | None, bool]:
        """Return what is there after a request without an answer, and whether it proves anything.

        A read that lags may hide a request that must not be made twice. It may also show a value
        from before an earlier write, which this request was to bring back. It is repeated for as
        long as reads may lag; a value that has been brought back is there at the end.
        """
        lags = kind_of(step.ref).eventually_consistent and bool(step.change.adjust)
        shown = await self._read_shown(step.ref)

        def is_open() -> bool:
            found = self._with_own_writes(step.ref, shown)
            if _took_effect(intent, found):
                return False
            return _took_effect(intent, shown) or (lags and _left_no_trace(intent, found))

        async def is_settled() -> bool:
            nonlocal shown
            shown = await self._read_shown(step.ref)
            return not is_open()

        if is_open() and not await poll(self._session, is_settled, patience=self._settle_seconds):
            if _took_effect(intent, shown):
                return shown, self._settle_seconds > 0
            return self._with_own_writes(step.ref, shown), False
        return self._with_own_writes(step.ref, shown), True

    def _unknown(
        self, step: Step, intent: Intent, text: str, found: Document | None, **facts: Any
    ) -> Outcome:
        now = values_before(intent.sent, found)
        values = {
            path: {"before": intent.before.get(path), "sent": sent, "found": now.get(path)}
            for path, sent in intent.sent.items()
        }
        facts |= {"sent": intent.sent, "message": text, "values": values}
        return self._end(step, State.UNKNOWN, **facts)

    def _done(self, step: Step, intent: Intent, reply: Reply) -> Outcome:
        self._remember(intent)
        document = reply.body if isinstance(reply.body, dict) else None
        answered = _took_effect(intent, document)
        created = intent.absent
        exact = answered and not diff_as_written(intent.ref, intent.sent, document, created=created)
        sent = intent.sent if not kind_of(step.ref).action else _result_of(step.ref, document)
        facts = {"sent": sent, "answered": answered, "status": reply.status}
        facts["log_id"] = reply.log_id
        return self._end(step, State.DONE, exact=exact, **facts)

    def _failed(self, step: Step, error: ApiError) -> Outcome:
        facts = {"status": error.status, "code": error.code, "log_id": error.log_id}
        return self._end(step, State.FAILED, message=error.message, **facts)

    def _end(self, step: Step, state: State, **facts: Any) -> Outcome:
        return outcome_now(self._session, step, state, **facts)


def _result_of(ref: Ref, document: Document | None) -> Fields:
    """Return the values by which *document*, the answer to an action, shows its result."""
    return values_before(kind_of(ref).counted_by, document)


def _writes_stock(step: Step) -> bool:
    paths = (*step.change.fields, *step.change.adjust)
    return any(is_volatile(step.ref, path) for path in paths)


def _not_shown(intents: Sequence[Intent], found: Document | None) -> Sequence[Intent]:
    """Return the writes after the last one that *found* shows; all when it shows none."""
    shown = [n for n, intent in enumerate(intents, 1) if _took_effect(intent, found)]
    return intents[shown[-1] :] if shown else intents


def _took_effect(intent: Intent, found: Document | None) -> bool:
    """Return whether *found* shows that the request took effect.

    Stock that was sold since shows it too: it is below what was sent, but above what was there
    before, which sales alone cannot have made of it.
    """
    if found is None:
        return False
    plain = diff(intent.ref, intent.sent, found)
    if not plain:
        return not _still_there(intent, found)
    differences = diff_as_written(intent.ref, intent.sent, found, created=intent.absent)
    filled_in = {  # a value that was there before shows nothing, though the platform may keep it
        path: pair["found"] for path, pair in plain.items() if path not in differences
    }
    if any(json_equal(value, intent.before.get(path)) for path, value in filled_in.items()):
        return False
    return not _still_there(intent, found) and all(
        _was_sold(intent, path, pair["found"], pair["wanted"]) for path, pair in differences.items()
    )


def _is_answer_for(ref: Ref, reply: Reply) -> bool:
    """Return whether *reply* is the one that OrderCloud gives to a write of *ref* that it accepts.

    That is the entity, or 204 for an assignment (guide/ordercloud.md 2.2). A gateway in between may
    respond with 200 for another request, or for one that it has not passed on.
    """
    kind = kind_of(ref)
    document = reply.body if isinstance(reply.body, dict) else {}
    if kind.action or kind.assignment:
        return reply.status == 204 or bool(document)
    return str(document.get("ID") or "").casefold() == ref.rpartition("/")[2].casefold()


def _was_sold(intent: Intent, path: str, found: Any, sent: Any) -> bool:
    old = intent.before.get(path)
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in (old, found, sent)
    )
    return is_volatile(intent.ref, path) and numbers and bool(old < found < sent)


def _left_no_trace(intent: Intent, found: Document | None) -> bool:
    """Return whether *found* is what was there before the request, untouched since."""
    if intent.unread:
        return False
    if intent.absent or found is None:
        return intent.absent and found is None
    if intent.updated is not None and stamp_of(intent.ref, found) != intent.updated:
        return False
    old = {path: intent.before.get(path) for path in intent.sent}
    return not diff(intent.ref, old, found) and _still_there(intent, found) == set(intent.emptied)


def _still_there(intent: Intent, found: Document | None) -> set[str]:
    """Return the paths that a put was to empty and that still have their values."""
    return {
        path for path, value in intent.emptied.items() if json_equal(value_at(found, path), value)
    }


def _again(intent: Intent) -> PreparedRequest:
    """Return the same request once more: sums of then are not added up anew."""
    return PreparedRequest(
        intent.sent,
        intent.before,
        emptied=intent.emptied,
        absent=intent.absent,
        updated=intent.updated,
        unread=intent.unread,
    )
