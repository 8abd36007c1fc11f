"""The context of checks that ask the server: the sign-in, and the kinds and targets in use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ocsync.client import Identity
from ocsync.engine.doctor.check import CheckResult, Setup
from ocsync.engine.session import Session
from ocsync.errors import OcsyncError
from ocsync.models import TargetState
from ocsync.schema import KINDS, TARGETS

_RECENT_RUNS = 5
_STAGED, _ASKED = "staged", "asked for"
WRITING = (_STAGED, _ASKED)
"""The reasons for which a kind has to be writable, not only readable."""


class Use(NamedTuple):
    """The kinds and targets in use: name -> the reason (staged, paused, a run)."""

    kinds: dict[str, str]
    targets: dict[str, str]


@dataclass
class ServerContext:
    """The context that checks share: the sign-in, the uses, and the state of each target read."""

    session: Session
    setup: Setup
    identity: Identity
    use: Use
    states: dict[str, TargetState] = field(default_factory=dict)


ServerCheck = Callable[[ServerContext], AsyncIterator[CheckResult]]


def in_use(setup: Setup) -> Use:
    """Return the kinds and targets that are staged, paused, or in a recent run.

    Files that cannot be read are left out.
    """
    kinds: dict[str, str] = {}
    targets: dict[str, str] = {}
    runs = _read_or_none(lambda: setup.folder.runs.read_all()[:_RECENT_RUNS])
    for info in reversed(runs or []):
        kinds |= dict.fromkeys((k for k in info.kinds if k in KINDS), f"in run {info.id}")
    refs = _read_or_none(lambda: {e.ref for e in setup.entries}) or set()
    kinds |= dict.fromkeys((name for name in setup.asked if name in KINDS), _ASKED)
    kinds |= dict.fromkeys({ref.partition("/")[0] for ref in refs}, _STAGED)
    for kind, reason in kinds.items():
        targets |= dict.fromkeys(KINDS[kind].direct_targets, reason)
    targets |= dict.fromkeys((name for name in setup.asked if name in TARGETS), _ASKED)
    pauses = _read_or_none(setup.folder.read_raw_pauses) or {}
    targets |= dict.fromkeys((name for name in pauses if name in TARGETS), "paused")
    return Use(kinds, targets)


def _read_or_none(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except OcsyncError:  # the check of the logs reports it
        return None
