"""The options of a resume, as one value."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from ocsync.schema import Target


class OnConflict(StrEnum):
    """The reaction to values on the server that differ from the expected ones."""

    FAIL = "fail"
    SKIP = "skip"
    OVERWRITE = "overwrite"


class ResumeOptions(NamedTuple):
    """The options of a resume.

    *targets* limits the entries to send. *undo* is false for `--no-undo`. *by_answers* verifies
    what a write's own answer proves by that, and reads a sample of it back. *settle* is the number
    of seconds that lagging reads may take. *delivery_timeout* is the number of seconds without a
    new message after which the wait for a listener ends; *redeliver* resends what it did not
    receive. *plan* is the fingerprint of a saved plan. *pause* is false for `--no-pause`. *resend*
    allows to send what another copy of the workspace sent before. A plan of more than *max_changes*
    requests is refused, and one with a risk whose code is not in *allowed*. No step begins after
    *max_failures* have failed.
    """

    targets: tuple[Target, ...] = ()
    undo: bool = True
    verify: bool = False
    by_answers: bool = False
    on_conflict: OnConflict = OnConflict.FAIL
    repause: bool = False
    pause: bool = True
    resend: bool = False
    unpause_anyway: bool = False
    workers: int = 64
    settle: float = 30.0
    plan: str = ""
    redeliver: bool = False
    delivery_timeout: float = 60.0
    max_changes: int | None = None
    max_failures: int | None = None
    allowed: frozenset[str] = frozenset()
    command: str = "resume"
