"""What a resync is to send: entities by name, of a catalog, of a run, or dated since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from ocsync.client import read_targets
from ocsync.delivery.messages import has_sync_request, published_by
from ocsync.engine.touched import touched_products, touches
from ocsync.engine.work import Work
from ocsync.errors import ConfigError, InputError, NotFound, Problem, UsageError
from ocsync.models import Outcome, Ref, State
from ocsync.resources import (
    GROUPS,
    ID_PATTERN,
    KINDS,
    TARGETS,
    Kind,
    Target,
    ids_of,
    kind_of,
    make_ref,
    read_ref,
)
from ocsync.store import Run

_DATED = ("LastUpdated", "DateCreated")
_ACROSS: dict[str, tuple[str, Mapping[str, str]]] = {
    "buyer-user": ("/buyerusers", {"BuyerID": "CompanyID", "UserID": "ID"})
}
"""Lists across all parents, and their names for the IDs."""


class Wanted(NamedTuple):
    """What to send: one of *refs*, *catalog*, *run*; or *since*, alone or in *catalog*.

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
        """How many of each target."""
        counts: dict[str, int] = defaultdict(int)
        for target, _ in self.syncs:
            counts[target.name] += 1
        return counts


def read_words(target: Target | None, words: Iterable[str], where: str) -> list[Ref]:
    """*words* as entities of *target*: `ID`, `PARENT/ID`, or a ref; without a target refs alone.

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
        return "/".join([target.entity, *values])
    if target and values[0] not in KINDS:
        raise UsageError(f"is not {'/'.join(target.sync_ids)}")
    ref = read_ref(text)
    sends = {t.name for t, _ in _published([ref])} or ({"products"} if touches(ref) else set())
    if not sends:
        raise UsageError("has no message of its own; name what shows it")
    if target and target.name not in sends:
        raise UsageError(f"goes out by {', '.join(sends)}, not by {target.name}")
    return ref


async def select(work: Work, wanted: Wanted) -> Selection:
    """What *wanted* names, without what has no sync config; that is told.

    Raises ConfigError when a target that was named has none, UsageError where a list cannot tell,
    NotFound for a catalog that is not there.
    """
    names = [*wanted.targets, *wanted.grouped]
    if wanted.run:
        with work.folder.runs.get(wanted.run) as run:
            refs = _changed(run)
        syncs = _published(refs)
        if not names or TARGETS["products"] in names:
            syncs += await _around(work, refs)
    elif wanted.refs:
        bare = [ref for ref in wanted.refs if not _published([ref])]
        syncs = [*_published(wanted.refs), *await _around(work, bare)]
    else:
        if wanted.catalog:
            await work.api.get(f"/catalogs/{wanted.catalog}")
        listed = names or [TARGETS[name] for name in GROUPS["catalog-wide"]]
        syncs = [(t, ref) for t in listed for ref in await _listed(work, t, wanted)]
    found = list(dict.fromkeys(one for one in syncs if not names or one[0] in names))
    there = await _there(work, {target.name for target, _ in found}, wanted)
    return Selection([one for one in found if one[0].name in there])


def _published(refs: Iterable[Ref]) -> list[tuple[Target, Ref]]:
    return [(t, e) for ref in refs for t, e in published_by(ref) if has_sync_request(e)]


async def _there(work: Work, names: set[str], wanted: Wanted) -> set[str]:
    """Which of the targets *names* have a sync config; paused ones are told."""
    order = [target for target in TARGETS.values() if target.name in names]
    states = await read_targets(work.api, order)
    gone = [name for name, state in states.items() if not state.exists]
    if refused := [target.name for target in wanted.targets if target.name in gone]:
        text = f"{', '.join(refused)}: no sync config on this marketplace, so nothing is sent"
        raise ConfigError(text, hint="ocsync targets shows which targets are configured")
    if gone:
        work.say("!", f"{', '.join(gone)}: no sync config, left out")
    if paused := [name for name, state in states.items() if state.paused]:
        text = "whether sync requests go out meanwhile is not documented"
        work.say("‖", f"{', '.join(paused)}: paused; {text}")
    return names - set(gone)


async def _around(work: Work, refs: Iterable[Ref]) -> list[tuple[Target, Ref]]:
    """The products that *refs* touch; which and why is told."""
    causes: dict[Ref, list[Ref]] = defaultdict(list)
    for ref in refs:
        if whole := touches(ref):
            causes[whole].append(ref)
    found: list[tuple[Target, Ref]] = []
    instead = 0
    for whole, these in causes.items():
        touched = await touched_products(work.api, whole)
        found += [(TARGETS["products"], product) for product in touched]
        if touched == [whole]:
            instead += len(these)
        elif touched:
            more = f" and {len(these) - 1:,} more" if len(these) > 1 else ""
            work.say("+", f"{len(touched):,} of products, touched by {these[0]}{more}")
    if instead:
        work.say("!", f"{instead:,} variant records: no sync request of their own, so products go")
    return found


def _changed(run: Run) -> list[Ref]:
    """What *run* changed, or may have; of what it deleted only assignments can be sent again."""
    sort = run.info.sort
    ended = (State.DONE, State.UNKNOWN) if sort == "resume" else (State.DONE, State.FAILED)
    found = dict.fromkeys(
        record.ref
        for record in run.outcomes()
        if isinstance(record, Outcome) and record.state in ended
    )
    return [ref for ref in found if sort != "delete" or kind_of(ref).assignment]


async def _listed(work: Work, target: Target, wanted: Wanted) -> list[Ref]:
    kind = KINDS[target.entity]
    field = next((name for name in _DATED if name in kind.fields), "")
    query: dict[str, str] = {}
    if wanted.since:
        if not field:
            text = f"a {kind.noun} has no date that a list could be asked for"
            raise UsageError(f"{target.name}: {text}", hint="name IDs, --catalog or --run")
        if kind.name == "inventory" and not wanted.catalog:
            text = "records are listed within one product only"
            raise UsageError(f"{target.name}: {text}", hint="--since with --catalog C, or --run")
        query = {field: ">" + wanted.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        if field == "DateCreated":
            work.say("!", f"{target.name}: by DateCreated, as a {kind.noun} has no other date")
    if wanted.catalog:
        return await _in_catalog(work, target, wanted.catalog, query)
    return [ref async for ref in _everywhere(work, kind, query)]


async def _in_catalog(
    work: Work, target: Target, catalog: str, query: Mapping[str, str]
) -> list[Ref]:
    """Everything of *target* in *catalog*: itself, its categories, its products, their records."""
    own = f"catalog/{catalog}"
    if query and target.entity != "inventory":
        text = "--catalog with --since is for inventory"
        raise UsageError(f"{target.name}: {text}", hint="give one of them")
    if target.entity == "catalog":
        return [own]
    if target.entity == "category":
        return [ref async for ref in _below(work, KINDS["category"], {"CatalogID": catalog}, {})]
    if target.entity not in ("product", "inventory"):
        raise UsageError(f"{target.name}: nothing of it is in a catalog", hint="name IDs")
    products = await touched_products(work.api, own)
    if target.entity == "product":
        return products
    return [
        ref
        for product in products
        async for ref in _below(work, KINDS["inventory"], ids_of(product), query)
    ]


async def _everywhere(work: Work, kind: Kind, query: Mapping[str, str]) -> AsyncIterator[Ref]:
    """All of *kind*, across its parents."""
    if kind.name in _ACROSS:
        path, names = _ACROSS[kind.name]
        async for page in work.api.pages(path, query, key="ID"):
            for row in page:
                ref = make_ref(kind, {own: str(row.get(name) or "") for own, name in names.items()})
                if ref.count("/") == len(kind.ids):
                    yield ref
        return
    parents = kind.ids[:-1]
    above = next((k for k in KINDS.values() if k.ids == parents and not k.assignment), None)
    if above is None:
        async for ref in _below(work, kind, {}, query):
            yield ref
        return
    async for parent in _below(work, above, {}, {}):
        async for ref in _below(work, kind, ids_of(parent), query):
            yield ref


async def _below(
    work: Work, kind: Kind, ids: Mapping[str, str], query: Mapping[str, str]
) -> AsyncIterator[Ref]:
    path = kind.collection.format_map(ids)
    with suppress(NotFound):  # what it is below is gone since
        async for page in work.api.pages(path, {**kind.list_query, **query}, key="ID"):
            for row in page:
                yield make_ref(kind, {**ids, kind.ids[-1]: row["ID"]})
