"""Verification: every entity of a run is read back and compared with the written values.

Read-only. A kind whose reads lag behind its writes is read by lists, and by itself where a list
does not show the write; then it is read again for up to *settle* seconds. If it still shows the
value before the write, and the run is recent, the write's own answer counts (it is documented as
fresh; guide/ordercloud.md 5.3).

Verification by answers reads back only what no answer proves, and a sample of the rest.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import chain
from typing import Any, NamedTuple

from ocsync.client import read_current
from ocsync.diff import Document, diff_as_written, is_sale, stock_stamp
from ocsync.engine.polling import poll
from ocsync.engine.read_ahead import ReadAhead, read_documents
from ocsync.engine.run_log import SUCCEEDED, RefWrite, SpilledRecords, is_recent, ref_writes
from ocsync.engine.session import Session
from ocsync.engine.step_parts import step_parts
from ocsync.errors import ExitCode, OcsyncError
from ocsync.events import FindingReported, NoticeLevel, Verifying
from ocsync.field_paths import json_equal, value_at
from ocsync.models import Finding, Ref, Sign
from ocsync.schema import SUMMED_QUANTITY, kind_of
from ocsync.store import Run
from ocsync.store.step_log import StepLog

POLL_SECONDS = 1.0
SAMPLE_SHARE, SMALLEST_SAMPLE = 0.01, 20
"""The share of the refs proven by answers that is read back all the same, and the least number."""

Writes = Mapping[Ref, RefWrite]
"""Writes of a run, or of a part of it, by ref."""
_BY_ANSWER = "the response to the write shows it; reads still show the earlier value"


class Verification(NamedTuple):
    """The number of signs per kind, and every finding except for entities that are the same.

    *by_answer* are the refs whose proof is the write's own answer; all others were read back.
    *sample* is the number of those that were read back although an answer proved them.
    """

    kinds: dict[str, dict[str, int]]
    findings: list[Finding]
    by_answer: list[Ref]
    sample: int = 0

    @property
    def read(self) -> int:
        """The number of refs that were read back."""
        total = sum(number for signs in self.kinds.values() for number in signs.values())
        return total - len(self.by_answer)

    @property
    def exit_code(self) -> ExitCode:
        """DIFFERS when something differs or is missing, TRY_LATER when it could not be read."""
        signs = {finding.sign for finding in self.findings}
        if signs & {Sign.DIFFERS, Sign.MISSING}:
            return ExitCode.DIFFERS
        return ExitCode.TRY_LATER if self.has_unread else ExitCode.DONE

    @property
    def has_unread(self) -> bool:
        """A flag: something could not be read."""
        return any(finding.sign is Sign.UNREAD for finding in self.findings)


class WriteParts:
    """The writes of a run; of a long one memory holds a part at a time. Raises Damaged."""

    def __init__(self, run: Run) -> None:
        steps = run.read_plan()
        self.number = len(steps)
        self.whole: Writes | None = None
        if not isinstance(steps, StepLog):
            self.whole = ref_writes(steps, run.outcomes(), SUCCEEDED)
            return
        self._steps = steps
        self._places = list(step_parts(steps))
        self._records = SpilledRecords(run.path, len(self._places))
        part_of = array("L", bytes(array("L").itemsize * len(steps)))
        for part, places in enumerate(self._places):
            for place in places:
                part_of[place] = part
        for record in run.outcomes():
            self._records.add(part_of[record.number - 1], record)

    def __iter__(self) -> Iterator[Writes]:
        if self.whole is not None:
            yield self.whole
            return
        for part, places in enumerate(self._places):
            steps = (self._steps[place] for place in places)
            yield ref_writes(steps, self._records.read(part), SUCCEEDED)


class _Selection:
    """The writes of a run, divided into those to be read back and those that an answer proves.

    With *by_answers* an answer that showed just the values sent proves its write, but for a
    *sample* of these. *total* is the most refs that may be read back; *ahead* reads those of them
    that no later read would show better. Raises Damaged.
    """

    def __init__(self, session: Session, run: Run, *, by_answers: bool) -> None:
        self._parts = WriteParts(run)
        self._by_answers = by_answers
        self._seed = random.random()
        self.sample: set[Ref] = set()
        first = next(self.to_read()) if self._parts.whole else {}
        self.total = len(first) if self._parts.whole else self._parts.number
        fresh = [ref for ref in first if not kind_of(ref).eventually_consistent]
        self.ahead = ReadAhead(session, fresh, accept=_shows(first))

    def to_read(self) -> Iterator[Writes]:
        """Yield the writes that no answer proves, and the sample."""
        for writes, kept in self._divided():
            yield {ref: write for ref, write in writes.items() if ref not in kept}

    def kept(self) -> Iterator[Writes]:
        """Yield the writes that answers prove, except for the sample."""
        for writes, kept in self._divided() if self._by_answers else ():
            yield {ref: writes[ref] for ref in sorted(kept)}

    def _divided(self) -> Iterator[tuple[Writes, set[Ref]]]:
        """Yield the writes, and which of them need not be read back: the same ones each time."""
        for number, writes in enumerate(self._parts):
            proven = [ref for ref, one in writes.items() if self._by_answers and one.exact]
            choice = random.Random(self._seed + number)
            sample = choice.sample(proven, min(len(proven), _sample_size(len(proven))))
            self.sample.update(sample)
            yield writes, set(proven).difference(sample)


class ReadBack:
    """The verification of the values of one run.

    With *by_answers* a write whose own answer showed just the values sent is not read back, except
    for a sample.
    """

    def __init__(self, session: Session, run: Run, *, by_answers: bool = False) -> None:
        self._session = session
        self._run = run
        self._by_answers = by_answers
        self._begun: asyncio.Task[_Selection] | None = None

    def start(self) -> None:
        """Begin to read what no later read would show better."""
        self._begun = asyncio.create_task(self._begin())

    async def _begin(self) -> _Selection:
        """Return what is to be read, once the reading of it has begun."""
        selection = await asyncio.to_thread(
            _Selection, self._session, self._run, by_answers=self._by_answers
        )
        selection.ahead.start()
        return selection

    async def aclose(self) -> None:
        """Cancel what is still being read."""
        if self._begun:
            self._begun.cancel()
            await asyncio.gather(self._begun, return_exceptions=True)
            if not (self._begun.cancelled() or self._begun.exception()):
                await self._begun.result().ahead.aclose()

    async def findings(self, *, settle: float) -> Verification:
        """Read back, and write the findings to the run's folder.

        If one of the sample is not as its answer said, all are read back.
        """
        session, result = self._session, Verification({}, [], [])
        selection = await (self._begun or self._begin())
        async with aclosing(selection.ahead) as ahead:
            await read_back(
                session, selection.to_read(), result,
                total=selection.total, settle=settle, lags=self._lags, ahead=ahead,
            )  # fmt: skip
        wrong = [finding for finding in result.findings if finding.ref in selection.sample]
        if any(not finding.sign.is_harmless for finding in wrong):
            text = "differs from the response to its write; all other refs are read back too"
            session.notify(NoticeLevel.WARNING, f"{wrong[0].ref} {text}")
            total = sum(map(len, selection.kept()))
            await read_back(
                session, selection.kept(), result, total=total, settle=settle, lags=self._lags
            )
        else:
            for ref in chain.from_iterable(selection.kept()):
                _count(session, result, Finding(ref=ref, sign=Sign.SAME), by_answer=True)
        result.findings.sort(key=lambda finding: (finding.sign.severity, finding.ref))
        result.by_answer.sort()
        self._run.write_findings(result.findings)
        return result._replace(sample=len(selection.sample))

    def _lags(self, write: RefWrite) -> bool:
        """Return whether a read may not show *write* yet."""
        del write
        return is_recent(self._session, self._run.read_info())


def _sample_size(number: int) -> int:
    return max(SMALLEST_SAMPLE, round(SAMPLE_SHARE * number))


async def read_back(
    session: Session,
    parts: Iterable[Writes],
    result: Verification,
    *,
    total: int,
    settle: float,
    lags: Callable[[RefWrite], bool],
    ahead: ReadAhead | None = None,
) -> None:
    """Read the refs of all *parts* back, except for those read *ahead*; add what is found to
    *result*.

    They are *total* at most. Where a write *lags*, a read may show the state before it for up to
    *settle* seconds, which all parts have together.
    """
    lagging: dict[Ref, RefWrite] = {}
    done = 0
    for writes in parts:
        reads = read_documents(session, writes, accept=_shows(writes), ahead=ahead)
        async for ref, current in reads:
            session.raise_if_stopped()
            done += 1
            if done % 100 == 0 or done == total:
                session.emit(Verifying(done, total))
            finding = judge(ref, writes[ref], current)
            is_wrong = finding.sign in (Sign.DIFFERS, Sign.MISSING)
            if is_wrong and kind_of(ref).eventually_consistent and lags(writes[ref]):
                lagging[ref] = writes[ref]
            else:
                _count(session, result, finding)
    if done and done != total:
        session.emit(Verifying(done, done))
    for finding in await _await_reads(session, lagging, settle):
        _count(session, result, finding, by_answer=finding.message == _BY_ANSWER)


def _shows(writes: Writes) -> Callable[[Ref, Document], bool]:
    """Return a test of whether a document of a list that lags is newer than the write of its ref.

    It is when it shows the written values, and those differ from the values before.
    """

    def accept(ref: Ref, document: Document) -> bool:
        write = writes[ref]
        return write.changed and judge(ref, write, document).sign is Sign.SAME

    return accept


def judge(ref: Ref, write: RefWrite, current: Document | OcsyncError | None) -> Finding:
    """Compare the *current* document of *ref* with *write*, and return the finding."""
    if isinstance(current, OcsyncError):
        return Finding(ref=ref, sign=Sign.UNREAD, message=current.message)
    if write.deleted:
        exists = current is not None
        text = "was deleted, but exists again" if exists else ""
        return Finding(ref=ref, sign=Sign.DIFFERS if exists else Sign.SAME, message=text)
    if current is None:
        return Finding(ref=ref, sign=Sign.MISSING)
    fields = diff_as_written(ref, write.fields, current, created=write.absent)
    summed = SUMMED_QUANTITY if kind_of(ref).quantity_summed_by else ""
    for path, value in write.emptied.items():  # but for what may be the sum of records
        if path != summed and json_equal(value_at(current, path), value):
            fields[path] = {"wanted": None, "found": value}
    if not fields:
        return Finding(ref=ref, sign=Sign.SAME)
    all_sold = all(_was_sold(write, path, values, current) for path, values in fields.items())
    return Finding(ref=ref, sign=Sign.MOVED if all_sold else Sign.DIFFERS, fields=fields)


def _was_sold(write: RefWrite, path: str, values: Mapping[str, Any], current: Document) -> bool:
    """Return whether a difference is stock sold since the write.

    A write whose own answer did not show the value may have had no effect. A return to the value
    before it is no sale, unless the stamp shows that the stock has changed since then.
    """
    proven = write.answered or write.sent_at is None
    was_there = path in write.before and json_equal(values["found"], write.before[path])
    untouched = write.updated is None or stock_stamp(write.ref, current) == write.updated
    return proven and not (was_there and untouched) and is_sale(write.ref, path, values)


async def _await_reads(session: Session, writes: Writes, settle: float) -> list[Finding]:
    """Read the refs of *writes* again until they are the same or *settle* seconds have passed."""
    findings: dict[Ref, Finding] = {}
    lagging = set(writes)

    async def all_same() -> bool:
        nonlocal lagging
        async for ref, current in read_current(session.api, list(lagging), accept=_shows(writes)):
            finding = judge(ref, writes[ref], current)
            findings[ref] = _by_answer(writes[ref], finding, current)
        lagging = {r for r in lagging if findings[r].sign in (Sign.DIFFERS, Sign.MISSING)
                or findings[r].message}  # fmt: skip
        session.raise_if_stopped()
        return not lagging

    if lagging:
        await poll(session, all_same, patience=settle, first=POLL_SECONDS, longest=POLL_SECONDS)
    return list(findings.values())


def _by_answer(
    write: RefWrite, finding: Finding, current: Document | OcsyncError | None
) -> Finding:
    stale = write.absent if current is None else all(
        any(json_equal(value_at(current, path), value) for value in write.earlier.get(path, ()))
        for path in finding.fields
    )  # fmt: skip
    if finding.sign in (Sign.DIFFERS, Sign.MISSING) and write.answered and stale:
        return Finding(ref=finding.ref, sign=Sign.SAME, message=_BY_ANSWER)
    return finding


def _count(
    session: Session, result: Verification, finding: Finding, *, by_answer: bool = False
) -> None:
    """Add *finding* to *result*, and emit it where it is not the same."""
    if by_answer:
        result.by_answer.append(finding.ref)
    signs = result.kinds.setdefault(kind_of(finding.ref).name, {})
    signs[finding.sign.value] = signs.get(finding.sign.value, 0) + 1
    if finding.sign is not Sign.SAME:
        result.findings.append(finding)
        session.emit(FindingReported(finding))
