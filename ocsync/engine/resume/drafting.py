"""The draft of a plan from the journal, and a plan's fingerprint."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import msgspec

from ocsync.consolidate import consolidate
from ocsync.models import REVERT_SOURCE, Entry
from ocsync.plan import Plan, build, refs_feeding
from ocsync.schema import ref_key
from ocsync.store import ProfileDir
from ocsync.store.number_ranges import NumberRanges


class PlanDraft(NamedTuple):
    """A plan, and what it was made of: the *numbers* of its entries, how many of them there are,
    their oldest stamp and the runs that they undo. *remaining* is the number that stay staged.
    """

    plan: Plan
    numbers: NumberRanges
    entries: int
    since: str
    reverts: tuple[str, ...]
    remaining: int


class _Tally:
    """Facts of the entries that were passed on."""

    def __init__(self) -> None:
        self.numbers = NumberRanges()
        self.count = 0
        self.since = ""
        self.reverts: set[str] = set()

    def passing(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield *entries* unchanged."""
        for entry in entries:
            self.numbers.add(entry.seq, entry.seq)
            self.count += 1
            if entry.at and (not self.since or entry.at < self.since):
                self.since = entry.at
            if entry.source.startswith(REVERT_SOURCE):
                self.reverts.add(entry.source.removeprefix(REVERT_SOURCE))
            yield entry

    def draft(self, plan: Plan, remaining: int) -> PlanDraft:
        """Return the draft of *plan*, which was made of them."""
        runs = tuple(sorted(self.reverts))
        return PlanDraft(plan, self.numbers, self.count, self.since, runs, remaining)


def draft_plan(entries: Iterable[Entry], targets: Collection[str] = ()) -> PlanDraft:
    """Return the plan of *entries*; with *targets*, of entries for these and their dependencies."""
    tally = _Tally()
    if not targets:
        return tally.draft(build(consolidate(tally.passing(entries))), 0)
    known = list(entries)
    changes = consolidate(known)
    refs = refs_feeding(changes, targets)
    keys = set(map(ref_key, refs))
    for _ in tally.passing(entry for entry in known if ref_key(entry.ref) in keys):
        pass
    plan = build(change for change in changes if change.ref in refs)
    return tally.draft(plan, len(known) - tally.count)


def fingerprint(plan: Plan, folder: ProfileDir, *, pinned: bool = True) -> str:
    """Return a digest of the plan's steps, the profile and the marketplace.

    The steps include the numbers of their journal entries. Without *pinned* the digest is the one
    before the first sign-in, when no marketplace was known.
    """
    import hashlib  # loads OpenSSL, which takes as long as reading the tables of kinds

    pin = folder.read_pin() if pinned else None
    identity = (folder.profile.name, folder.profile.api_url, pin.id if pin else "")
    digest = hashlib.sha256(msgspec.json.encode(identity))
    for step in plan.steps:
        digest.update(msgspec.json.encode(step, order="sorted"))
    return digest.hexdigest()[:32]


def is_stale(saved: str, plan: Plan, folder: ProfileDir) -> bool:
    """Return whether *saved*, the fingerprint of a saved plan, is not that of *plan*."""
    return saved not in [fingerprint(plan, folder, pinned=pinned) for pinned in (True, False)]
