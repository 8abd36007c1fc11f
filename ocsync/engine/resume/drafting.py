"""The draft of a plan from the journal, and a plan's fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from ocsync.consolidate import consolidate
from ocsync.models import Entry
from ocsync.plan import Plan, build, refs_feeding
from ocsync.schema import ref_key
from ocsync.store import ProfileDir


class PlanDraft(NamedTuple):
    """A plan, and the entries that it was made of; *remaining* is the number that stay staged."""

    plan: Plan
    entries: tuple[Entry, ...]
    remaining: int


def draft_plan(entries: Sequence[Entry], targets: Collection[str] = ()) -> PlanDraft:
    """Return the plan of *entries*; with *targets*, of entries for these and their dependencies."""
    changes = consolidate(entries)
    if not targets:
        return PlanDraft(build(changes), tuple(entries), 0)
    refs = refs_feeding(changes, targets)
    keys = set(map(ref_key, refs))
    selected = tuple(entry for entry in entries if ref_key(entry.ref) in keys)
    plan = build(change for change in changes if change.ref in refs)
    return PlanDraft(plan, selected, len(entries) - len(selected))


def fingerprint(plan: Plan, folder: ProfileDir, *, pinned: bool = True) -> str:
    """Return a digest of the plan's steps, the profile and the marketplace.

    The steps include the numbers of their journal entries. Without *pinned* the digest is the one
    before the first sign-in, when no marketplace was known.
    """
    pin = folder.read_pin() if pinned else None
    identity = (folder.profile.name, folder.profile.api_url, pin.id if pin else "")
    digest = hashlib.sha256(msgspec.json.encode(identity))
    for step in plan.steps:
        digest.update(msgspec.json.encode(step, order="sorted"))
    return digest.hexdigest()[:32]


def is_stale(saved: str, plan: Plan, folder: ProfileDir) -> bool:
    """Return whether *saved*, the fingerprint of a saved plan, is not that of *plan*."""
    return saved not in [fingerprint(plan, folder, pinned=pinned) for pinned in (True, False)]
