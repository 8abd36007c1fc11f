"""One sitting of a resume, in this process: with waits of no time, or cut off where one likes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ocsync.client import Api, Connection, Limits, open_client
from ocsync.engine.recorder import Recorder
from ocsync.engine.resume.conductor import resume
from ocsync.engine.resume.options import ResumeOptions
from ocsync.engine.session import Session
from ocsync.models import Intent
from ocsync.store import ProfileDir, Workspace
from tests.builders import Shop
from tests.conftest import Run


class Killed(BaseException):
    """The process is gone."""


def die(*args: Any, **more: Any) -> Any:
    raise Killed


def folder() -> ProfileDir:
    """The profile's folder of the workspace here."""
    return Workspace(Path(".ocsync").absolute()).open("", warn=pytest.fail)


def carry_out(
    shop: Shop, options: ResumeOptions | None = None, longest: float = 0.005, **limits: Any
) -> Any:
    """A resume in this process, with waits of no time."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(min(seconds, longest))

    where = folder()

    async def go() -> Any:
        connection = Connection(shop.url, shop.url, "emulator", lambda: "emulator")
        async with open_client(connection, limits=Limits(**limits), sleep=nap) as api:
            session = Session(api, where, lambda event: None, lambda question: False, sleep=nap)
            return await resume(session, options or ResumeOptions(verify=True))

    return asyncio.run(go())


def crash(run: Run, shop: Shop, *, sent: bool, after: int = 1) -> None:
    """Resume here, and die at the intent number *after*, right before or after its request."""
    real_intend, real_write = Recorder.intend, Api.write
    left = after

    async def intend(self: Recorder, intent: Intent) -> None:
        await real_intend(self, intent)
        if not sent:
            raise Killed

    async def write(self: Api, method: str, path: str, *args: Any, **more: Any) -> Any:
        nonlocal left
        reply = await real_write(self, method, path, *args, **more)
        left -= "integrations" not in path
        if left <= 0:
            raise Killed
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "intend", intend)
        patch.setattr(Api, "write", write)
        with pytest.raises(BaseException):  # noqa: B017,PT011 - the group that carries Killed
            carry_out(shop)


def cut_off(place: Any, name: str, options: ResumeOptions, shop: Shop) -> None:
    """A resume that dies when it comes to *name*."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, die)
        with pytest.raises(Killed):
            carry_out(shop, options)
