"""The command line: a module for each command, which reads options, calls the engine and prints."""

from __future__ import annotations

import gc
import os
import sys

_BATCH = (100_000, 50, 100)
"""Thresholds of garbage collection for commands that make many objects and keep nearly all."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # loading modules makes no garbage, and looking for it takes a tenth of a start
    from ocsync.cli.streams import open_missing_streams

    open_missing_streams()
    from ocsync.cli.dispatch import answer
    from ocsync.cli.leading_options import behind_command

    words = behind_command(sys.argv[1:])
    code = answer(words)
    if code is not None:
        _leave(code)
    from ocsync.cli.app import run

    gc.set_threshold(*_BATCH)
    gc.freeze()
    gc.enable()
    _leave(run(words))


def _leave(code: int) -> None:
    """Exit without the clean-up of the interpreter, which takes longer than a short answer.

    All files and connections are closed by then.
    """
    from ocsync.render.streams import write_text

    for stream in (sys.stdout, sys.stderr):
        write_text(stream, "", flush=True)
    os._exit(code)
