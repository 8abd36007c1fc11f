"""The engine in this process, without the command line around it and with waits of no time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ocsync.client import Connection, Limits, open_client
from ocsync.engine.resume import conductor
from ocsync.engine.resume.options import ResumeOptions
from ocsync.engine.session import Session
from ocsync.events import Broadcast
from ocsync.store import ProfileDir, Workspace
from tests.builders import Shop


def profile_dir() -> ProfileDir:
    """The profile's folder of the workspace here."""
    return Workspace(Path(".ocsync").absolute()).open_profile("", warn=pytest.fail)


def resume(
    shop: Shop, options: ResumeOptions | None = None, longest: float = 0.005, **limits: Any
) -> Any:
    """Resume, with waits of *longest* seconds at most."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(min(seconds, longest))

    profile = profile_dir()

    async def go() -> Any:
        connection = Connection(shop.url, shop.url, "emulator", lambda: "emulator")
        emit = Broadcast()
        async with open_client(connection, limits=Limits(**limits), emit=emit, sleep=nap) as api:
            session = Session(api, profile, emit, lambda question: False, sleep=nap)
            return await conductor.resume(session, options or ResumeOptions(verify=True))

    return asyncio.run(go())
