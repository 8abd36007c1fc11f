"""Readers of arguments and files that give entries, and writers that give files.

Values are read by the type of their field; every fault is reported, not the first one.
"""

from __future__ import annotations

from ocsync.intake.arguments import entry_from_arguments as entry_from_arguments
from ocsync.intake.reader import read_file as read_file
from ocsync.intake.staging_rules import check_against_staged as check_against_staged
