"""Damaged logs and records: which lines, what would be lost without them, and the repair.

A repair keeps the damaged file beside the mended one, and is made only after a yes. What each loses
depends on what the log is for:

    journal             an edit, or a tombstone; see `store.mending`
    a closed run        history, verify and rollback of that run know less
    an open run's plan  nothing, where its sealed entries give the same plan again
    its outcomes        steps are read again; a sum whose intent is lost could be added twice
    its journal         entries that could not be given back if their step fails
    run.json            who, when and how long; what the steps came to is in the log
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path

import msgspec

from ocsync.consolidate import consolidate
from ocsync.engine.doctor.check import CheckResult, Repair, Setup, passed, problem, warning
from ocsync.engine.run_log import attempts
from ocsync.errors import ConfigError, Damaged, ExitCode, OcsyncError
from ocsync.models import Intent, Op, Outcome, Step
from ocsync.plan import build
from ocsync.store import Run, RunInfo, integrity, journal_repair
from ocsync.store.integrity import LogDamage
from ocsync.store.log import CONVERTED

_SHOWN = 5
_BESIDE = {
    "delivery.jsonl": "messages of these lines would count as not heard of",
    "pauses.jsonl": "deliveries would be timed from the writes, not from the end of these pauses",
    "deleted.jsonl": "edits of what these lines say is deleted would not be refused",
}
_FIX = "ocsync doctor --fix, which asks first; or restore the file from a copy"


def records(setup: Setup) -> Iterator[CheckResult]:
    """Check every log and every run's record, line by line."""
    lines = files = 0
    well = True
    for path in integrity.find_logs(setup.folder.path):
        try:
            found = integrity.find_damage(path)
        except ConfigError:
            continue  # the check of the files names it
        lines, files = lines + found.kept, files + 1
        if found.torn and not found.lost and not setup.busy:
            well = False
            yield _torn(setup, found)
        if found.lost:
            well = False
            yield _damaged(setup, found)
        elif found.converted:
            well = False
            yield _converted(setup, found)
    for folder in integrity.run_folders(setup.folder.path):
        try:
            Run(folder, setup.torn.append).read_info()
        except Damaged as error:
            well = False
            yield _record(setup, folder, error)
    if well:
        text = f"{lines:,} lines in {files:,} logs are as they were written"
        yield passed(text if files else "there are none yet")


def _torn(setup: Setup, found: LogDamage) -> CheckResult:
    name = _name(setup, found.path)

    def do() -> str:
        with _lock_of(setup, found.path):
            integrity.cut_torn_tail(found.path)
        return f"the torn end of {name} is cut off"

    return warning(
        f"the last line of {name} is torn",
        "a command died while it wrote; the line was never acknowledged, and readers drop it",
        "ocsync doctor --fix cuts it off, as the next write would",
        repair=Repair(do),
    )


def _converted(setup: Setup, found: LogDamage) -> CheckResult:
    name = _name(setup, found.path)

    def do() -> str:
        with _lock_of(setup, found.path):
            integrity.restore_line_ends(found.path)
        return f"the line ends of {name} are restored; nothing was lost"

    return warning(
        f"{name}: {CONVERTED}",
        "an editor or a tool did that; every command reads the log all the same",
        "ocsync doctor --fix restores the line ends",
        repair=Repair(do),
    )


def _damaged(setup: Setup, found: LogDamage) -> CheckResult:
    name = _name(setup, found.path)
    lost = found.lost
    places = ", ".join(str(line.number) for line in lost[:_SHOWN])
    more = f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
    why, repair = _outlook(setup, found, name)
    return problem(
        f"{name}: line {places}{more} of {found.kept + len(lost):,} is not what was written",
        why,
        _FIX if repair else "restore the file from a copy",
        code=ExitCode.BAD_CONFIG,
        repair=repair,
        details=[
            f"line {line.number} now reads: {line.text or 'nothing, the file ends'}"
            for line in lost
        ],
    )


def _outlook(setup: Setup, found: LogDamage, name: str) -> tuple[str, Repair | None]:
    """Return what is lost without the damaged lines, and the repair that leaves them out, if there
    is one.
    """
    path = found.path
    if path.parent.name == "journal":
        return _journal(setup, found, name)
    keep = partial(_kept, setup, path, name)
    if path.name in _BESIDE:
        return _BESIDE[path.name], Repair(keep, _ask(name, found))
    run = Run(path.parent, setup.torn.append)
    if not _is_open(run):
        text = f"history, verify and rollback would not know of these lines of run {run.id}"
        return text, Repair(keep, _ask(name, found))
    match path.stem:
        case "plan":
            return _plan(run, path, name)
        case "outcomes":
            return _outcomes(run), Repair(keep, _ask(name, found))
        case "journal":
            return _sealed(run), Repair(keep, _ask(name, found))
        case _:
            text = f"run {run.id} would not know of these lines"
            return text, Repair(keep, _ask(name, found))


def _journal(setup: Setup, found: LogDamage, name: str) -> tuple[str, Repair]:
    seen = journal_repair.preview_repair(setup.folder)
    texts = [f"would be left staged: {seen.staged:,}"]
    if seen.sealed:
        texts.append(f"unstaged again, as a run has them: {seen.sealed:,}")
    if any(line.text and '"type":"entry"' not in line.text for line in found.lost):
        texts.append("what such a line had dropped would be staged again: look at stage list")
    if any(not line.text or '"type":"entry"' in line.text for line in found.lost):
        texts.append("edits in these lines would be lost: stage them again")

    def do() -> str:
        beside = journal_repair.repair_journal(setup.folder, found.path)
        return _done(name, beside)

    return "; ".join(texts), Repair(do, _ask(name, found))


def _plan(run: Run, path: Path, name: str) -> tuple[str, Repair | None]:
    steps = _plan_again(run, path)
    if steps is None:
        return f"run {run.id} cannot go on without its plan", None

    def do() -> str:
        beside = integrity.copy_aside(path)
        run.write_plan(steps)
        return f"{name} is made again from the run's entries; the copy: {beside.name}"

    return "nothing would be lost: the run's entries give the same plan again", Repair(
        do, f"Make {name} again from the entries of run {run.id}?"
    )


def _plan_again(run: Run, path: Path) -> Sequence[Step] | None:
    """Return the plan of *run* made anew, if every good line of the damaged one is in it."""
    if run.read_info().kind != "resume":  # its steps do not come from staged entries
        return None
    try:
        entries = list(run.entries())
        steps = build(consolidate(entries)).steps
    except (OcsyncError, msgspec.MsgspecError):
        return None
    again = {msgspec.json.encode(step) for step in steps}
    good = {payload for _, payload in integrity.read_good_lines(path)}
    return steps if entries and good <= again else None


def _outcomes(run: Run) -> str:
    ended, begun = _ended(run)
    try:
        steps = list(run.steps())
    except OcsyncError:
        return "steps without an outcome would be read, and sent if they are not as staged"
    left = [step for step in steps if step.number not in ended]
    sums = [step.ref for step in left if step.change.adjust and step.number not in begun]
    text = f"{len(left):,} steps would be read again, and sent where they are not as staged"
    if sums:
        named = ", ".join(sums[:_SHOWN]) + (
            f" and {len(sums) - _SHOWN:,} more" * (len(sums) > _SHOWN)
        )
        text += f"; look first whether these were added already, or they are added twice: {named}"
    return text


def _ended(run: Run) -> tuple[set[int], set[int]]:
    """Return the numbers of the steps with an outcome, and with an intent, in the good lines."""
    decode = msgspec.json.Decoder(Intent | Outcome).decode
    path = run.path / "outcomes.jsonl"
    payloads = integrity.read_good_lines(path) if path.is_file() else ()
    log = list(attempts(decode(payload) for _, payload in payloads))
    return {a.number for a in log if a.outcome}, {a.number for a in log if a.intent}


def _sealed(run: Run) -> str:
    good = journal_repair.sealed_numbers(run.path.parent.parent).get(run.id, set())
    try:
        lost = [(s, n) for s in run.steps() for n in s.change.entries if n not in good]
    except OcsyncError:
        lost = []
    named = ", ".join(f"{number} ({step.ref})" for step, number in lost[:_SHOWN])
    more = f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
    which = f": {named}{more}" if named else ""
    return f"entries could not be staged again if their step fails{which}"


def _record(setup: Setup, folder: Path, error: Damaged) -> CheckResult:
    run, name = Run(folder, setup.torn.append), _name(setup, folder / "run.json")
    again = _record_again(run)

    def rebuild() -> str:
        beside = integrity.copy_aside(folder / "run.json")
        if again:
            run.write_info(again)
        return f"{name} is made again from the run's logs; the copy: {beside.name}"

    def move() -> str:
        return f"run {run.id} is out of the way: {integrity.move_aside(folder).name}"

    if again:
        state = (
            "is over"
            if again.state == "closed"
            else f"is not finished: {again.kind} goes on with it"
        )
        why = f"by its logs run {run.id} {state}; who, when and how long would be lost"
        repair = Repair(rebuild, f"Make {name} again from the logs of run {run.id}?")
    else:
        why = f"no command can read run {run.id}; its folder would be renamed, all files kept"
        repair = Repair(move, f"Move run {run.id} out of the way?")
    return problem(error.message, why, _FIX, code=ExitCode.BAD_CONFIG, repair=repair)


def _record_again(run: Run) -> RunInfo | None:
    """Return the record of a run as its logs have it, or None where they are damaged as well."""
    try:
        entries, steps = list(run.entries()), list(run.steps())
    except (OcsyncError, msgspec.MsgspecError):
        return None
    ended, _ = _ended(run)
    deletes = any(step.change.op is Op.DELETE for step in steps)
    if not (entries or deletes):
        return None
    over = bool(steps) and all(step.number in ended for step in steps)
    stamps = [entry.at for entry in entries if entry.at]
    return RunInfo(
        id=run.id,
        kind="delete" if deletes else "resume",
        state="closed" if over else "open",
        started=max(stamps, default=""),
        entries=0 if deletes else len(entries),
        steps=len(steps),
    )


def _is_open(run: Run) -> bool:
    try:
        return run.read_info().state == "open"
    except Damaged:
        return True


def _kept(setup: Setup, path: Path, name: str) -> str:
    """Leave the damaged lines out of a log; return what was done. Raises Locked."""
    with _lock_of(setup, path):
        beside = integrity.keep_good_lines(path)
    if path.stem in ("journal", "plan"):
        with suppress(Damaged):  # a record that is damaged as well is made again from the logs
            Run(path.parent, lambda _: None).recount()
    return _done(name, beside)


def _lock_of(setup: Setup, path: Path) -> AbstractContextManager[None]:
    """Return the lock of whoever appends to the log *path* outside the run lock."""
    if path == setup.folder.delivery_log.path:
        return setup.folder.listen_lock()
    return setup.folder.journal_lock()


def _done(name: str, beside: Path) -> str:
    return f"{name} has its good lines; the copy: {beside.name}"


def _ask(name: str, found: LogDamage) -> str:
    lines = f"{len(found.lost):,} damaged line" + "s" * (len(found.lost) != 1)
    return f"Leave {lines} out of {name} (a copy is kept)?"


def _name(setup: Setup, path: Path) -> str:
    return str(path.relative_to(setup.folder.path))
