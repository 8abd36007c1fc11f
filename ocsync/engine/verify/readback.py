"""Verification: every entity of a run is read back and compared with the written values.

Read-only. A kind whose reads lag behind its writes is read by lists, and by itself where a list
does not show the write; then it is read again for up to *settle* seconds. If it still shows the
value before the write, and the run is recent, the write's own answer counts (it is documented as
fresh; guide/ordercloud.md 5.3).

Verification by answers reads back only what no answer proves, and a sample of the rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Set
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from ocsync.client import list_key, read_current
from ocsync.diff import Document, diff_as_written, is_sale, stock_stamp
from ocsync.engine.polling import poll
from ocsync.engine.read_ahead import ReadAhead, read_documents
from ocsync.engine.run_log import SUCCEEDED, RefWrite, is_recent, read_writes, ref_writes
from ocsync.engine.session import Session
from ocsync.errors import ExitCode, OcsyncError
from ocsync.events import FindingReported, NoticeLevel, Verifying
from ocsync.field_paths import json_equal, value_at
from ocsync.models import Finding, Intent, Outcome, Ref, Sign, Step
from ocsync.schema import SUMMED_QUANTITY, kind_of
from ocsync.store import Run
from ocsync.store.runs import LONG_PLAN
from ocsync.store.spill import Partitions

POLL_SECONDS = 1.0
PART_SIZE = 20_000
"""Steps of a long run whose writes are held in memory together, about."""
SAMPLE_SHARE, SMALLEST_SAMPLE = 0.01, 20
"""The share of the refs proven by answers that is read back all the same, and the least number."""

_encode = msgspec.json.Encoder().encode
_decode_steps = msgspec.json.Decoder(Step).decode_lines
_decode_records = msgspec.json.Decoder(Intent | Outcome).decode_lines
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
        return ExitCode.TRY_LATER if Sign.UNREAD in signs else ExitCode.DONE


class _Part(NamedTuple):
    """Writes of a run that are verified together.

    The refs *kept* are not read back, because answers proved their writes; those of the *sample*
    are, although answers proved theirs too.
    """

    writes: dict[Ref, RefWrite]
    kept: frozenset[Ref]
    sample: frozenset[Ref]

    @property
    def refs(self) -> list[Ref]:
        """The refs to be read back."""
        return [ref for ref in self.writes if ref not in self.kept]


def _part(writes: dict[Ref, RefWrite], *, by_answers: bool) -> _Part:
    proven = [ref for ref, write in writes.items() if by_answers and write.exact]
    sample = random.sample(proven, min(len(proven), _sample_size(len(proven))))
    return _Part(writes, frozenset(proven).difference(sample), frozenset(sample))


def _sample_size(number: int) -> int:
    return max(SMALLEST_SAMPLE, round(SAMPLE_SHARE * number))


def _partitioned_writes(run: Run) -> Iterator[dict[Ref, RefWrite]]:
    """Yield what *run* wrote, some refs at a time: those that one list shows come together."""
    number = 1 + run.read_info().steps // PART_SIZE
    steps, records = (Partitions(run.path, number) for _ in range(2))
    for step in run.steps():
        steps.add(hash(list_key(step.ref)) % number, _encode(step) + b"\n")
    for record in run.outcomes():
        records.add(hash(list_key(record.ref)) % number, _encode(record) + b"\n")
    for place in range(number):
        yield ref_writes(
            chain.from_iterable(map(_decode_steps, steps.read(place))),
            chain.from_iterable(map(_decode_records, records.read(place))),
            SUCCEEDED,
        )


class ReadBack:
    """The verification of the values of one run.

    With *by_answers* a write whose own answer showed just the values sent is not read back, except
    for a sample. The writes of a long run are read from its folder in parts.
    """

    def __init__(self, session: Session, run: Run, *, by_answers: bool = False) -> None:
        self._session = session
        self._run = run
        self._by_answers = by_answers
        self._steps = run.read_info().steps
        is_long = self._steps > LONG_PLAN
        self._whole = None if is_long else _part(read_writes(run), by_answers=by_answers)
        writes = self._whole.writes if self._whole else {}
        fresh = [
            ref
            for ref in (self._whole.refs if self._whole else ())
            if not kind_of(ref).eventually_consistent
        ]
        self._ahead = ReadAhead(session, fresh, accept=_shows(writes))
        self._done = 0

    def start(self) -> None:
        """Begin to read what no later read would show better."""
        self._ahead.start()

    async def aclose(self) -> None:
        """Cancel what is still being read."""
        await self._ahead.aclose()

    async def findings(self, *, settle: float) -> Verification:
        """Read back, and write the findings to the run's folder.

        If one of the sample is not as its answer said, all are read back.
        """
        result = Verification({}, [], [])
        lagging: dict[Ref, RefWrite] = {}
        kept, sample = set[Ref](), set[Ref]()
        for part in self._parts():
            kept |= part.kept
            sample |= part.sample
            total = len(part.refs) if self._whole else self._steps
            lagging |= await self._read(part.refs, part.writes, total, result)
            self._done += len(part.kept)
        await self._await_reads(lagging, settle, result)
        wrong = [finding for finding in result.findings if finding.ref in sample]
        if any(not finding.sign.is_harmless for finding in wrong):
            text = "differs from the response to its write; all other refs are read back too"
            self._session.notify(NoticeLevel.WARNING, f"{wrong[0].ref} {text}")
            await self._read_kept(kept, settle, result)
        else:
            for ref in sorted(kept):
                _count(self._session, result, Finding(ref=ref, sign=Sign.SAME), by_answer=True)
        result.findings.sort(key=lambda finding: (finding.sign.severity, finding.ref))
        self._run.write_findings(result.findings)
        return result._replace(sample=len(sample))

    def _parts(self) -> Iterator[_Part]:
        if self._whole:
            yield self._whole
            return
        for writes in _partitioned_writes(self._run):
            yield _part(writes, by_answers=self._by_answers)

    async def _read_kept(self, kept: Set[Ref], settle: float, result: Verification) -> None:
        """Read back those that are *kept* as proven by answers, too."""
        lagging: dict[Ref, RefWrite] = {}
        self._done = 0
        for part in self._parts():
            refs = sorted(kept.intersection(part.writes))
            lagging |= await self._read(refs, part.writes, len(kept), result)
        await self._await_reads(lagging, settle, result)

    async def _read(
        self, refs: list[Ref], writes: Mapping[Ref, RefWrite], total: int, result: Verification
    ) -> dict[Ref, RefWrite]:
        """Read *refs* back, as some of *total*, and add what is found to *result*.

        Return the writes that reads may not show yet.
        """
        lagging: dict[Ref, RefWrite] = {}
        reads = read_documents(self._session, refs, accept=_shows(writes), ahead=self._ahead)
        async for ref, current in reads:
            self._session.raise_if_stopped()
            self._done += 1
            if self._done % 100 == 0 or self._done == total:
                self._session.emit(Verifying(self._done, total))
            finding = judge(ref, writes[ref], current)
            is_wrong = finding.sign in (Sign.DIFFERS, Sign.MISSING)
            if is_wrong and kind_of(ref).eventually_consistent:
                lagging[ref] = writes[ref]
            else:
                _count(self._session, result, finding)
        return lagging

    async def _await_reads(
        self, lagging: Mapping[Ref, RefWrite], settle: float, result: Verification
    ) -> None:
        """Read *lagging* writes again until they are shown or *settle* seconds have passed."""
        for finding in await _await_reads(self._session, self._run, lagging, settle):
            _count(self._session, result, finding, by_answer=finding.message == _BY_ANSWER)


def _shows(writes: Mapping[Ref, RefWrite]) -> Callable[[Ref, Document], bool]:
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
        text = "it exists again" if exists else ""
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


async def _await_reads(
    session: Session, run: Run, writes: Mapping[Ref, RefWrite], settle: float
) -> list[Finding]:
    """Read the refs of *writes* until they are the same or *settle* seconds have passed."""
    findings: dict[Ref, Finding] = {}
    lagging = set(writes)

    async def all_same() -> bool:
        nonlocal lagging
        async for ref, current in read_current(session.api, list(lagging), accept=_shows(writes)):
            finding = judge(ref, writes[ref], current)
            findings[ref] = _by_answer(session, run, writes[ref], finding, current)
        lagging = {r for r in lagging if findings[r].sign in (Sign.DIFFERS, Sign.MISSING)
                or findings[r].message}  # fmt: skip
        session.raise_if_stopped()
        return not lagging

    if lagging:
        await poll(session, all_same, patience=settle, first=POLL_SECONDS, longest=POLL_SECONDS)
    return list(findings.values())


def _by_answer(
    session: Session,
    run: Run,
    write: RefWrite,
    finding: Finding,
    current: Document | OcsyncError | None,
) -> Finding:
    fresh = is_recent(session, run.read_info())
    stale = write.absent if current is None else all(
        any(json_equal(value_at(current, path), value) for value in write.earlier.get(path, ()))
        for path in finding.fields
    )  # fmt: skip
    if finding.sign in (Sign.DIFFERS, Sign.MISSING) and write.answered and fresh and stale:
        return Finding(ref=finding.ref, sign=Sign.SAME, message=_BY_ANSWER)
    return finding


def _count(
    session: Session, result: Verification, finding: Finding, *, by_answer: bool = False
) -> None:
    if by_answer:
        result.by_answer.append(finding.ref)
    signs = result.kinds.setdefault(kind_of(finding.ref).name, {})
    signs[finding.sign.value] = signs.get(finding.sign.value, 0) + 1
    if finding.sign is not Sign.SAME:
        result.findings.append(finding)
        session.emit(FindingReported(finding))
