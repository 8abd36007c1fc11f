"""The draft of a plan from the journal, and a plan's fingerprint."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from ocsync.consolidate import consolidate
from ocsync.engine.resume.spilled_plan import SpilledEntries, SpilledPlan, build_spilled
from ocsync.models import REVERT_SOURCE, Change, Entry
from ocsync.ordering import are_unrelated
from ocsync.plan import KindTotal, Plan, build, count_by_kind, refs_feeding
from ocsync.schema import KINDS, ref_key
from ocsync.store import ProfileDir
from ocsync.store.number_ranges import NumberRanges

SPILL_REFS = 350_000
"""Most refs whose edits are folded in memory at a time, where these are independent of each other.
"""
KEPT_CHANGES = 150_000
"""Most changes whose plan is kept in memory, where these are independent of each other."""


_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class PlanDraft(NamedTuple):
    """A plan, and what it was made of: the *numbers* of its entries, how many of them there are,
    their *refs*, the plan's rows by kind, the oldest stamp of the entries and the runs that they
    undo. *remaining* is the number that stay staged.
    """

    plan: Plan
    numbers: NumberRanges
    entries: int
    refs: int
    totals: list[KindTotal]
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
        first, last, at = 1, 0, ""
        for entry in entries:
            if entry.seq != last + 1:
                self._add(first, last)
                first = entry.seq
            last = entry.seq
            if entry.at != at:
                at = entry.at
                self.since = min(filter(None, (self.since, at)), default="")
            if entry.source.startswith(REVERT_SOURCE):
                self.reverts.add(entry.source.removeprefix(REVERT_SOURCE))
            yield entry
        self._add(first, last)

    def _add(self, first: int, last: int) -> None:
        self.numbers.add(first, last)
        self.count += last - first + 1

    def draft(self, made: SpilledPlan, remaining: int) -> PlanDraft:
        """Return the draft of the plan that was *made* of them."""
        runs = tuple(sorted(self.reverts))
        return PlanDraft(
            made.plan, self.numbers, self.count, made.refs, made.totals, self.since, runs, remaining
        )


def draft_plan(entries: Iterable[Entry], targets: Collection[str] = ()) -> PlanDraft:
    """Return the plan of *entries*; with *targets*, of entries for these and their dependencies."""
    tally = _Tally()
    if not targets:
        return tally.draft(_build(consolidate(tally.passing(entries))), 0)
    known = list(entries)
    changes = consolidate(known)
    refs = refs_feeding(changes, targets)
    keys = set(map(ref_key, refs))
    for _ in tally.passing(entry for entry in known if ref_key(entry.ref) in keys):
        pass
    made = _build([change for change in changes if change.ref in refs])
    return tally.draft(made, len(known) - tally.count)


def draft_large(
    entries: Iterable[Entry],
    kinds: Collection[str],
    folder: Path,
    targets: Collection[str] = (),
    *,
    limit: int | None = None,
) -> PlanDraft:
    """Return what `draft_plan` does, for *entries* of these *kinds* only.

    Where no edit depends on one of another ref, memory holds those of *limit* refs at a time
    (SPILL_REFS if it is not given), and *folder* the others and a long plan.
    """
    if not are_unrelated(kinds):
        return draft_plan(entries, targets)
    chosen = {n for n in kinds if not targets or {*KINDS[n].direct_targets} & {*targets}}
    tally, spilled, remaining = _Tally(), SpilledEntries(folder), 0

    def choose() -> Iterator[Entry]:
        nonlocal remaining
        for entry in entries:
            if entry.ref[: entry.ref.find("/")] in chosen:
                yield entry
            else:
                remaining += 1

    taken = tally.passing(entries if chosen.issuperset(kinds) else choose())
    changes = consolidate(taken, SPILL_REFS if limit is None else limit, spilled.add)
    if not spilled and len(changes) <= KEPT_CHANGES:
        return tally.draft(_build(changes), remaining)
    parts = chain(map([changes].pop, [0]), spilled.changes())
    del changes  # they are freed when their part is done
    return tally.draft(build_spilled(parts, folder), remaining)


def draft_staged(folder: ProfileDir, targets: Collection[str] = ()) -> PlanDraft:
    """Return the plan of what is staged in *folder*; see `draft_plan`."""
    journal = folder.journal
    return draft_large(journal.stream(), journal.kinds(), folder.path, targets)


def _build(changes: Sequence[Change]) -> SpilledPlan:
    """Return the plan of *changes*, in memory."""
    plan = build(changes)
    refs = sum(1 for one, other in pairwise(changes) if one.ref != other.ref) + bool(changes)
    return SpilledPlan(plan, refs, count_by_kind(plan.steps))


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
        digest.update(_encode_sorted(step))
    return digest.hexdigest()[:32]


def is_stale(saved: str, plan: Plan, folder: ProfileDir) -> bool:
    """Return whether *saved*, the fingerprint of a saved plan, is not that of *plan*."""
    return saved not in [fingerprint(plan, folder, pinned=pinned) for pinned in (True, False)]
