"""SIGINT and SIGTERM (and a window's other signals): who reacts to them, and for how long.

Two devices: `handled` sets handlers for a block of ordinary code, and `Signals` catches signals in
the event loop and gives them to whoever is in charge.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from ocsync.errors import Interrupted, Terminated

T = TypeVar("T")
STOPPING = (signal.SIGINT, signal.SIGTERM)


def interruption(number: int, message: str, hint: str = "") -> Interrupted:
    """Return the error that says that signal *number* stopped the work."""
    kind = Interrupted if number == signal.SIGINT else Terminated
    return kind(message, hint=hint)


@contextmanager
def handled(react: Callable[[int], None], numbers: Sequence[int] = STOPPING) -> Iterator[None]:
    """Call *react* for each of the signals *numbers* that comes during the block."""
    before = {number: signal.signal(number, lambda got, _: react(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Signals:
    """The signals *numbers*, caught in the running event loop between `start` and `stop`.

    None ends anything by itself: each is kept in *seen* and given to whoever is in charge. Signals
    that this process was started to ignore (nohup) stay ignored.
    """

    def __init__(self, numbers: Sequence[int] = STOPPING) -> None:
        self.seen: list[int] = []
        self._numbers = numbers
        self._react: Callable[[int], None] | None = None
        self._caught: list[int] = []
        self._before: dict[int, Any] = {}

    def start(self) -> None:
        """Catch the signals."""
        loop = asyncio.get_running_loop()
        for number in self._numbers:
            handler = signal.getsignal(number)
            if handler is signal.SIG_IGN:
                continue
            try:
                loop.add_signal_handler(number, self._take, number)
                self._caught.append(number)
            except NotImplementedError:  # by the loop of Windows
                signal.signal(number, partial(self._take_soon, loop))
                self._before[number] = handler

    def stop(self) -> None:
        """Leave the signals to the handlers before."""
        loop = asyncio.get_running_loop()
        for number in self._caught:
            loop.remove_signal_handler(number)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._caught.clear()
        self._before.clear()

    @contextmanager
    def going_to(self, react: Callable[[int], None]) -> Iterator[None]:
        """Let *react* be in charge during the block."""
        before, self._react = self._react, react
        try:
            yield
        finally:
            self._react = before

    async def cancelling(
        self, work: Coroutine[Any, Any, T], *, first: Callable[[], None] | None = None
    ) -> T:
        """Do *work*, which a signal cancels: Interrupted.

        With *first* that is called for the first signal, and the next one cancels.
        """
        task = asyncio.ensure_future(work)
        patience, cancelled = [first] if first else [], False

        def react(number: int) -> None:
            nonlocal cancelled
            del number
            if patience:
                patience.pop()()
            else:
                cancelled = task.cancel()

        with self.going_to(react):
            try:
                return await task
            except asyncio.CancelledError:
                if not cancelled:
                    raise
                raise stopped_by(self.seen[-1]) from None

    def _take_soon(self, loop: asyncio.AbstractEventLoop, number: int, frame: object) -> None:
        """Take the signal in *loop*, which may be waiting."""
        del frame
        loop.call_soon_threadsafe(self._take, number)

    def _take(self, number: int) -> None:
        self.seen.append(number)
        if self._react:
            self._react(number)


def stopped_by(number: int) -> Interrupted:
    """Return the error that names the signal *number*."""
    return interruption(number, f"interrupted by {signal.Signals(number).name}")
