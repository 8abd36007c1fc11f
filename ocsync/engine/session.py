"""The session of one command: the marketplace, the profile's folder, and a listener for events."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ocsync.errors import Conflict, Interrupted, SignInError, UsageError
from ocsync.events import Broadcast, Notice, NoticeLevel, StepEnded
from ocsync.models import Outcome
from ocsync.schema import KINDS, TARGETS
from ocsync.store import Pin, ProfileDir
from ocsync.store.identity import ci_job_url, operator
from ocsync.store.profiles import same_place
from ocsync.store.timestamps import utc_now

if TYPE_CHECKING:  # so that a command that sends nothing does not load the HTTP stack
    import asyncio

    from ocsync.client import Api, Identity

Ask = Callable[[str], bool]


def _ask_nobody(question: str) -> bool:
    raise UsageError(f"confirmation needed, but nobody can be asked: {question}")


def _sleep(seconds: float) -> Awaitable[None]:
    import asyncio

    return asyncio.sleep(seconds)


def _new_event() -> asyncio.Event:
    import asyncio

    return asyncio.Event()


@dataclass(frozen=True)
class Session:
    """One command's work on one marketplace.

    *ask* puts a yes-or-no question, and raises UsageError without a terminal; *ask_person* is one
    that --yes does not answer. *confirm* gets the
    marketplace's ID before the first write, and raises where the operator does not confirm it.
    *stop* is set when the operator interrupts: requests in flight end, and no new ones start.
    """

    api: Api
    folder: ProfileDir
    emit: Broadcast
    ask: Ask
    ask_person: Ask = _ask_nobody
    confirm: Callable[[str], None] = lambda _: None
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = _sleep
    by: str = field(default_factory=operator)
    job: str = field(default_factory=lambda: ci_job_url(os.environ))
    stop: asyncio.Event = field(default_factory=_new_event)

    def timestamp(self) -> str:
        """Return the time now, to the second, as the workspace's files write it."""
        return self.now().isoformat(timespec="seconds")

    def precise_timestamp(self) -> str:
        """Return the time now, to the millisecond, for measured durations."""
        return self.now().isoformat(timespec="milliseconds")

    def raise_if_stopped(self) -> None:
        """Raise Interrupted when the operator has interrupted the command."""
        if self.stop.is_set():
            raise Interrupted("interrupted; every request that was sent is recorded",
                              hint="run the same command again to continue")  # fmt: skip

    def step_ended(self, outcome: Outcome) -> None:
        """Emit the *outcome* of a step, which is on disk."""
        self.emit(StepEnded(outcome))

    def notify(self, level: NoticeLevel, text: str) -> None:
        """Emit a notice for the operator."""
        self.emit(Notice(level, text))


async def sign_in(session: Session) -> Identity:
    """Sign in, and make sure that the token belongs to the profile's marketplace.

    The first sign-in pins the marketplace and the URL of its API. Raises Conflict when either has
    changed, as a journal and its pauses belong to one marketplace alone; SignInError when the
    answer does not name the marketplace.
    """
    check_pinned_url(session.folder)
    identity = await session.api.identity()
    if not identity.marketplace:
        raise SignInError(
            "cannot tell which marketplace the sign-in is for (GET /me has no Seller.ID)",
            hint="give the API client an admin user as its default context user",
        )
    pin = session.folder.read_pin()
    expected = session.folder.profile.marketplace or (pin.id if pin else "")
    if expected and expected.casefold() != identity.marketplace.casefold():
        raise Conflict(
            f"profile {session.folder.profile.name} is for marketplace {expected}, "
            f"but this sign-in is for {identity.marketplace}",
            hint="check the profile's client ID, or make a new profile: ocsync profile add",
        )
    url = session.folder.profile.api_url
    if pin is None or pin.api_url != url:
        session.folder.write_pin(Pin(identity.marketplace, identity.name, url))
    return identity


def check_pinned_url(folder: ProfileDir) -> None:
    """Raise Conflict when the profile names another API than its unfinished work belongs to.

    Two environments can have a marketplace with one ID, such as staging with its copy of
    production, so the ID alone does not tell them apart. The secret is not sent before this.
    """
    pin, profile = folder.read_pin(), folder.profile
    if pin is None or not pin.api_url or same_place(pin.api_url, profile.api_url):
        return
    if unfinished := folder.unfinished_work():
        raise Conflict(
            f"profile {profile.name} now points to {profile.api_url}, but has unfinished work "
            f"for {pin.api_url}: {unfinished}",
            hint=f"set api_url in {folder.path / 'profile.toml'} back to {pin.api_url}, "
            "or make a new profile: ocsync profile add",
        )


def confirm_production(session: Session) -> None:
    """Make sure that writing to this marketplace is meant; after `sign_in`. Raises UsageError."""
    pin = session.folder.read_pin()
    session.confirm(pin.id if pin else "")


def missing_roles(identity: Identity, names: Collection[str] = ()) -> list[str]:
    """Return the roles that this sign-in lacks: to write and pause all, or only *names*.

    *names* are kinds and targets; a kind also needs the roles to pause the targets that it feeds
    (guide/ordercloud.md 1.3).
    """
    if "FullAccess" in identity.roles:
        return []
    kinds = [kind for name, kind in KINDS.items() if not names or name in names]
    fed = {target for kind in kinds for target in kind.direct_targets}
    pausing = {t.role for name, t in TARGETS.items() if not names or name in {*names, *fed}}
    held = set(identity.roles)
    writing = {kind.writers[0] for kind in kinds if held.isdisjoint(kind.writers)}
    return sorted((pausing | writing) - held)
