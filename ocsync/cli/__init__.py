"""The command line: a module for each command, which reads options, calls the engine and prints."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from ocsync.cli.streams import open_missing_streams

    open_missing_streams()
    from ocsync.cli.app import run

    raise SystemExit(run())
