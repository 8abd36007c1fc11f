"""The selection of a resync: entities by name, of a catalog, of a run, or dated since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import NamedTuple

from ocsync.client import read_targets
from ocsync.delivery.messages import can_request_sync, published_by
from ocsync.engine.resync.affected_products import affected_products, product_scope_of
from ocsync.engine.resync.entity_lists import list_each, list_entities
from ocsync.engine.run_log import attempts
from ocsync.engine.session import Session
from ocsync.errors import ConfigError, InputError, Problem, UsageError
from ocsync.events import NoticeLevel
from ocsync.models import Ref, State
from ocsync.schema import GROUPS, ID_PATTERN, KINDS, TARGETS, Target, kind_of, read_ref
from ocsync.store import Run

_TOLD = 10


class SelectionRequest(NamedTuple):
    """A request to select: one of *refs*, *catalog*, *run*; or *since*, alone or in *catalog*.

    *targets* are those that were named, *grouped* those of a group; none of either: what fits.
    """

    targets: tuple[Target, ...] = ()
    grouped: tuple[Target, ...] = ()
    refs: tuple[Ref, ...] = ()
    catalog: str = ""
    run: str = ""
    since: datetime | None = None


class Selection(NamedTuple):
    """The sync requests to send, each once."""

    syncs: list[tuple[Target, Ref]]

    def by_target(self) -> dict[str, int]:
        """Count the entities of each target."""
        counts: dict[str, int] = defaultdict(int)
        for target, _ in self.syncs:
            counts[target.name] += 1
        return counts


def read_entities(target: Target | None, words: Iterable[str], where: str) -> list[Ref]:
    """Return *words* as entities of *target*: `ID`, `PARENT/ID`, or a ref; without a target only
    refs.

    Empty words and comments (`#`) are skipped. Raises InputError naming every word that is none.
    """
    found: list[Ref] = []
    problems: list[Problem] = []
    for line, word in enumerate(words, 1):
        text = word.strip()
        if not text or text.startswith("#"):
            continue
        try:
            found.append(_read_word(target, text))
        except UsageError as error:
            problems.append(Problem(where, line, 0, "ID", text, error.message))
    if problems:
        text = f"{len(problems)} of the IDs are wrong; nothing was sent"
        raise InputError(text, problems)
    return list(dict.fromkeys(found))


def _read_word(target: Target | None, text: str) -> Ref:
    values = text.split("/")
    shape = target and len(values) == len(target.sync_ids)
    if target and shape and all(map(ID_PATTERN.fullmatch, values)):
        return "/".join([target.entity_kind, *values])
    if target and values[0] not in KINDS:
        raise UsageError(f"is not {'/'.join(target.sync_ids)}")
    ref = read_ref(text)
    sends = {t.name for t, _ in _published([ref])} or (
        {"products"} if product_scope_of(ref) else set()
    )
    if not sends:
        raise UsageError("has no message of its own; name what shows it")
    if target and target.name not in sends:
        raise UsageError(f"goes out by {', '.join(sends)}, not by {target.name}")
    return ref


async def select(session: Session, wanted: SelectionRequest) -> Selection:
    """Return what *wanted* selects, without targets that have no sync config, which is reported.

    Raises ConfigError when a target that was named has none, UsageError where a list cannot tell,
    NotFound for a catalog that is not there.
    """
    names = [*wanted.targets, *wanted.grouped]
    if wanted.run:
        with session.folder.runs.get(wanted.run) as run:
            refs = _changed(run)
        syncs = _published(refs)
        if not names or TARGETS["products"] in names:
            syncs += await _around(session, refs)
    elif wanted.refs:
        bare = [ref for ref in wanted.refs if not _published([ref])]
        syncs = [*_published(wanted.refs), *await _around(session, bare)]
    else:
        if wanted.catalog:
            await session.api.get(f"/catalogs/{wanted.catalog}")
        whole = [TARGETS[name] for name in GROUPS["catalog-wide"]]
        syncs = [
            (t, ref)
            for t in names or whole
            for ref in await list_entities(session, t, catalog=wanted.catalog, since=wanted.since)
        ]
    found = list(dict.fromkeys(one for one in syncs if not names or one[0] in names))
    there = await _there(session, {target.name for target, _ in found}, wanted)
    return Selection([one for one in found if one[0].name in there])


def _published(refs: Iterable[Ref]) -> list[tuple[Target, Ref]]:
    return [(t, e) for ref in refs for t, e in published_by(ref) if can_request_sync(e)]


async def _there(session: Session, names: set[str], wanted: SelectionRequest) -> set[str]:
    """Return those of the targets *names* that have a sync config; paused ones are reported."""
    order = [target for target in TARGETS.values() if target.name in names]
    states = await read_targets(session.api, order)
    gone = [name for name, state in states.items() if not state.exists]
    if refused := [target.name for target in wanted.targets if target.name in gone]:
        text = f"{', '.join(refused)}: no sync config on this marketplace, so nothing is sent"
        raise ConfigError(text, hint="ocsync targets shows which targets are configured")
    if gone:
        session.notify(NoticeLevel.WARNING, f"{', '.join(gone)}: no sync config, left out")
    if paused := [name for name, state in states.items() if state.paused]:
        text = "whether sync requests go out meanwhile is not documented"
        session.notify(NoticeLevel.PAUSED, f"{', '.join(paused)}: paused; {text}")
    return names - set(gone)


async def _around(session: Session, refs: Iterable[Ref]) -> list[tuple[Target, Ref]]:
    """Return the products that *refs* affect, and report which and why."""
    causes: dict[Ref, list[Ref]] = defaultdict(list)
    for ref in refs:
        if whole := product_scope_of(ref):
            causes[whole].append(ref)
    wholes = list(causes)
    products = await list_each(session, wholes, partial(affected_products, session.api))
    for whole, touched in list(zip(wholes, products, strict=True))[:_TOLD]:
        these = causes[whole]
        if touched and touched != [whole]:
            more = f" and {len(these) - 1:,} more" if len(these) > 1 else ""
            session.notify(
                NoticeLevel.ADDED, f"{len(touched):,} of products, touched by {these[0]}{more}"
            )
    if bare := sum(len(causes[whole]) for whole in wholes if kind_of(whole).name == "product"):
        session.notify(
            NoticeLevel.WARNING,
            f"{bare:,} variant records: no sync request of their own, so products go",
        )
    return [(TARGETS["products"], product) for touched in products for product in touched]


def _changed(run: Run) -> list[Ref]:
    """Return the refs that *run* changed, or may have; of its deletes only assignments can be sent
    again.
    """
    sort = run.read_info().kind
    ended = (State.DONE, State.UNKNOWN) if sort == "resume" else (State.DONE, State.FAILED)
    log = attempts(run.outcomes())
    found = dict.fromkeys(ref for _, ref, _, end in log if end and end.state in ended)
    return [ref for ref in found if sort != "delete" or kind_of(ref).assignment]
