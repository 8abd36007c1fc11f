"""The command line: one file a command, each reads options, calls the core, shows what came."""

from __future__ import annotations


def main() -> None:
    """The entry point."""
    from ocsync.cli.app import run

    raise SystemExit(run())
