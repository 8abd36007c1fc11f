"""Entities that the probe creates and deletes again, also after a crash.

What is about to be created is on disk first, in the profile's `probe.toml`:

    made = ["/catalogs/ocsync-probe-1f2e-a", ...]
"""

from __future__ import annotations

import secrets
from typing import Any

from ocsync.client import Reply
from ocsync.engine.delivery_config.patch_probe import remove_probe
from ocsync.engine.polling import poll
from ocsync.engine.session import Session
from ocsync.errors import ApiError, NotFound, OcsyncError
from ocsync.store import ProfileDir

PREFIX = "ocsync-probe"


class Throwaway:
    """The entities of one probe; use it with `async with`, which deletes them.

    A new entity may not be known at once (guide/ordercloud.md 12.6): writes that refer to one are
    repeated for up to *patience* seconds.
    """

    def __init__(self, session: Session, *, patience: float = 0.0) -> None:
        self._session = session
        self._patience = patience
        self._made = read_leftovers(session.folder)
        self._name = f"{PREFIX}-{secrets.token_hex(4)}"
        self._number = 0

    async def __aenter__(self) -> Throwaway:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.remove_all()

    async def create(self, collection: str, **fields: Any) -> str:
        """Create an entity below `/catalogs` or so, and return its ID. Raises ApiError."""
        name = self.reserve(collection)
        await self.write("PUT", f"/{collection}/{name}", {"Name": name, **fields})
        return name

    def reserve(self, collection: str) -> str:
        """Return a new ID for an entity that the caller creates, and have it deleted."""
        self._number += 1
        name = f"{self._name}-{self._number}"
        self._made.append(f"/{collection}/{name}")
        write_leftovers(self._session.folder, self._made)
        return name

    async def write(self, method: str, path: str, body: Any) -> Reply:
        """Send a write that may refer to an entity of the probe. Raises ApiError."""
        outcome: list[Reply | NotFound] = []

        async def is_accepted() -> bool:
            try:
                outcome[:] = [await self._session.api.write(method, path, body)]
            except NotFound as error:
                outcome[:] = [error]
                return False
            return True

        if not await is_accepted():
            await poll(self._session, is_accepted, patience=self._patience)
        [last] = outcome
        if isinstance(last, NotFound):
            raise last
        return last

    async def patch(self, path: str, **fields: Any) -> Reply:
        """Change an entity of the probe. Raises ApiError."""
        return await self._session.api.write("PATCH", path, fields)

    async def delete(self, path: str) -> None:
        """Delete an entity of the probe. Raises ApiError."""
        await self._session.api.delete(path)

    async def remove_all(self) -> None:
        """Delete all that is left, the newest first. Raises the first error, once all are tried."""
        errors: list[OcsyncError] = []
        for path in reversed([*self._made]):
            try:
                await self._session.api.delete(path)
            except NotFound:
                pass
            except ApiError as error:
                errors.append(error)
                continue
            self._made.remove(path)
            write_leftovers(self._session.folder, self._made)
        await remove_probe(self._session)
        if errors:
            raise errors[0]


def read_leftovers(folder: ProfileDir) -> list[str]:
    """Return the paths that a probe created and has not deleted."""
    return list(map(str, folder.read_probe_leftovers()))


def write_leftovers(folder: ProfileDir, made: list[str]) -> None:
    """Record what the probe has created."""
    folder.write_probe_leftovers(made)
