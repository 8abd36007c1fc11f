"""The pause of a target: this workspace's record of it, compared with the server. Pure.

A pause is recorded before the server is asked (`pausing`), and again before it is unpaused
(`lifting`); the server's state settles a crash in between. This workspace unpauses only what it
recorded: its own transitions from running to paused, and those it was told to adopt.
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

    *found* is the config before it. *job* is the address of the CI job that paused. *run* is the
    run that paused for its own replay, *window* the window that did for its command; *adopted* says
    that someone else had paused it.
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

    NO_CONFIG = "no config"
    RUNNING = "running"
    PAUSED_BY_US = "paused by us"
    PAUSED_BY_OTHER = "paused by someone else"
    UNPAUSED_BY_OTHER = "lifted by someone else"


def resolve_intent(pause: Pause | None, server: TargetState) -> Pause | None:
    """Return *pause* as the server's state settles its open intent; None for no pause.

    A pause that was not sent, or was lost, is forgotten; one that arrived is kept, and so is one
    whose unpause did not arrive. A finished pause stays as it is, even if someone else unpaused the
    target.
    """
    if pause is None or pause.phase is PausePhase.PAUSED:
        return pause
    return msgspec.structs.replace(pause, phase=PausePhase.PAUSED) if server.paused else None


def pause_state(pause: Pause | None, server: TargetState) -> PauseState:
    """Return the state of the target; *pause* has no open intent."""
    if not server.exists:
        return PauseState.NO_CONFIG
    if pause is None:
        return PauseState.PAUSED_BY_OTHER if server.paused else PauseState.RUNNING
    return PauseState.PAUSED_BY_US if server.paused else PauseState.UNPAUSED_BY_OTHER
