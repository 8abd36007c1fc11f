"""Readers of arguments and files that give entries, and writers that give files.

Values are read by the type of their field; every fault is reported, not the first one. Names are
loaded on first use: an edit that is typed needs no reader of files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocsync.intake.arguments import entry_from_arguments as entry_from_arguments
    from ocsync.intake.reader import read_file as read_file
    from ocsync.intake.staging_rules import check_against_staged as check_against_staged

_HOMES = {
    "entry_from_arguments": "arguments",
    "read_file": "reader",
    "check_against_staged": "staging_rules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"ocsync.intake.{_HOMES[name]}"), name)
