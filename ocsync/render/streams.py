"""Writing to the standard streams: output never stops the work.

A full disk under a log must not leave a target paused, so a stream that takes no more discards
what follows, and the reason is kept.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False  # loading `typing` takes longer than the quickest answer
if TYPE_CHECKING:
    from typing import TextIO

_LOST: dict[TextIO, str] = {}
"""The streams that took no more, and why."""


def write_text(stream: TextIO, text: str, *, flush: bool = False) -> None:
    """Write *text*; if the stream takes no more, discard this and all that follows.

    What was lost, other than to a reader or a terminal that is gone, is in `lost_output`.
    """
    try:
        if text:
            stream.write(text)
        if flush:
            stream.flush()
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) not in (errno.EPIPE, errno.EIO):
            _LOST[stream] = getattr(error, "strerror", None) or str(error)
        discard(stream)


def discard(stream: TextIO) -> None:
    """Lead *stream* to the null device."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass


def has_lost(stream: TextIO) -> bool:
    """Return whether *stream* took no more."""
    return stream in _LOST


def lost_output(stream: TextIO) -> str:
    """Return why *stream* took no more, and forget it; empty when all was written."""
    return _LOST.pop(stream, "")
