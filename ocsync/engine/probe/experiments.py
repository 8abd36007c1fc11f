"""The experiments that need no listener, and the table of all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from ocsync.engine.delivery_config.patch_probe import probe_patch
from ocsync.engine.probe import bulk_questions, message_questions
from ocsync.engine.probe.api_comparison import compare
from ocsync.engine.probe.experiment import Ask, Experiment, Measured, Unanswered, refusal_of
from ocsync.errors import ApiError, NotFound
from ocsync.plurals import count
from ocsync.schema import TARGETS

_SOON = 0.3
"""Seconds within which a change of Paused holds at once."""


async def _missing_config(it: Experiment) -> Measured:
    missing = [name for name, state in it.states.items() if not state.exists]
    if not missing:
        raise Unanswered("every target has a sync configuration")
    path = TARGETS[missing[0]].path
    try:
        body = await it.session.api.get(path)
    except NotFound as error:
        return Measured("404", f"GET {path}: {error.status} {error.code}")
    return Measured("empty", f"GET {path}: {'no body' if not body else 'a body without content'}")


async def _pause_delay(it: Experiment) -> Measured:
    """Pause and unpause the sync configuration that the fewest care about."""
    name = it.running("suppliers", "supplier-users", "admin-users", "usergroups", *TARGETS)
    path = TARGETS[name].path
    before, start = await it.read(path), monotonic()
    trip = monotonic() - start
    start = monotonic()
    async with it.paused(name):
        seconds = monotonic() - start
        after = await it.read(path)
    seconds = 0.0 if seconds < _SOON + 10 * trip else round(seconds, 2)
    changed = sorted(k for k in before if k != "Paused" and after.get(k) != before[k])
    kept = f"it also changed {', '.join(changed)}" if changed else "all other fields kept"
    return Measured(
        seconds, f"PATCH of only Paused on {name}: took effect after {seconds:g} s, {kept}"
    )


async def _nested_xp(it: Experiment) -> Measured:
    path = f"/catalogs/{await it.made.create('catalogs', xp={'a': {'b': 1, 'c': 2}})}"
    await it.made.patch(path, xp={"a": {"b": 3}})
    found = ((await it.read(path)).get("xp") or {}).get("a")
    merged = isinstance(found, dict) and "c" in found
    return Measured("merge" if merged else "replace", f"PATCH a.b over a.b and a.c left {found}")


async def _arrays(it: Experiment) -> Measured:
    path = f"/catalogs/{await it.made.create('catalogs', xp={'list': [1, 2]})}"
    await it.made.patch(path, xp={"list": [3]})
    found = ((await it.read(path)).get("xp") or {}).get("list")
    return Measured("replace" if found == [3] else "merge", f"PATCH [3] over [1, 2] left {found}")


async def _xp_null(it: Experiment) -> Measured:
    path = f"/catalogs/{await it.made.create('catalogs', xp={'a': 1})}"
    try:
        await it.made.patch(path, xp=None)
    except ApiError as error:
        raise Unanswered(f"refused: {refusal_of(error)}") from error
    found = (await it.read(path)).get("xp")
    return Measured("ignored" if found else "clears", f"PATCH xp null left {found}")


async def _omitted(it: Experiment) -> Measured:
    catalog = await it.made.create("catalogs", Active=True)
    buyer = await it.made.create("buyers", Active=True, DefaultCatalogID=catalog)
    row = {"CatalogID": catalog, "BuyerID": buyer}
    first = {**row, "ViewAllCategories": True, "ViewAllProducts": True}
    await it.made.write("POST", "/catalogs/assignments", first)
    reply = await it.session.api.write(
        "POST", "/catalogs/assignments", {**row, "ViewAllProducts": True}
    )
    page = await it.session.api.page(
        "/catalogs/assignments", {"catalogID": catalog, "buyerID": buyer}
    )
    if not page.items:
        raise Unanswered("the assignment is not in the list")
    value = page.items[0].get("ViewAllCategories")
    text = f"a second POST ({reply.status}) without ViewAllCategories left {value}"
    return Measured("unchanged" if value else "false", text)


async def _nested_targets(it: Experiment) -> Measured:
    found = await probe_patch(it.session)
    value = "merge" if found.others and found.fields else "targets" if found.others else "replace"
    words = {True: "kept", False: "lost"}
    text = f"other targets {words[found.others]}, other fields {words[found.fields]}"
    return Measured(value, text)


async def _id_case(it: Experiment) -> Measured:
    name = await it.made.create("catalogs")
    try:
        found = (await it.read(f"/catalogs/{name.upper()}")).get("ID")
    except NotFound as error:
        return Measured("counts", f"GET of the ID in capitals: {error.status}")
    return Measured("ignored", f"GET of the ID in capitals shows {found}")


async def _filter_case(it: Experiment) -> Measured:
    """Ask for the entity by a field name and a value in another case."""
    name = await it.made.create("catalogs")
    found = {}
    for key, value in (("ID", name.upper()), ("id", name)):
        try:
            items = (await it.session.api.page("/catalogs", {key: value})).items
            found[key] = "finds it" if items else "finds nothing"
        except ApiError as error:
            found[key] = f"is refused with {error.status}"
    same = set(found.values()) == {"finds it"}
    text = f"the ID in capitals {found['ID']}, the field name id {found['id']}"
    return Measured("ignored" if same else "counts", text)


async def _product_lag(it: Experiment) -> Measured:
    seconds = await _lag(it, of_list=True)
    return Measured(seconds, f"a list showed a new name of a product after {seconds:g} s")


async def _get_lag(it: Experiment) -> Measured:
    seconds = await _lag(it, of_list=False)
    return Measured(seconds, f"GET showed a new name of a product after {seconds:g} s")


async def _lag(it: Experiment, *, of_list: bool) -> float:
    """Return after how many seconds a read shows a product's change. Raises Unanswered."""
    name = await it.made.create("products")
    path = f"/products/{name}"

    async def shows(text: str) -> bool:
        if not of_list:
            try:
                return (await it.read(path)).get("Name") == text
            except NotFound:
                return False
        items = (await it.session.api.page("/products", {"ID": name})).items
        return bool(items) and items[0].get("Name") == text

    async def is_there() -> bool:
        return await shows(name)

    async def is_changed() -> bool:
        return await shows("changed")

    if await it.until(is_there, patience=it.longest) is None:
        raise Unanswered(f"a product was not shown within {it.longest:g} s")
    await it.made.patch(path, Name="changed")
    seconds = await it.until(is_changed, patience=it.longest)
    if seconds is None:
        raise Unanswered(f"a change was not shown within {it.longest:g} s")
    return round(seconds, 2)


async def _page_keys(it: Experiment) -> Measured:
    names = [await it.made.create("products") for _ in range(2)]

    async def lists() -> bool:
        page = await it.session.api.page("/products", {"ID": "|".join(names)})
        return len(page.items) == len(names)

    if await it.until(lists, patience=it.longest) is None:
        raise Unanswered(f"products were not listed within {it.longest:g} s")
    query = {"ID": "|".join(names), "pageSize": "1"}
    meta = (await it.session.api.get("/products", query) or {}).get("Meta") or {}
    given = bool(meta.get("NextPageKey"))
    text = f"NextPageKey of a list of 2 products in pages of 1: {meta.get('NextPageKey')}"
    return Measured("given" if given else "none", text)


async def _null_flag(it: Experiment) -> Measured:
    path = f"/catalogs/{await it.made.create('catalogs', Active=True)}"
    try:
        await it.made.patch(path, Active=None)
    except ApiError as error:
        return Measured("refused", f"PATCH Active null: {refusal_of(error)}")
    found = (await it.read(path)).get("Active")
    if found is True:
        raise Unanswered("PATCH Active null was accepted and changed nothing")
    return Measured("false" if found is False else "kept", f"PATCH Active null left {found}")


async def _duplicate(it: Experiment) -> Measured:
    """Create an entity with the ID of another."""
    name = await it.made.create("catalogs")
    try:
        reply = await it.session.api.write("POST", "/catalogs", {"ID": name, "Name": name})
    except ApiError as error:
        status = str(error.status)
        evidence = f"POST of an ID that exists: {error.status} {error.code}"
        return Measured(status if status in ("409", "400") else "other", evidence)
    return Measured("other", f"POST of an ID that exists was accepted: {reply.status}")


async def _reference_lag(it: Experiment) -> Measured:
    """Create a category in a catalog that was created just before."""
    catalog = await it.made.create("catalogs")
    collection = f"catalogs/{catalog}/categories"
    name = it.made.reserve(collection)

    async def is_accepted() -> bool:
        try:
            await it.session.api.write("PUT", f"/{collection}/{name}", {"Name": name})
        except NotFound:
            return False
        return True

    seconds = await it.until(is_accepted, patience=it.longest)
    if seconds is None:
        raise Unanswered(f"a new catalog took no category within {it.longest:g} s")
    seconds = round(seconds, 2)
    return Measured(seconds, f"a new catalog took a category after {seconds:g} s")


async def _api_description(it: Experiment) -> Measured:
    """Compare the API description with the tables."""
    try:
        description = await it.read("/openapi/v3")
        differences = tuple(compare(description))
    except (ApiError, ValueError) as error:
        raise Unanswered(f"GET /openapi/v3: {error}") from error
    info = description.get("info")
    version = info.get("version", "unknown") if isinstance(info, dict) else "unknown"
    text = f"API version {version}: {count(len(differences), 'difference')} from ocsync's tables"
    return Measured("differs" if differences else "same", text, differences)


_RATES = tuple(round(10 * 1.3**step) for step in range(13))
"""Requests per second that are tried, one second each, until some get a 429."""
_KEPT_UP = 0.8
"""The share of a rate that must have been sent for it to count as tried."""


async def _rate_limit(it: Experiment) -> Measured:
    """Send reads at growing rates until some are refused."""
    api, reached = it.session.api, 0.0
    before = api.requests_throttled
    for rate in _RATES:
        sent = await _send_at(it, rate)
        if api.requests_throttled > before:
            header = api.last_retry_after
            wait = f"Retry-After {header}" if header else "no Retry-After"
            text = f"429 at {rate} requests a second ({wait}), none at {reached:g}"
            return Measured(reached or float(rate), text)
        if sent < _KEPT_UP * rate:
            break
        reached = float(rate)
    return Measured(0.0, f"no 429 up to {reached:g} requests a second")


async def _send_at(it: Experiment, rate: int) -> float:
    """Send reads at *rate* for one second, or until one is refused; return those sent a second."""
    api = it.session.api
    start, refused = monotonic(), api.requests_throttled
    sent = api.requests_sent
    tasks = []
    try:
        for number in range(rate):
            if api.requests_throttled > refused:
                break
            await it.session.sleep(max(0.0, start + number / rate - monotonic()))
            tasks.append(asyncio.create_task(api.page("/catalogs", {"pageSize": "1"})))
        return (api.requests_sent - sent) / max(monotonic() - start, 1.0)
    finally:
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome


ASK: Mapping[str, Ask] = {
    "api-description": _api_description,
    "duplicate-post": _duplicate,
    "null-flag": _null_flag,
    "reference-lag": _reference_lag,
    "missing-config": _missing_config,
    "pause-delay": _pause_delay,
    "nested-xp": _nested_xp,
    "xp-arrays": _arrays,
    "xp-null": _xp_null,
    "omitted": _omitted,
    "nested-targets": _nested_targets,
    "id-case": _id_case,
    "filter-case": _filter_case,
    "product-list-lag": _product_lag,
    "product-get-lag": _get_lag,
    "page-keys": _page_keys,
    "while-paused": message_questions.while_paused,
    "no-op": message_questions.no_op,
    "updated-after-delete": message_questions.updated_after_delete,
    "sync-while-paused": message_questions.sync_while_paused,
    "product-resync": message_questions.product_resync,
    "inventory-feeds": message_questions.inventory_feeds,
    "bulk-upsert": bulk_questions.upsert,
    "bulk-body": bulk_questions.body_form,
    "bulk-visible": bulk_questions.visible,
    "bulk-repeat": bulk_questions.repeat,
    "bulk-messages": bulk_questions.messages,
    "bulk-limit": bulk_questions.limit,
    "rate-limit": _rate_limit,
}
"""The experiment that answers each of `questions.QUESTIONS`, by its name."""
