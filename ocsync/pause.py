"""The pause of a target: this workspace's record of it, compared with the server. Pure.

Pure. A pause is written down before the server is told (`pausing`), and again before it is lifted
(`lifting`). After a crash in between the server says how a `pausing` ended. A `lifting` whose
target is still paused cannot be told: the request may not have arrived, or someone else may have
paused since. What is remembered is what is ours to lift: transitions from running to paused that we
made, and those we were told to adopt. That ends for good once the target was seen not paused
(`lost`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from ocsync.models import TargetState
from ocsync.schema import TARGETS


class PausePhase(StrEnum):
    """Progress of a pause; the first and the last are intents."""

    PAUSING = "pausing"
    PAUSED = "paused"
    UNPAUSING = "lifting"


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Pause made by this workspace. *since* and *until* are UTC, ISO 8601.

    *job* is the address of the CI job that paused. *run* is the run that paused for its own replay,
    *window* the window that did for its command; *adopted* that somebody else had paused it. *lost*
    is when the target was seen without this pause: what pauses it from then on is not ours.
    """

    target: str
    phase: PausePhase
    since: str
    by: str = ""
    job: str = ""
    reason: str = ""
    until: str = ""
    run: str = ""
    window: str = ""
    adopted: bool = False
    lost: str = ""
    found: dict[str, Any] = {}

    def check_target(self) -> None:
        """Raise ValueError if *target* is not a sync target."""
        if self.target not in TARGETS:
            raise ValueError(f"{self.target} is not a sync target")

    def seconds(self, now: datetime) -> float:
        """Return how many seconds it has lasted; 0 if it begins after *now*."""
        return max((now - datetime.fromisoformat(self.since)).total_seconds(), 0.0)


class PastPause(msgspec.Struct, frozen=True, kw_only=True):
    """Ended pause of this workspace. Stamps are UTC, ISO 8601; *until* is when it was unpaused."""

    target: str
    since: str
    until: str

    def covers(self, moment: datetime) -> bool:
        """Return whether *moment* was in it."""
        return datetime.fromisoformat(self.since) <= moment <= datetime.fromisoformat(self.until)


class PauseState(StrEnum):
    """State of a target: the server's, compared with this workspace's record."""

    NO_CONFIG = "no_config"
    RUNNING = "running"
    PAUSED_BY_US = "paused_by_workspace"
    PAUSED_BY_OTHER = "paused_by_other"
    UNPAUSED_BY_OTHER = "unpaused_by_other"
    UNCERTAIN = "uncertain"


def resolve_intent(pause: Pause | None, server: TargetState) -> Pause | None:
    """Return *pause* as the server's state settles its open intent; None for no pause.

    A pause that did not arrive is forgotten, and one that did is ours. A lift that arrived ends the
    pause. Where the target is still paused the intent stays open, as that may be someone else's
    pause. A finished pause stays as it is, also when somebody else lifted it.
    """
    if pause is None or pause.phase is PausePhase.PAUSED or pause.lost:
        return pause
    if not server.paused:
        return None
    if pause.phase is PausePhase.UNPAUSING:
        return pause
    return msgspec.structs.replace(pause, phase=PausePhase.PAUSED)


def is_lost(pause: Pause | None, server: TargetState) -> bool:
    """Return whether *server* shows that a finished *pause* of ours has ended without us."""
    held = pause is not None and pause.phase is PausePhase.PAUSED and not pause.lost
    return held and not server.paused


def pause_state(pause: Pause | None, server: TargetState) -> PauseState:
    """Return how the target stands; *pause* is what `resolve_intent` left of it."""
    if not server.exists:
        return PauseState.NO_CONFIG
    if not server.paused:
        return PauseState.UNPAUSED_BY_OTHER if pause else PauseState.RUNNING
    if pause is None or pause.lost:
        return PauseState.PAUSED_BY_OTHER
    uncertain = pause.phase is PausePhase.UNPAUSING
    return PauseState.UNCERTAIN if uncertain else PauseState.PAUSED_BY_US
