"""The files of a workspace: its profiles, journals, pauses, runs and locks.

Only this package opens them. Names are loaded on first use, so that a short command loads only
the modules it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsync.lazy_names import importer

if TYPE_CHECKING:
    from ocsync.store.journal import Journal as Journal
    from ocsync.store.profile_dir import Pin as Pin
    from ocsync.store.profile_dir import ProfileDir as ProfileDir
    from ocsync.store.profiles import ENVIRONMENTS as ENVIRONMENTS
    from ocsync.store.profiles import Profile as Profile
    from ocsync.store.runs import Run as Run
    from ocsync.store.runs import RunInfo as RunInfo
    from ocsync.store.runs import Runs as Runs
    from ocsync.store.summary import JournalSummary as JournalSummary
    from ocsync.store.workspace import Workspace as Workspace

__getattr__ = importer(
    __name__,
    {
        "JournalSummary": "summary",
        "Journal": "journal",
        "Pin": "profile_dir",
        "ProfileDir": "profile_dir",
        "ENVIRONMENTS": "profiles",
        "Profile": "profiles",
        "Run": "runs",
        "RunInfo": "runs",
        "Runs": "runs",
        "Workspace": "workspace",
    },
)
