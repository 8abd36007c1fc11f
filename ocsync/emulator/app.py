"""The ASGI application: sign-in, the API, and what only an emulator has (`/_emulator/*`)."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter, deque
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from ocsync.emulator import routes, seeds
from ocsync.emulator.configs import Configs
from ocsync.emulator.entities import Answer, Call, Entities
from ocsync.emulator.errors import Refusal
from ocsync.emulator.faults import Fault, Faults
from ocsync.emulator.options import Options
from ocsync.emulator.state import Marketplace, stamp
from ocsync.emulator.sync import KEPT, Publisher
from ocsync.emulator.tokens import Tokens
from ocsync.errors import InputError

_encode = msgspec.json.Encoder().encode
_WRITES = {"PUT", "PATCH", "POST", "DELETE"}


class Emulator:
    """One marketplace behind HTTP."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.reset()

    def reset(self) -> None:
        """Start over, from the seed if there is one; logs and faults are emptied."""
        self.market = Marketplace()
        if self.options.seed:
            seeds.plant(self.market, seeds.read_seed(self.options.seed))
        self.publisher = Publisher(self.market, self.options)
        self.tokens = Tokens(self.market, self.options.token_lifetime)
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self.requests.clear()
        self._number = 0
        self._first_write = self._last_write = 0.0
        entities = Entities(self.market, self.publisher, self.options)
        configs = Configs(self.market, self.publisher, self.options)
        self._root, self._names = routes.build(entities, configs, self._me)

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Mount("/v1", self._api),
                Route("/oauth/token", self._token, methods=["POST"]),
                Route("/_emulator/health", self._health),
                Route("/_emulator/requests", self._log("requests")),
                Route("/_emulator/messages", self._log("messages")),
                Route("/_emulator/counts", self._counts),
                Route("/_emulator/reset", self._reset, methods=["POST"]),
                Route("/_emulator/seed", self._seed, methods=["POST"]),
                Route("/_emulator/revoke", self._revoke, methods=["POST"]),
                Route("/_emulator/faults", self._set_faults, methods=["PUT", "DELETE"]),
            ]
        )

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await _body(receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        fault = self.faults.strike(scope["method"], path)
        if self.options.latency:
            await asyncio.sleep(self.options.latency)
        if fault and fault.action == "hang":
            await asyncio.sleep(fault.seconds)
        if fault and fault.status and not fault.effect:
            answer = Answer(fault.status, _trouble(fault))
        else:
            answer = await self._answer(scope, path, raw)
        self._note(scope, path, raw, answer.status)
        await _send(send, answer, fault)

    async def _answer(self, scope: Scope, path: str, raw: bytes) -> Answer:
        try:
            headers = dict(scope["headers"])
            roles = self.tokens.check(headers.get(b"authorization", b"").decode("latin-1"))
            found = self._root.find([unquote(p) for p in path.strip("/").split("/")])
            handler = found[0].verbs.get(scope["method"]) if found else None
            if found is None or handler is None:
                raise Refusal(404, "NotFound", f"there is no {scope['method']} {path}")
            self._allow(handler, scope["method"], roles)
            ids = dict(zip(self._names[id(found[0])], found[1], strict=True))
            query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            result = handler(Call(ids, query, _decoded(raw)))
            return await result if inspect.isawaitable(result) else result
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body())

    def _allow(self, handler: Any, method: str, roles: tuple[str, ...]) -> None:
        """403 with the roles that would do (api-facts 1.3)."""
        row = handler.args[0] if getattr(handler, "args", None) else None
        if "FullAccess" in roles or row is None:
            return
        if hasattr(row, "role"):
            enough: tuple[str, ...] = (row.role,)
        else:
            enough = row.writers if method in _WRITES else row.readers
        if not set(enough) & set(roles):
            data = {"SufficientRoles": [*enough, "FullAccess"], "AssignedRoles": list(roles)}
            raise Refusal(403, "InsufficientRoles", "the user lacks a role", data)

    def _me(self, _: Call) -> Answer:
        seller = {"ID": self.market.id, "Name": self.market.name}
        return Answer(
            200, {"ID": "emulator", "Username": "emulator", "Active": True, "Seller": seller}
        )

    def _note(self, scope: Scope, path: str, raw: bytes, status: int) -> None:
        self._number += 1
        method = scope["method"]
        self.counts[method] += 1
        if method in _WRITES and not path.casefold().startswith("/integrations"):
            self.counts["writes"] += 1
            self._last_write = time.monotonic()
            self._first_write = self._first_write or self._last_write
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
        answer = self.tokens.sign_in(await request.body(), str(request.base_url).rstrip("/"))
        self._number += 1
        record = {"n": self._number, "at": stamp(), "method": "POST", "path": "/oauth/token"}
        self.requests.append({**record, "query": "", "status": answer.status})
        return _json(answer.body, answer.status)

    async def _health(self, _: Request) -> Response:
        return _json({"status": "ready", "marketplace": self.market.id})

    def _log(self, name: str) -> Any:
        async def show(request: Request) -> Response:
            after = int(request.query_params.get("after", "0"))
            records = self.requests if name == "requests" else self.publisher.messages
            return _json([record for record in records if record["n"] > after])

        return show

    async def _counts(self, _: Request) -> Response:
        messages = dict(self.publisher.counts)
        return _json(
            {
                "requests": dict(self.counts),
                "messages": messages,
                "delivered": sum(messages.values()),
                "dropped": self.publisher.dropped,
                "faults": self.faults.struck,
                "writes_per_second": self.counts["writes"]
                / max(self._last_write - self._first_write, 1e-9),
            }
        )

    async def _reset(self, _: Request) -> Response:
        self.reset()
        return Response(status_code=204)

    async def _seed(self, request: Request) -> Response:
        try:
            seed = msgspec.json.decode(await request.body(), type=dict[str, Any])
            seeds.plant(self.market, seed)
        except (InputError, msgspec.MsgspecError) as error:
            return _json({"error": str(error)}, 400)
        return Response(status_code=204)

    async def _revoke(self, _: Request) -> Response:
        self.tokens.revoke_all()
        return Response(status_code=204)

    async def _set_faults(self, request: Request) -> Response:
        try:
            rules = [] if request.method == "DELETE" else msgspec.json.decode(await request.body())
            self.faults.set(rules)
        except msgspec.MsgspecError as error:
            return _json({"error": str(error)}, 400)
        return Response(status_code=204)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def _decoded(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except msgspec.MsgspecError as error:
        raise Refusal(400, "Request.InvalidRequestBody", str(error)) from error


def _trouble(fault: Fault) -> Any:
    return Refusal(fault.status, "ServerError", "a scripted fault").body()


async def _send(send: Send, answer: Answer, fault: Fault | None) -> None:
    body = b"" if answer.body is None else _encode(answer.body)
    status, kind = answer.status, b"application/json; charset=utf-8"
    if fault:
        status = fault.status or status
        if fault.status and fault.effect:
            body = _encode(_trouble(fault))
        if fault.action == "html":
            body, kind = b"<html><body>gateway</body></html>", b"text/html"
        elif fault.action == "bom":
            body = b"\xef\xbb\xbf" + body
    headers = [(b"content-length", b"%d" % len(body))]
    if body:
        headers.append((b"content-type", kind))
    if fault and fault.retry_after is not None:
        headers.append((b"retry-after", b"%g" % fault.retry_after))
    if fault and fault.action == "cut":
        headers[0] = (b"content-length", b"%d" % (len(body) + 100))  # never fulfilled
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if fault and fault.action == "cut":
        await send({"type": "http.response.body", "body": body, "more_body": True})
        raise ConnectionError("cut by a scripted fault")
    await send({"type": "http.response.body", "body": body})


def _json(content: Any, status: int = 200) -> Response:
    return Response(_encode(content), status, media_type="application/json")
