"""Bulk jobs (guide/ordercloud.md 11; beta).

The documentation leaves open the body's wrapper, the roles, and the path of a job's errors. The
emulator accepts a bare array and `{"Items": [...]}`, and serves errors at `.../errors`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from ocsync.emulator import documents, rules
from ocsync.emulator.assignments import Assignments
from ocsync.emulator.errors import ErrorResponse, invalid, not_found
from ocsync.emulator.kinds import ALL_KINDS
from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.emulator.state import Document, timestamp
from ocsync.schema import Kind

MAX_ITEMS, MAX_BYTES = 50_000, 25_000_000
_ITEMS_PER_TURN = 200

BULK_KINDS = {
    "priceschedules": "price-schedule",
    "discounts": "discount",
    "discounts/assignments": "discount-assignment",
}
RESOURCES = {
    "price-schedule": "PriceSchedules",
    "discount": "Discounts",
    "discount-assignment": "DiscountAssignments",
}
"""The names of kinds in a job; that of discounts is documented, the others follow it."""
_ID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class BulkJobs:
    """Bulk jobs and their errors, by job ID; each job runs beside other requests."""

    def __init__(self, assignments: Assignments) -> None:
        self.assignments = assignments
        self.entities = assignments.entities
        self.jobs: dict[str, Document] = {}
        self.errors: dict[str, list[Document]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, kind: Kind, operation: str, request: ApiRequest) -> ApiResponse:
        """Handle a POST of a job: start it and respond 202."""
        self._require_bulk()
        items = request.body.get("Items") if isinstance(request.body, dict) else request.body
        if not isinstance(items, list) or not items or len(items) > MAX_ITEMS:
            text = f"1 to {MAX_ITEMS:,} items"
            raise ErrorResponse(400, "Request.InvalidRequestBody", text)
        if len(msgspec.json.encode(items)) > MAX_BYTES:
            raise ErrorResponse(400, "Request.InvalidRequestBody", f"more than {MAX_BYTES:,} bytes")
        job_id = _job_id()
        counts = dict.fromkeys(("ItemsCompleted", "ItemsSucceeded", "ItemsFailed"), 0)
        self.jobs[job_id] = {
            "JobID": job_id, "Resource": RESOURCES[kind.name], "Operation": operation,
            "Status": "Queued",
            "ItemsReceived": len(items), **counts,
            "DateReceived": timestamp(), "DateStarted": None, "DateCompleted": None,
        }  # fmt: skip
        self.errors[job_id] = []
        verb = self._upsert if operation == "Upsert" else self._delete
        task = asyncio.get_running_loop().create_task(self._run(job_id, kind, verb, items, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ApiResponse(202, self.jobs[job_id])

    def get(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of a job's progress."""
        return ApiResponse(200, self._require_job(request))

    def list_errors(self, request: ApiRequest) -> ApiResponse:
        """Handle a GET of the errors of a job's items, a bare array (guide/ordercloud.md 12.22)."""
        self._require_job(request)
        return ApiResponse(200, self.errors[request.ids["JobID"]])

    def _require_bulk(self) -> None:
        if self.entities.options.bulk == "absent":
            raise ErrorResponse(404, "NotFound", "there are no bulk jobs")

    def _require_job(self, request: ApiRequest) -> Document:
        self._require_bulk()
        job = self.jobs.get(request.ids["JobID"])
        if job is None:
            raise not_found("BulkJob", request.ids["JobID"])
        return job

    async def _run(
        self, job_id: str, kind: Kind, verb: Callable[[Kind, Document, ApiRequest], Any],
        items: list[Any], request: ApiRequest,
    ) -> None:  # fmt: skip
        job = self.jobs[job_id]
        job |= {"Status": "Running", "DateStarted": timestamp()}
        for index, item in enumerate(items):
            if index % _ITEMS_PER_TURN == 0:
                await asyncio.sleep(0)
            try:
                verb(kind, item if isinstance(item, dict) else {}, request)
                job["ItemsSucceeded"] += 1
            except ErrorResponse as refusal:
                job["ItemsFailed"] += 1
                self.errors[job_id].append({"ItemIndex": index, **refusal.body()["Errors"][0]})
            job["ItemsCompleted"] += 1
        job |= {"Status": "Completed", "DateCompleted": timestamp()}

    def _upsert(self, kind: Kind, item: Document, request: ApiRequest) -> None:
        if kind.assignment:
            self.assignments.assign(kind, request._replace(ids={}, body=item))
            return
        ids = {kind.ids[-1]: documents.validate_id(item.get("ID"))}
        exists = self.entities.market.find_row(kind, ids)
        if exists and self.entities.options.bulk == "merge":
            self.entities.patch(kind, request._replace(ids=ids, body=item))
        else:
            self.entities.put_document(kind, ids, item)

    def _delete(self, kind: Kind, item: Document, _: ApiRequest) -> None:
        ids = {name: str(item.get(name) or "") for name in kind.ids}
        if not kind.assignment:
            ids = {kind.ids[-1]: documents.validate_id(item.get("ID"))}
        elif not ids[kind.ids[0]]:
            raise invalid(kind.ids[0], "is required")
        self.entities.remove(kind, rules.require_row(self.entities.market, kind, ids))


def bulk_routes(bulk: BulkJobs) -> list[tuple[str, Kind, Callable[[ApiRequest], ApiResponse]]]:
    """Return each path that accepts jobs, the kind of its items, and its handler."""

    return [
        (
            f"/bulk/{path}/{operation.lower()}",
            ALL_KINDS[name],
            partial(bulk.submit, ALL_KINDS[name], operation),
        )
        for path, name in BULK_KINDS.items()
        for operation in ("Upsert", "Delete")
    ]


def _job_id() -> str:
    """Return a job's ID in the platform's form: its time, then random letters."""
    number = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    letters = [_ID_LETTERS[number >> shift & 31] for shift in range(125, -1, -5)]
    return "bulk_" + "".join(letters)
