"""The composition root: workspace, client, console and engine of one command."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from ocsync.characters import escape_invisible
from ocsync.errors import Damaged, ExitCode, Interrupted, OcsyncError, Refused, UsageError
from ocsync.plurals import count
from ocsync.render.console import Console
from ocsync.render.streams import write_text
from ocsync.store import Workspace

if TYPE_CHECKING:
    from asyncio import Event

    from ocsync.client import Api, Limits
    from ocsync.engine.session import Session
    from ocsync.store import Profile, ProfileDir

T = TypeVar("T")
LOOK_SECONDS, QUIET_LOOKS = 0.1, 3
"""Seconds between looks at the requests under way; and the number of looks in a row that may find
reads alone before they are dropped. What a write needs on disk after its answer takes less.
"""
TOGETHER_SECONDS = 0.2
"""The seconds within which signals count as one: sent to the process group, and passed on."""
_SHOW_ORPHANED_PAUSES = ("status", "window", "expire", "doctor")
"""The commands that show the pauses of dead windows themselves."""
_CANCELLED = "cancelled; nothing was changed"
_WITHOUT_WORKSPACE = ("init", "doctor", "emulator", "demo", "help")
"""The commands that use no workspace, or tell themselves which one they use."""


class Context:
    """The context of one command: its console, its workspace and its answers to questions."""

    def __init__(
        self,
        command: str,
        console: Console,
        workspace: Workspace,
        profile_name: str = "",
        *,
        no_input: bool = False,
    ) -> None:
        self.command = command
        self.console = console
        self.workspace = workspace
        self.profile_name = profile_name
        self.no_input = no_input
        self.yes = False
        self.lock_seconds = 0.0
        self.confirmed = ""
        self._warned: set[str] = set()
        self._opened: tuple[tuple[str, float], ProfileDir] | None = None

    @classmethod
    def start(
        cls,
        command: str,
        *,
        json: bool,
        profile: str,
        workspace: Path | None,
        quiet: bool,
        verbose: bool,
        no_color: bool,
        no_input: bool,
    ) -> Context:
        """Return the context that the common options describe."""
        console = Console(json=json, quiet=quiet, verbose=verbose, no_color=no_color)
        cwd = current_folder() or (Path(os.sep) if command in _WITHOUT_WORKSPACE else None)
        found = Workspace.find(workspace, environ=os.environ, cwd=cwd)
        no_input = no_input or bool(os.environ.get("CI"))
        context = cls(command, console, found, profile, no_input=no_input)
        for path in found.passed_over if command not in _WITHOUT_WORKSPACE else ():
            from ocsync.store.identity import owner_of

            text = f"{path} belongs to {owner_of(path)} and is not used"
            context.warn_once(f"{text}; this command uses {found.root}")
        return context

    def for_profile(self, name: str) -> Context:
        """Return a context of the same command for profile *name*."""
        other = Context(self.command, self.console, self.workspace, name, no_input=self.no_input)
        other._warned = self._warned
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        write_text(sys.stdout, "", flush=True)

    def showing_life(self) -> AbstractContextManager[None]:
        """Show that the command works during the block, while it writes nothing."""
        return self.console.alive(f"ocsync {self.command}")

    def folder(self) -> ProfileDir:
        """Return the profile's folder, and warn of pauses that dead windows left.

        Raises ConfigError, with the command that adds a profile.
        """
        key = (self.profile_name, self.lock_seconds)
        if self._opened is None or self._opened[0] != key:
            self._opened = key, self._open_folder()
        return self._opened[1]

    def _open_folder(self) -> ProfileDir:
        folder = self.workspace.open_profile(
            self.profile_name, warn=self.warn_once, command=f"ocsync {self.command}",
            lock_seconds=self.lock_seconds,
        )  # fmt: skip
        for name in () if self.command in _SHOW_ORPHANED_PAUSES else _orphaned_pauses(folder):
            self.warn_once(
                f"{name} is still paused by a window that died; to unpause it: ocsync expire"
            )
        return folder

    def warn_once(self, text: str) -> None:
        """Print a warning, the same text only once."""
        if text not in self._warned:
            self._warned.add(text)
            self.warn(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.alert(text, "!")

    def ask(self, question: str, *, hint: str = "give --yes to answer yes") -> bool:
        """Ask on the terminal; --yes answers yes. Raises UsageError without a terminal."""
        return self.yes or self.ask_person(question, hint=hint)

    @property
    def can_ask(self) -> bool:
        """True when there is a terminal to ask on, and nobody said not to."""
        return not self.no_input and sys.stdin.isatty()

    def ask_text(self, question: str, option: str, default: str = "") -> str:
        """Return what is typed, or *default* for an empty line.

        Raises UsageError that names *option* where nobody can be asked, or nothing was typed.
        """
        if not self.can_ask:
            raise UsageError(f"{option} is missing", hint=f"ocsync {self.command} --help")
        shown = f"{question} [{default}]: " if default else f"{question}: "
        if text := self._read_answer(shown).strip() or default:
            return text
        raise UsageError(f"{option} is missing", hint=f"ocsync {self.command} --help")

    def ask_secret(self, question: str) -> str:
        """Return what is typed, which is not shown.

        Raises UsageError for an empty line, Interrupted at the end of the input (Ctrl-D).
        """
        from getpass import getpass

        with self.console.hushed():
            try:
                secret = getpass(question, stream=sys.stderr).strip()
            except EOFError:
                raise Interrupted("cancelled; no secret was stored") from None
        if secret:
            return secret
        raise UsageError("no secret was typed")

    def ask_person(self, question: str, *, hint: str = "") -> bool:
        """Ask on the terminal, whatever --yes says. Raises UsageError without a terminal."""
        if not self.can_ask:
            reason = "prompts are off" if sys.stdin.isatty() else "this is not a terminal"
            raise UsageError(f"confirmation needed, but {reason}: {question}", hint=hint)
        return self._read_answer(f"{question} [y/N] ").casefold() in ("y", "yes")

    def confirm(self, profile: Profile, marketplace: str) -> None:
        """Require the ID of a production marketplace before it is written to; ignore --yes.

        Raises UsageError without a terminal, Refused for another ID.
        """
        if not profile.guarded:
            return
        given, question = self.confirmed, f"profile {profile.name} writes to production"
        if not given and not self.can_ask:
            raise UsageError(question, hint=f"to confirm, give --confirm {marketplace}")
        given = given or self._read_answer(
            f"{question}; to continue, type the ID of the marketplace ({marketplace}): "
        )
        if given.casefold() != marketplace.casefold():
            raise Refused(f'{question}, but its marketplace is {marketplace}, not "{given}"')

    def _read_answer(self, question: str) -> str:
        with self.console.hushed():
            return _read_answer(question)

    def run_online(
        self,
        task: Callable[[Session], Awaitable[T]],
        *,
        limits: Limits | None = None,
        locked: bool = False,
        stream: bool = False,
    ) -> T:
        """Run *task* in a session and return its result.

        *locked* takes the run lock, *stream* writes every event with --json. The first SIGINT or
        SIGTERM stops the task after the writes in flight, the second one at once. Reads are not
        waited for.
        """
        import asyncio

        async def main() -> T:
            async with self.session(limits=limits, stream=stream) as session:
                work = asyncio.ensure_future(task(session))
                with _stopping(session, self.console, work.cancel, writes=locked) as stopped:
                    try:
                        return await work
                    except Interrupted as error:
                        raise _as_signal(error, stopped) from None
                    except asyncio.CancelledError:
                        if not (stopped and work.cancelled()):
                            raise
                        raise _as_signal(_stopped(), stopped) from None

        lock = self.folder().run_lock() if locked else nullcontext()
        with lock:
            try:
                return asyncio.run(main())
            except KeyboardInterrupt:  # only while nothing is written; typer would end in silence
                raise Interrupted("interrupted; nothing was changed") from None

    @asynccontextmanager
    async def session(
        self, *, limits: Limits | None = None, stream: bool = False
    ) -> AsyncIterator[Session]:
        """Yield the session of the profile; the first request signs in."""
        import asyncio

        from ocsync.client import Connection, open_client
        from ocsync.client import Limits as Defaults
        from ocsync.engine.session import Session
        from ocsync.events import Broadcast
        from ocsync.render.progress import event_listener
        from ocsync.store.profiles import resolve_secret

        folder = self.folder()
        profile = folder.profile
        self.workspace.check_trust(folder.path, profile)
        stop = asyncio.Event()

        def read_secret() -> str:
            if stop.is_set():  # another request waits for the secret whose command was ended
                raise _stopped()
            return resolve_secret(profile)

        connection = Connection(profile.api_url, profile.auth_url, profile.client_id, read_secret)
        nap, confirm = partial(_nap, stop), partial(self.confirm, profile)
        opened: list[Api] = []
        host = profile.api_url.partition("://")[2].rstrip("/").removesuffix("/v1")

        def doing() -> str:
            return f"waiting for {host}" if opened and opened[0].in_flight else ""

        with event_listener(self.console, stream=stream, doing=doing) as listener:
            emit = Broadcast(listener)
            async with open_client(
                connection, limits=limits or Defaults(), emit=emit, sleep=nap
            ) as api:
                opened.append(api)
                with _naming_answers(api.recent_answers):
                    yield Session(
                        api, folder, emit, self.ask, self.ask_person, confirm, sleep=nap, stop=stop
                    )


@contextmanager
def _naming_answers(answers: Iterable[str]) -> Iterator[None]:
    """Add the last *answers* of the server to an unexpected error, so that its log has them."""
    try:
        yield
    except OcsyncError:
        raise
    except Exception as error:
        for line in answers:
            error.add_note(line)
        raise


def current_folder() -> Path | None:
    """Return the current folder, or None when it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _orphaned_pauses(folder: ProfileDir) -> list[str]:
    try:
        pauses = folder.claims()
    except Damaged:
        return []  # the command that reads the pauses reports it
    windows = {name: str(pause["window"]) for name, pause in pauses.items() if "window" in pause}
    return [name for name, window in windows.items() if not folder.window_locks.is_open(window)]


def _read_answer(question: str) -> str:
    """Return what is typed. Raises Interrupted at Ctrl-C and at the end of the input (Ctrl-D)."""
    from ocsync.engine.signals import handled, interruption

    def leave(number: int) -> None:  # at once: the loop, which stops in order, stands still
        raise interruption(number, _CANCELLED)

    with handled(leave):
        sys.stderr.write(escape_invisible(question))
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise Interrupted(_CANCELLED)
        return line.strip()


async def _nap(stop: Event, seconds: float) -> None:
    """Wait *seconds* unless the operator wants to stop. Raises Interrupted."""
    import asyncio

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    if stop.is_set():
        raise _stopped()


def _stopped() -> Interrupted:
    return Interrupted(
        "interrupted; every request that was sent is recorded",
        hint="run the same command again to continue",
    )


@contextmanager
def _stopping(
    session: Session, console: Console, cancel: Callable[[], object], *, writes: bool
) -> Iterator[list[int]]:
    """Yield the signals that came; the first stops a task that *writes*, the second exits.

    A task that only reads is left at the first. Of one that writes, reads that are still under way
    when the last write has ended are dropped by *cancel*.
    """
    import asyncio
    import signal

    from ocsync.engine.signals import Signals
    from ocsync.secrets import stop_commands

    loop = asyncio.get_running_loop()
    signals, last = Signals(), float("-inf")
    counted: list[int] = []

    def drop_reads(quiet: int = 0) -> None:
        api = session.api
        quiet = quiet + 1 if api.in_flight and not api.writes_in_flight else 0
        if quiet > QUIET_LOOKS:
            cancel()
        else:
            loop.call_later(LOOK_SECONDS, drop_reads, quiet)

    def stop(number: int) -> None:
        nonlocal last
        last, before = time.monotonic(), last
        if last - before < TOGETHER_SECONDS:
            return
        counted.append(number)
        if len(counted) > 1:
            console.alert(_unknown(session.api.in_flight))
            os._exit(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)
        console.alert(
            "stopping: waiting for writes in flight (interrupt again to exit immediately)", "!"
        )
        session.stop.set()
        stop_commands()
        drop_reads()

    if writes:
        signals.start()
    try:
        with signals.going_to(stop):
            yield counted
    finally:
        signals.stop()


def _unknown(under_way: int) -> str:
    if not under_way:
        return "exited immediately; no request was in flight"
    requests = count(under_way, "request was", "requests were")
    return (
        f"exited immediately; {requests} in flight: "
        "run the same command again to check their outcome"
    )


def _as_signal(error: Interrupted, stopped: list[int]) -> Interrupted:
    """Return *error* as the error that stands for the last signal."""
    from ocsync.engine.signals import interruption

    if not stopped:
        return error
    return interruption(stopped[-1], error.message, error.hint)
