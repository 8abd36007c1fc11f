"""The ASGI application: sign-in, the API, and what only an emulator has (`/_emulator/*`)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import time
import traceback
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
from ocsync.emulator.bulk import Bulk
from ocsync.emulator.delivery_configs import Deliveries
from ocsync.emulator.delivery_sender import DeliverySender
from ocsync.emulator.entities import Entities
from ocsync.emulator.errors import Refusal
from ocsync.emulator.faults import Faults
from ocsync.emulator.http import decoded, json_response, read_body, send_answer
from ocsync.emulator.load import Bucket, SalesSimulator
from ocsync.emulator.options import Options
from ocsync.emulator.publisher import KEPT, Publisher
from ocsync.emulator.request import Answer, Call, Caller
from ocsync.emulator.special_endpoints import Actions
from ocsync.emulator.state import Marketplace, stamp
from ocsync.emulator.sync_configs import Configs
from ocsync.emulator.tokens import Tokens

_WRITES = {"PUT", "PATCH", "POST", "DELETE"}
_TOKEN = "/oauth/token"  # noqa: S105 - a path
_PREFIXES = ("/v1/", "/_emulator/", _TOKEN)
_KEEP_EVERY, _KEEP_SHARE = 2.0, 10
"""Seconds between looks at whether the state has changed and is to be written; where that takes
long, so many times as long.
"""


class Emulator:
    """One marketplace behind HTTP."""

    def __init__(self, options: Options) -> None:
        self.options = dataclasses.replace(options)
        self._first_options = options
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.touched = 0
        self.courier = DeliverySender(self.options)
        kept = options.state if options.state and options.state.exists() else None
        self.reset(kept)
        self.keep()

    def reset(self, kept: Path | None = None) -> None:
        """Start over, as the options say or as it was *kept*; logs and faults are emptied."""
        for field in dataclasses.fields(Options):
            setattr(self.options, field.name, getattr(self._first_options, field.name))
        self.market = Marketplace()
        if self.options.products and not kept:
            synthetic.generate(self.market, self.options.products)
        self.publisher = Publisher(self.market, self.options, self.courier)
        if seed := kept or self.options.seed:
            seeds.load_seed(self.market, seeds.read_seed(seed), self.publisher)
        self.tokens = Tokens(self.market, self.options)
        self.faults = Faults()
        if self.options.faults:
            self.faults.read(self.options.faults)
        self.counts: Counter[str] = Counter()
        self.courier.counts.clear()
        self.requests.clear()
        self.bucket = Bucket()
        self._number = 0
        self.first_write = self.last_write = 0.0
        entities = Entities(self.market, self.publisher, self.options)
        assignments = Assignments(entities)
        deliveries = Deliveries(self.market, self.options)
        configs = Configs(self.market, self.publisher, deliveries, self.options)
        actions, bulk = Actions(entities), Bulk(assignments)
        self.shoppers = SalesSimulator(entities, self.options)
        self._root = routes.build(
            routes.Handlers(entities, assignments, actions, configs, deliveries, bulk)
        )

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Mount("/v1", self._api),
                Route(_TOKEN, self._token, methods=["POST"]),
                Mount("/_emulator", routes=control.routes(self)),
            ],
            exception_handlers={404: _nowhere, 405: _nowhere},
            middleware=[Middleware(_AnyCase)],
            lifespan=self._living,
        )

    def keep(self) -> None:
        """Write the state, if a file for it is named. Raises ConfigError where it cannot be."""
        if self.options.state:
            seeds.write_state(self.options.state, seeds.kept(self.market, self.publisher))

    @contextlib.asynccontextmanager
    async def _living(self, _: Starlette) -> AsyncIterator[None]:
        """What goes on beside requests."""
        jobs = [self.courier.run(), self._sell(), self._keep_on()]
        tasks = [asyncio.create_task(job) for job in jobs]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.courier.close()
        self.keep()

    async def _sell(self) -> None:
        while True:
            await asyncio.sleep(self.shoppers.every)
            self.shoppers.sell()

    async def _keep_on(self) -> None:
        last, took = (0, 0), 0.0
        while self.options.state:
            await asyncio.sleep(max(_KEEP_EVERY, _KEEP_SHARE * took))
            if last != (last := (self.touched, self.market.sold.total())):
                start = time.monotonic()
                self.keep()
                took = time.monotonic() - start

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await read_body(receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        fault = self.faults.strike(scope["method"], path) if self.faults.rules else None
        if self.options.latency:
            await asyncio.sleep(self.options.latency)
        if fault and fault.action == "revoke":
            self.tokens.revoke_all()
        elif fault and fault.action == "unpause":
            self.publisher.lift_all()
            self.touched += 1
        wait = self.bucket.wait(self.options.rate)
        if wait:
            answer = Answer(
                429, Refusal(429, "TooManyRequests", "the rate limit is reached").body()
            )
        elif fault and not fault.effect and (fault.status or fault.action == "reset"):
            answer = Answer(fault.status or 500, None)
        else:
            answer = await self._answer(scope, path, raw)
        if fault and fault.action == "hang":
            await asyncio.sleep(fault.seconds)
        lost = fault is not None and fault.action == "reset"
        self._note(scope, path, raw, 0 if lost else (fault and fault.status) or answer.status)
        retry_after = wait if self.options.retry_after == "given" else 0.0
        await send_answer(scope, send, answer, fault, retry_after)

    async def _answer(self, scope: Scope, path: str, raw: bytes) -> Answer:
        try:
            headers = dict(scope["headers"])
            caller = self.tokens.check(headers.get(b"authorization", b"").decode("latin-1"))
            found = self._root.find([unquote(p) for p in path.strip("/").split("/")])
            endpoint = found[0].verbs.get(scope["method"]) if found else None
            if found is None or endpoint is None:
                raise Refusal(404, "NotFound", f"there is no {scope['method']} {path}")
            ids = dict(zip(endpoint.names, found[1], strict=True))
            _allow(endpoint, caller, ids, scope["method"])
            self.publisher.user = caller.user
            text = scope["query_string"].decode("latin-1")
            query = parse_qs(text, keep_blank_values=True) if text else {}
            result = endpoint.handler(Call(ids, query, decoded(raw), caller))
            return await result if inspect.isawaitable(result) else result
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body())
        except Exception:  # noqa: BLE001 - an error of the emulator's own: told here, answered as such
            traceback.print_exc()
            return Answer(500, Refusal(500, "ServerError", "the emulator failed").body())

    def _note(self, scope: Scope, path: str, raw: bytes, status: int) -> None:
        self._number += 1
        method = scope["method"]
        self.counts[method] += 1
        if status == 429:
            self.counts["429"] += 1
        if method in _WRITES:
            self.touched += 1
            config = path.casefold().startswith("/integrations")
            self.counts["configs" if config else "writes"] += 1
            if not config:
                self.last_write = time.monotonic()
                self.first_write = self.first_write or self.last_write
        record = {
            "n": self._number,
            "at": stamp(),
            "method": method,
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "status": status,
        }
        if method in _WRITES and raw:
            record["body"] = raw.decode("utf-8", "replace")
        self.requests.append(record)

    async def _token(self, request: Request) -> Response:
        kind, url = request.headers.get("content-type", ""), str(request.base_url).rstrip("/")
        answer = self.tokens.sign_in(await request.body(), kind, url)
        self._number += 1
        record = {"n": self._number, "at": stamp(), "method": "POST", "path": "/oauth/token"}
        self.requests.append({**record, "query": "", "status": answer.status})
        return json_response(answer.body, answer.status)


def _allow(endpoint: routes.Endpoint, caller: Caller, ids: dict[str, str], method: str) -> None:
    """403 with the roles that would do (api-facts 1.3)."""
    if not endpoint.roles:
        return
    if "FullAccess" not in caller.roles and not set(endpoint.roles) & set(caller.roles):
        data = {"SufficientRoles": [*endpoint.roles, "FullAccess"],
                "AssignedRoles": list(caller.roles)}  # fmt: skip
        raise Refusal(403, "InsufficientRoles", "the user lacks a role", data)
    own = ids.get(f"{caller.sort.title()}ID", "").casefold() == caller.company.casefold()
    if method in _WRITES and caller.sort != "admin" and not own:
        text = "only the marketplace's own users may do that"
        raise Refusal(403, "Auth.UserNotAuthorizedToAdmin", text)


class _AnyCase:
    """Finds sign-in and the API whatever the case of their paths; the tree sees to the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and not path.startswith(_PREFIXES):
            folded = path.casefold()
            if folded == _TOKEN:
                scope["path"] = folded
            elif folded.startswith("/v1/"):
                scope["path"] = "/v1/" + path[4:]
        await self._app(scope, receive, send)


async def _nowhere(request: Request, _: Exception) -> Response:
    refusal = Refusal(404, "NotFound", f"there is no {request.method} {request.url.path}")
    return json_response(refusal.body(), 404)
