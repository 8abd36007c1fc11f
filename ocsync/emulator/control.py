"""The emulator's own paths, `/_emulator/*`: no token is needed and requests are not logged.

GET health (200 when ready), requests and messages (JSON arrays, oldest first, `?after=N`), counts,
sales (pieces by record), state (the marketplace as a seed), faults. POST seed, reset, revoke (all
tokens), unpause (as another user). PUT or DELETE faults. PATCH options of the running emulator, in
the units of the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocsync.emulator import seeds
from ocsync.emulator.http import json_response
from ocsync.emulator.options import MILLISECONDS, EmulatorOptions
from ocsync.errors import InputError

if TYPE_CHECKING:
    from ocsync.emulator.app import Emulator

_FIXED = {"port", "seed", "products", "state", "faults"}
"""Options that only have an effect at the start."""


def routes(emulator: Emulator) -> list[Route]:
    """Return the routes below `/_emulator`."""
    return [
        Route(f"/{path}", partial(_answer, emulator, handler), methods=[verb])
        for verb, path, handler in _HANDLERS
    ]


async def _answer(emulator: Emulator, handler: Callable[..., Any], request: Request) -> Response:
    try:
        result = handler(emulator, await request.body(), request.query_params.get("after", "0"))
    except (InputError, ValueError, msgspec.MsgspecError) as error:
        return json_response({"error": str(error)}, 400)
    emulator.changes += request.method != "GET"
    return Response(status_code=204) if result is None else json_response(result)


def _health(emulator: Emulator, *_: Any) -> Any:
    return {"status": "ready", "marketplace": emulator.market.id}


def _requests(emulator: Emulator, _: bytes, after: str) -> Any:
    return [record for record in emulator.requests if record["n"] > int(after)]


def _messages(emulator: Emulator, _: bytes, after: str) -> Any:
    return [record for record in emulator.publisher.messages if record["n"] > int(after)]


def _counts(emulator: Emulator, *_: Any) -> Any:
    publisher, sender = emulator.publisher, emulator.sender
    seconds = max(emulator.last_write - emulator.first_write, 1e-9)
    return {
        "requests": dict(emulator.counts),
        "writes_per_second": emulator.counts["writes"] / seconds,
        "messages": dict(publisher.counts),
        "delivered": sum(publisher.counts.values()),
        "held": sum(map(len, publisher.held.values())),
        "dropped": publisher.dropped,
        "carried": dict(sender.counts),
        "waiting": sender.backlog,
        "faults": emulator.faults.hits,
        "sold": sum(emulator.market.sold.values()),
    }


def _sales(emulator: Emulator, *_: Any) -> Any:
    return dict(emulator.market.sold)


def _state(emulator: Emulator, *_: Any) -> Any:
    return seeds.dump_seed(emulator.market, emulator.publisher)


def _faults(emulator: Emulator, *_: Any) -> Any:
    return emulator.faults.rules


def _set_faults(emulator: Emulator, body: bytes, _: str) -> None:
    emulator.faults.replace_rules(msgspec.json.decode(body or b"[]"))


def _seed(emulator: Emulator, body: bytes, _: str) -> None:
    seed = msgspec.json.decode(body, type=dict[str, Any])
    seeds.load_seed(emulator.market, seed, emulator.publisher)


def _options(emulator: Emulator, body: bytes, _: str) -> None:
    types = {n: t for n, t in get_type_hints(EmulatorOptions).items() if n not in _FIXED}
    given = msgspec.json.decode(body, type=dict[str, Any])
    if unknown := given.keys() - types.keys():
        raise InputError(f"no option to change: {', '.join(sorted(unknown))}")
    values = {name: msgspec.convert(value, types[name]) for name, value in given.items()}
    for name, value in values.items():
        setattr(emulator.options, name, value / 1000 if name in MILLISECONDS else value)


def _reset(emulator: Emulator, *_: Any) -> None:
    emulator.reset()


def _revoke(emulator: Emulator, *_: Any) -> None:
    emulator.tokens.revoke_all()


def _unpause(emulator: Emulator, *_: Any) -> None:
    emulator.publisher.unpause_all()


_HANDLERS: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "health", _health),
    ("GET", "requests", _requests),
    ("GET", "messages", _messages),
    ("GET", "counts", _counts),
    ("GET", "sales", _sales),
    ("GET", "state", _state),
    ("GET", "faults", _faults),
    ("PUT", "faults", _set_faults),
    ("DELETE", "faults", _set_faults),
    ("POST", "seed", _seed),
    ("PATCH", "options", _options),
    ("POST", "reset", _reset),
    ("POST", "revoke", _revoke),
    ("POST", "unpause", _unpause),
]
