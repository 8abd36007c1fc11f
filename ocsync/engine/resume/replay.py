"""The replay: a run's steps, wave by wave, while the targets are paused.

    seal -> inspect -> pause -> REPLAY -> close -> lift -> verify        (resume conducts)

For each step: blocked by a failed one it needs? - read again, where what is there counts until the
last moment (adjust, an expected stock, a second step of one ref) - unchanged? - intent on disk -
request - outcome. An answer that never came is settled by reading: it has what we sent: done; it is
as before: the same is sent again, or failed; anything else: unknown, with all three values. A step
with an intent and no outcome, left by a crash, is settled the same way. Only trouble of the whole
way to the server stops a replay; whatever is wrong with one step is that step's outcome.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ocsync.client import Reply, read_current
from ocsync.diff import Document, before, body, diff, with_own_writes
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.preflight import PreparedRequest, conflict_of, prepare_request
from ocsync.engine.run_log import RunProgress, outcome_now
from ocsync.engine.session import Session
from ocsync.engine.step_runner import StepRunner
from ocsync.errors import ApiError, LostAnswer, OcsyncError, SignInError, TryLater
from ocsync.models import Intent, Outcome, Ref, State, Step
from ocsync.schema import kind_of

_TRIES = 6


class Replay:
    """The replay of one run: *steps* in plan order, of which *progress* tells what has ended.

    *prepared* has what was read before the first write, by step number, and *conflicts* the steps
    to leave out: step number -> the reason.
    """

    def __init__(
        self,
        session: Session,
        recorder: Recorder,
        steps: Sequence[Step],
        progress: RunProgress,
        *,
        prepared: Mapping[int, PreparedRequest],
        conflicts: Mapping[int, str],
        workers: int,
        overwrite: bool = False,
    ) -> None:
        self._session = session
        self._recorder = recorder
        self._steps = steps
        self._progress = progress
        self._prepared = dict(prepared)
        self._conflicts = conflicts
        self._workers = workers
        self._overwrite = overwrite
        self._first = _first_steps(steps)
        later = (step.ref for step in steps if self._first[step.ref] != step.number)
        self._lagging = {ref for ref in later if kind_of(ref).eventually_consistent}
        self._written: dict[Ref, list[Intent]] = {}
        for intent in progress.lagging:
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
            ended=self._progress.ended,
        )
        await runner.run(self._steps)

    async def _execute(self, step: Step) -> Outcome:
        if step.number in self._conflicts:
            return self._end(step, State.CONFLICT, message=self._conflicts[step.number])
        try:
            intent = self._progress.dangling.get(step.number)
            if intent:
                return await self._settle(step, intent) or await self._send(step, _again(intent))
            prepared = self._prepared.pop(step.number, None)
            if prepared is None or self._is_late(step):
                current = await self._read(step.ref)
                prepared = prepare_request(step, current)
                conflict = conflict_of(step, prepared, current)
                if conflict and not self._overwrite:
                    return self._end(step, State.CONFLICT, message=conflict.text())
            return await self._send(step, prepared)
        except (TryLater, SignInError):
            raise
        except ApiError as error:
            return self._failed(step, error)

    def _is_late(self, step: Step) -> bool:
        """Whether what is there counts until the last moment: reading it early would not do."""
        fields = kind_of(step.ref).fields
        moving = any(path in fields and fields[path].volatile for path in step.change.expect)
        return bool(step.change.adjust) or moving or self._first[step.ref] != step.number

    async def _read(self, ref: Ref) -> Document | None:
        """What is there now, our own writes of this run among it, however far the read lags."""
        found: Document | None = None
        async for _, current in read_current(self._session.api, [ref]):
            if isinstance(current, OcsyncError):
                raise current
            found = current
        for intent in self._written.get(ref, ()):
            found = with_own_writes(found, intent.sent, intent.before)
        return found

    def _remember(self, intent: Intent) -> None:
        if intent.ref in self._lagging:
            self._written.setdefault(intent.ref, []).append(intent)

    async def _send(self, step: Step, prepared: PreparedRequest) -> Outcome:
        if prepared.same:
            return self._end(step, State.UNCHANGED, sent=prepared.sent)
        request = body(step.change, prepared.sent)
        intent = Intent(
            number=step.number,
            ref=step.ref,
            sent=prepared.sent,
            before=prepared.before,
            absent=prepared.absent,
            at=self._session.precise_timestamp(),
        )
        await self._recorder.intend(intent)
        for attempt in range(_TRIES):
            try:
                reply = await self._session.api.write(
                    step.method, step.path, request, repeatable=not step.change.adjust
                )
                return self._done(step, intent, reply)
            except LostAnswer as lost:
                settled = await self._settle(step, intent)
                if settled:
                    return settled
                if not step.change.adjust or attempt == _TRIES - 1:
                    return self._end(step, State.FAILED, message=lost.message)
                await self._session.sleep(random.uniform(0, 0.2 * 2**attempt))
        raise AssertionError("unreachable")

    async def _settle(self, step: Step, intent: Intent) -> Outcome | None:
        """The outcome of a request whose answer is not known, or None when it left no trace."""
        try:
            found = await self._read(step.ref)
        except ApiError as error:
            text = f"sent, but what came of it cannot be read: {error.message}"
            return self._unknown(step, intent, text, None, status=error.status, code=error.code)
        if found is not None and not diff(step.ref, intent.sent, found):
            self._remember(intent)
            return self._end(step, State.DONE, sent=intent.sent)
        untouched = found is None if intent.absent else _as_before(step.ref, intent, found)
        if untouched:
            return None
        text = "sent, but what is there now is neither that nor what was there before"
        return self._unknown(step, intent, text, found)

    def _unknown(
        self, step: Step, intent: Intent, text: str, found: Document | None, **facts: Any
    ) -> Outcome:
        now = before(intent.sent, found)
        values = {
            path: {"before": intent.before.get(path), "sent": sent, "found": now.get(path)}
            for path, sent in intent.sent.items()
        }
        facts |= {"sent": intent.sent, "message": text, "values": values}
        return self._end(step, State.UNKNOWN, **facts)

    def _done(self, step: Step, intent: Intent, reply: Reply) -> Outcome:
        self._remember(intent)
        answered = isinstance(reply.body, dict) and not diff(step.ref, intent.sent, reply.body)
        return self._end(step, State.DONE, status=reply.status, sent=intent.sent, answered=answered)

    def _failed(self, step: Step, error: ApiError) -> Outcome:
        return self._end(
            step, State.FAILED, status=error.status, code=error.code, message=error.message
        )

    def _end(self, step: Step, state: State, **facts: Any) -> Outcome:
        return outcome_now(self._session, step, state, **facts)


def _again(intent: Intent) -> PreparedRequest:
    """The same once more: values that were summed up then are not summed up anew."""
    return PreparedRequest(
        intent.sent, intent.before, intent.absent, same=False, exists_already=False
    )


def _as_before(ref: Ref, intent: Intent, found: Document | None) -> bool:
    wanted = {path: intent.before.get(path) for path in intent.sent}
    return found is not None and not diff(ref, wanted, found)


def _first_steps(steps: Iterable[Step]) -> dict[Ref, int]:
    first: dict[Ref, int] = {}
    for step in steps:
        first.setdefault(step.ref, step.number)
    return first
