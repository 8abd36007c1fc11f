"""Checks of logs and records for damaged lines, with the loss and the repair of each.

A repair keeps a copy of the damaged file beside the repaired one, and is made only after a yes. The
loss depends on the log:

    journal             edits, or the record that edits were dropped; see `store.journal_repair`
    a closed run        history, verify and rollback of that run know less
    an open run's plan  nothing, where its sealed entries give the same plan again
    its outcomes        steps are read again; an adjustment without its intent could be added twice
    its journal         entries that cannot be staged again if their step fails
    run.json            who, when and how long; the outcomes of the steps are in the log
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
from ocsync.plurals import count, first_few
from ocsync.store import Run, RunInfo, integrity, journal_repair
from ocsync.store.integrity import LogDamage
from ocsync.store.log import CONVERTED

_SHOWN = 5
_LOSSES = {
    "delivery.jsonl": "the messages in these lines would count as not received",
    "pauses.jsonl": "delivery times would count from the writes, not from the end of these pauses",
    "deleted.jsonl": "edits of the deleted entities in these lines would not be refused",
}
_FIX = "ocsync doctor --fix (asks first), or restore the file from a backup"


def logs(setup: Setup) -> Iterator[CheckResult]:
    """Check every log and every run's record, line by line."""
    lines = files = 0
    all_whole = True
    for path in integrity.find_logs(setup.folder.path):
        try:
            damage = integrity.find_damage(path)
        except ConfigError:
            continue  # the check of the files names it
        lines, files = lines + damage.kept, files + 1
        if damage.torn and not damage.lost and not setup.busy:
            all_whole = False
            yield _torn_result(setup, damage)
        if damage.lost:
            all_whole = False
            yield _damage_result(setup, damage)
        elif damage.converted:
            all_whole = False
            yield _converted_result(setup, damage)
    for folder in integrity.run_folders(setup.folder.path):
        try:
            Run(folder, setup.torn.append).read_info()
        except Damaged as error:
            all_whole = False
            yield _record_result(setup, folder, error)
    if all_whole:
        text = f"{count(lines, 'line')} in {count(files, 'log')}, undamaged"
        yield passed(text if files else "no logs yet")


def _torn_result(setup: Setup, damage: LogDamage) -> CheckResult:
    name = _relative_name(setup, damage.path)

    def do() -> str:
        with _lock_of(setup, damage.path):
            integrity.cut_torn_tail(damage.path)
        return f"cut the incomplete last line off {name}"

    return warning(
        f"the last line of {name} is incomplete",
        "a command died while writing it; commands ignore the line",
        "ocsync doctor --fix removes it, as the next write would",
        repair=Repair(do),
    )


def _converted_result(setup: Setup, damage: LogDamage) -> CheckResult:
    name = _relative_name(setup, damage.path)

    def do() -> str:
        with _lock_of(setup, damage.path):
            integrity.restore_line_ends(damage.path)
        return f"restored the line endings of {name}; nothing was lost"

    return warning(
        f"{name}: {CONVERTED}",
        "an editor or another program did that; commands can still read the log",
        "ocsync doctor --fix restores the line endings",
        repair=Repair(do),
    )


def _damage_result(setup: Setup, damage: LogDamage) -> CheckResult:
    name = _relative_name(setup, damage.path)
    lost = damage.lost
    numbers = first_few([str(line.number) for line in lost], _SHOWN)
    lines_text = f"{'line' if len(lost) == 1 else 'lines'} {numbers}"
    loss, repair = _loss_and_repair(setup, damage, name)
    return problem(
        f"{name}: {lines_text} of {damage.kept + len(lost):,} damaged",
        loss,
        _FIX if repair else "restore the file from a backup",
        code=ExitCode.BAD_CONFIG,
        repair=repair,
        details=[
            f"line {line.number} now reads: {line.text or 'nothing, the file ends'}"
            for line in lost
        ],
    )


def _loss_and_repair(setup: Setup, damage: LogDamage, name: str) -> tuple[str, Repair | None]:
    """Return the loss without the damaged lines, and the repair that leaves them out, or None where
    no repair exists.
    """
    path = damage.path
    if path.parent.name == "journal":
        return _journal_repair(setup, damage, name)
    keep = partial(_keep_good_lines, setup, path, name)
    if path.name in _LOSSES:
        return _LOSSES[path.name], Repair(keep, _question(name, damage))
    run = Run(path.parent, setup.torn.append)
    if not _is_open(run):
        text = f"history, verify and rollback would lack these lines of run {run.id}"
        return text, Repair(keep, _question(name, damage))
    match path.stem:
        case "plan":
            return _plan_repair(run, path, name)
        case "outcomes":
            return _outcomes_loss(run), Repair(keep, _question(name, damage))
        case "journal":
            return _sealed_loss(run), Repair(keep, _question(name, damage))
        case _:
            text = f"run {run.id} would lack these lines"
            return text, Repair(keep, _question(name, damage))


def _journal_repair(setup: Setup, damage: LogDamage, name: str) -> tuple[str, Repair]:
    preview = journal_repair.preview_repair(setup.folder)
    effects = [f"{count(preview.staged, 'entry')} would remain staged"]
    if preview.sealed:
        effects.append(
            f"{count(preview.sealed, 'entry', 'entries')} already in a run would be unstaged"
        )
    if any(line.text and '"type":"entry"' not in line.text for line in damage.lost):
        effects.append("entries that these lines had dropped would be staged again: see stage list")
    if any(not line.text or '"type":"entry"' in line.text for line in damage.lost):
        effects.append("edits in these lines would be lost: stage them again")

    def do() -> str:
        copy = journal_repair.repair_journal(setup.folder, damage.path)
        return _kept_text(name, copy)

    return "; ".join(effects), Repair(do, _question(name, damage))


def _plan_repair(run: Run, path: Path, name: str) -> tuple[str, Repair | None]:
    steps = _rebuilt_plan(run, path)
    if steps is None:
        return f"run {run.id} cannot continue without its plan", None

    def do() -> str:
        copy = integrity.copy_aside(path)
        run.write_plan(steps)
        return f"rebuilt {name} from the run's entries; backup: {copy.name}"

    return "nothing would be lost: the run's entries give the same plan", Repair(
        do, f"Rebuild {name} from the entries of run {run.id}?"
    )


def _rebuilt_plan(run: Run, path: Path) -> Sequence[Step] | None:
    """Return the plan built again from the entries of *run*, or None where it lacks a good line of
    the damaged plan.
    """
    if run.read_info().kind != "resume":  # its steps do not come from staged entries
        return None
    try:
        entries = list(run.entries())
        steps = build(consolidate(entries)).steps
    except (OcsyncError, msgspec.MsgspecError):
        return None
    rebuilt = {msgspec.json.encode(step) for step in steps}
    good_lines = {payload for _, payload in integrity.read_good_lines(path)}
    return steps if entries and good_lines <= rebuilt else None


def _outcomes_loss(run: Run) -> str:
    ended, begun = _recorded_numbers(run)
    try:
        steps = list(run.steps())
    except OcsyncError:
        return "steps without an outcome would be read, and sent if the values differ"
    remaining = [step for step in steps if step.number not in ended]
    adjusted = [step.ref for step in remaining if step.change.adjust and step.number not in begun]
    text = f"{count(len(remaining), 'step')} would be read again, and sent if the values differ"
    if adjusted:
        refs = first_few(adjusted, _SHOWN)
        text += f"; first check these, as their adjustments could be applied twice: {refs}"
    return text


def _recorded_numbers(run: Run) -> tuple[set[int], set[int]]:
    """Return the numbers of the steps with an outcome, and with an intent, in the good lines."""
    decode = msgspec.json.Decoder(Intent | Outcome).decode
    path = run.path / "outcomes.jsonl"
    payloads = integrity.read_good_lines(path) if path.is_file() else ()
    log = list(attempts(decode(payload) for _, payload in payloads))
    return {a.number for a in log if a.outcome}, {a.number for a in log if a.intent}


def _sealed_loss(run: Run) -> str:
    good_numbers = journal_repair.sealed_numbers(run.path.parent.parent).get(run.id, set())
    try:
        lost = [(s, n) for s in run.steps() for n in s.change.entries if n not in good_numbers]
    except OcsyncError:
        lost = []
    named_entries = first_few([f"{number} ({step.ref})" for step, number in lost], _SHOWN)
    detail = f": {named_entries}" if named_entries else ""
    return f"these entries could not be staged again if their step fails{detail}"


def _record_result(setup: Setup, folder: Path, error: Damaged) -> CheckResult:
    run, name = Run(folder, setup.torn.append), _relative_name(setup, folder / "run.json")
    rebuilt = _rebuilt_record(run)

    def rebuild() -> str:
        copy = integrity.copy_aside(folder / "run.json")
        if rebuilt:
            run.write_info(rebuilt)
        return f"rebuilt {name} from the run's logs; backup: {copy.name}"

    def move() -> str:
        return f"moved run {run.id} to {integrity.move_aside(folder).name}"

    if rebuilt:
        state = (
            "is finished"
            if rebuilt.state == "closed"
            else f"is not finished; {rebuilt.kind} continues it"
        )
        loss = f"run {run.id} {state}; its user, times and duration would be lost"
        repair = Repair(rebuild, f"Rebuild {name} from the logs of run {run.id}?")
    else:
        loss = f"no command can read run {run.id}; its folder would be renamed, with all files"
        repair = Repair(move, f"Rename the folder of run {run.id}?")
    return problem(error.message, loss, _FIX, code=ExitCode.BAD_CONFIG, repair=repair)


def _rebuilt_record(run: Run) -> RunInfo | None:
    """Return the record of a run rebuilt from its logs, or None where they are damaged as well."""
    try:
        entries, steps = list(run.entries()), list(run.steps())
    except (OcsyncError, msgspec.MsgspecError):
        return None
    ended, _ = _recorded_numbers(run)
    deletes = any(step.change.op is Op.DELETE for step in steps)
    if not (entries or deletes):
        return None
    all_ended = bool(steps) and all(step.number in ended for step in steps)
    stamps = [entry.at for entry in entries if entry.at]
    return RunInfo(
        id=run.id,
        kind="delete" if deletes else "resume",
        state="closed" if all_ended else "open",
        started=max(stamps, default=""),
        entries=0 if deletes else len(entries),
        steps=len(steps),
    )


def _is_open(run: Run) -> bool:
    try:
        return run.read_info().state == "open"
    except Damaged:
        return True


def _keep_good_lines(setup: Setup, path: Path, name: str) -> str:
    """Leave the damaged lines out of a log and return a description. Raises Locked."""
    with _lock_of(setup, path):
        copy = integrity.keep_good_lines(path)
    if path.stem in ("journal", "plan"):
        with suppress(Damaged):  # a damaged record is itself rebuilt from the logs
            Run(path.parent, lambda _: None).recount()
    return _kept_text(name, copy)


def _lock_of(setup: Setup, path: Path) -> AbstractContextManager[None]:
    """Return the lock that commands hold while they append to the log *path*."""
    if path == setup.folder.delivery_log.path:
        return setup.folder.listen_lock()
    return setup.folder.journal_lock()


def _kept_text(name: str, copy: Path) -> str:
    return f"kept the undamaged lines of {name}; backup: {copy.name}"


def _question(name: str, damage: LogDamage) -> str:
    lines = count(len(damage.lost), "damaged line")
    return f"Remove {lines} from {name} (a backup is kept)?"


def _relative_name(setup: Setup, path: Path) -> str:
    return str(path.relative_to(setup.folder.path))
