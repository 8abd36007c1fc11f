"""`ocsync status --watch`: the status again and again, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocsync.cli.status_output import StatusView, print_status, view_status
from ocsync.engine.signals import handled
from ocsync.errors import ExitCode, Interrupted, TryLater, UsageError
from ocsync.render.text import duration, local_time

if TYPE_CHECKING:
    from ocsync.cli.context import Context
    from ocsync.engine.session import Session
    from ocsync.engine.status import Status

_LEAST_SECONDS = 1.0


def watch_status(ctx: Context, seconds: float, *, max_age: float, offline: bool) -> ExitCode:
    """Show the status every *seconds* until SIGINT or SIGTERM, which are no error.

    A server that cannot be reached is reported, and asked again. Raises UsageError for too short
    an interval.
    """
    if seconds < _LEAST_SECONDS:
        raise UsageError(f"--interval must be at least {duration(_LEAST_SECONDS)}")
    last: StatusView | None = None
    with ctx.console.redrawn() as clear:
        watcher = _Watcher(ctx, seconds, max_age, clear)
        with suppress(Interrupted, KeyboardInterrupt), handled(_stop, (signal.SIGTERM,)):
            if offline:
                watcher.run_offline()
            else:
                ctx.run_online(watcher.run)
        last = watcher.last if watcher.draws else None
    if last:
        print_status(ctx, last)
    return ExitCode.DONE


def _stop(number: int) -> None:
    raise KeyboardInterrupt(number)


class _Watcher:
    """The statuses that were read, of which it shows the changed ones."""

    def __init__(
        self, ctx: Context, seconds: float, max_age: float, clear: Callable[[], bool]
    ) -> None:
        self._ctx = ctx
        self._seconds = seconds
        self._max_age = max_age
        self._clear = clear
        self._problem = ""
        self.last: StatusView | None = None
        self.draws = False

    async def run(self, session: Session) -> None:
        """Ask the server until the operator stops it. Raises Interrupted."""
        from ocsync.engine.status import status

        while True:
            try:
                self._show(await status(session, max_age=self._max_age))
            except TryLater as error:
                self._show_problem(error.message)
            await session.sleep(self._seconds)

    def run_offline(self) -> None:
        """Read the workspace until the operator stops it. Raises KeyboardInterrupt."""
        while True:
            self._show(None)
            time.sleep(self._seconds)

    def _show(self, result: Status | None) -> None:
        view = view_status(self._ctx, result, max_age=self._max_age)
        changed = self.last is None or view.facts != self.last.facts or bool(self._problem)
        self.last, self._problem = view, ""
        self.draws = self._clear()
        if not (self.draws or changed):
            return
        if not (self.draws or self._ctx.console.json):
            self._ctx.console.print(f"at {self._clock()}:")
        print_status(self._ctx, view)
        self._note()

    def _show_problem(self, reason: str) -> None:
        if reason == self._problem:
            return
        self._problem = reason
        if self._clear() and self.last:
            print_status(self._ctx, self.last)
        self._ctx.console.alert(f"{reason}; trying again", "!")
        self._note()

    def _note(self) -> None:
        """Write what the screen shows, and how to leave it."""
        if self.draws:
            every = duration(self._seconds)
            self._ctx.console.info(f"  at {self._clock()}, every {every} (press Ctrl-C to stop)")
        self._ctx.console.flush()

    def _clock(self) -> str:
        now = datetime.now(UTC)
        return local_time(now.isoformat(), now, seconds=True)
