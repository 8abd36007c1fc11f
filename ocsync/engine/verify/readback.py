"""Verification: every entity of a run is read back and compared with the written values.

Read-only. A kind whose reads lag behind its writes is read by lists, and by itself where a list
does not show the write; then it is read again for up to *settle* seconds. If it still shows the
value before the write, and the run is recent, the write's own answer counts (it is documented as
fresh; guide/ordercloud.md 5.3).

Verification by answers reads back only what no answer proves, and a sample of the rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ocsync.client import read_current
from ocsync.diff import Document, diff_as_written, is_sale, stock_stamp
from ocsync.engine.polling import poll
from ocsync.engine.read_ahead import ReadAhead, read_documents
from ocsync.engine.run_log import RefWrite, is_recent, read_writes
from ocsync.engine.session import Session
from ocsync.errors import ExitCode, OcsyncError
from ocsync.events import FindingReported, NoticeLevel, Verifying
from ocsync.field_paths import json_equal, value_at
from ocsync.models import Finding, Ref, Sign
from ocsync.schema import SUMMED_QUANTITY, kind_of
from ocsync.store import Run

POLL_SECONDS = 1.0
SAMPLE_SHARE, SMALLEST_SAMPLE = 0.01, 20
"""The share of the refs proven by answers that is read back all the same, and the least number."""

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


class ReadBack:
    """The verification of the values of one run.

    With *by_answers* a write whose own answer showed just the values sent is not read back, except
    for a sample.
    """

    def __init__(self, session: Session, run: Run, *, by_answers: bool = False) -> None:
        self._session = session
        self._run = run
        self._writes = read_writes(run)
        proven = [ref for ref, write in self._writes.items() if by_answers and write.exact]
        self._sample = random.sample(proven, min(len(proven), _sample_size(len(proven))))
        self._kept = set(proven).difference(self._sample)
        self._refs = [ref for ref in self._writes if ref not in self._kept]
        fresh = [ref for ref in self._refs if not kind_of(ref).eventually_consistent]
        self._ahead = ReadAhead(session, fresh, accept=_shows(self._writes))

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
        session, run, writes, sample = self._session, self._run, self._writes, self._sample
        result = Verification({}, [], [], len(sample))
        await read_back(
            session, self._refs, writes, result, settle=settle, lags=self._lags, ahead=self._ahead
        )
        wrong = [finding for finding in result.findings if finding.ref in sample]
        kept = sorted(self._kept)
        if any(not finding.sign.is_harmless for finding in wrong):
            text = "differs from the response to its write; all other refs are read back too"
            session.notify(NoticeLevel.WARNING, f"{wrong[0].ref} {text}")
            await read_back(session, kept, writes, result, settle=settle, lags=self._lags)
        else:
            for ref in kept:
                _count(session, result, Finding(ref=ref, sign=Sign.SAME), by_answer=True)
        result.findings.sort(key=lambda finding: (finding.sign.severity, finding.ref))
        run.write_findings(result.findings)
        return result

    def _lags(self, write: RefWrite) -> bool:
        """Return whether a read may not show *write* yet."""
        del write
        return is_recent(self._session, self._run.read_info())


def _sample_size(number: int) -> int:
    return max(SMALLEST_SAMPLE, round(SAMPLE_SHARE * number))


async def read_back(
    session: Session,
    refs: list[Ref],
    writes: Mapping[Ref, RefWrite],
    result: Verification,
    *,
    settle: float,
    lags: Callable[[RefWrite], bool],
    ahead: ReadAhead | None = None,
) -> None:
    """Read *refs* back, but for those read *ahead*, and add what is found to *result*.

    Where a write *lags*, a read may show the state before it for up to *settle* seconds.
    """
    lagging: set[Ref] = set()
    done = 0
    async for ref, current in read_documents(session, refs, accept=_shows(writes), ahead=ahead):
        session.raise_if_stopped()
        done += 1
        if done % 100 == 0 or done == len(refs):
            session.emit(Verifying(done, len(refs)))
        finding = judge(ref, writes[ref], current)
        is_wrong = finding.sign in (Sign.DIFFERS, Sign.MISSING)
        if is_wrong and kind_of(ref).eventually_consistent and lags(writes[ref]):
            lagging.add(ref)
        else:
            _count(session, result, finding)
    for finding in await _await_reads(session, writes, lagging, settle):
        _count(session, result, finding, by_answer=finding.message == _BY_ANSWER)


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
    session: Session, writes: Mapping[Ref, RefWrite], lagging: set[Ref], settle: float
) -> list[Finding]:
    """Read *lagging* refs again until they are the same or *settle* seconds have passed."""
    findings: dict[Ref, Finding] = {}

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
