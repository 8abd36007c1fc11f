"""A rollback: what is staged, what is for a delete, what others changed, what is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.models import Entry, Op
from ocsync.render.text import Line, assignment, count, shortened, value

if TYPE_CHECKING:
    from ocsync.engine.rollback.revert import Reversal
    from ocsync.engine.rollback.rollback import Rollback

_SHOWN, _WIDTH = 10, 75
_INLINE = 3
"""How many refs a command line may name."""


def lines(found: Rollback, *, verbose: bool) -> Iterator[Line]:
    """The way back, the most important last."""
    refs = list(dict.fromkeys(entry.ref for entry in found.entries))
    if refs:
        text = f"{count(len(found.entries), 'entry')} for {count(len(refs), 'ref')}"
        yield "+", f"{text}, to take back run {found.run}"
        for entry in found.entries[: None if verbose else _SHOWN]:
            yield "", f"    {_entry(entry)}"
        if len(found.entries) > _SHOWN and not verbose:
            yield "", f"    ... and {len(found.entries) - _SHOWN:,} more (--verbose)"
    idle = [back for back in found.reversals if back == type(back)(back.ref)]
    if idle:
        yield "=", f"{count(len(idle), 'ref')} as before already"
    if found.already:
        yield "=", f"{count(len(found.already), 'ref')} staged by a rollback already"
    if found.undone:
        yield "=", f"{count(len(found.undone), 'ref')} taken back by a later run already"
    if found.created:
        text = f"{count(len(found.created), 'ref')} made by it, for ocsync delete"
        yield "-", f"{text}: {shortened(found.created)}"
    yield from _some([f"{back.ref}  {lost}" for back in found.reversals for lost in back.lost], "!")
    yield from _some([f"{back.ref}  {_clash(back)}" for back in found.conflicts], "!")


def _entry(entry: Entry) -> str:
    text = f"{entry.op.value:<6} {entry.ref}  {'  '.join(_fields(entry))}".rstrip()
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _fields(entry: Entry) -> Iterator[str]:
    for path, thing in entry.fields.items():
        if entry.op is not Op.ADJUST:
            yield assignment(path, thing)
        else:
            yield assignment(path, abs(thing), "-=" if thing < 0 else "+=")


def _clash(back: Reversal) -> str:
    parts = [
        f"{path} was {value(v['before'])}, left {value(v['left'])}, is {value(v['now'])}"
        for path, v in back.conflicts.items()
    ]
    return "; ".join(filter(None, [back.why, *parts]))


def _some(texts: Sequence[str], sign: str) -> Iterator[Line]:
    for text in texts[:_SHOWN]:
        yield sign, text
    if len(texts) > _SHOWN:
        yield "", f"  ... and {len(texts) - _SHOWN:,} more (all with --json)"


def closing(found: Rollback, *, dry_run: bool) -> Line:
    """The last line."""
    number = len({entry.ref for entry in found.entries})
    if dry_run:
        return "=", "this was a dry run: nothing was staged"
    left = len(found.conflicts) + len(found.irreversible)
    whole = f"{count(number, 'ref')} of run {found.run} staged" if number else "nothing to stage"
    if not left:
        return "✓", whole
    why = []
    if found.conflicts:
        why.append(f"{count(len(found.conflicts), 'ref')} changed since (--overwrite REF)")
    if found.irreversible:
        why.append(f"{count(len(found.irreversible), 'ref')} cannot come back")
    return "✗", f"{whole}; {', '.join(why)}"


def next_commands(found: Rollback, file: str, *, dry_run: bool) -> list[str]:
    """What to type next."""
    if dry_run:
        return [f"ocsync rollback {found.run}"]
    commands = ["ocsync plan --diff", "ocsync resume --verify"] if found.entries else []
    if found.created:
        what = " ".join(found.created) if len(found.created) <= _INLINE else f"--file {file}"
        commands.append(f"ocsync delete {what}")
    return commands


def data(found: Rollback, staged: Sequence[Entry], file: str, *, dry_run: bool) -> dict[str, Any]:
    """The way back as data."""
    return {
        "run": found.run,
        "sort": found.kind,
        "dry_run": dry_run,
        "staged": msgspec.to_builtins(list(staged or found.entries)),
        "made": found.created,
        "file": file,
        "conflicts": [
            {"ref": back.ref, "fields": back.conflicts, "why": back.why} for back in found.conflicts
        ],
        "lost": [
            {"ref": b.ref, "what": list(b.lost), "gone": b.irreversible}
            for b in found.reversals
            if b.lost
        ],
        "already": found.already,
        "undone": found.undone,
        "exit_code": int(found.exit_code),
    }
