"""Runs the command line in a process that dies at a chosen moment.

    run(OPERATION, NUMBER, WHEN, WORDS...)

The process kills itself, as `kill -9` would, at the NUMBERth time that it comes to an operation:
WHEN is `before` or `after` it, or `half` in the middle of a write. Operations are what can leave
something behind: bytes to a file, a sync, a rename, a request. So every point between two of them
is a point at which a machine can go down.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from tests.processes import Done, call

OPERATIONS: dict[str, tuple[str, str]] = {
    "write": ("os", "write"),
    "sync": ("os", "fsync"),
    "rename": ("pathlib", "Path.replace"),
    "remove": ("pathlib", "Path.unlink"),
    "move": ("os", "rename"),
    "request": ("ocsync.client.api", "Api.write"),
    "delete": ("ocsync.client.api", "Api.delete"),
    "pause": ("ocsync.client.sync_configs", "set_paused"),
}
"""Each operation, and the function that does it."""


def dying(*words: str) -> Done:
    """Run *words*, which begin with where to die, in a process of their own."""
    return call(*words, program="tests.dying")


def points(operations: dict[str, int]) -> Iterator[tuple[str, int, str]]:
    """Where to die in a command that comes to *operations* so many times."""
    for operation, times in operations.items():
        for number in range(1, times + 1):
            for when in ("before", "after", *(["half"] if operation == "write" else [])):
                yield operation, number, when


def run(arguments: list[str]) -> int:
    """Run the words after the first three; see the module's head."""
    from ocsync.cli.app import run as entry

    operation, number, when, *words = arguments
    left = int(number)

    def comes() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*given: Any, **more: Any) -> Any:
            now = comes()
            if now and when == "half":
                function(given[0], given[1][: len(given[1]) // 2])
            if now and when != "after":
                die()
            result = function(*given, **more)
            if now:
                die()
            return result

        @functools.wraps(function)
        async def waited(*given: Any, **more: Any) -> Any:
            now = comes()
            if now and when != "after":
                die()
            result = await function(*given, **more)
            if now:
                die()
            return result

        return waited if inspect.iscoroutinefunction(function) else wrapped

    module, path = OPERATIONS[operation]
    place: Any = import_module(module)
    *owners, name = path.split(".")
    for owner in owners:
        place = getattr(place, owner)
    original = getattr(place, name)
    setattr(place, name, watched(original))
    for other in list(sys.modules.values()):  # whoever has imported it by name already
        if getattr(other, name, None) is original and other is not place:
            setattr(other, name, getattr(place, name))
    code = entry(words)
    sys.stderr.write(f"came to {operation} {int(number) - left} times\n")
    return code


def die() -> None:
    """Go down without a word."""
    os.kill(os.getpid(), signal.SIGKILL)
