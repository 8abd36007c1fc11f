"""A window: its pauses while the command runs, and its end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocsync.render.text import Line, duration, local_time

if TYPE_CHECKING:
    from ocsync.engine.pause.window import OpenedWindow, WindowResult


def opened_lines(opened: OpenedWindow, name: str, profile: str) -> Iterator[Line]:
    """Yield the pauses of the window, before command *name* begins."""
    if opened.held:
        until = f", until {local_time(opened.until, datetime.now(UTC))}" if opened.until else ""
        yield "‖", f"{', '.join(opened.held)}  paused on {profile} while {name} runs{until}"
    for target in opened.already:
        yield "‖", f"{target}  already paused by this workspace; stays paused afterwards"
    for target in opened.missing:
        yield "!", f"{target}  skipped: no sync config"


def closed_lines(result: WindowResult, name: str) -> Iterator[Line]:
    """Yield the end of the command and of the window; targets left paused come last."""
    closed = result.closed
    if closed.unpaused:
        as_found = "" if closed.changed else ", sync config unchanged"
        yield "▶", f"{', '.join(one.target for one in closed.unpaused)}  running again{as_found}"
    for target, changes in closed.changed.items():
        for change in changes:
            yield "!", f"{target}  its sync config was changed while it was paused: {change}"
    for target in closed.gone:
        yield "!", f"{target}  someone else unpaused it before {name} ended"
    if result.code is not None:
        yield _command_line(result.code, result, name)
    for target, error in closed.left.items():
        yield "✗", f"{target} IS STILL PAUSED: {error.message}"
    if closed.left:
        yield "", "  next: ocsync expire, ocsync status"


def _command_line(code: int, result: WindowResult, name: str) -> Line:
    how = f"was ended by {_signal_name(code - 128)}" if code > 128 else f"exited with code {code}"
    text = f"{name} {how}; the window was open for {duration(result.seconds)}"
    if result.exit_code != code:
        text += f" (exit {result.exit_code})"
    return "✗" if result.exit_code else "✓", text


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit code {number + 128}"


def document(result: WindowResult) -> dict[str, Any]:
    """Return the end of the command and of the window as JSON data."""
    closed = result.closed
    return {
        "exit_code": result.exit_code,
        "command_exit_code": result.code,
        "seconds": round(result.seconds, 1),
        "signals": [signal.Signals(number).name for number in result.signals],
        "unpaused": [one._asdict() for one in closed.unpaused],
        "unpaused_by_others": list(closed.gone),
        "changed": dict(closed.changed),
        "failed": [
            {"ref": n, "message": f"still paused: {e.message}"} for n, e in closed.left.items()
        ],
    }
