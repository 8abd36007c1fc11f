"""Listeners as they really run: processes of their own, beside the test's marketplace."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ocsync.delivery.messages import sign
from tests.builders import HTTP
from tests.processes import Started

SECRET = "sesame"
LOG = Path(".ocsync/profiles/test/delivery.jsonl")


class Listening(NamedTuple):
    """A listener that is ready: its process, and the document that it began with."""

    process: Started
    facts: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    def post(self, body: bytes, secret: str = SECRET, **headers: str) -> int:
        """The status that *body*, signed with *secret*, is answered with."""
        signed = {"X-oc-hash": sign(secret, body)} if secret else {}
        return HTTP.post(self.url, content=body, headers={**signed, **headers}).status_code

    def end(self, number: int = signal.SIGINT) -> str:
        """What it said on stderr, once it has ended in good order."""
        self.process.signal(number)
        done = self.process.wait(10)
        assert done.code == 0, done
        return done.err


@contextmanager
def listening(*words: str) -> Iterator[Listening]:
    """`ocsync listen WORDS...`, ended at the end."""
    with Started("listen", *words, "--json") as process:
        wait_for(lambda: "\n" in process.said()[0] or not process.lives)
        out, err = process.said()
        assert out, err
        listener = Listening(process, json.loads(out))
        yield listener
        if process.lives:
            listener.end()


def envelope(payload: dict[str, Any] | None = None, namespace: str = "x") -> bytes:
    return json.dumps({"Headers": {"type": namespace}, "Payload": payload or {}}).encode()


def lines() -> list[Any]:
    """The delivery log; a line that is being written is left out."""
    text = LOG.read_text().splitlines(keepends=True) if LOG.exists() else []
    return [json.loads(line) for line in text if line.endswith("\n")]


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def wait_for_lines(number: int) -> None:
    wait_for(lambda: len(lines()) >= number)
