"""Bulk jobs (api-facts 11; beta). The body's wrapper, the roles and the path of a job's errors are
not documented: a bare array and `{"Items": [...]}` both do, and errors are at `.../errors`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from ocsync.emulator import documents, lists, rules
from ocsync.emulator.assignments import Assignments
from ocsync.emulator.errors import Refusal, invalid, not_found
from ocsync.emulator.kinds import ALL
from ocsync.emulator.request import Answer, Call
from ocsync.emulator.state import Document, stamp
from ocsync.schema import Kind

MOST_ITEMS, MOST_BYTES = 50_000, 25_000_000
_TOGETHER = 200

RESOURCES = {
    "priceschedules": "price-schedule",
    "discounts": "discount",
    "discounts/assignments": "discount-assignment",
}


class Bulk:
    """Takes jobs, works them off beside other requests, tells how they stand."""

    def __init__(self, assignments: Assignments) -> None:
        self.assignments = assignments
        self.entities = assignments.entities
        self.jobs: dict[str, Document] = {}
        self.errors: dict[str, list[Document]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, kind: Kind, operation: str, call: Call) -> Answer:
        """POST a job: 202."""
        items = call.body.get("Items") if isinstance(call.body, dict) else call.body
        if not isinstance(items, list) or not items or len(items) > MOST_ITEMS:
            text = f"1 to {MOST_ITEMS:,} items"
            raise Refusal(400, "Request.InvalidRequestBody", text)
        if len(msgspec.json.encode(items)) > MOST_BYTES:
            raise Refusal(400, "Request.InvalidRequestBody", f"more than {MOST_BYTES:,} bytes")
        job = documents.new_id()
        counts = dict.fromkeys(("ItemsCompleted", "ItemsSucceeded", "ItemsFailed"), 0)
        self.jobs[job] = {
            "JobID": job, "Resource": kind.name, "Operation": operation, "Status": "Queued",
            "ItemsReceived": len(items), **counts,
            "DateReceived": stamp(), "DateStarted": None, "DateCompleted": None,
        }  # fmt: skip
        self.errors[job] = []
        verb = self._upsert if operation == "upsert" else self._delete
        task = asyncio.get_running_loop().create_task(self._work(job, kind, verb, items, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Answer(202, self.jobs[job])

    def get(self, call: Call) -> Answer:
        """GET how a job stands."""
        return Answer(200, self._job(call))

    def list_errors(self, call: Call) -> Answer:
        """GET what failed in a job."""
        self._job(call)
        return Answer(200, lists.plain_page(self.errors[call.ids["JobID"]], call.query, {}))

    def _job(self, call: Call) -> Document:
        job = self.jobs.get(call.ids["JobID"])
        if job is None:
            raise not_found("BulkJob", call.ids["JobID"])
        return job

    async def _work(
        self, name: str, kind: Kind, verb: Callable[[Kind, Document, Call], Any],
        items: list[Any], call: Call,
    ) -> None:  # fmt: skip
        job = self.jobs[name]
        job |= {"Status": "Running", "DateStarted": stamp()}
        for index, item in enumerate(items):
            if index % _TOGETHER == 0:
                await asyncio.sleep(0)
            try:
                verb(kind, item if isinstance(item, dict) else {}, call)
                job["ItemsSucceeded"] += 1
            except Refusal as refusal:
                job["ItemsFailed"] += 1
                self.errors[name].append({"ItemIndex": index, **refusal.body()["Errors"][0]})
            job["ItemsCompleted"] += 1
        job |= {"Status": "Completed", "DateCompleted": stamp()}

    def _upsert(self, kind: Kind, item: Document, call: Call) -> None:
        if kind.assignment:
            self.assignments.assign(kind, call._replace(ids={}, body=item))
        else:
            self.entities.replace(kind, {kind.ids[-1]: documents.check_id(item.get("ID"))}, item)

    def _delete(self, kind: Kind, item: Document, _: Call) -> None:
        ids = {name: str(item.get(name) or "") for name in kind.ids}
        if not kind.assignment:
            ids = {kind.ids[-1]: documents.check_id(item.get("ID"))}
        elif not ids[kind.ids[0]]:
            raise invalid(kind.ids[0], "is required")
        self.entities.remove(kind, rules.require(self.entities.market, kind, ids))


def jobs_of(bulk: Bulk) -> list[tuple[str, Kind, Callable[[Call], Answer]]]:
    """Each path that takes jobs, the kind that it is about, and its handler."""

    def handler(kind: Kind, operation: str) -> Callable[[Call], Answer]:
        return lambda call: bulk.take(kind, operation, call)

    return [
        (f"/bulk/{path}/{operation}", ALL[name], handler(ALL[name], operation))
        for path, name in RESOURCES.items()
        for operation in ("upsert", "delete")
    ]
