"""The pause of a target: what this workspace remembers of it, and how it stands to the server.

Pure. A pause is written down before the server is told (`pausing`), and again before it is lifted
(`lifting`); a crash in between is settled by what the server says. What is remembered is what is
ours to lift: transitions from running to paused that we made, and those we were told to adopt.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from ocsync.models import TargetState
from ocsync.schema import TARGETS


class PausePhase(StrEnum):
    """How far a pause has come; the first and the last are intents."""

    PAUSING = "pausing"
    PAUSED = "paused"
    UNPAUSING = "lifting"


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pause of ours. *since* and *until* are UTC, ISO 8601; *found* is the config before it.

    *job* is the address of the CI job that paused. *run* is the run that paused for its own replay,
    *window* the window that did for its command; *adopted* that somebody else had paused it.
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
        """Raise ValueError for a target that is none."""
        if self.target not in TARGETS:
            raise ValueError(f"{self.target} is not a sync target")

    def seconds(self, now: datetime) -> float:
        """How long it has lasted."""
        return (now - datetime.fromisoformat(self.since)).total_seconds()


class PastPause(msgspec.Struct, frozen=True, kw_only=True):
    """A pause of ours that is over. Stamps are UTC, ISO 8601; *until* is when it was lifted."""

    target: str
    since: str
    until: str

    def covers(self, moment: datetime) -> bool:
        """Whether *moment* was in it."""
        return datetime.fromisoformat(self.since) <= moment <= datetime.fromisoformat(self.until)


class PauseState(StrEnum):
    """How a target stands: what the server says, held against what is remembered."""

    NO_CONFIG = "no config"
    RUNNING = "running"
    PAUSED_BY_US = "paused by us"
    PAUSED_BY_OTHER = "paused by someone else"
    UNPAUSED_BY_OTHER = "lifted by someone else"


def resolve_intent(pause: Pause | None, server: TargetState) -> Pause | None:
    """What remains of *pause* once the server has told how its open intent ended.

    An unsent or lost pause is forgotten, an arrived one is ours; a lift that did not arrive leaves
    the pause ours. A finished pause stays as it is, also when somebody else lifted it.
    """
    if pause is None or pause.phase is PausePhase.PAUSED:
        return pause
    return msgspec.structs.replace(pause, phase=PausePhase.PAUSED) if server.paused else None


def pause_state(pause: Pause | None, server: TargetState) -> PauseState:
    """How the target stands; *pause* is settled."""
    if not server.exists:
        return PauseState.NO_CONFIG
    if pause is None:
        return PauseState.PAUSED_BY_OTHER if server.paused else PauseState.RUNNING
    return PauseState.PAUSED_BY_US if server.paused else PauseState.UNPAUSED_BY_OTHER
