"""The selection of a resync: entities by name, in a catalog, of a run, or dated since a time."""

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
from ocsync.plurals import count
from ocsync.schema import GROUPS, ID_PATTERN, KINDS, TARGETS, Target, kind_of, read_ref
from ocsync.store import Run

_SHOWN = 10


class SelectionRequest(NamedTuple):
    """A request to select: one of *refs*, *catalog*, *run*; or *since*, alone or in *catalog*.

    *targets* are those named one by one, *grouped* those of a named group. Without any, all targets
    that fit the entities are selected.
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

    Empty words and comments (`#`) are skipped. Raises InputError with every word that is no entity.
    """
    refs: list[Ref] = []
    problems: list[Problem] = []
    for line, word in enumerate(words, 1):
        text = word.strip()
        if not text or text.startswith("#"):
            continue
        try:
            refs.append(_read_word(target, text))
        except UsageError as error:
            problems.append(Problem(where, line, 0, "ID", text, error.message))
    if problems:
        text = f"{count(len(problems), 'ID is', 'IDs are')} wrong; nothing was sent"
        raise InputError(text, problems)
    return list(dict.fromkeys(refs))


def _read_word(target: Target | None, text: str) -> Ref:
    values = text.split("/")
    has_all_ids = target and len(values) == len(target.sync_ids)
    if target and has_all_ids and all(map(ID_PATTERN.fullmatch, values)):
        return "/".join([target.entity_kind, *values])
    if target and values[0] not in KINDS:
        raise UsageError(f"is not {'/'.join(target.sync_ids)}")
    ref = read_ref(text)
    target_names = {t.name for t, _ in _sync_requests([ref])} or (
        {"products"} if product_scope_of(ref) else set()
    )
    if not target_names:
        raise UsageError("has no message of its own; name an entity that contains it")
    if target and target.name not in target_names:
        raise UsageError(f"is sent by target {', '.join(target_names)}, not {target.name}")
    return ref


async def select(session: Session, request: SelectionRequest) -> Selection:
    """Return the selection for *request*; targets without a sync config are reported and left out.

    Raises ConfigError when a target named one by one has no sync config, UsageError where the
    platform has no list for it, NotFound for a catalog that does not exist.
    """
    names = [*request.targets, *request.grouped]
    if request.run:
        with session.folder.runs.get(request.run) as run:
            refs = _changed_refs(run)
        syncs = _sync_requests(refs)
        if not names or TARGETS["products"] in names:
            syncs += await _affected(session, refs)
    elif request.refs:
        silent = [ref for ref in request.refs if not _sync_requests([ref])]
        syncs = [*_sync_requests(request.refs), *await _affected(session, silent)]
    else:
        if request.catalog:
            await session.api.get(f"/catalogs/{request.catalog}")
        catalog_targets = [TARGETS[name] for name in GROUPS["catalog-wide"]]
        syncs = [
            (t, ref)
            for t in names or catalog_targets
            for ref in await list_entities(session, t, catalog=request.catalog, since=request.since)
        ]
    distinct = list(dict.fromkeys(sync for sync in syncs if not names or sync[0] in names))
    configured = await _configured_targets(
        session, {target.name for target, _ in distinct}, request
    )
    return Selection([sync for sync in distinct if sync[0].name in configured])


def _sync_requests(refs: Iterable[Ref]) -> list[tuple[Target, Ref]]:
    return [(t, e) for ref in refs for t, e in published_by(ref) if can_request_sync(e)]


async def _configured_targets(
    session: Session, names: set[str], request: SelectionRequest
) -> set[str]:
    """Return those of the targets *names* that have a sync config; paused ones are reported."""
    targets = [target for target in TARGETS.values() if target.name in names]
    states = await read_targets(session.api, targets)
    missing = [name for name, state in states.items() if not state.exists]
    if refused := [target.name for target in request.targets if target.name in missing]:
        text = f"{', '.join(refused)}: no sync config on this marketplace; nothing was sent"
        raise ConfigError(text, hint="ocsync targets shows which targets are configured")
    if missing:
        session.notify(NoticeLevel.WARNING, f"{', '.join(missing)}: skipped, no sync config")
    if paused := [name for name, state in states.items() if state.paused]:
        text = "OrderCloud does not document whether it accepts sync requests"
        session.notify(NoticeLevel.PAUSED, f"{', '.join(paused)}: paused; {text} during a pause")
    return names - set(missing)


async def _affected(session: Session, refs: Iterable[Ref]) -> list[tuple[Target, Ref]]:
    """Return the products that *refs* affect, and report their number and cause."""
    causes: dict[Ref, list[Ref]] = defaultdict(list)
    for ref in refs:
        if scope := product_scope_of(ref):
            causes[scope].append(ref)
    scopes = list(causes)
    products = await list_each(session, scopes, partial(affected_products, session.api))
    for scope, affected in list(zip(scopes, products, strict=True))[:_SHOWN]:
        scope_causes = causes[scope]
        if affected and affected != [scope]:
            more = f" and {len(scope_causes) - 1:,} more" if len(scope_causes) > 1 else ""
            session.notify(
                NoticeLevel.ADDED,
                f"{count(len(affected), 'product')}, affected by {scope_causes[0]}{more}",
            )
    if variant_records := sum(
        len(causes[scope]) for scope in scopes if kind_of(scope).name == "product"
    ):
        session.notify(
            NoticeLevel.WARNING,
            f"{count(variant_records, 'variant inventory record')}: "
            "OrderCloud sends them only with their products",
        )
    return [(TARGETS["products"], product) for affected in products for product in affected]


def _changed_refs(run: Run) -> list[Ref]:
    """Return the refs that *run* changed or may have changed; for a run of deletes only those of
    assignments, as the deleted entities have no content to send.
    """
    kind = run.read_info().kind
    ended = (State.DONE, State.UNKNOWN) if kind == "resume" else (State.DONE, State.FAILED)
    log = attempts(run.outcomes())
    refs = dict.fromkeys(ref for _, ref, _, end in log if end and end.state in ended)
    return [ref for ref in refs if kind != "delete" or kind_of(ref).assignment]
