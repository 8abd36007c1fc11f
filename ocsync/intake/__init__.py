"""Readers of arguments and files that give entries, and writers that give files.

Values are read by the type of their field; every fault is reported, not the first one. Names are
loaded on first use: an edit that is typed needs no reader of files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsync.lazy_names import importer

if TYPE_CHECKING:
    from ocsync.intake.arguments import entry_from_arguments as entry_from_arguments
    from ocsync.intake.reader import read_file as read_file
    from ocsync.intake.staging_rules import SummedStock as SummedStock
    from ocsync.intake.staging_rules import apply_rules as apply_rules

__getattr__ = importer(
    __name__,
    {
        "entry_from_arguments": "arguments",
        "read_file": "reader",
        "SummedStock": "staging_rules",
        "apply_rules": "staging_rules",
    },
)
