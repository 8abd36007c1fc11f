"""Experiments with bulk jobs (guide/ordercloud.md 11 and 12.22), by upserts of price schedules.

A marketplace may have none: then each answer is `absent`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

from ocsync.client import Reply
from ocsync.engine.probe.experiment import Ask, Experiment, Measured, Unanswered, refusal_of
from ocsync.errors import ApiError, OcsyncError
from ocsync.plurals import count

_PATH, _SCHEDULES, _PRODUCTS = "/bulk/priceschedules/upsert", "priceschedules", "products"
_ENDED = ("Completed", "Failed", "Cancelled")
_ABSENT = (403, 404, 405)
"""Statuses that say there are no bulk jobs; a beta may be closed to some."""
_ROLE_CODES = ("InsufficientRole", "InsufficientRoles")
"""Ends of the codes that say nothing of bulk jobs, as only a role is missing."""
_MANY, _AT_ONCE = 50, 20
"""The items of a job that is looked at before it ends, and the jobs sent at the same time."""

Item = dict[str, Any]


class _AbsentError(Exception):
    """The refusal that says there are no bulk jobs."""


def _or_absent(ask: Ask) -> Ask:
    """Return *ask*, which answers `absent` where there are no bulk jobs."""

    @wraps(ask)
    async def asked(it: Experiment) -> Measured:
        try:
            return await ask(it)
        except _AbsentError as absent:
            return Measured("absent", f"POST {_PATH}: {absent}")

    return asked


def _item(it: Experiment, **fields: Any) -> Item:
    """Return a price schedule of the probe, as an item of a job."""
    name = it.made.reserve(_SCHEDULES)
    return {"ID": name, "Name": name, "PriceBreaks": [{"Quantity": 1, "Price": 1}], **fields}


_FORMS: dict[str, Callable[[list[Item]], Any]] = {
    "array": lambda items: items,
    "items": lambda items: {"Items": items},
}
"""The forms that the body of a job may have."""


async def _submit(it: Experiment, items: list[Item], form: str = "") -> str:
    """Send a job in *form*, or in the first that is accepted; return its ID.

    Raises _AbsentError and ApiError.
    """
    for name in [form] if form else [*_FORMS]:
        try:
            reply = await it.session.api.write("POST", _PATH, _FORMS[name](items))
        except ApiError as error:
            if error.status in _ABSENT and not error.code.endswith(_ROLE_CODES):
                raise _AbsentError(refusal_of(error)) from error
            if name != form and name != [*_FORMS][-1]:
                continue
            raise
        return _job_id(reply)
    raise AssertionError


def _job_id(reply: Reply) -> str:
    job = reply.body if isinstance(reply.body, dict) else {}
    if not job.get("JobID"):
        raise Unanswered(f"the response {reply.status} has no JobID")
    return str(job["JobID"])


async def _ended(it: Experiment, job_id: str) -> Item:
    """Wait until a job has ended, and return it."""
    job: Item = {}

    async def has_ended() -> bool:
        job.update(await it.read(f"/bulk/jobs/{job_id}"))
        return job.get("Status") in _ENDED

    if await it.until(has_ended, patience=it.longest) is None:
        raise Unanswered(f"job {job_id} did not end within {it.longest:g} s")
    return job


async def _upserted(it: Experiment, items: list[Item]) -> Item:
    """Send a job and return it once it has ended. Raises Unanswered unless all items succeeded."""
    job = await _ended(it, await _submit(it, items))
    if job.get("ItemsFailed"):
        raise Unanswered(f"{count(job['ItemsFailed'], 'item')} of a job failed")
    return job


@_or_absent
async def upsert(it: Experiment) -> Measured:
    """Upsert an entity twice, the second time without one of its fields."""
    item = _item(it, MaxQuantity=7)
    await _upserted(it, [item])
    await _upserted(it, [{name: v for name, v in item.items() if name != "MaxQuantity"}])
    left = (await it.read(f"/{_SCHEDULES}/{item['ID']}")).get("MaxQuantity")
    text = f"a second upsert without MaxQuantity left {left}"
    return Measured("replace" if left is None else "merge", text)


@_or_absent
async def body_form(it: Experiment) -> Measured:
    """Send the items of a job as an array, and as an object that has them."""
    accepted, reasons = [], []
    for form in _FORMS:
        try:
            await _ended(it, await _submit(it, [_item(it)], form))
        except ApiError as error:
            reasons.append(f"{form}: {refusal_of(error)}")
            continue
        accepted.append(form)
        reasons.append(f"{form}: accepted")
    if not accepted:
        raise Unanswered("; ".join(reasons))
    return Measured(accepted[0] if len(accepted) == 1 else "both", "; ".join(reasons))


@_or_absent
async def visible(it: Experiment) -> Measured:
    """Look for the first entity of a job until the job has ended."""
    items = [_item(it) for _ in range(_MANY)]
    job_id = await _submit(it, items)
    seen = 0
    status = ""

    async def has_ended() -> bool:
        nonlocal seen, status
        query = {"ID": "|".join(item["ID"] for item in items[:10])}
        listed = len((await it.session.api.page(f"/{_SCHEDULES}", query)).items)
        status = str((await it.read(f"/bulk/jobs/{job_id}")).get("Status"))
        seen = max(seen, listed if status not in _ENDED else 0)
        return status in _ENDED

    if await it.until(has_ended, patience=it.longest) is None:
        raise Unanswered(f"job {job_id} did not end within {it.longest:g} s")
    text = f"{seen} of the first 10 items of {_MANY} showed before the job was {status}"
    return Measured("seen" if seen else "not seen", text)


@_or_absent
async def repeat(it: Experiment) -> Measured:
    """Send the same job twice, as after a response that was lost."""
    items = [_item(it)]
    first = await _submit(it, items)
    try:
        second = await _submit(it, items)
    except ApiError as error:
        await _ended(it, first)
        return Measured("refused", f"the same job again: {refusal_of(error)}")
    await _ended(it, first)
    failed = (await _ended(it, second)).get("ItemsFailed")
    same = "the same JobID" if first == second else "another JobID"
    text = f"the same job again: accepted with {same}, {count(failed or 0, 'item')} failed"
    return Measured("refused" if failed else "accepted", text)


@_or_absent
async def messages(it: Experiment) -> Measured:
    """Upsert the price schedule of a product while the target products is paused."""
    it.need_listener(_PRODUCTS)
    item = _item(it)
    await _upserted(it, [item])
    product = await it.made.create("products", Active=True, DefaultPriceScheduleID=item["ID"])
    await it.settled(_PRODUCTS, product)
    await it.messages(_PRODUCTS, product, skip=0, wanted=10)  # until it is quiet
    skip = it.position()
    async with it.paused(_PRODUCTS):
        await _upserted(it, [{**item, "MaxQuantity": 9}])
        early = await it.messages(_PRODUCTS, product, skip=skip)
    late = await it.messages(_PRODUCTS, product, skip=skip, wanted=early + 1) - early
    text = f"{count(early, 'message')} before the unpause, {late} after it"
    return Measured("sent" if early else "held" if late else "none", text)


async def limit(it: Experiment) -> Measured:
    """Send jobs at the same time."""
    throttled = it.session.api.requests_throttled
    results = await asyncio.gather(
        *(_submit(it, [_item(it)]) for _ in range(_AT_ONCE)), return_exceptions=True
    )
    jobs = [one for one in results if isinstance(one, str)]
    for job_id in jobs:
        await _ended(it, job_id)
    refused = [one for one in results if isinstance(one, BaseException)]
    for error in refused:
        if isinstance(error, _AbsentError):
            return Measured(0.0, f"POST {_PATH}: {error}")
        if not isinstance(error, OcsyncError):
            raise error
    text = f"{len(jobs)} of {_AT_ONCE} jobs sent together were accepted"
    if more := it.session.api.requests_throttled - throttled:
        text += f", {more} of them after a 429"
    if refused and isinstance(refused[0], OcsyncError):
        text += f"; refused: {refusal_of(refused[0])}"
    return Measured(float(len(jobs)), text)
