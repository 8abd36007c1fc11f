"""The command line: a module for each command, which reads options, calls the engine and prints."""

from __future__ import annotations

import gc

_BATCH = (100_000, 50, 100)
"""Thresholds of garbage collection for commands that make many objects and keep nearly all."""


def main() -> None:
    """Run the command line and exit with its code."""
    from ocsync.cli.streams import open_missing_streams

    gc.set_threshold(*_BATCH)
    open_missing_streams()
    from ocsync.cli.app import run

    raise SystemExit(run())
