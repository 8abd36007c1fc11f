"""The ASGI application: sign-in, the API, and the emulator's own control paths (`/_emulator/*`)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import random
import time
import traceback
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ocsync.emulator import control, routes, seeds, synthetic
from ocsync.emulator.assignments import Assignments
from ocsync.emulator.bulk import BulkJobs
from ocsync.emulator.delivery_configs import DeliveryConfigs
from ocsync.emulator.delivery_sender import DeliverySender
from ocsync.emulator.endpoint import Endpoint
from ocsync.emulator.entities import Entities
from ocsync.emulator.errors import ErrorResponse
from ocsync.emulator.faults import FaultInjector
from ocsync.emulator.http import decode_json, json_response, read_body, send_response
from ocsync.emulator.load import SalesSimulator, TokenBucket
from ocsync.emulator.options import EmulatorOptions
from ocsync.emulator.publisher import LOG_LIMIT, Publisher
from ocsync.emulator.request import ANYONE, ApiRequest, ApiResponse, Caller
from ocsync.emulator.special_endpoints import SpecialEndpoints
from ocsync.emulator.state import Marketplace, timestamp
from ocsync.emulator.sync_configs import SyncConfigs
from ocsync.emulator.tokens import TokenIssuer

_WRITES = {"PUT", "PATCH", "POST", "DELETE"}
_TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
_PREFIXES = ("/v1/", "/_emulator/", _TOKEN_PATH)
_SAVE_INTERVAL, _SAVE_FACTOR = 2.0, 10
"""Seconds between checks whether the state has changed and must be saved; where a save takes long,
the wait is `_SAVE_FACTOR` times its duration.
"""


class Emulator:
    """One marketplace behind HTTP."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.options = dataclasses.replace(options)
        self._initial_options = options
        self.requests: deque[dict[str, Any]] = deque(maxlen=LOG_LIMIT)
        self.changes = 0
        self.sender = DeliverySender(self.options)
        state = options.state if options.state and options.state.exists() else None
        self.reset(state)
        self.save_state()

    def reset(self, state: Path | None = None) -> None:
        """Start over from the options, or from the saved *state*; empty the logs and the faults."""
        for field in dataclasses.fields(EmulatorOptions):
            setattr(self.options, field.name, getattr(self._initial_options, field.name))
        self.market = Marketplace(self.options)
        if self.options.products and not state:
            synthetic.generate(self.market, self.options.products)
        self.publisher = Publisher(self.market, self.options, self.sender)
        if seed := state or self.options.seed:
            seeds.load_seed(self.market, seeds.read_seed(seed), self.publisher)
        self.tokens = TokenIssuer(self.market, self.options)
        self.faults = FaultInjector()
        if self.options.faults:
            self.faults.load(self.options.faults)
        self.counts: Counter[str] = Counter()
        self.sender.clear()
        self.requests.clear()
        self.rate_limit = TokenBucket()
        self._request_number = 0
        self.first_write = self.last_write = 0.0
        entities = Entities(self.market, self.publisher, self.options)
        assignments = Assignments(entities)
        deliveries = DeliveryConfigs(self.market, self.options)
        configs = SyncConfigs(self.market, self.publisher, deliveries, self.options)
        actions, bulk = SpecialEndpoints(entities), BulkJobs(assignments)
        self.sales = SalesSimulator(entities, self.options)
        self._root = routes.build_routes(
            routes.Handlers(entities, assignments, actions, configs, deliveries, bulk)
        )

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Mount("/v1", self._api),
                Route(_TOKEN_PATH, self._token, methods=["POST"]),
                Mount("/_emulator", routes=control.routes(self)),
            ],
            exception_handlers={404: _no_such_path, 405: _no_such_path},
            middleware=[Middleware(_CaseInsensitivePaths)],
            lifespan=self._lifespan,
        )

    def save_state(self) -> None:
        """Write the state to the options' state file, if there is one. Raises ConfigError."""
        if self.options.state:
            seeds.write_state(self.options.state, seeds.dump_seed(self.market, self.publisher))

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Run the background jobs (sender, sales, saving) for as long as the application runs."""
        jobs = [self.sender.run(), self._simulate_sales(), self._save_periodically()]
        tasks = [asyncio.create_task(job) for job in jobs]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.sender.close()
        self.save_state()

    async def _simulate_sales(self) -> None:
        while True:
            await asyncio.sleep(self.sales.interval)
            self.sales.sell()

    async def _save_periodically(self) -> None:
        saved, seconds = (0, 0), 0.0
        while self.options.state:
            await asyncio.sleep(max(_SAVE_INTERVAL, _SAVE_FACTOR * seconds))
            if saved != (saved := (self.changes, self.market.sold.total())):
                start = time.monotonic()
                self.save_state()
                seconds = time.monotonic() - start

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await read_body(receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        fault = self.faults.next_fault(scope["method"], path) if self.faults.rules else None
        market = self.market
        if self.options.latency:
            await asyncio.sleep(self.options.latency)
        if self.market is not market:  # a reset came: this is no request to what is there now
            await send_response(scope, send, ApiResponse(503, None), None, 0.0)
            return
        if fault and fault.action == "revoke":
            self.tokens.revoke_all()
        elif fault and fault.action == "unpause":
            self.publisher.unpause_all()
            self.changes += 1
        wait = self.rate_limit.acquire(self.options.rate)
        if wait:
            answer = ApiResponse(
                429, ErrorResponse(429, "TooManyRequests", "the rate limit is reached").body()
            )
        elif fault and not fault.effect and (fault.status or fault.action == "reset"):
            answer = ApiResponse(fault.status or 500, None)
        else:
            answer = await self._answer(scope, path, raw)
        if fault and fault.action == "hang":
            await asyncio.sleep(fault.seconds)
        lost = fault is not None and fault.action == "reset"
        log_id = str(uuid.UUID(bytes=random.randbytes(16)))
        if self.market is market:
            status = 0 if lost else (fault and fault.status) or answer.status
            self._log_request(scope, path, raw, status, log_id)
        retry_after = wait if self.options.retry_after == "given" else 0.0
        await send_response(scope, send, answer, fault, retry_after, log_id)

    async def _answer(self, scope: Scope, path: str, raw: bytes) -> ApiResponse:
        try:
            matched = self._root.match([unquote(p) for p in path.strip("/").split("/")])
            endpoint = matched[0].verbs.get(scope["method"]) if matched else None
            caller = ANYONE if endpoint and endpoint.public else self._authenticate(scope)
            if matched is None or endpoint is None:
                raise ErrorResponse(404, "NotFound", f"there is no {scope['method']} {path}")
            ids = dict(zip(endpoint.parameters, matched[1], strict=True))
            _authorize(endpoint, caller, ids, scope["method"])
            self.publisher.user = caller.user
            text = scope["query_string"].decode("latin-1")
            query = parse_qs(text, keep_blank_values=True) if text else {}
            result = endpoint.handler(ApiRequest(ids, query, decode_json(raw), caller))
            return await result if inspect.isawaitable(result) else result
        except ErrorResponse as refusal:
            return ApiResponse(refusal.status, refusal.body())
        except Exception:  # noqa: BLE001 - a defect of the emulator: printed here, answered as 500
            traceback.print_exc()
            return ApiResponse(500, ErrorResponse(500, "ServerError", "the emulator failed").body())

    def _authenticate(self, scope: Scope) -> Caller:
        header = dict(scope["headers"]).get(b"authorization", b"")
        return self.tokens.authenticate(header.decode("latin-1"))

    def _log_request(self, scope: Scope, path: str, raw: bytes, status: int, log_id: str) -> None:
        self._request_number += 1
        method = scope["method"]
        self.counts[method] += 1
        if status == 429:
            self.counts["429"] += 1
        if method in _WRITES:
            self.changes += 1
            config = path.casefold().startswith("/integrations")
            self.counts["configs" if config else "writes"] += 1
            if not config:
                self.last_write = time.monotonic()
                self.first_write = self.first_write or self.last_write
        record = {
            "n": self._request_number,
            "at": timestamp(),
            "method": method,
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "status": status,
            "log_id": log_id,
        }
        if method in _WRITES and raw:
            record["body"] = raw.decode("utf-8", "replace")
        self.requests.append(record)

    async def _token(self, request: Request) -> Response:
        kind, url = request.headers.get("content-type", ""), str(request.base_url).rstrip("/")
        answer = self.tokens.sign_in(await request.body(), kind, url)
        self._request_number += 1
        record = {
            "n": self._request_number,
            "at": timestamp(),
            "method": "POST",
            "path": "/oauth/token",
        }
        self.requests.append({**record, "query": "", "status": answer.status})
        return json_response(answer.body, answer.status)


def _authorize(endpoint: Endpoint, caller: Caller, ids: dict[str, str], method: str) -> None:
    """Raise a 403 that names the sufficient roles when *caller* has none
    (guide/ordercloud.md 1.3).
    """
    if not endpoint.roles:
        return
    if "FullAccess" not in caller.roles and not set(endpoint.roles) & set(caller.roles):
        data = {"SufficientRoles": [*endpoint.roles, "FullAccess"],
                "AssignedRoles": list(caller.roles)}  # fmt: skip
        raise ErrorResponse(403, "InsufficientRoles", "the user lacks a role", data)
    is_own_company = (
        ids.get(f"{caller.user_type.title()}ID", "").casefold() == caller.company.casefold()
    )
    if method in _WRITES and caller.user_type != "admin" and not is_own_company:
        text = "only the marketplace's own users may do that"
        raise ErrorResponse(403, "Auth.UserNotAuthorizedToAdmin", text)


class _CaseInsensitivePaths:
    """Middleware that routes sign-in and the API in any case, as `routes` does below them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and not path.startswith(_PREFIXES):
            folded = path.casefold()
            if folded == _TOKEN_PATH:
                scope["path"] = folded
            elif folded.startswith("/v1/"):
                scope["path"] = "/v1/" + path[4:]
        await self._app(scope, receive, send)


async def _no_such_path(request: Request, _: Exception) -> Response:
    refusal = ErrorResponse(404, "NotFound", f"there is no {request.method} {request.url.path}")
    return json_response(refusal.body(), 404)
