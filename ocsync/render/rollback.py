"""A rollback: staged entries, refs to delete, conflicts with others' changes, and losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ocsync.models import Entry, Op
from ocsync.render.json_data import json_data
from ocsync.render.text import (
    LINE_LIMIT,
    Line,
    assignment_text,
    count,
    field_value_text,
    first_few,
    limited,
    truncate,
)

if TYPE_CHECKING:
    from ocsync.engine.rollback.revert import Reversal
    from ocsync.engine.rollback.rollback import Rollback

_WIDTH = 75
_INLINE = 3
"""The number of refs that a suggested command line names at most."""


def lines(rollback: Rollback, *, verbose: bool) -> Iterator[Line]:
    """Yield what a rollback stages and what it cannot undo, the most important last."""
    refs = list(dict.fromkeys(entry.ref for entry in rollback.entries))
    if refs:
        text = f"{count(len(rollback.entries), 'entry')} for {count(len(refs), 'ref')}"
        yield "+", f"{text}, to undo run {rollback.run}"
        for entry in rollback.entries[: None if verbose else LINE_LIMIT]:
            yield "", f"    {_entry_text(entry)}"
        if len(rollback.entries) > LINE_LIMIT and not verbose:
            yield "", f"    ... and {len(rollback.entries) - LINE_LIMIT:,} more (--verbose)"
    unchanged = [back for back in rollback.reversals if back == type(back)(back.ref)]
    if unchanged:
        text = count(len(unchanged), "ref already has its", "refs already have their")
        yield "=", f"{text} earlier values"
    if rollback.already:
        text = count(len(rollback.already), "ref is", "refs are")
        yield "=", f"{text} already staged by a rollback"
    if rollback.undone:
        yield "=", f"{count(len(rollback.undone), 'ref')} already undone by a later run"
    if rollback.created:
        text = f"{count(len(rollback.created), 'ref')} created by the run"
        yield "-", f"{text}: {first_few(rollback.created)}"
    losses = [f"{back.ref}  {lost}" for back in rollback.reversals for lost in back.lost]
    conflicts = [f"{back.ref}  {_conflict_text(back)}" for back in rollback.conflicts]
    for texts in (losses, conflicts):
        yield from limited((("!", text) for text in texts), len(texts), " (all with --json)")


def _entry_text(entry: Entry) -> str:
    text = f"{entry.op.value:<6} {entry.ref}  {'  '.join(_field_texts(entry))}".rstrip()
    return truncate(text, _WIDTH)


def _field_texts(entry: Entry) -> Iterator[str]:
    for path, value in entry.fields.items():
        if entry.op is not Op.ADJUST:
            yield assignment_text(path, value)
        else:
            yield assignment_text(path, abs(value), "-=" if value < 0 else "+=")


def _conflict_text(reversal: Reversal) -> str:
    parts = [
        f"{path} was {field_value_text(path, v['before'])}, "
        f"the run set {field_value_text(path, v['left'])}, "
        f"now it is {field_value_text(path, v['now'])}"
        for path, v in reversal.conflicts.items()
    ]
    return "; ".join(filter(None, [reversal.reason, *parts]))


def closing_line(rollback: Rollback, *, dry_run: bool) -> Line:
    """Return the last line: what is staged, and what cannot be undone."""
    number = len({entry.ref for entry in rollback.entries})
    if dry_run:
        return "=", "dry run: nothing was staged"
    refs = count(number, "ref")
    text = f"staged the undo of run {rollback.run}: {refs}" if number else "nothing to stage"
    reasons = []
    if rollback.conflicts:
        reasons.append(f"{count(len(rollback.conflicts), 'ref')} changed since (--overwrite REF)")
    if rollback.irreversible:
        reasons.append(f"{count(len(rollback.irreversible), 'ref')} cannot be restored")
    if rollback.incomplete:
        reasons.append(f"{count(len(rollback.incomplete), 'ref')} can be restored only in part")
    return ("✗", f"{text}; {', '.join(reasons)}") if reasons else ("✓", text)


def next_commands(rollback: Rollback, file: str, *, dry_run: bool) -> list[str]:
    """Return the commands to type next."""
    if dry_run:
        return [f"ocsync rollback {rollback.run}"]
    commands = ["ocsync plan --diff", "ocsync resume --verify"] if rollback.entries else []
    if rollback.created:
        few = len(rollback.created) <= _INLINE
        commands.append(f"ocsync delete {' '.join(rollback.created) if few else f'--file {file}'}")
    return commands


def document(
    rollback: Rollback, staged: Sequence[Entry], file: str, *, dry_run: bool
) -> dict[str, Any]:
    """Return the rollback as JSON data."""
    return {
        "run": rollback.run,
        "type": rollback.kind,
        "dry_run": dry_run,
        "staged": json_data(list(staged or rollback.entries)),
        "created": rollback.created,
        "file": file,
        "conflicts": [
            {"ref": back.ref, "fields": back.conflicts, "why": back.reason}
            for back in rollback.conflicts
        ],
        "lost": [
            {"ref": b.ref, "what": list(b.lost), "irreversible": b.irreversible}
            for b in rollback.reversals
            if b.lost
        ],
        "already": rollback.already,
        "undone": rollback.undone,
        "exit_code": int(rollback.exit_code),
    }
