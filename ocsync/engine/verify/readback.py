"""Verification: every entity of a run is read back and held against what was written.

Read-only. A kind whose reads lag behind its writes is read again until *settle* seconds have gone;
if it then still shows the value before, right after the run, the write's own answer counts (it is
documented as fresh; api-facts 5.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ocsync.client import read_current
from ocsync.diff import Document, diff, is_sale, stock_stamp
from ocsync.engine.polling import poll
from ocsync.engine.run_log import RefWrite, is_recent, read_writes
from ocsync.engine.session import Session
from ocsync.errors import ExitCode, OcsyncError
from ocsync.events import FindingReported, Verifying
from ocsync.field_paths import json_equal, value_at
from ocsync.models import Finding, Ref, Sign
from ocsync.schema import kind_of
from ocsync.store import Run

POLL_SECONDS = 1.0


class Verification(NamedTuple):
    """Signs counted per kind, and every finding that is not plain sameness."""

    kinds: dict[str, dict[str, int]]
    findings: list[Finding]

    @property
    def exit_code(self) -> ExitCode:
        """DIFFERS when something differs or is missing, TRY_LATER when it could not be read."""
        signs = {finding.sign for finding in self.findings}
        if signs & {Sign.DIFFERS, Sign.MISSING}:
            return ExitCode.DIFFERS
        return ExitCode.TRY_LATER if Sign.UNREAD in signs else ExitCode.DONE


async def read_back(session: Session, run: Run, *, settle: float) -> Verification:
    """Read back what *run* wrote or found as staged; findings go to its folder."""
    wanted = read_writes(run)
    result = Verification({}, [])
    late: set[Ref] = set()
    done = 0
    async for ref, found in read_current(session.api, list(wanted)):
        session.raise_if_stopped()
        done += 1
        if done % 100 == 0 or done == len(wanted):
            session.emit(Verifying(done, len(wanted)))
        finding = judge(ref, wanted[ref], found)
        if finding.sign in (Sign.DIFFERS, Sign.MISSING) and kind_of(ref).eventually_consistent:
            late.add(ref)
        else:
            _count(session, result, finding)
    for finding in await _await_reads(session, run, wanted, late, settle):
        _count(session, result, finding)
    result.findings.sort(key=lambda finding: (finding.sign.severity, finding.ref))
    run.write_findings(result.findings)
    return result


def judge(ref: Ref, wanted: RefWrite, found: Document | OcsyncError | None) -> Finding:
    """Hold what was *found* against what is *wanted* in *ref*."""
    if isinstance(found, OcsyncError):
        return Finding(ref=ref, sign=Sign.UNREAD, message=found.message)
    if wanted.deleted:
        there = found is not None
        text = "it is there again" if there else ""
        return Finding(ref=ref, sign=Sign.DIFFERS if there else Sign.SAME, message=text)
    if found is None:
        return Finding(ref=ref, sign=Sign.MISSING)
    fields = diff(ref, wanted.fields, found)
    for path, value in wanted.emptied.items():
        if json_equal(value_at(found, path), value):
            fields[path] = {"wanted": None, "found": value}
    if not fields:
        return Finding(ref=ref, sign=Sign.SAME)
    moved = all(_was_sold(wanted, path, pair, found) for path, pair in fields.items())
    return Finding(ref=ref, sign=Sign.MOVED if moved else Sign.DIFFERS, fields=fields)


def _was_sold(write: RefWrite, path: str, pair: Mapping[str, Any], found: Document) -> bool:
    """Return whether a difference is stock sold since the write.

    A write whose own answer did not show the value may never have taken effect. The value that was
    there before is no sale, unless the stamp tells that the stock was changed since then.
    """
    proved = write.answered or write.sent_at is None
    was_there = path in write.before and json_equal(pair["found"], write.before[path])
    untouched = write.updated is None or stock_stamp(write.ref, found) == write.updated
    return proved and not (was_there and untouched) and is_sale(write.ref, path, pair)


async def _await_reads(
    session: Session, run: Run, wanted: dict[Ref, RefWrite], late: set[Ref], settle: float
) -> list[Finding]:
    """Read lagging refs again until they are the same or *settle* seconds have passed."""
    findings: dict[Ref, Finding] = {}

    async def all_same() -> bool:
        nonlocal late
        async for ref, found in read_current(session.api, list(late)):
            finding = judge(ref, wanted[ref], found)
            findings[ref] = _by_answer(session, run, wanted[ref], finding, found)
        late = {r for r in late if findings[r].sign in (Sign.DIFFERS, Sign.MISSING)
                or findings[r].message}  # fmt: skip
        session.raise_if_stopped()
        return not late

    if late:
        await poll(session, all_same, patience=settle, first=POLL_SECONDS, longest=POLL_SECONDS)
    return list(findings.values())


def _by_answer(
    session: Session,
    run: Run,
    wanted: RefWrite,
    finding: Finding,
    found: Document | OcsyncError | None,
) -> Finding:
    fresh = is_recent(session, run.read_info())
    stale = wanted.absent if found is None else all(
        any(json_equal(value_at(found, path), was) for was in wanted.earlier.get(path, ()))
        for path in finding.fields
    )  # fmt: skip
    if finding.sign in (Sign.DIFFERS, Sign.MISSING) and wanted.answered and fresh and stale:
        text = "by the write's own answer; reads still show the value before"
        return Finding(ref=finding.ref, sign=Sign.SAME, message=text)
    return finding


def _count(session: Session, result: Verification, finding: Finding) -> None:
    signs = result.kinds.setdefault(kind_of(finding.ref).name, {})
    signs[finding.sign.value] = signs.get(finding.sign.value, 0) + 1
    if finding.sign is not Sign.SAME:
        result.findings.append(finding)
        session.emit(FindingReported(finding))
