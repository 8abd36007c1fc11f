"""Reads right before a write, of several refs by one list.

A step that builds on the value there, or expects one that orders change, takes its turn first and
reads then, so that nothing queues between its read and its write. Steps whose refs one list shows
take a turn together when they wait for it at the same time: one request reads for all of them, and
their writes are sent side by side, as soon after the read as the write of a single step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from ocsync.client import Api, read_current
from ocsync.diff import Document
from ocsync.errors import OcsyncError
from ocsync.models import Ref
from ocsync.schema import kind_of

T = TypeVar("T")
Act = Callable[[Document | None], Awaitable[T]]
"""The write of a ref, given its current document."""

_LEAD, _ALONE = object(), object()
"""Replies to a caller: take the turn for all who wait; the list did not show your ref."""


class _Caller(Generic[T]):
    """A ref that waits for its turn; *reply* is what comes of it."""

    def __init__(self, ref: Ref, act: Act[T]) -> None:
        self.ref = ref
        self.act = act
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class LateReads(Generic[T]):
    """The turns of refs that are read and then written; a list is read for all that wait for it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._waiting: dict[str, list[_Caller[T]]] = {}

    async def read_and_act(self, ref: Ref, act: Act[T]) -> T:
        """Return what *act* returns for the current document of *ref*, None if there is none.

        Raises the ApiError of a ref that cannot be read, what *act* raises, TryLater, SignInError.
        """
        if key := _list_of(ref):
            reply = await self._share(key, _Caller(ref, act))
            if reply is not _ALONE:
                result: T = reply
                return result
        async with self._api.turn(lambda: 1):
            return await act(await self._read(ref))

    async def _share(self, key: str, caller: _Caller[T]) -> Any:
        waiting = self._waiting.setdefault(key, [])
        waiting.append(caller)
        if len(waiting) > 1:
            reply = await caller.reply
            if reply is not _LEAD:
                return reply
            caller.reply = asyncio.get_running_loop().create_future()
        await self._lead(key, caller)
        return await caller.reply

    async def _lead(self, key: str, caller: _Caller[T]) -> None:
        """Take a turn for *caller*, the first who waits for the list *key*, and those after it."""
        waiting = self._waiting[key]
        await asyncio.sleep(0)  # those who start at the same time join
        try:
            async with self._api.turn(lambda: len(waiting)) as slots:
                callers = self._take(key, slots)
                await self._serve(callers)
        except OcsyncError:
            if caller in waiting:
                self._take(key, 1)
            raise

    def _take(self, key: str, number: int) -> list[_Caller[T]]:
        """Remove and return the first *number* callers; the next one leads the others."""
        waiting = self._waiting[key]
        taken, waiting[:number] = waiting[:number], []
        if waiting:
            waiting[0].reply.set_result(_LEAD)
        else:
            del self._waiting[key]
        return taken

    async def _serve(self, callers: Sequence[_Caller[T]]) -> None:
        try:
            refs = [caller.ref for caller in callers]
            documents = {ref: found async for ref, found in read_current(self._api, refs)}
        except OcsyncError as error:
            for caller in callers:
                caller.reply.set_exception(error)
            return
        await asyncio.gather(*(self._act(one, documents[one.ref], callers) for one in callers))

    async def _act(
        self,
        caller: _Caller[T],
        document: Document | OcsyncError | None,
        callers: Sequence[_Caller[T]],
    ) -> None:
        if isinstance(document, OcsyncError):
            caller.reply.set_exception(document)
        elif document is None and len(callers) > 1:
            caller.reply.set_result(_ALONE)
        else:
            try:
                caller.reply.set_result(await caller.act(document))
            except OcsyncError as error:
                caller.reply.set_exception(error)

    async def _read(self, ref: Ref) -> Document | None:
        document: Document | None = None
        async for _, found in read_current(self._api, [ref]):
            if isinstance(found, OcsyncError):
                raise found
            document = found
        return document


def _list_of(ref: Ref) -> str:
    """Return a key that the refs of one list share; empty where no list shows what is there now."""
    kind = kind_of(ref)
    if kind.assignment or kind.eventually_consistent:
        return ""
    return ref.rpartition("/")[0].casefold()
