"""Arguments and files -> entries and back, typed by the tables, every fault told at once."""

from __future__ import annotations

from ocsync.intake.arguments import entry_from_arguments as entry_from_arguments
from ocsync.intake.reader import read_file as read_file
from ocsync.intake.staging_rules import check_against_staged as check_against_staged
