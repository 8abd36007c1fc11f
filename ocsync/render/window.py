"""A window: what it holds while the command runs, and how it ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocsync.render.text import Line, clock, duration

if TYPE_CHECKING:
    from ocsync.engine.pause.window import OpenedWindow, WindowResult


def opened(found: OpenedWindow, name: str, place: str) -> Iterator[Line]:
    """Before the command begins."""
    if found.held:
        until = f", until {clock(found.until, datetime.now(UTC))}" if found.until else ""
        yield "‖", f"{', '.join(found.held)}  paused on {place} while {name} runs{until}"
    for target in found.already:
        yield "‖", f"{target}  paused by us already, and stays so afterwards"
    for target in found.missing:
        yield "!", f"{target}  skipped: it has no sync config"


def ended(window: WindowResult, name: str) -> Iterator[Line]:
    """How the command and the window ended; what is left paused comes last."""
    closed = window.closed
    if closed.unpaused:
        as_found = "" if closed.changed else ", the config as it was"
        yield "▶", f"{', '.join(one.target for one in closed.unpaused)}  running again{as_found}"
    for target, changes in closed.changed.items():
        for change in changes:
            yield "!", f"{target}  its config was changed meanwhile: {change}"
    for target in closed.gone:
        yield "!", f"{target}  was lifted by somebody else before {name} ended"
    if window.code is not None:
        yield _end(window.code, window, name)
    for target, error in closed.left.items():
        yield "✗", f"{target} IS STILL PAUSED: {error.message}"
    if closed.left:
        yield "", "  next: ocsync expire lifts it; ocsync status"


def _end(code: int, window: WindowResult, name: str) -> Line:
    how = f"was ended by {_signal(code - 128)}" if code > 128 else f"ended with {code}"
    text = f"{name} {how}; the window was open for {duration(window.seconds)}"
    if window.exit_code != code:
        text += f" (exit {window.exit_code})"
    return "✗" if window.exit_code else "✓", text


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit code {number + 128}"


def document(window: WindowResult) -> dict[str, Any]:
    """The same as data."""
    closed = window.closed
    return {
        "exit_code": window.exit_code,
        "command_exit_code": window.code,
        "seconds": round(window.seconds, 1),
        "signals": [signal.Signals(number).name for number in window.signals],
        "lifted": [one._asdict() for one in closed.unpaused],
        "gone": list(closed.gone),
        "changed": dict(closed.changed),
        "failed": [
            {"ref": n, "message": f"still paused: {e.message}"} for n, e in closed.left.items()
        ],
    }
